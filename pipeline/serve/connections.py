"""Connections: how many there may be, and how long each may keep the server waiting.

uvicorn waits for ever for the head of a request, and for a client that does not read its answer.
Here both have an end; and where all places are taken, whoever has been silent the longest gives
way to the next, so that no number of silent connections keeps anybody out.
"""

import asyncio
import contextlib
import ipaddress
import itertools
import json
import select
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.serve.settings import Crowd

CLOSE_SECONDS = 10.0  # for what was sent to arrive, before a connection is cut
FAREWELL_SECONDS = 1.0  # for one that is turned away to read why
MOST_LOOKED_AT = 32  # connections, to find one that may go
MOST_FAREWELLS = 64  # at the same time; beyond, a connection is cut without a word
HTTP_REASONS = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}


def client_of(host: str) -> str:
    """Whom an address belongs to: itself, or the /64 of an IPv6 address, which is one line's."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


class Connections:
    """All connections of one server.

    Parameters
    ----------
    crowd : how many there may be
    proxy : an address that may hold all of them, as it stands for many clients
    """

    def __init__(self, crowd: Crowd, proxy: str | None = None) -> None:
        self.crowd = crowd
        self._proxy = proxy
        self.turned_away = 0  # since the start
        self.farewells = 0  # that are being turned away now
        self._of: Counter[str] = Counter()
        self._silent: dict[GuardedProtocol, None] = {}  # the longest silent first

    @property
    def open(self) -> int:
        """Connections that are open."""
        return self._of.total()

    def admit(self, newcomer: "GuardedProtocol") -> bool:
        """Take in a connection; False where there is no place, and none can be made."""
        crowded = self._of[newcomer.peer] >= self.crowd.client_connections
        if crowded and newcomer.peer != self._proxy:
            fits = self._make_room(newcomer.peer)
        else:
            fits = self.open < self.crowd.connections or self._make_room(None)
        if fits:
            self._of[newcomer.peer] += 1
        else:
            self.turned_away += 1
        return fits

    def remove(self, gone: "GuardedProtocol") -> None:
        """Forget a connection that was admitted."""
        self._silent.pop(gone, None)
        self._of[gone.peer] -= 1
        if not self._of[gone.peer]:
            del self._of[gone.peer]

    def note_silent(self, protocol: "GuardedProtocol") -> None:
        """It owes the head of a request from now on."""
        self._silent[protocol] = None

    def note_busy(self, protocol: "GuardedProtocol") -> None:
        """It has sent the head of a request, and waits for the answer."""
        self._silent.pop(protocol, None)

    def _make_room(self, peer: str | None) -> bool:
        """Drop the longest silent connection of a client, or of the one that has most of them."""
        if peer is None and self._silent:
            peer = Counter(one.peer for one in self._silent).most_common(1)[0][0]
        candidates = (one for one in self._silent if one.peer == peer)
        looked_at = list(itertools.islice(candidates, MOST_LOOKED_AT))
        # One whose request waits to be read is silent only because nobody has listened yet.
        for one in [one for one in looked_at if not one.has_unread()] or looked_at:
            one.drop()
            return True
        return False


class GuardedProtocol(H11Protocol):
    """One connection, with an end to its patience.

    Parameters
    ----------
    connections : where it counts
    """

    def __init__(self, *arguments: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.peer = ""
        self._connections = connections
        self._admitted = False
        self._away = False  # whether it is being turned away
        self._patience: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it, or turn it away."""
        super().connection_made(transport)
        self.peer = client_of(self.client[0]) if self.client else ""
        self._admitted = self._connections.admit(self)
        if self._admitted:
            self._wait_for_head()
        else:
            self._turn_away()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give its place back."""
        self._forget_timers()
        if self._admitted:
            self._admitted = False
            self._connections.remove(self)
        if self._away:
            self._connections.farewells -= 1
        super().connection_lost(exc)

    def drop(self) -> None:
        """Cut it; its place is free at once."""
        if self._admitted:
            self._admitted = False
            self._connections.remove(self)
        self.transport.abort()

    def has_unread(self) -> bool:
        """Whether something has come that is not read yet."""
        look = select.poll()
        look.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(look.poll(0))

    def data_received(self, data: bytes) -> None:
        """What came from the client."""
        if self._away:
            return
        try:
            super().data_received(data)
        except h11.LocalProtocolError:  # nonsense in the middle of an answer
            self.transport.abort()
            return
        if self._at_work():
            self._settle()
        self._end_surely()

    def send_400_response(self, msg: str) -> None:
        """In JSON as everything else."""
        if not self._at_work():
            self._tell(400, "This is not a valid HTTP request.")
        else:
            if not self.cycle.response_started:
                self._tell(400, "The body of the request is not valid HTTP.")
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
        self._end_surely()

    def on_response_complete(self) -> None:
        """From now on it owes the next request."""
        super().on_response_complete()
        if not self.transport.is_closing() and not self._at_work():
            self._wait_for_head()
        self._end_surely()

    def timeout_keep_alive_handler(self) -> None:
        """It was idle for long enough."""
        super().timeout_keep_alive_handler()
        self._end_surely()

    def shutdown(self) -> None:
        """The server ends."""
        with contextlib.suppress(h11.LocalProtocolError):
            super().shutdown()
        self._end_surely()

    def pause_writing(self) -> None:
        """It does not read what it asked for."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(
                self._connections.crowd.read_seconds, self.transport.abort
            )

    def resume_writing(self) -> None:
        """It reads on."""
        super().resume_writing()
        if self._unread is not None and not self.transport.is_closing():
            self._unread.cancel()
            self._unread = None

    def _at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._settle()
        self._connections.note_silent(self)
        seconds = self._connections.crowd.head_seconds
        self._patience = self.loop.call_later(seconds, self._head_is_late)

    def _settle(self) -> None:
        """The head is there."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._connections.note_busy(self)

    def _head_is_late(self) -> None:
        if self.conn.trailing_data[0]:  # part of a request; else there is nobody to tell
            self._tell(408, "The head of the request did not arrive in time.")
        self.transport.close()
        self._end_surely()

    def _turn_away(self) -> None:
        self._away = True
        self._connections.farewells += 1
        if self._connections.farewells > MOST_FAREWELLS:
            self.transport.abort()
            return
        self._tell(503, "Too many connections are open: try again in a second.")
        self.transport.write_eof()  # closed at once, the client might never see the answer
        self._patience = self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)

    def _tell(self, status: int, sentence: str) -> None:
        """An answer without a request."""
        body = json.dumps({"detail": sentence}).encode()
        retry = "Retry-After: 1\r\n" if status == 503 else ""
        self.transport.write(
            f"HTTP/1.1 {status} {HTTP_REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{retry}X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )

    def _end_surely(self) -> None:
        """Closing waits for what was written to be read, but not for ever."""
        if self.transport.is_closing() and self._unread is None:
            self._unread = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _forget_timers(self) -> None:
        for timer in (self._patience, self._unread):
            if timer is not None:
                timer.cancel()
