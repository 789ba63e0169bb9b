"""The page at /ui in a real browser, as people use it on a desk and on a phone."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import pytest
from browser import PHONE, WIDE, chromium, visit
from clone import ROOT
from hostile_files import encoded
from sample_model import unseen_clip
from serving import Server, running_server

from pipeline.frames.video import VideoReader
from pipeline.serve.pages import FILES, REFERENCE

PATIENCE = 60_000  # milliseconds
READY = "html[data-ready]"
LABEL = "#answer .label"
DONE = ".item[data-state=done]"
HOSTILE_LABELS = (
    "<img src=x onerror=\"document.title='owned'\">",
    "[click](javascript:document.title='owned') ![](http://203.0.113.9/x.png)",
    "<script>document.title='owned'</script>",
    '=HYPERLINK("http://203.0.113.9") "quoted", and a comma' + "x" * 200,
)
VISITS = [(WIDE, "light"), (PHONE, "dark")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def day(sample_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Somebody walks, then does jumping jacks: as WebM, which browsers play, and as AVI."""
    folder = tmp_path_factory.mktemp("day")
    frames = [
        frame
        for label in ("walk", "jumping_jacks")
        for take in (1, 2)
        for _, frame in VideoReader(unseen_clip(sample_model, label, take)).frames(
            lambda index, seconds: True
        )
    ]
    made = {}
    for name, codec in (("day.webm", "VP80"), ("day.avi", "MJPG")):
        made[name] = folder / name
        size = (frames[0].shape[1], frames[0].shape[0])
        writer = cv2.VideoWriter(str(made[name]), cv2.VideoWriter.fourcc(*codec), 24, size)
        for frame in frames:
            writer.write(frame)
        writer.release()
    return made


