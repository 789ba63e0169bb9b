"""The page at /ui in a real browser: a clip, the right answer, no word to anybody else."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import PHONE, WIDE, Visit, chromium, visit
from sample_model import unseen_clip
from serving import Server, running_server

PATIENCE = 120_000  # milliseconds
LABEL = "[data-testid=label-output-value]"
CONFIDENCES = "[data-testid$=-confidence-set]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def clip(sample_model: Path) -> Path:
    return unseen_clip(sample_model, "wave")


@pytest.fixture(scope="module")
def server(
    browser: Any, sample_model: Path, clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    examples = folder / "examples"
    examples.mkdir()
    shutil.copy(clip, examples / "somebody_waves.mp4")
    (examples / "notes.txt").write_text("no clip")
    options = ("--workers", "1", "--examples", str(examples), "--max-seconds", "60",
               "--max-bytes", "2000000")  # fmt: skip
    with running_server(sample_model, folder / "server", *options) as server:
        yield server


def open_page(browser: Any, server: Server, size: tuple[int, int], scheme: str) -> Any:
    return visit(browser, f"{server.url}/ui", own=server.url, size=size, scheme=scheme)


def give(tab: Visit, path: Path) -> None:
    tab.page.wait_for_selector("input[type=file]", state="attached", timeout=PATIENCE)
    tab.page.set_input_files("input[type=file]", str(path))


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
def test_a_real_clip_is_recognised(
    browser: Any, server: Server, clip: Path, size: tuple[int, int], scheme: str, tmp_path: Path
) -> None:
    with open_page(browser, server, size, scheme) as tab:
        give(tab, clip)
        tab.page.wait_for_selector(".result figure", timeout=PATIENCE)
        assert tab.page.inner_text(LABEL).strip() == "wave"
        assert tab.page.locator(CONFIDENCES).count() == 4
        assert tab.page.locator(".result .chart svg path").count() == 4
        assert tab.page.locator(".result table td").nth(2).inner_text() == "wave"
        assert 1 <= tab.page.locator(".result figure img").count() <= 6
        assert tab.broken_images() == []
        assert not tab.scrolls_sideways()
        assert (sum(tab.colour()) < 200) == (scheme == "dark")
        tab.screenshot(tmp_path / "page.png")
        assert tab.outside == []
        assert tab.problems == []


def test_page_and_api_agree(browser: Any, server: Server, clip: Path, tmp_path: Path) -> None:
    with clip.open("rb") as stream:
        answer = httpx.post(f"{server.url}/predict", files={"file": stream}, timeout=120).json()
    nameless = tmp_path / "holiday.txt"  # the content decides, not the name
    shutil.copy(clip, nameless)
    with open_page(browser, server, WIDE, "light") as tab:
        give(tab, nameless)
        tab.page.wait_for_selector(".result figure", timeout=PATIENCE)
        names = tab.page.locator(".result .name")
        titles = [names.nth(i).get_attribute("title") for i in range(names.count())]
        shown = tab.page.locator(CONFIDENCES).all_inner_texts()
    assert [name.split()[0] for name in shown] == [title.split(":")[0] for title in titles]
    for title, one in zip(titles, answer["all_predictions"], strict=True):
        label, _, percent = title.partition(": ")
        assert label == one["label"]
        assert float(percent.rstrip(" %")) / 100 == pytest.approx(one["confidence"], abs=1e-4)


def test_an_example_is_a_click_away(browser: Any, server: Server) -> None:
    with open_page(browser, server, WIDE, "light") as tab:
        tab.page.wait_for_selector("text=somebody_waves.mp4", timeout=PATIENCE)
        assert tab.page.locator("text=notes.txt").count() == 0
        tab.page.click("text=somebody_waves.mp4")
        tab.page.wait_for_selector(".result figure", timeout=PATIENCE)
        assert tab.page.inner_text(LABEL).strip() == "wave"


def test_a_file_that_is_refused_says_why(browser: Any, server: Server, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video at all")
    with open_page(browser, server, WIDE, "light") as tab:
        give(tab, broken)
        tab.page.wait_for_selector("text=neither an image nor a video", timeout=PATIENCE)
        assert tab.page.locator(LABEL).count() == 0


def test_ending_the_server_with_the_page_open_leaves_nothing(
    browser: Any, sample_model: Path, clip: Path, tmp_path: Path
) -> None:
    with running_server(sample_model, tmp_path / "server", "--workers", "1") as server:
        with open_page(browser, server, WIDE, "light") as tab:
            give(tab, clip)
            tab.page.wait_for_selector(".result figure", timeout=PATIENCE)
            assert list(server.scratch.rglob("*.mp4"))
            assert server.stop() == 0
        assert list(server.scratch.iterdir()) == []


def test_the_page_reads_only_what_was_sent_and_takes_only_so_much(
    server: Server, sample_model: Path
) -> None:
    """Last, because the room stays full for ten minutes."""
    secret = unseen_clip(sample_model, "walk")
    api = f"{server.url}/ui/gradio_api"
    for path in (str(secret), "/etc/passwd", "http://example.org/clip.mp4"):
        asked = {
            "data": [{"path": path, "meta": {"_type": "gradio.FileData"}}],
            "fn_index": 0, "session_hash": "somebody",
        }  # fmt: skip
        assert httpx.post(f"{api}/queue/join", json=asked).status_code == 200
        with httpx.stream("GET", f"{api}/queue/data?session_hash=somebody", timeout=60) as stream:
            last = next(line for line in stream.iter_lines() if "process_completed" in line)
        message = json.loads(last.removeprefix("data: "))
        assert message["success"] is False
        assert "data" not in message["output"]
        assert "Send the file" in last or "not uploaded by a user" in last
    assert httpx.get(f"{api}/file={secret}").status_code == 403

    def upload(size: int) -> int:
        files = {"files": ("clip.mp4", os.urandom(size))}
        return httpx.post(f"{api}/upload", files=files, timeout=60).status_code

    assert upload(3_000_000) == 413
    statuses = [upload(1_990_000) for _ in range(34)]
    assert statuses[0] == 200
    assert statuses[-1] == 503
