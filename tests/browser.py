"""A real browser for the tests of pages: Debian's chromium, driven by Playwright."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",  # a camera
]  # fmt: skip
WIDE, PHONE = (1280, 900), (400, 800)  # pixels


@dataclass
class Visit:
    """A tab in which a page is open.

    Attributes
    ----------
    outside : addresses that the page asked for and did not get, because they are not its own
    problems : errors on the console and in scripts
    """

    page: Any
    outside: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        self.page.screenshot(path=path, full_page=True)

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than its window."""
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(wide))

    def load_images(self) -> None:
        """Load the images that wait until somebody scrolls to them."""
        self.page.evaluate(
            "Promise.allSettled(Array.from(document.images)"
            ".map(image => { image.loading = 'eager'; return image.decode() }))"
        )

    def broken_images(self) -> list[str]:
        """Sources of the images that did not load."""
        return self.page.evaluate(
            "Array.from(document.images).filter(i => !i.complete || !i.naturalWidth)"
            ".map(i => i.src.slice(0, 80))"
        )

    def colour(self, selector: str = "body") -> tuple[float, float, float]:
        """Red, green and blue, 0 to 255, of an element's background."""
        text = self.page.eval_on_selector(selector, "e => getComputedStyle(e).backgroundColor")
        values = [float(part) for part in text[text.index("(") + 1 : -1].split(",")[:3]]
        return values[0], values[1], values[2]


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """The browser; the test is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no chromium here: on Debian, `apt-get install chromium`")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def visit(
    browser: Any, url: str, *, own: str, size: tuple[int, int] = WIDE, scheme: str = "light"
) -> Iterator[Visit]:
    """Open a page; whatever does not begin with `own` is blocked and noted.

    Parameters
    ----------
    size : of the window, pixels
    scheme : "light" or "dark", what the visitor prefers
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
    )
    opened = Visit(context.new_page())

    def route(route: Any) -> None:
        if route.request.url.startswith((own, "data:", "blob:")):
            route.continue_()
        else:
            opened.outside.append(route.request.url)
            route.abort()

    context.route("**/*", route)
    opened.page.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.page.on("console", lambda message: message.type == "error"
                   and opened.problems.append(message.text))  # fmt: skip
    try:
        opened.page.goto(url)
        yield opened
    finally:
        context.close()
