"""The page for people: drop a file or use the webcam, see what the model says and why.

Built with Gradio. It asks the same workers as the API, under the same limits, and fetches nothing
from anywhere but this server.
"""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.dataset.walk import find_files
from pipeline.serve import refusals
from pipeline.serve.answers import Task
from pipeline.serve.content import HEAD_BYTES, Kind, kind_of
from pipeline.serve.refusals import Refusal
from pipeline.serve.result_html import TOP, result_html

if TYPE_CHECKING:
    import gradio


from pipeline.serve.served import Served

MOST_EXAMPLES = 12
MOST_FILES = 32  # of the largest size, that visitors' files may fill together
KEPT_SECONDS = 600  # a file that was sent stays for the browser to show, then it is deleted
SWEEP_SECONDS = 60  # between two looks for such files
FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONOSPACE = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace")
STYLE = Path(__file__).parent / "templates" / "page.css"


def add_page(app: FastAPI, served: Served, path: str) -> None:
    """Mount the page; its files live in the server's own folder.

    ``app.state.close_page()`` ends the streams that open pages hold.
    """
    folder = served.folder / "page"
    folder.mkdir()
    # Gradio reads these when it is imported or when files arrive.
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import gradio

    gradio.mount_gradio_app(
        app,
        build_page(served),
        path,
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=served.settings.limits.bytes,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=gradio.themes.Default(font=FONT, font_mono=MONOSPACE),
        css_paths=STYLE,
    )
    mounted: Any = next(
        route.app for route in app.routes if isinstance(route, Mount) and route.path == path
    )
    app.state.close_page = mounted.stop_event.set
    app.add_middleware(
        UploadRoom, path=f"{path}/gradio_api/upload", folder=folder,
        largest=served.settings.limits.bytes,
    )  # fmt: skip


class UploadRoom:
    """ASGI middleware: uploads to the page are refused while others fill the room for them.

    Parameters
    ----------
    path : to which files are sent
    folder : in which they land
    largest : bytes of one file
    """

    def __init__(self, app: ASGIApp, path: str, folder: Path, largest: int) -> None:
        self._app = app
        self._path = path
        self._folder = folder
        self._largest = largest
        self._arriving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        there = await asyncio.to_thread(_size, self._folder)
        if there + self._arriving * self._largest > MOST_FILES * self._largest:
            refusal = refusals.busy(SWEEP_SECONDS)
            response = JSONResponse({"detail": str(refusal)}, refusal.status, refusal.headers)
            await response(scope, receive, send)
            return
        self._arriving += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._arriving -= 1


def build_page(served: Served) -> "gradio.Blocks":
    """The page's components and what happens when they are used."""
    import gradio

    limits = served.settings.limits
    with gradio.Blocks(
        title="clipcache",
        analytics_enabled=False,
        delete_cache=(SWEEP_SECONDS, KEPT_SECONDS),
    ) as page:
        gradio.Markdown(
            "# What is happening?\n"
            f"Drop an image or a video, or use the webcam. This model knows {len(served.labels)} "
            f"actions: {_some(served.labels)}."
        )
        with gradio.Row():
            with gradio.Column(min_width=300):
                with gradio.Tab("File"):
                    # No file_types: they would judge a file by its name.
                    file = gradio.File(label="Image or video", height=180)
                with gradio.Tab("Webcam"):
                    webcam = gradio.Video(
                        label="Record a few seconds", sources=["webcam"], height=280
                    )
                gradio.Markdown(
                    f"At most {limits.bytes / 1e6:.0f} MB and {limits.seconds:g} seconds."
                )
            with gradio.Column(min_width=300):
                label = gradio.Label(label="What the model sees", num_top_classes=TOP)
        result = gradio.HTML(padding=False)
        outputs = [label, result]

        async def look(path: str | None) -> tuple[dict[str, float] | None, str]:
            if path is None:
                return None, ""
            try:
                return await _recognise(served, Path(path))
            except Refusal as refusal:
                raise gradio.Error(str(refusal), print_exception=False) from None

        asked: dict[str, Any] = {
            "fn": look, "outputs": outputs, "concurrency_limit": None, "api_visibility": "private",
        }  # fmt: skip
        file.change(inputs=file, **asked)
        webcam.change(inputs=webcam, **asked)
        if examples := example_files(served.settings.examples):
            gradio.Examples([[str(path)] for path in examples], file, label="Examples")
    # Gradio compares paths in requests with its upload folder only once it was launched, which a
    # mounted page never is: anybody could name a file of this machine.
    page.has_launched = True
    for component in (file, webcam):
        _refuse_addresses(component)
    return page


def _refuse_addresses(component: Any) -> None:
    """A visitor who sends an address instead of a file must not make this server fetch it."""
    import gradio

    move = component.async_move_resource_to_block_cache

    async def move_own(path: Any) -> Any:
        if str(path).lower().startswith(("http:", "https:")):
            raise gradio.Error("Send the file itself, not its address.", print_exception=False)
        return await move(path)

    component.async_move_resource_to_block_cache = move_own


def example_files(folder: Path | None) -> list[Path]:
    """Images and videos below a folder, by content; at most `MOST_EXAMPLES`."""
    if folder is None:
        return []
    found = []
    for name in find_files(folder, leave=True):
        if _kind(folder / name):
            found.append(folder / name)
        if len(found) == MOST_EXAMPLES:
            break
    return found


async def _recognise(served: Served, path: Path) -> tuple[dict[str, float], str]:
    """Confidences by label, and the rest as HTML."""
    kind = await asyncio.to_thread(_kind, path)
    if kind is None:
        raise refusals.unknown_kind()
    recognised = await served.recognise(Task(path, kind, deciding=True))
    prediction = recognised.prediction
    html = await asyncio.to_thread(result_html, recognised, served.labels)
    return dict(prediction.top(len(prediction.labels))), html


def _size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # it was swept away just now
            total += path.stat().st_size
    return total


def _kind(path: Path) -> Kind | None:
    with path.open("rb") as stream:
        return kind_of(stream.read(HEAD_BYTES))


def _some(labels: tuple[str, ...], most: int = 12) -> str:
    shown = ", ".join(labels[:most])
    return f"{shown}, ..." if len(labels) > most else shown
