"""Limits on the body of every request, held while it streams in, whatever route it is for."""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serve import refusals
from pipeline.serve.refusals import Refusal
from pipeline.serve.settings import Limits

FORM_BYTES = 64 * 1024  # of a form around its file: boundaries, headers, other fields
SMALL_BODY = 2**20  # bytes, on routes that take no files
LINGER_SECONDS = 2.0  # for a refused sender to stop and read why
MOST_LINGERING = 64  # at the same time; beyond, a connection is closed at once


class BodyGuard:
    """ASGI middleware: a body that is too large, or too slow, ends in a refusal.

    A refusal is sent while the sender may still be sending. Closing the connection at once would
    reset it, and most clients would never see the answer; so what still arrives is read and
    forgotten for a moment (RFC 9112, section 9.6).

    Parameters
    ----------
    most_bytes : of the files that the route of that path takes; 0 for one that takes none, of which
        a body is at most `SMALL_BODY`
    """

    def __init__(self, app: ASGIApp, limits: Limits, most_bytes: Callable[[str], int]) -> None:
        self._app = app
        self._limits = limits
        self._most_bytes = most_bytes
        self._lingering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        files = self._most_bytes(scope["path"])
        limit = files + FORM_BYTES if files else SMALL_BODY
        body = _Body(receive, self._limits, limit)
        guarded = _Answer(send, body, self._linger)
        try:
            body.check_announced(scope)
            await self._app(scope, body.receive, guarded.send)
        except Exception:
            if body.refusal is None or guarded.started:
                raise
        if body.refusal is not None and not guarded.started:
            response = JSONResponse(
                {"detail": str(body.refusal)}, body.refusal.status, body.refusal.headers
            )
            await response(scope, body.receive, guarded.send_ours)

    async def _linger(self, body: "_Body") -> None:
        """Read and drop what still arrives, for a moment."""
        if self._lingering >= MOST_LINGERING:
            return
        self._lingering += 1
        try:
            await body.forget_rest()
        finally:
            self._lingering -= 1


class _Body:
    """What has arrived of a request's body."""

    def __init__(self, receive: Receive, limits: Limits, limit: int) -> None:
        self._receive = receive
        self._limits = limits
        self._limit = limit
        self._bytes = 0
        self._deadline = time.monotonic() + limits.upload_seconds
        self.complete = False
        self.refusal: Refusal | None = None

    def check_announced(self, scope: Scope) -> None:
        """Refuse by the length in the header, before anything is read."""
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        self.complete = not length.strip(b"0") and b"transfer-encoding" not in headers
        if length.isdigit() and int(length) > self._limit:
            self._refuse(self._too_much())

    async def receive(self) -> Message:
        """As ASGI's `receive`, with the limits."""
        if self.complete:
            return await self._receive()
        left = min(self._deadline - time.monotonic(), self._limits.pause_seconds)
        try:
            async with asyncio.timeout(max(left, 0.0)):
                message = await self._receive()
        except TimeoutError:
            self._refuse(refusals.too_slow_upload(self._limits.upload_seconds))
        self._note(message)
        if self._bytes > self._limit:
            self._refuse(self._too_much())
        return message

    async def forget_rest(self) -> None:
        """Read and drop what still arrives, for a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.complete:
                    self._note(await self._receive())

    def _note(self, message: Message) -> None:
        self._bytes += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)  # also for a disconnect

    def _too_much(self) -> Refusal:
        together = self._limit - FORM_BYTES
        if together > self._limits.bytes:
            return refusals.too_many_bytes_together(together)
        limit = self._limit if self._limit == SMALL_BODY else self._limits.bytes
        return refusals.too_many_bytes(limit)

    def _refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self._deadline = -math.inf
        raise refusal


class _Answer:
    """The answer on its way out."""

    def __init__(
        self, send: Send, body: _Body, linger: Callable[[_Body], Awaitable[None]]
    ) -> None:  # fmt: skip
        self._send = send
        self._body = body
        self._linger = linger
        self._early = False
        self.started = False

    async def send(self, message: Message) -> None:
        """As ASGI's `send`; what the application says of a refused body is dropped."""
        if self._body.refusal is None or self.started:
            await self.send_ours(message)

    async def send_ours(self, message: Message) -> None:
        """As ASGI's `send`; an answer before the end of the body ends the connection."""
        if message["type"] == "http.response.start":
            self.started = True
            self._early = not self._body.complete
            if self._early:
                closing = (b"connection", b"close")
                message = {**message, "headers": [*message.get("headers", ()), closing]}
        elif self._early and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger(self._body)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)
