"""Around every answer: an id, the headers that keep browsers careful, and a line in the log."""

import logging
import re
import uuid
from collections.abc import Callable
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serve.metrics import GONE, method_of, route_of

REQUEST_ID = "X-Request-ID"
PLAUSIBLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
NOTES = "clipcache.notes"  # in a scope: what a route adds to the line of its request

# Of every answer; pages have more (`pipeline.serve.pages`).
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

Write = Callable[[dict[str, Any]], None]


class Answering:
    """ASGI middleware: every answer gets its headers, every request its line.

    Parameters
    ----------
    write : takes the line of a request; None: nobody does
    """

    def __init__(self, app: ASGIApp, write: Write | None) -> None:
        self._app = app
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if PLAUSIBLE_ID.fullmatch(given) else uuid.uuid4().hex
        notes: dict[str, Any] = {}
        scope[NOTES] = notes
        status, received, sent = GONE, 0, 0

        async def count_in() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def complete(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            sent += len(message.get("body", b""))
            await send(message)

        started = perf_counter()
        try:
            await self._app(scope, count_in, complete)
        except Exception:
            status = 500
            raise
        finally:
            if self._write is not None:
                client = scope.get("client")
                self._write(
                    {
                        "event": "request", "id": request_id, "client": client and client[0],
                        "method": method_of(scope), "route": route_of(scope), "status": status,
                        "seconds": round(perf_counter() - started, 4), "bytes_in": received,
                        "bytes_out": sent, **notes,
                    }
                )  # fmt: skip


class LogHandler(logging.Handler):
    """Log records as lines among those of the requests."""

    def __init__(self, write: Write) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        values = {"event": "log", "level": record.levelname.lower(), "logger": record.name,
                  "message": record.getMessage()}  # fmt: skip
        if record.exc_info:
            values["trace"] = logging.Formatter().formatException(record.exc_info)
        self._write(values)
