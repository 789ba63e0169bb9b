"""Clients that open connections and then say little, read nothing, or talk nonsense."""

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from conftest import Send
from serving import Server, raw, running_server

from pipeline.serve.connections import Connections, GuardedProtocol, client_of
from pipeline.serve.run import fitting
from pipeline.serve.settings import Crowd

CROWD = 500
HEAD = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n"
)

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.fixture(scope="module")
def server(sample_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One with the real limits."""
    scratch = tmp_path_factory.mktemp("server")
    with running_server(sample_model, scratch, "--workers", "1") as server:
        yield server


@contextlib.contextmanager
def many(server: Server, count: int, start: bytes) -> Iterator[list[socket.socket]]:
    """So many connections, each with a beginning."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = stack.enter_context(raw(server))
            connection.sendall(start)
            opened.append(connection)
        yield opened


def answer_to(server: Server, data: bytes, seconds: float = 20.0) -> bytes:
    """All that comes back until the server closes the connection."""
    with raw(server) as connection:
        connection.settimeout(seconds)
        connection.sendall(data)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    heard = b""
    with contextlib.suppress(ConnectionError):
        while block := connection.recv(65536):
            heard += block
    return heard


@pytest.mark.parametrize(
    "start",
    [b"", b"GET /health HT", HEAD, HEAD + b"Content-Length: 500000\r\n\r\n--b\r\n"],
    ids=["silent", "half a request line", "half a head", "half a body"],
)
def test_hundreds_of_slow_connections_keep_nobody_out(
    server: Server, send: Send, clip: Path, start: bytes
) -> None:
    """All of them and the good client come from one address, which is the worst case."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with many(server, min(CROWD, soft - 100), start):
        for _ in range(5):
            started = time.monotonic()
            with httpx.Client(base_url=server.url, timeout=20) as fresh:
                assert fresh.get("/health").status_code == 200
                assert fresh.get("/ready").json()["ready"]
            assert time.monotonic() - started < 5
            answer = send_patiently(server, clip)
            assert answer.json()["action"] == "walk"


def send_patiently(server: Server, clip: Path) -> httpx.Response:
    """As a client that heeds Retry-After."""
    for _ in range(5):
        with clip.open("rb") as stream:
            answer = httpx.post(f"{server.url}/predict", files={"file": stream}, timeout=60)
        if answer.status_code not in (429, 503):
            return answer
        time.sleep(int(answer.headers["retry-after"]))
    return answer


def test_a_head_that_does_not_come_ends_in_a_sentence(server: Server) -> None:
    started = time.monotonic()
    answer = answer_to(server, b"GET /health HTTP/1.1\r\nHost: local")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive in time" in answer
    assert Crowd().head_seconds - 1 < time.monotonic() - started < Crowd().head_seconds + 5


def test_a_head_that_drips_is_cut_as_well(server: Server) -> None:
    with raw(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        started = time.monotonic()
        with contextlib.suppress(ConnectionError, TimeoutError):
            while time.monotonic() - started < 3 * Crowd().head_seconds:
                connection.sendall(b"x: y\r\n")
                connection.settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(4096):
                        break
        assert time.monotonic() - started < Crowd().head_seconds + 5


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),  # TLS
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nnot a length\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (HEAD + b"Content-Length: -5\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n", 200),
    ],
)  # fmt: skip
def test_what_is_not_http_is_answered_in_json(server: Server, data: bytes, status: int) -> None:
    answer = answer_to(server, data)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/json" in answer


def test_whoever_does_not_read_is_cut(server: Server, client: httpx.Client) -> None:
    """Requests for megabytes, one after the other, and not a byte of the answers is read."""
    pytest.importorskip("fastapi_offline", reason="the package fastapi-offline is not installed")
    request = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with raw(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(20 * request)
        time.sleep(1)
        before = open_connections(client)
        deadline = time.monotonic() + Crowd().read_seconds + 10
        while open_connections(client) >= before:
            assert time.monotonic() < deadline
            time.sleep(0.5)


def open_connections(client: httpx.Client) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(one.split()[-1] for one in lines if one.startswith("clipcache_connections ")))


def test_a_client_is_an_address_or_a_line() -> None:
    assert client_of("192.0.2.7") == "192.0.2.7"
    assert client_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert client_of("2001:db8:1:2:3:4:5:6") == client_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert client_of("fe80::1%eth0") == "fe80::/64"


def test_there_are_no_more_connections_than_files_may_be_open() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        assert fitting(Crowd()) == Crowd()  # the soft limit is raised as far as is allowed
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= Crowd().connections
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextlib.contextmanager
def crowded(crowd: Crowd) -> Iterator[tuple[str, Connections]]:
    """A server with few places in a thread; /wait answers when somebody asks for /go."""
    go = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/go":
            go.set()
        while scope["path"] == "/wait" and not go.is_set():
            await asyncio.sleep(0.02)
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", b"2")]})  # fmt: skip
        await send({"type": "http.response.body", "body": b"ok"})

    connections = Connections(crowd)
    protocol: Any = partial(GuardedProtocol, connections=connections)
    config = uvicorn.Config(app, port=0, http=protocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", connections
        finally:
            go.set()
            server.should_exit = True
            thread.join()


def test_the_longest_silent_gives_way_and_whoever_waits_for_an_answer_does_not() -> None:
    crowd = Crowd(connections=8, client_connections=6)
    with crowded(crowd) as (url, connections), contextlib.ExitStack() as stack:
        address = urlsplit(url)

        def connect(start: bytes = b"") -> socket.socket:
            place = (str(address.hostname), int(address.port or 0))
            one = stack.enter_context(socket.create_connection(place, timeout=10))
            one.sendall(start)
            return one

        waiting = connect(b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        silent = [connect() for _ in range(12)]
        time.sleep(0.5)
        assert connections.open == 6
        for one in silent[:7]:
            with contextlib.suppress(ConnectionError):
                assert one.recv(100) == b""
        for _ in range(5):
            assert httpx.get(f"{url}/now").text == "ok"
        busy = [connect(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(5)]
        time.sleep(0.5)
        turned_away = httpx.get(f"{url}/now")
        assert turned_away.status_code == 503
        assert turned_away.headers["retry-after"] == "1"
        assert "Too many connections" in turned_away.json()["detail"]
        busy.pop().close()
        time.sleep(0.3)
        assert httpx.get(f"{url}/go").text == "ok"
        assert waiting.makefile("rb").read().endswith(b"ok")