@pytest.fixture(scope="module")
def server(
    browser: Any, sample_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    examples = folder / "examples"
    examples.mkdir()
    shutil.copy(unseen_clip(sample_model, "wave"), examples / "somebody_waves.mp4")
    (examples / "notes.txt").write_text("no clip")
    options = ("--workers", "1", "--examples", str(examples), "--max-seconds", "60",
               "--max-bytes", "8000000")  # fmt: skip
    with running_server(sample_model, folder / "server", *options) as server:
        yield server


@pytest.fixture
def open_page(browser: Any, server: Server) -> Callable[..., Any]:
    def open_page(size: tuple[int, int] = WIDE, scheme: str = "light") -> Any:
        return visit(browser, f"{server.url}/ui", own=server.url, size=size, scheme=scheme)

    return open_page


def give(tab: Any, *paths: Path, answered: bool = True) -> None:
    tab.page.wait_for_selector(READY, timeout=PATIENCE)
    tab.page.set_input_files("#files", [str(path) for path in paths])
    if answered:
        tab.page.wait_for_selector(LABEL, timeout=PATIENCE)


def serious(tab: Any) -> list[str]:
    """What axe-core finds serious."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(tab.page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:120]}"
        for one in found
        for node in one["nodes"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("size", "scheme"), VISITS)
def test_a_first_visit_says_what_to_do_and_what_the_model_knows(
    open_page: Callable[..., Any], size: tuple[int, int], scheme: str, tmp_path: Path
) -> None:
    with open_page(size, scheme) as tab:
        tab.page.wait_for_selector(READY, timeout=PATIENCE)
        assert "Drop videos or pictures here" in tab.page.inner_text("#drop")
        assert "8.0 MB and 60 seconds" in tab.page.inner_text("#limits")
        assert tab.page.locator("#labels li").all_inner_texts() == [
            "jumping_jacks", "pick_up", "walk", "wave",
        ]  # fmt: skip
        assert not tab.scrolls_sideways()
        assert (sum(tab.colour()) < 200) == (scheme == "dark")
        assert serious(tab) == []
        tab.screenshot(tmp_path / "first.png")
        assert (tab.outside, tab.problems) == ([], [])


@pytest.mark.parametrize(("size", "scheme"), VISITS)
def test_a_video_plays_beside_its_timeline(
    open_page: Callable[..., Any], day: dict[str, Path], size: tuple[int, int], scheme: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    with open_page(size, scheme) as tab:
        give(tab, day["day.webm"])
        spans = tab.page.locator(".span")
        titles = [spans.nth(i).get_attribute("aria-label") for i in range(spans.count())]
        assert [title.split(",")[0] for title in titles] == ["walk", "jumping_jacks"]
        assert tab.page.locator(".ranking li").count() == 4
        assert tab.page.inner_text(".now strong") == "walk"
        spans.nth(1).click()
        time = tab.page.locator(".result video").evaluate("video => video.currentTime")
        assert time > 3
        assert not tab.page.locator(".result video").evaluate("video => video.paused")
        tab.page.wait_for_selector(".now strong:text-is('jumping_jacks')", timeout=PATIENCE)
        assert spans.nth(1).get_attribute("aria-current") == "time"
        tab.page.locator(".result video").evaluate("video => video.pause()")
        assert not tab.scrolls_sideways()
        assert serious(tab) == []
        tab.screenshot(tmp_path / "result.png")
        assert (tab.outside, tab.problems) == ([], [])


def test_a_format_that_no_browser_plays_is_shown_in_pictures(
    open_page: Callable[..., Any], day: dict[str, Path]
) -> None:
    with open_page() as tab:
        give(tab, day["day.avi"])
        picture = tab.page.locator(".flip img")
        first = picture.get_attribute("src")
        tab.page.locator(".span").nth(1).focus()
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_selector(".now strong:text-is('jumping_jacks')", timeout=PATIENCE)
        assert picture.get_attribute("src") != first
        assert tab.page.inner_text(".flip-play") == "Pause"
        tab.page.click(".flip-play")
        assert tab.broken_images() == []
        assert serious(tab) == []
        assert (tab.outside, tab.problems) == ([], [])


def test_several_files_are_a_queue_and_an_error_stays(
    open_page: Callable[..., Any], sample_model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video at all")
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(9_000_000))
    clips = [unseen_clip(sample_model, "wave"), unseen_clip(sample_model, "walk", 2)]
    with open_page() as tab:
        give(tab, broken, large, *clips, answered=False)
        tab.page.locator(DONE).nth(1).wait_for(timeout=PATIENCE)
        states = tab.page.locator(".item").evaluate_all("all => all.map(i => i.dataset.state)")
        assert states == ["failed", "failed", "done", "done"]
        shown = tab.page.inner_text(".result .problem")
        assert "neither an image nor a video" in shown
        assert "Try again" in shown
        assert serious(tab) == []
        tab.page.click(".item:nth-child(2) .item-name")
        assert "9.0 MB, and this server takes 8.0 MB" in tab.page.inner_text(".result .problem")
        tab.page.click(".item:nth-child(3) .item-name")
        assert tab.page.inner_text(LABEL) == "wave"
        assert tab.page.evaluate("document.activeElement.id") == "answer"
        for _ in range(3):
            tab.page.locator(".item-remove").first.click()
        assert not tab.page.is_visible("#queue")
        assert tab.page.inner_text(LABEL) == "walk"
        tab.page.click(".wordmark")
        tab.page.wait_for_selector("h1", timeout=PATIENCE)
        assert all("415" in problem for problem in tab.problems)
        assert tab.outside == []


def test_what_is_downloaded_is_what_the_command_writes(
    open_page: Callable[..., Any], sample_model: Path, tmp_path: Path
) -> None:
    clip = unseen_clip(sample_model, "pick_up")
    copy = tmp_path / 'a, "b".mp4'
    shutil.copy(clip, copy)
    with open_page() as tab:
        give(tab, copy)
        saved = {}
        for kind in ("JSON", "CSV"):
            with tab.page.expect_download() as download:
                tab.page.click(f".answer .downloads button:text-is('{kind}')")
            saved[kind] = Path(download.value.path()).read_bytes().decode()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "predict", copy.name, "--json", "--timeline", "--csv",
         "rows.csv", "--model", str(sample_model)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    mine, theirs = json.loads(saved["JSON"])[0], json.loads(done.stdout)[0]
    assert set(mine) == set(theirs)
    assert mine["file"] == theirs["file"]
    assert mine["confidence"] == pytest.approx(theirs["confidence"], abs=1e-4)
    rows = list(csv.reader(saved["CSV"].splitlines()))
    written = list(csv.reader((tmp_path / "rows.csv").read_text().splitlines()))
    assert [row[:4] for row in rows] == [row[:4] for row in written]


def test_an_example_is_a_click_away(open_page: Callable[..., Any]) -> None:
    with open_page() as tab:
        tab.page.wait_for_selector("text=somebody_waves.mp4", timeout=PATIENCE)
        assert tab.page.locator("text=notes.txt").count() == 0
        tab.page.click("text=somebody_waves.mp4")
        tab.page.wait_for_selector(LABEL, timeout=PATIENCE)
        assert tab.page.inner_text(LABEL) == "wave"


def test_a_file_that_is_dropped_is_taken(open_page: Callable[..., Any], sample_model: Path) -> None:
    clip = unseen_clip(sample_model, "walk")
    with open_page() as tab:
        tab.page.wait_for_selector(READY, timeout=PATIENCE)
        transfer = tab.page.evaluate_handle(
            "bytes => { const t = new DataTransfer();"
            "t.items.add(new File([new Uint8Array(bytes)], 'dropped.mp4')); return t; }",
            list(clip.read_bytes()),
        )
        tab.page.dispatch_event("#drop", "dragenter", {"dataTransfer": transfer})
        assert "dragging" in tab.page.evaluate("document.body.className")
        tab.page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
        tab.page.wait_for_selector(LABEL, timeout=PATIENCE)
        assert tab.page.inner_text(LABEL) == "walk"


@pytest.mark.parametrize(("size", "scheme"), VISITS)
def test_the_camera_is_recorded_and_recognised_live(
    open_page: Callable[..., Any], size: tuple[int, int], scheme: str
) -> None:
    with open_page(size, scheme) as tab:
        tab.page.wait_for_selector(READY, timeout=PATIENCE)
        tab.page.click("#live")
        tab.page.locator(".live-history li").nth(2).wait_for(timeout=PATIENCE)
        labels = ("jumping_jacks", "pick_up", "walk", "wave", "none of these")  # a test picture
        assert tab.page.inner_text(".live-label") in labels
        assert serious(tab) == []
        tab.page.click("#record")
        start = "#camera-side .primary"
        tab.page.click(start, timeout=PATIENCE)
        tab.page.wait_for_timeout(1500)
        tab.page.click(start)
        tab.page.wait_for_selector(LABEL, timeout=PATIENCE)
        assert tab.page.inner_text(".answer .file").startswith("recording-")
        assert tab.page.locator(".result video").count() == 1
        assert not tab.page.is_visible("#camera")
        assert not tab.scrolls_sideways()
        assert (tab.outside, tab.problems) == ([], [])


def test_the_keyboard_is_enough(open_page: Callable[..., Any], day: dict[str, Path]) -> None:
    with open_page() as tab:
        tab.page.wait_for_selector(READY, timeout=PATIENCE)
        reached = []
        for _ in range(7):
            tab.page.keyboard.press("Tab")
            reached.append(tab.page.evaluate("document.activeElement.id"))
        assert [one for one in reached if one] == ["files", "record", "live"]
        give(tab, day["day.webm"])
        tab.page.focus("#live")
        for _ in range(12):
            tab.page.keyboard.press("Tab")
            if "span" in tab.page.evaluate("document.activeElement.className").split():
                break
        tab.page.keyboard.press("Enter")
        assert tab.page.evaluate("document.activeElement.getAttribute('aria-current')") == "time"


def test_labels_of_a_hostile_model_are_text(
    browser: Any, sample_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(sample_model, model)
    card = json.loads((model / "model.json").read_text())
    card["labels"] = list(HOSTILE_LABELS)
    (model / "model.json").write_text(json.dumps(card))
    hostile_name = tmp_path / "<img src=x onerror=alert(1)>.mp4"
    shutil.copy(unseen_clip(sample_model, "walk"), hostile_name)
    with (
        running_server(model, tmp_path / "server", "--workers", "1") as server,
        visit(browser, f"{server.url}/ui", own=server.url, size=PHONE) as tab,
    ):
        give(tab, hostile_name)
        shown = tab.page.locator(".rank-label").all_text_contents()
        assert sorted(shown) == sorted(HOSTILE_LABELS)
        assert tab.page.locator("main a, main img[src='x'], main script").count() == 0
        assert tab.page.title() == "clipcache: what is happening in a video?"
        assert not tab.scrolls_sideways()
        assert (tab.outside, tab.problems) == ([], [])


def test_a_token_is_asked_for_until_it_is_right(
    browser: Any, sample_model: Path, tmp_path: Path
) -> None:
    options = ("--workers", "1", "--token", "open sesame")
    with (
        running_server(sample_model, tmp_path / "server", *options) as server,
        visit(browser, f"{server.url}/ui", own=server.url) as tab,
    ):
        for token in ("guessed", "open sesame"):
            tab.page.wait_for_selector("#token[open]", timeout=PATIENCE)
            assert serious(tab) == []
            tab.page.fill("#token-text", token)
            tab.page.keyboard.press("Enter")
        give(tab, unseen_clip(sample_model, "walk"))
        assert tab.page.inner_text(LABEL) == "walk"


def test_a_server_that_is_gone_is_said_and_can_be_tried_again(
    browser: Any, sample_model: Path, tmp_path: Path
) -> None:
    with running_server(sample_model, tmp_path / "server", "--workers", "1") as server:
        with visit(browser, f"{server.url}/ui", own=server.url) as tab:
            tab.page.wait_for_selector(READY, timeout=PATIENCE)
            assert server.stop() == 0
            give(tab, encoded(tmp_path / "clip.mp4", 20), answered=False)
            tab.page.wait_for_selector(".result .problem", timeout=PATIENCE)
            assert "cannot be reached" in tab.page.inner_text(".result .problem")
        assert [path for path in server.scratch.iterdir() if path.is_dir()] == []


def test_the_policy_allows_nothing_inline(server: Server) -> None:
    answer = httpx.get(f"{server.url}/ui")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in answer.text
    assert not re.search(r"<[^>]* on\w+=|<script>|<style", answer.text)
    for name in ("main.js", "page.css", "queue.js", "icon.svg"):
        asset = httpx.get(f"{server.url}/ui/{name}")
        assert asset.status_code == 200
        assert asset.headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{server.url}/ui/../app.py").status_code == 404
    assert httpx.get(f"{server.url}/ui/%2e%2e/app.py").status_code == 404


def test_who_wants_less_motion_gets_none(
    browser: Any, server: Server, day: dict[str, Path]
) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    try:
        page.goto(f"{server.url}/ui")
        page.wait_for_selector(READY, timeout=PATIENCE)
        page.set_input_files("#files", str(day["day.webm"]))
        page.wait_for_selector(".progress progress", timeout=PATIENCE)
        moving = "document.getAnimations().filter(one => one.playState === 'running').length"
        assert page.evaluate(moving) == 0
        page.wait_for_selector(LABEL, timeout=PATIENCE)
        assert page.locator(".result video").evaluate("video => video.paused")
    finally:
        context.close()


def test_a_model_of_many_labels_shows_some_and_all_of_them_on_demand(
    browser: Any, server: Server
) -> None:
    labels = [f"action {number}" for number in range(101)]
    known = httpx.get(f"{server.url}/v1/model").json() | {"labels": labels}
    with visit(browser, "about:blank", own=server.url, size=PHONE) as tab:
        tab.page.route("**/v1/model", lambda route: route.fulfill(json=known))
        tab.page.goto(f"{server.url}/ui")
        tab.page.wait_for_selector(READY, timeout=PATIENCE)
        assert tab.page.locator("#labels li").count() == 40
        tab.page.click("#labels-more")
        assert tab.page.locator("#labels li").all_inner_texts() == labels
        assert not tab.scrolls_sideways()


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_the_reference_shows_itself_under_its_policy(
    browser: Any, server: Server, page: str
) -> None:
    pytest.importorskip("fastapi_offline", reason="the package fastapi-offline is not installed")
    with visit(browser, f"{server.url}/{page}", own=server.url) as tab:
        summary = tab.page.get_by_text("Recognise the action in images and videos")
        summary.first.wait_for(timeout=PATIENCE)
        assert tab.outside == []
        # Redoc wants a logo of its maker's; the policy forbids it.
        assert all("cdn.redoc.ly" in problem for problem in tab.problems)


def test_every_file_of_the_pages_is_part_of_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["pipeline"]
    files = [path for folder in (FILES, REFERENCE) for path in folder.iterdir()]
    assert len(files) > 10
    assert [path for path in files if f"**/*{path.suffix}" not in patterns] == []
