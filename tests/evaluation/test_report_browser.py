"""The report and the page on a data set, as a real browser shows them without any internet."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import PHONE, WIDE, chromium, visit
from serving import ROOT


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(
    browser: Any, sample_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """report.html and explore.html, made by the stages themselves in a copy of a project."""
    project = sample_model.parents[1]
    folder = tmp_path_factory.mktemp("project") / "project"
    shutil.copytree(project, folder)
    for command in ("frames", "evaluate", "explore"):
        subprocess.run(
            [sys.executable, "-m", "pipeline", command],
            check=True, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    return {
        "report": folder / "reports/report.html",
        "explore": folder / "reports/explore/explore.html",
    }


@pytest.mark.parametrize("name", ["report", "explore"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_page_is_whole_on_its_own(
    browser: Any, pages: dict[str, Path], name: str, scheme: str, size: tuple[int, int],
    tmp_path: Path,
) -> None:  # fmt: skip
    alone = tmp_path / "alone.html"
    alone.write_bytes(pages[name].read_bytes())
    with visit(browser, alone.as_uri(), own=alone.as_uri(), size=size, scheme=scheme) as tab:
        tab.page.wait_for_load_state("load")
        tab.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        tab.load_images()
        tab.screenshot(tmp_path / f"{name}.png")
        assert tab.outside == []
        assert tab.problems == []
        assert tab.broken_images() == []
        assert not tab.scrolls_sideways()
        assert (sum(tab.colour()) < 200) == (scheme == "dark")
        if name == "report":
            assert tab.page.locator("img").count() >= 4  # a sheet for each class
            assert tab.page.locator("text=walk").count() > 0


def test_a_click_in_the_navigation_lands_on_its_section(
    browser: Any, pages: dict[str, Path]
) -> None:
    for name in ("confusion", "mistakes", "rejected"):
        address = pages["report"].as_uri()
        with visit(browser, address, own=address, size=WIDE) as tab:
            tab.page.click(f"nav a[href='#{name}']")
            before = -1
            while (now := tab.page.evaluate("scrollY")) != before:  # it scrolls smoothly
                before = now
                tab.page.wait_for_timeout(500)
            top, most = tab.page.evaluate(
                f"[document.getElementById('{name}').getBoundingClientRect().top, "
                "document.documentElement.scrollHeight - innerHeight - scrollY]"
            )
            assert 0 <= top < 120 or most < 1  # below the bar, or at the end of the page


def test_print_holds_all_pictures_and_cuts_nothing(browser: Any, pages: dict[str, Path]) -> None:
    address = pages["report"].as_uri()
    with visit(browser, address, own=address, size=(794, 1123)) as tab:  # A4 at 96 dots an inch
        tab.page.emulate_media(media="print")
        assert tab.broken_images() == []  # nobody has scrolled
        wide = tab.page.evaluate(
            "Array.from(document.querySelectorAll('main img, main table'))"
            ".filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML)"
        )
        assert wide == []
