"""A sitting of `next`: questions, answers that are written down, and who may give them."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from browser import PHONE, WIDE, chromium, visit
from clone import ROOT
from starlette.testclient import TestClient

from pipeline.dataset.clips import read_index
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.sources import ClipFiles
from pipeline.labelling.collection import Collection
from pipeline.labelling.label_server import create_app
from pipeline.labelling.session import Session, newest_labels, read_answers

TOKEN = "a-token"


@pytest.fixture
def project(sample_project: Path, tmp_path: Path) -> Path:
    """A copy of a project with a table that gives a label to one person's clips only."""
    folder = tmp_path / "project"
    shutil.copytree(sample_project, folder, ignore=shutil.ignore_patterns("cache"))
    clips = list(read_index(folder / "data/index.csv"))
    rows = [
        f"{clip.path},{clip.label if clip.group == 'actor01' else ''},{number}\n"
        for number, clip in enumerate(clips)
    ]
    (folder / "clips.csv").write_text("path,label,number\n" + "".join(rows))
    return folder


def dataset(project: Path, layout: str) -> DatasetParams:
    raw = str(project / "data/raw")
    return DatasetParams(raw=raw, layout=layout, table=str(project / "clips.csv"))


def session_of(project: Path, layout: str = "csv", wanted: int = 3) -> Session:
    params, answers = dataset(project, layout), project / "labels.csv"
    labels = newest_labels(dataset(project, "csv")) | newest_labels(params, answers)
    collection = Collection.open(
        project / "features", project / "data/index.csv", labels, project / ".clipcache/space"
    )
    return Session(collection, params, ClipFiles.of(params), "stretch", wanted, answers)


def truth(clip_id: str) -> str:
    return clip_id.partition("/")[0]


def test_answers_go_into_the_table_one_by_one(project: Path) -> None:
    session = session_of(project)
    for number in (1, 2, 3):
        asked = session.question()
        assert asked is not None
        assert "actor01" not in asked.clip_id
        session.answer(asked.row, truth(asked.clip_id))
        assert newest_labels(session.dataset)[asked.clip_id] == truth(asked.clip_id)
        assert len(session.given) == number
    assert session.question() is None
    lines = (project / "clips.csv").read_text().splitlines()
    assert [line.rpartition(",")[2] for line in lines[1:]] == [str(i) for i in range(40)]


def test_an_undone_answer_is_asked_again_and_a_skipped_one_is_not(project: Path) -> None:
    session = session_of(project)
    first = session.question()
    assert first is not None
    session.answer(first.row, "nonsense")
    assert session.undo() == first.row
    assert session.undo() is None
    assert newest_labels(session.dataset)[first.clip_id] == ""
    again = session.question()
    assert again is not None
    assert again.row == first.row
    session.skip(first.row)
    other = session.question()
    assert other is not None
    assert other.row != first.row


def test_where_folders_are_the_labels_answers_are_corrections(project: Path) -> None:
    session = session_of(project, "folders")
    asked = session.question()
    assert asked is not None
    session.answer(asked.row, truth(asked.clip_id))
    assert read_answers(session.answers) == {asked.clip_id: truth(asked.clip_id)}
    later = session_of(project, "folders")  # another day
    assert later.collection.names[asked.row] == truth(asked.clip_id)
    question = later.question()
    assert question is not None
    assert question.row != asked.row


def test_a_preview_is_a_strip_of_frames(project: Path) -> None:
    session = session_of(project)
    asked = session.question()
    assert asked is not None
    picture = cv2.imdecode(np.frombuffer(session.preview(asked.row) or b"", np.uint8), 1)
    assert picture.shape == (224, 224 * asked.frames, 3)
    (project / "data/raw" / asked.clip_id).unlink()
    assert session.preview(asked.row) is None


def client(project: Path, **headers: str) -> Any:
    given = {"Authorization": f"Bearer {TOKEN}", **headers}
    return TestClient(
        create_app(session_of(project), TOKEN), base_url="http://127.0.0.1:1", headers=given,
        raise_server_exceptions=False,
    )  # fmt: skip


def test_who_may_ask_and_answer(project: Path) -> None:
    here = client(project)
    state = here.get("/question").json()
    assert (state["given"], state["wanted"], len(state["labels"])) == (0, 3, 4)
    row = state["question"]["row"]
    answer = {"row": row, "label": truth(state["question"]["clip"])}
    assert here.get("/", headers={"Authorization": ""}).status_code == 200  # holds nothing
    for headers, status in (
        ({"Authorization": "Bearer another"}, 401),
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
    ):
        assert here.post("/answer", json=answer, headers=headers).status_code == status
    assert here.get("/question", headers={"Authorization": ""}).status_code == 401
    assert here.get(f"/preview/{row}", headers={"Authorization": ""}).status_code == 401
    assert here.get(f"/preview/{row}").headers["content-type"] == "image/jpeg"
    for body in (
        b"[1]", b"{", b'{"row": 9999, "label": "x"}', b'{"row": true, "label": "x"}',
        b'{"row": 1, "label": "a\\u0007"}', b'{"row": 1, "label": " "}', b" " * 5000,
    ):  # fmt: skip
        refused = here.post("/answer", content=body)
        assert refused.status_code == 422
        assert refused.json()["detail"].endswith(".")
    assert here.get("/question").json()["given"] == 0
    assert here.post("/answer", json=answer).json()["given"] == 1
    assert here.post("/undo", json={}).json()["taken_back"] == state["question"]["clip"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
def test_labelling_in_a_browser_with_keys(
    browser: Any, project: Path, size: tuple[int, int], scheme: str
) -> None:
    params = (project / "params.yaml").read_text()
    params = params.replace('"layout": "folders"', '"layout": "csv"')
    params = params.replace('"table": "lists/clips.csv"', '"table": "clips.csv"')
    (project / "params.yaml").write_text(params)
    command = [sys.executable, "-m", "pipeline", "next", "2"]
    with subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as server:  # fmt: skip
        assert server.stdout is not None
        try:
            lines = [server.stdout.readline() for _ in range(2)]
            address = lines[1].rpartition(" ")[2].strip()
            own = address.partition("#")[0]
            with visit(browser, address, own=own, size=size, scheme=scheme) as tab:
                page = tab.page
                page.wait_for_selector("#choices button")
                label = truth(page.text_content("#clip"))
                texts = page.eval_on_selector_all(
                    "#choices button", "all => all.map(b => b.innerText)"
                )
                page.keyboard.press(str(1 + [label in text for text in texts].index(True)))
                page.wait_for_selector("text=1 of 2 labels given")
                page.keyboard.press("/")
                page.keyboard.type("something new")
                page.keyboard.press("Enter")
                page.wait_for_selector("text=That is all for now")
                page.click("#undo-last")
                page.wait_for_selector("text=1 of 2 labels given")
                page.click("#skip")
                page.wait_for_selector("#asking:not([hidden])")
                assert tab.outside == []
                assert tab.problems == []
                assert not tab.scrolls_sideways()
                assert (sum(tab.colour()) < 200) == (scheme == "dark")
            with pytest.raises(httpx.ConnectError):  # on 127.0.0.1 only
                httpx.get(own.replace("127.0.0.1", "127.0.0.2"))
        finally:
            server.send_signal(signal.SIGINT)
            rest = server.stdout.read()
    assert server.returncode == 0
    assert "1 label -> clips.csv" in rest
    assert "something new" not in (project / "clips.csv").read_text()
