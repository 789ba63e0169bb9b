"""The page of `next`, served to a browser on this machine only.

What protects `clipcache serve` protects it as well: it listens on 127.0.0.1, answers under its own
names only, takes nothing from pages of other origins, and asks for a token, which only who reads
the terminal has.
"""

import json
import logging
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from pipeline.errors import ClipcacheError
from pipeline.labelling.session import AnswerError, Question, Session
from pipeline.serve.gate import Gate
from pipeline.serve.pages import PAGE_HEADERS, Assets
from pipeline.serve.run import bind
from pipeline.serve.settings import Settings

HOST = "127.0.0.1"
FILES = Path(__file__).parent / "page"
MOST_BYTES = 4096  # of a request
Handler = Callable[[Request], Any]


def create_app(session: Session, token: str) -> ASGIApp:
    """The application; what it is asked must bear the token, but for the page's own files."""

    async def page(request: Request) -> Response:
        return FileResponse(FILES / "next.html", media_type="text/html", headers=PAGE_HEADERS)

    async def question(request: Request) -> Response:
        return JSONResponse(_state(session, await run_in_threadpool(session.question)))

    async def preview(request: Request) -> Response:
        row = _row(session, request.path_params["row"])
        data = await run_in_threadpool(session.preview, row)
        if data is None:
            return _refusal(404, "The frames of this clip cannot be read.")
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def answer(request: Request) -> Response:
        asked = await _body(request)
        row = _row(session, asked.get("row"))
        if asked.get("skip"):
            session.skip(row)
        else:
            await run_in_threadpool(session.answer, row, str(asked.get("label", "")))
        return JSONResponse(_state(session, await run_in_threadpool(session.question)))

    async def undo(request: Request) -> Response:
        row = await run_in_threadpool(session.undo)
        taken = None if row is None else session.collection.clip_ids[row]
        state = _state(session, await run_in_threadpool(session.question))
        return JSONResponse(state | {"taken_back": taken})

    app = Starlette(
        routes=[
            Route("/", page),
            Route("/question", question),
            Route("/preview/{row:int}", preview),
            Route("/answer", answer, methods=["POST"]),
            Route("/undo", undo, methods=["POST"]),
            Mount("/page", Assets(directory=FILES)),
        ],
        exception_handlers={ClipcacheError: _failed},
    )
    return Gate(app, Settings(Path(), host=HOST, token=token), _is_open)


def serve_labels(session: Session, port: int, say: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    port : 0 takes any that is free
    say : is told the address, with the token
    """
    import uvicorn

    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    token = secrets.token_urlsafe(16)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """The address is told once a connection to it is accepted, not before."""
            await super().startup(sockets)
            if not self.should_exit:
                say(f"Label in a browser on this machine: http://{HOST}:{listening.getsockname()[1]}"
                    f"/#{token}\nCtrl-C ends it; every answer is kept.")  # fmt: skip

    with bind(HOST, port) as listening:
        config = uvicorn.Config(
            create_app(session, token), ws="none", lifespan="off", log_config=None,
            access_log=False, server_header=False, timeout_graceful_shutdown=5,
        )  # fmt: skip
        try:
            Server(config).run([listening])
        except KeyboardInterrupt:
            return


def _is_open(path: str) -> bool:
    return path == "/" or path.startswith("/page/")


def _state(session: Session, asked: Question | None) -> dict[str, Any]:
    """What the page shows."""
    state: dict[str, Any] = {
        "given": len(session.given),
        "wanted": session.wanted,
        "labels": list(session.collection.classes),
        "question": None,
    }
    if asked is not None:
        state["question"] = {
            "row": asked.row,
            "clip": asked.clip_id,
            "frames": asked.frames,
            "likely": [{"label": label, "share": share} for label, share in asked.likely[:9]],
        }
    return state


def _row(session: Session, row: object) -> int:
    if isinstance(row, int) and not isinstance(row, bool) and 0 <= row < len(session.collection):
        return row
    raise AnswerError("There is no such clip: reload the page.")


async def _body(request: Request) -> dict[str, Any]:
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MOST_BYTES:
            raise AnswerError("This is too long for an answer.")
    try:
        asked = json.loads(data)
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise AnswerError("An answer is a JSON object with row and label.")
    return asked


async def _failed(request: Request, error: Exception) -> Response:
    return _refusal(422 if isinstance(error, AnswerError) else 500, str(error))


def _refusal(status: int, sentence: str) -> Response:
    return JSONResponse({"detail": sentence}, status)
