"""The routes of the server."""

import asyncio
from collections.abc import Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pipeline import __version__
from pipeline.serve import refusals
from pipeline.serve.answers import Answer, Classes, Health, Problem, Start, as_answer
from pipeline.serve.body_guard import BodyGuard
from pipeline.serve.metrics import GONE
from pipeline.serve.refusals import Refusal
from pipeline.serve.served import Served
from pipeline.serve.uploads import received

PAGE = "/ui"
DOCS_ASSETS = "/docs/assets"
ICON = Path(__file__).parent / "templates" / "icon.svg"
MOST_UPLOADS = 32  # that arrive at the same time; bounds the room they take on the disk
BUG = "Something went wrong in the server, and its log says what."
Result = TypeVar("Result")

FILE_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "An image or a video, of whatever name.",
                        }
                    },
                }
            }
        },
    }
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        400: "The request is not a valid form.",
        408: "The file arrived too slowly.",
        413: "The file has too many bytes.",
        415: "The file is neither an image nor a video, by its content.",
        422: "No file, a damaged one, or one of too many seconds, frames or pixels.",
        500: "The worker died in the middle of it.",
        503: "All workers are busy and the queue is full; see Retry-After.",
        504: "The file took too long to recognise.",
    }.items()
}


def create_app(served: Served) -> FastAPI:
    """The application; its workers are started and ended by whoever runs it."""
    app = FastAPI(
        title="clipcache",
        version=__version__,
        description="Say which action is seen in an image or a video.",
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _not_routed)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _failed)
    _add_routes(app, served)
    _add_docs(app)
    if served.settings.ui:
        from pipeline.serve.page import add_page

        add_page(app, served, PAGE)
    limits = served.settings.limits
    app.add_middleware(BodyGuard, limits=limits, takes_files=takes_files)
    if served.settings.cors:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(served.settings.cors), allow_methods=["GET", "POST"]
        )
    app.add_middleware(served.metrics.middleware)
    return app


def takes_files(path: str) -> bool:
    """Whether a request to that path may be as large as a file."""
    return path in ("/predict", f"{PAGE}/gradio_api/upload")


def _add_routes(app: FastAPI, served: Served) -> None:
    uploads = 0

    @app.get("/", summary="What this is")
    def start() -> Start:
        links = {"predict": "/predict", "classes": "/classes", "health": "/health",
                 "metrics": "/metrics"}  # fmt: skip
        if _docs_assets():
            links["docs"] = "/docs"
        if served.settings.ui:
            links["ui"] = PAGE
        return Start(name="clipcache", version=__version__, links=links)

    @app.get("/favicon.ico", include_in_schema=False)
    async def favicon() -> FileResponse:
        return FileResponse(ICON, media_type="image/svg+xml")

    @app.get(
        "/health",
        summary="Ready or not",
        responses={503: {"model": Health, "description": "No worker is ready."}},
    )
    async def health(response: Response) -> Health:
        ready = served.workers.ready
        if not ready:
            response.status_code = 503
        return Health(ready=bool(ready), model=served.digest, workers=ready)

    @app.get("/classes", summary="The labels that the model knows")
    async def classes() -> Classes:
        return Classes(classes=list(served.labels))

    @app.get("/metrics", summary="For Prometheus", response_class=Response)
    async def metrics() -> Response:
        return served.metrics.page()

    @app.post(
        "/predict",
        summary="Recognise the action in an image or a video",
        response_model_exclude_none=True,
        responses=PROBLEMS,
        openapi_extra=FILE_FORM,
    )
    async def predict(request: Request) -> Answer:
        nonlocal uploads
        served.workers.check_room()
        if uploads >= MOST_UPLOADS:
            raise refusals.busy(1)
        uploads += 1
        try:
            async with received(request, served.folder, served.settings.limits.bytes) as task:
                return as_answer(await _while_connected(request, served.recognise(task)))
        finally:
            uploads -= 1


async def _while_connected(
    request: Request, work: Coroutine[Any, Any, Result]
) -> Result:  # fmt: skip
    """What the work gives; it is cancelled when the client leaves.

    Raises
    ------
    ClientDisconnect
    """
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())  # the body is in: only that can come
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        leaving.cancel()
        task.cancel()


def _add_docs(app: FastAPI) -> None:
    """Swagger UI from this server; FastAPI's own page fetches it from the internet."""
    assets = _docs_assets()
    if assets is None:
        return
    app.mount(DOCS_ASSETS, StaticFiles(directory=assets), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="clipcache: the API",
            swagger_js_url=f"{DOCS_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{DOCS_ASSETS}/swagger-ui.css",
            swagger_favicon_url="/favicon.ico",
            swagger_ui_parameters={"validatorUrl": None},  # else it asks a public validator
        )


def _docs_assets() -> Path | None:
    """The folder of Swagger UI's files, of which only the package fastapi-offline has a copy."""
    package = find_spec("fastapi_offline")
    return Path(package.origin).parent / "static" if package and package.origin else None


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return JSONResponse({"detail": str(refusal)}, refusal.status, refusal.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=GONE)  # nobody reads it; it is counted


async def _not_routed(request: Request, error: Exception) -> Response:
    """What Starlette answers where no route fits, as a sentence."""
    assert isinstance(error, HTTPException)
    path, allowed = request.url.path, (error.headers or {}).get("Allow")
    detail = error.detail
    if error.status_code == 404:
        detail = f"There is nothing at {path}: GET / lists what this server answers."
    elif error.status_code == 405 and allowed:
        detail = f"{path} does not take {request.method}, only {allowed}: see /openapi.json."
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": BUG}, 500)
