"""The server and clients that mean harm, dawdle, crowd, leave, or kill its workers."""

import contextlib
import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from conftest import Send
from hostile_files import HOSTILE, MOST_BYTES, hostile
from serving import Server, raw, refused

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.fixture(scope="module")
def hostile_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, int, str]]:
    files = hostile(tmp_path_factory.mktemp("hostile"))
    assert set(files) == set(HOSTILE)
    return files


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_clear_refusal(
    send: Send, hostile_files: dict[str, tuple[bytes, int, str]], name: str
) -> None:
    content, status, word = hostile_files[name]
    refused(send(content), status, word)


@pytest.mark.parametrize(
    "path",
    ["/ui/gradio_api/process_recording", "/ui/gradio_api/upload", "/ui/gradio_api/queue/join",
     "/gradio_api/file=/etc/passwd", "/ui/file=/etc/passwd", "/ui/../predict.py"],
)  # fmt: skip
def test_the_ways_past_the_limits_are_gone(server: Server, client: httpx.Client, path: str) -> None:
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n"
    headers = {"Origin": "https://evil.example"}
    files = {"file": ("clip.mp4", playlist)}
    assert client.post(path, files=files).status_code in (404, 405)
    answer = client.post(path, files=files, headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert client.get(path).status_code == 404
    assert server.files() == []


def test_uploads_that_are_cut_off_leave_nothing(server: Server, client: httpx.Client) -> None:
    for _ in range(20):
        with raw(server) as connection:
            connection.sendall(upload_head(900_000) + PART + b"\x1aE\xdf\xa3" + bytes(400_000))
    wait_for(lambda: metric(client, "clipcache_uploads") == 0)
    assert server.files() == []


def upload_head(length: int | None) -> bytes:
    framing = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
    return (
        "POST /predict HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n"
        f"{framing}\r\n\r\n"
    ).encode()


PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


def answer_of(connection: socket.socket) -> tuple[int, dict]:
    """Status and body of an answer; the server closes the connection after it."""
    data = b""
    while block := connection.recv(65536):
        data += block
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_body_without_a_length_is_cut_at_the_limit(server: Server) -> None:
    """As many bytes as somebody likes to send, of which the limit and no more is read."""
    with raw(server) as connection:
        connection.sendall(upload_head(None))
        block = PART + b"\x1aE\xdf\xa3" + bytes(100_000)
        sent = 0
        with contextlib.suppress(OSError):  # it may close while we send
            while sent < 100 * MOST_BYTES:
                connection.sendall(b"%x\r\n%s\r\n" % (len(block), block))
                sent += len(block)
                block = bytes(100_000)
                if select_readable(connection):
                    break
        assert sent < 20 * MOST_BYTES
        status, body = answer_of(connection)
    assert status == 413
    assert "1,000,000 bytes" in body["detail"]


def select_readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


def test_a_body_that_announces_too_much_is_refused_unread(server: Server) -> None:
    with raw(server) as connection:
        connection.sendall(upload_head(200_000_000))
        assert answer_of(connection)[0] == 413


def test_a_slow_sender_is_cut_off_and_holds_nobody_up(
    server: Server, client: httpx.Client, send: Send, clip: Path
) -> None:
    """A drop at a time would take an hour; others are served meanwhile."""
    with raw(server) as slow, raw(server) as silent:
        for connection in (slow, silent):
            connection.sendall(upload_head(500_000) + PART + clip.read_bytes()[:2000])
        wait_for(lambda: metric(client, "clipcache_uploads") == 2)
        stop = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(0.1):
                    slow.send(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert send(clip.read_bytes()).json()["action"] == "walk"
            for connection in (slow, silent):
                status, body = answer_of(connection)
                assert status == 408
                assert "did not arrive within 2 seconds" in body["detail"]
        finally:
            stop.set()
            thread.join()


def slow_video(folder: Path) -> bytes:
    """Within the limits, and seconds of work."""
    path = folder / "slow.mp4"
    if not path.exists():
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (800, 450))
        for _ in range(400):
            writer.write(np.full((450, 800, 3), 90, np.uint8))
        writer.release()
    content = path.read_bytes()
    assert len(content) < MOST_BYTES
    return content


def test_a_full_queue_says_when_to_come_back(
    server: Server, client: httpx.Client, tmp_path_factory: pytest.TempPathFactory, clip: Path
) -> None:
    video = slow_video(tmp_path_factory.getbasetemp())
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(httpx.post(f"{server.url}/predict", files={"file": video}, timeout=180))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    assert client.get("/health").json()["ready"]
    assert time.monotonic() - started < 5
    for thread in threads:
        thread.join()
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 2
    busy = next(answer for answer in answers if answer.status_code == 503)
    refused(busy, 503, "queue is full")
    assert 1 <= int(busy.headers["retry-after"]) <= 60
    with open_form(client, clip) as answer:
        assert answer["action"] == "walk"


@contextlib.contextmanager
def open_form(client: httpx.Client, clip: Path) -> Iterator[dict]:
    with clip.open("rb") as stream:
        yield client.post("/predict", files={"file": stream}).json()


def metric(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def form(content: bytes) -> bytes:
    body = PART + content + b"\r\n--b--\r\n"
    return upload_head(len(body)) + body


def test_a_client_that_leaves_frees_its_place(
    server: Server, client: httpx.Client, send: Send, clip: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    video = slow_video(tmp_path_factory.getbasetemp())
    with raw(server) as first, raw(server) as second:
        first.sendall(form(video))
        wait_for(lambda: metric(client, "clipcache_workers_busy") == 1)
        second.sendall(form(video))
        wait_for(lambda: metric(client, "clipcache_queue_length") == 1)
        assert send(clip.read_bytes()).status_code == 503
    wait_for(lambda: metric(client, "clipcache_queue_length") == 0)
    assert send(clip.read_bytes()).json()["action"] == "walk"


def test_a_killed_worker_costs_one_request(
    server: Server, client: httpx.Client, send: Send, clip: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    video = slow_video(tmp_path_factory.getbasetemp())
    server.wait_until_ready()
    before = metric(client, "clipcache_worker_restarts")
    with raw(server) as connection:
        connection.sendall(
            form(video).replace(b"Host: localhost", b"Host: localhost\r\nConnection: close", 1)
        )
        wait_for(lambda: metric(client, "clipcache_workers_busy") == 1)
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        status, body = answer_of(connection)
    assert status == 500
    assert "worker process ended" in body["detail"]
    assert send(clip.read_bytes()).json()["action"] == "walk"
    assert metric(client, "clipcache_worker_restarts") == before + 1


def test_an_idle_worker_that_is_killed_costs_nothing(
    server: Server, client: httpx.Client, send: Send, clip: Path
) -> None:
    server.wait_until_ready()
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    assert send(clip.read_bytes()).json()["action"] == "walk"
