"""Pages for people, as files of this package: the one at /ui, and the reference of the API.

They fetch nothing but this server's own files, and a strict policy holds them to it.
"""

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

PAGE = "/ui"
FILES = Path(__file__).parent / "page"
REFERENCE = Path(__file__).parent / "reference"
ICON = FILES / "icon.svg"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
}
# Redoc styles itself in the browser and searches in a worker; neither reads anything that was sent.
REDOC_HEADERS = PAGE_HEADERS | {
    "Content-Security-Policy": POLICY.replace(
        "style-src 'self'", "style-src 'self' 'unsafe-inline'"
    )
    + "; worker-src blob:; child-src blob:"
}


class Assets(StaticFiles):
    """Files that a browser asks after each time, so that a new version is seen at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """As `StaticFiles`."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_pages(api: FastAPI) -> None:
    """The page at /ui."""
    _add_page(api, PAGE, FILES / "index.html", PAGE_HEADERS)

    @api.get(f"{PAGE}/", include_in_schema=False)
    async def without_slash() -> RedirectResponse:
        return RedirectResponse("../ui")

    api.mount(PAGE, Assets(directory=FILES), name="page")


def add_reference(api: FastAPI) -> None:
    """The icon; and Swagger UI and Redoc from this server, where they are installed."""

    @api.get("/favicon.ico", include_in_schema=False)
    async def favicon() -> FileResponse:
        return FileResponse(ICON, media_type="image/svg+xml")

    assets = reference_assets()
    if assets is None:
        return
    _add_page(api, "/docs", REFERENCE / "swagger.html", PAGE_HEADERS)
    _add_page(api, "/redoc", REFERENCE / "redoc.html", REDOC_HEADERS)
    api.mount("/docs/own", Assets(directory=REFERENCE), name="reference")
    api.mount("/docs/assets", Assets(directory=assets), name="reference-assets")


def reference_assets() -> Path | None:
    """The folder of their files, of which only the package fastapi-offline has a copy."""
    package = find_spec("fastapi_offline")
    return Path(package.origin).parent / "static" if package and package.origin else None


def _add_page(api: FastAPI, path: str, file: Path, headers: dict[str, str]) -> None:
    async def page() -> FileResponse:
        return FileResponse(file, media_type="text/html", headers=headers)

    endpoint: Callable[[], Awaitable[FileResponse]] = page
    api.add_api_route(path, endpoint, include_in_schema=False)
