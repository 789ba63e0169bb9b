"""The page of doubts in a real browser, without any internet."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import PHONE, WIDE, chromium, visit
from clone import ROOT

from pipeline.labelling.relabel import read_corrections


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser: Any, sample_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """doubts.html of a project with a wrong label, by the commands themselves."""
    folder = tmp_path_factory.mktemp("doubts") / "project"
    shutil.copytree(sample_project, folder, ignore=shutil.ignore_patterns("cache"))
    index = folder / "data/index.csv"
    text = index.read_text()
    index.write_text(text.replace("wave/actor02_take1.mp4,wave,", "wave/actor02_take1.mp4,walk,"))
    for command in (["crossval", "-S", "train.head=linear"], ["doubts"]):
        subprocess.run(
            [sys.executable, "-m", "pipeline", *command],
            check=True, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    return folder / "reports/doubts.html"


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
def test_corrections_are_made_with_keys_and_downloaded(
    browser: Any, page: Path, size: tuple[int, int], scheme: str, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.html"
    alone.write_bytes(page.read_bytes())
    with visit(browser, alone.as_uri(), own=alone.as_uri(), size=size, scheme=scheme) as tab:
        assert tab.page.locator("#download").is_disabled()
        tab.page.keyboard.press("j")
        tab.page.keyboard.press("s")
        tab.page.keyboard.press("j")
        tab.page.keyboard.press("s")
        tab.page.keyboard.press("o")
        assert tab.page.text_content("#chosen") == "1 label changed."
        with tab.page.expect_download() as download:
            tab.page.click("#download")
        download.value.save_as(tmp_path / "corrections.csv")
        assert tab.outside == []
        assert tab.problems == []
        assert tab.broken_images() == []
        assert not tab.scrolls_sideways()
        assert (sum(tab.colour()) < 200) == (scheme == "dark")
    (correction,) = read_corrections(tmp_path / "corrections.csv")
    assert (correction.clip_id, correction.was) == ("wave/actor02_take1.mp4", "walk")
    assert correction.label == "wave"
    with page.with_name("doubts.csv").open(newline="") as stream:
        assert next(csv.DictReader(stream))["clip_id"] == correction.clip_id
