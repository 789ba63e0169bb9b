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


DOT = "#map circle"


def fills(tab: Any) -> list[str]:
    """The colours of the dots of the map."""
    return tab.page.eval_on_selector_all(DOT, "dots => dots.map(d => getComputedStyle(d).fill)")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_dot_of_the_map_that_is_pointed_at_shows_its_clip(
    browser: Any, pages: dict[str, Path], size: tuple[int, int]
) -> None:
    address = pages["report"].as_uri()
    with visit(browser, address, own=address, size=size) as tab:
        tab.page.wait_for_load_state("load")
        dots = tab.page.evaluate(
            "JSON.parse(document.getElementById('map-values').textContent).dots"
        )
        assert tab.page.locator(DOT).count() == len(dots) > 8
        first = tab.page.locator(DOT).first
        first.scroll_into_view_if_needed()
        if size == PHONE:
            first.click(force=True)
        else:
            first.hover(force=True)
        name = tab.page.locator("#map-said code").inner_text()
        shown = next(dot for dot in dots if dot["clip"] == name)
        assert shown["label"] in tab.page.locator("#map-said p").inner_text()
        picture = tab.page.locator("#map-said img")
        assert picture.get_attribute("alt") == f"frames of {name}"
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        assert tab.page.locator(f"{DOT}.on").count() == 1
        box = tab.page.locator("#map").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert not tab.scrolls_sideways()
        assert tab.problems == []


def test_the_map_is_coloured_by_label_split_or_error(browser: Any, pages: dict[str, Path]) -> None:
    address = pages["report"].as_uri()
    with visit(browser, address, own=address, size=WIDE) as tab:
        tab.page.wait_for_load_state("load")
        dots = tab.page.evaluate(
            "JSON.parse(document.getElementById('map-values').textContent).dots"
        )
        error = [
            "not tested" if not dot["taken_for"]
            else "right" if dot["taken_for"] == dot["label"] else "wrong"
            for dot in dots
        ]  # fmt: skip
        values = {
            "label": [dot["label"] for dot in dots],
            "split": [dot["split"] or "none" for dot in dots],
            "error": error,
        }
        for by, names in values.items():
            tab.page.select_option("#map-by", by)
            colours = dict(zip(names, fills(tab), strict=True))
            assert fills(tab) == [colours[name] for name in names]
            assert len(set(colours.values())) == len(set(names)) > 1
            key = tab.page.locator("#map-key li").all_inner_texts()
            assert key == [f"{name} ({names.count(name)})" for name in sorted(set(names))]
        assert {"train", "test"} <= set(values["split"])


def test_arrow_keys_go_from_dot_to_dot_of_the_map(browser: Any, pages: dict[str, Path]) -> None:
    address = pages["report"].as_uri()
    with visit(browser, address, own=address, size=WIDE) as tab:
        tab.page.wait_for_load_state("load")
        tab.page.focus("#map")
        tab.page.keyboard.press("ArrowRight")
        where = "dot => [+dot.getAttribute('cx'), +dot.getAttribute('cy')]"
        seen = [tab.page.locator(f"{DOT}.on").evaluate(where)]
        for key, axis, sign in (("ArrowLeft", 0, -1), ("ArrowRight", 0, 1), ("ArrowUp", 1, -1),
                                ("ArrowDown", 1, 1)):  # fmt: skip
            for _ in range(3):
                tab.page.keyboard.press(key)
                here = tab.page.locator(f"{DOT}.on").evaluate(where)
                assert here == seen[-1] or sign * (here[axis] - seen[-1][axis]) > 0
                seen.append(here)
        assert len({tuple(place) for place in seen}) > 3
        assert tab.page.locator("#map-said code").inner_text()
        assert tab.page.evaluate("document.activeElement.id") == "map"
