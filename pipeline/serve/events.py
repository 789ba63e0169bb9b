"""Server-sent events: an answer that says how far it is, instead of a silence of minutes.

The format is that of the HTML standard (section 9.2, server-sent events).
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE = "text/event-stream"
QUIET_SECONDS = 10.0  # after which a comment is sent, so that no proxy takes it for dead


def event(name: str, values: dict[str, Any]) -> bytes:
    """One event; JSON has no line breaks of its own."""
    return f"event: {name}\ndata: {json.dumps(values, separators=(',', ':'))}\n\n".encode()


class EventStream(Response):
    """Events as they come, until there are no more or the client leaves.

    Parameters
    ----------
    events : is closed in any case, also where not one of them is sent
    held : of what the events need; left when they have ended
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, events: AsyncGenerator[bytes, None], held: contextlib.AsyncExitStack
    ) -> None:
        super().__init__(None, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        async with self._held, contextlib.aclosing(self._events):
            work = asyncio.ensure_future(self._pump(send))
            leaving = asyncio.ensure_future(receive())  # the body is in: only that can come
            try:
                await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
            finally:
                leaving.cancel()
                work.cancel()
                await asyncio.wait({work})

    async def _pump(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        )  # fmt: skip
        coming: asyncio.Task[bytes] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(_next(self._events))
                done, _ = await asyncio.wait({coming}, timeout=QUIET_SECONDS)
                if not done:
                    await self._send(send, b": still at it\n\n")
                    continue
                try:
                    data = coming.result()
                except StopAsyncIteration:
                    break
                coming = None
                await self._send(send, data)
        finally:
            if coming is not None and not coming.done():
                coming.cancel()
                await asyncio.wait({coming})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, data: bytes) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _next(events: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(events)
