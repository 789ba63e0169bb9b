"""The application: its layers from the connection to the routes, and how it says no."""

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from pipeline import __version__
from pipeline.serve.answering import REQUEST_ID, Answering, Write
from pipeline.serve.body_guard import BodyGuard
from pipeline.serve.clips import BUG
from pipeline.serve.gate import Gate
from pipeline.serve.metrics import GONE
from pipeline.serve.pages import add_pages, add_reference
from pipeline.serve.refusals import Refusal
from pipeline.serve.routes import PREDICT, PREDICT_V1, add_routes
from pipeline.serve.served import Served
from pipeline.serve.settings import Limits

TOGETHER = 4  # files of the largest size that fit into one request
# What tells a stranger nothing: a page without a token cannot ask for one.
OPEN_PATHS = frozenset(
    ("/", "/ui", "/favicon.ico", "/health", "/ready", "/docs", "/redoc", "/openapi.json")
)
OPEN_FOLDERS = ("/ui/", "/docs/")

DESCRIPTION = """Say which action is seen in an image or a video.

The answer is that of `clipcache predict --json`. Whatever is not answered with a prediction is
answered with one sentence in `detail`; every answer has an `X-Request-ID`, that of the request
where it had one."""


def create_app(served: Served, write: Write | None = None) -> ASGIApp:
    """The application; its workers are started and ended by whoever runs it.

    Parameters
    ----------
    write : takes a line for each request; see `Answering`
    """
    settings = served.settings
    api = FastAPI(
        title="clipcache",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        # It checks nothing: the gate does. It lets the reference ask for the token.
        dependencies=[Depends(HTTPBearer(auto_error=False))] if settings.token else None,
    )
    api.add_exception_handler(Refusal, _refused)
    api.add_exception_handler(RequestValidationError, _not_valid)
    api.add_exception_handler(HTTPException, _not_routed)
    api.add_exception_handler(ClientDisconnect, _gone)
    api.add_exception_handler(Exception, _failed)
    add_routes(api, served)
    add_reference(api)
    if settings.ui:
        add_pages(api)
    app: ASGIApp = Gate(api, settings, is_open)
    if settings.cors:
        app = CORSMiddleware(
            app,
            allow_origins=list(settings.cors),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", REQUEST_ID],
            expose_headers=["Retry-After", REQUEST_ID],
        )
    app = BodyGuard(app, settings.limits, lambda path: most_bytes(path, settings.limits))
    return Answering(served.metrics.middleware(app), write)


def is_open(path: str) -> bool:
    """Whether a path needs no token."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def most_bytes(path: str, limits: Limits) -> int:
    """Bytes of files that a request to that path may bring; 0 where it takes none."""
    return {PREDICT: limits.bytes, PREDICT_V1: TOGETHER * limits.bytes}.get(path, 0)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return JSONResponse({"detail": str(refusal)}, refusal.status, refusal.headers)


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    detail = f"The parameter {name} is wrong ({first['msg']}): see /openapi.json."
    return JSONResponse({"detail": detail}, 422)


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
