"""The server as its clients meet it: a real process, a real model, files of every kind."""

import contextlib
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest
from serving import ROOT, Server, running_server

MOST_BYTES = 1_000_000
CLIP = "raw/walk/ira_walk.avi"  # below the model's project
TEN_HOURS = 36_000  # seconds


@pytest.fixture(scope="module")
def server(
    weizmann_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:  # fmt: skip
    """One worker, one place in the queue, small limits."""
    options = ("--no-ui", "--workers", "1", "--queue", "1", "--max-bytes", str(MOST_BYTES),
               "--max-seconds", "60", "--max-frames", "900", "--max-pixels", "2000000",
               "--upload-timeout", "2", "--cors", "https://example.org")  # fmt: skip
    with running_server(weizmann_model, tmp_path_factory.mktemp("server"), *options) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def clip(weizmann_model: Path) -> Path:
    """A real clip of somebody who was not in the training set."""
    return weizmann_model.parents[1] / CLIP


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server) -> Iterator[None]:
    """After every test: no file on the disk, and the server is as well as before."""
    yield
    deadline = time.monotonic() + 5
    while server.files() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.files() == []
    assert server.process.poll() is None, server.log


Send = Callable[..., httpx.Response]


@pytest.fixture
def send(client: httpx.Client) -> Send:
    """Send bytes as a file."""

    def send(content: bytes, name: str = "clip.mp4", field: str = "file") -> httpx.Response:
        return client.post("/predict", files={field: (name, content)})

    return send


def refused(response: httpx.Response, status: int, *words: str) -> str:
    """The one sentence of a refusal."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"detail"}
    sentence = body["detail"]
    assert sentence.endswith(".")
    assert "/tmp" not in sentence
    for word in words:
        assert word in sentence
    return sentence


def encoded(path: Path, frames: int, size: tuple[int, int] = (64, 48), codec: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, size)
    assert writer.isOpened()
    for i in range(frames):
        picture = np.full((size[1], size[0], 3), 60, np.uint8)
        cv2.circle(picture, (10 + i % 40, 20), 8, (200, 180, 90), -1)
        writer.write(picture)
    writer.release()
    return path


def picture(height: int = 48, width: int = 64, extension: str = ".png") -> bytes:
    random = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    image = cv2.resize(random, (width, height), interpolation=cv2.INTER_NEAREST)
    return cv2.imencode(extension, image)[1].tobytes()


def test_what_it_is(client: httpx.Client, weizmann_model: Path) -> None:
    start = client.get("/").json()
    assert start["name"] == "clipcache"
    for path in start["links"].values():
        if path != "/predict":
            assert client.get(path).status_code == 200, path
    health = client.get("/health").json()
    assert health["ready"] is True
    assert health["workers"] == 1
    assert len(health["model"]) == 64
    assert client.get("/classes").json() == {"classes": ["bend", "jack", "walk", "wave2"]}


def test_a_real_video_is_recognised(send: Send, clip: Path) -> None:
    answer = send(clip.read_bytes()).json()
    assert answer["action"] == "walk"
    confidences = [one["confidence"] for one in answer["all_predictions"]]
    assert confidences == sorted(confidences, reverse=True)
    assert confidences[0] == answer["confidence"] > 0.5
    assert sum(confidences) == pytest.approx(1, abs=1e-5)
    windows = answer["windows"]
    assert windows[0]["start"] == 0
    assert all(later["start"] <= one["end"] for one, later in pairwise(windows))
    assert {window["label"] for window in windows} == {"walk"}


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
def test_a_picture_is_recognised_and_has_no_windows(send: Send, extension: str) -> None:
    answer = send(picture(extension=extension), "p.txt").json()
    assert "windows" not in answer
    assert len(answer["all_predictions"]) == 4


def test_command_and_server_agree(send: Send, clip: Path, weizmann_model: Path) -> None:
    still = clip.parent / "still.png"
    still.write_bytes(picture(120, 160))
    command = [sys.executable, "-m", "pipeline", "predict", str(clip), str(still), "--json",
               "--top", "4", "--model", str(weizmann_model)]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        shown = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        for line, path in zip(json.loads(shown.stdout), (clip, still), strict=True):
            answer = send(path.read_bytes()).json()["all_predictions"]
            top = line["top"]
            assert [one["label"] for one in top] == [one["label"] for one in answer]
            for mine, theirs in zip(top, answer, strict=True):
                assert mine["confidence"] == pytest.approx(theirs["confidence"], abs=1e-4)
    finally:
        still.unlink()


def test_the_name_decides_nothing(send: Send, clip: Path, server: Server) -> None:
    for name in ("../../../../etc/cron.d/evil", "holiday.jpg", "\u2603" * 200):
        assert send(clip.read_bytes(), name).json()["action"] == "walk"
    assert not list(server.scratch.parent.rglob("evil"))


def hostile(folder: Path) -> dict[str, tuple[bytes, int, str]]:
    """name -> content, status, a word of the sentence."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("clip.mp4", b"0" * 1000)
    whole = encoded(folder / "whole.mp4", 40).read_bytes()
    return {
        "empty": (b"", 422, "empty"),
        "1 byte": (b"\0", 415, "neither"),
        "zip": (archive.getvalue(), 415, "neither"),
        "html": (b"<!doctype html><script>alert(1)</script>", 415, "neither"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "neither"),
        "playlist": (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x.ts\n", 415, "neither"),
        "concat": (b"ffconcat version 1.0\nfile /etc/passwd\n", 415, "neither"),
        "sdp": (b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", 415, "neither"),
        "half an mp4": (whole[: len(whole) // 2], 422, "cannot be used"),
        "head of an mp4": (whole[:64], 422, "cannot be used"),
        "mp4 by its first bytes": (b"\0\0\0\x20ftypisom" + bytes(5000), 422, "cannot be used"),
        "png by its first bytes": (b"\x89PNG\r\n\x1a\n" + bytes(5000), 422, "cannot be used"),
        "half a png": (picture(400, 400)[:200], 422, "cannot be used"),
        "16,000 x 16,000": (blank_png(16_000), 422, "16,000 x 16,000 pixels"),
        "claims ten hours": (claiming(whole, TEN_HOURS), 422, "longer than the 60 seconds"),
        "avi that claims ten hours": (
            claiming_avi(encoded(folder / "whole.avi", 40, codec="MJPG").read_bytes()),
            422,
            "longer than the 60 seconds",
        ),
        "too many frames": (encoded(folder / "long.mp4", 901).read_bytes(), 422, "900"),
        "large frames": (
            encoded(folder / "large.mp4", 2, (1920, 1080)).read_bytes(), 422, "1,920 x 1,080",
        ),
        "too many bytes": (whole + bytes(MOST_BYTES), 413, "1,000,000 bytes"),
    }  # fmt: skip


def blank_png(side: int) -> bytes:
    """A valid PNG of one colour, of a few kilobytes whatever its size."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + side // 8)) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def claiming(mp4: bytes, seconds: int) -> bytes:
    """An MP4 whose frames together are said to last so long (ISO/IEC 14496-12, box stts)."""
    at = mp4.index(b"stts") + 4
    entries, count = struct.unpack_from(">II", mp4, at + 4)
    assert entries == 1
    scale = struct.unpack_from(">I", mp4, mp4.index(b"mdhd") + 4 + 12)[0]
    changed = bytearray(mp4)
    struct.pack_into(">I", changed, at + 12, seconds * scale // count)
    struct.pack_into(">I", changed, mp4.index(b"mdhd") + 4 + 16, seconds * scale)
    return bytes(changed)


def claiming_avi(avi: bytes) -> bytes:
    """An AVI whose headers say ten hours, over the frames that it has."""
    changed = bytearray(avi)
    struct.pack_into("<I", changed, avi.index(b"avih") + 8 + 16, TEN_HOURS * 25)
    struct.pack_into("<I", changed, avi.index(b"strh") + 8 + 32, TEN_HOURS * 25)
    return bytes(changed)


HOSTILE = ("empty", "1 byte", "zip", "html", "svg", "playlist", "concat", "sdp", "half an mp4",
           "head of an mp4", "mp4 by its first bytes", "png by its first bytes", "half a png",
           "16,000 x 16,000", "claims ten hours", "avi that claims ten hours", "too many frames",
           "large frames", "too many bytes")  # fmt: skip


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


def test_a_video_of_one_frame_is_a_video(send: Send, tmp_path: Path) -> None:
    answer = send(encoded(tmp_path / "one.mp4", 1).read_bytes()).json()
    assert len(answer["windows"]) == 1


def test_a_request_that_is_not_as_asked_for(client: httpx.Client, send: Send, clip: Path) -> None:
    refused(send(clip.read_bytes(), field="video"), 422, "`file`")
    refused(client.post("/predict"), 415, "`file`")
    refused(client.post("/predict", json={"file": "x"}), 415, "`file`")
    form = {"content-type": "multipart/form-data; boundary=b"}
    refused(client.post("/predict", content=b"", headers=form), 400)
    refused(client.post("/predict", content=b"--c\r\n", headers=form), 400)
    head = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    refused(client.post("/predict", content=head + clip.read_bytes(), headers=form), 400, "middle")
    bare = {"content-type": "multipart/form-data"}
    refused(client.post("/predict", content=head, headers=bare), 400)
    twice = [("file", ("a", picture())), ("file", ("b", picture()))]
    refused(client.post("/predict", files=twice), 422, "one file")
    other = {"file": ("a", picture()), "note": (None, "hello")}
    assert client.post("/predict", files=other).status_code == 200
    assert client.get("/predict").status_code == 405
    assert client.get("/nothing").json() == {"detail": "Not Found"}


def test_only_the_configured_origin_may_call_it(client: httpx.Client) -> None:
    def allowed(origin: str) -> str | None:
        answer = client.get("/classes", headers={"Origin": origin})
        return answer.headers.get("access-control-allow-origin")

    assert allowed("https://example.org") == "https://example.org"
    assert allowed("https://evil.example") is None


def connect(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def upload_head(length: int | None) -> bytes:
    framing = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
    return (
        "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
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
    with connect(server) as connection:
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
    import select

    return bool(select.select([connection], [], [], 0)[0])


def test_a_body_that_announces_too_much_is_refused_unread(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(upload_head(200_000_000))
        assert answer_of(connection)[0] == 413


def test_a_slow_sender_is_cut_off_and_holds_nobody_up(
    server: Server, send: Send, clip: Path
) -> None:
    """A drop at a time would take an hour; others are served meanwhile."""
    with connect(server) as slow, connect(server) as silent:
        for connection in (slow, silent):
            connection.sendall(upload_head(500_000) + PART + clip.read_bytes()[:2000])
        wait_for(lambda: len(server.files()) == 2)
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
    with connect(server) as first, connect(server) as second:
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
    with connect(server) as connection:
        connection.sendall(form(video).replace(b"Host: x", b"Host: x\r\nConnection: close", 1))
        wait_for(lambda: metric(client, "clipcache_workers_busy") == 1)
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        status, body = answer_of(connection)
    assert status == 500
    assert "worker process ended" in body["detail"]
    assert send(clip.read_bytes()).json()["action"] == "walk"
    assert metric(client, "clipcache_worker_restarts") == before + 1


def is_dead(pid: int) -> bool:
    """Whether a process is gone, or waits only for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_an_idle_worker_that_is_killed_costs_nothing(
    server: Server, client: httpx.Client, send: Send, clip: Path
) -> None:
    server.wait_until_ready()
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: is_dead(worker))
    assert send(clip.read_bytes()).json()["action"] == "walk"


def test_prometheus_is_told_what_happened(client: httpx.Client, send: Send, clip: Path) -> None:
    send(clip.read_bytes())
    send(b"nothing")
    client.get("/a/path/that/is/not/there")
    text = client.get("/metrics").text
    for line in (
        'clipcache_requests_total{method="POST",route="/predict",status="200"}',
        'clipcache_requests_total{method="POST",route="/predict",status="415"}',
        'clipcache_requests_total{method="GET",route="none",status="404"}',
        'clipcache_work_seconds_count{part="decode"}',
        'clipcache_work_seconds_count{part="embed"}',
        'clipcache_work_seconds_count{part="head"}',
        "clipcache_queue_length 0.0",
        "clipcache_workers_ready 1.0",
    ):
        assert line in text
    assert "/a/path" not in text


def test_the_description_of_the_api_needs_no_internet(client: httpx.Client) -> None:
    pytest.importorskip("fastapi_offline", reason="the package fastapi-offline is not installed")
    page = client.get("/docs").text
    assert "https://" not in page
    assert "http://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/docs/assets/{asset}" in page
        assert client.get(f"/docs/assets/{asset}").status_code == 200


def test_the_api_is_as_it_describes_itself(server: Server) -> None:
    """Requests made up from the description: some that fit it, some that do not."""
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from hypothesis.errors import Unsatisfiable
    from schemathesis import checks as general
    from schemathesis.specs.openapi import checks

    judged = [
        general.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
        checks.negative_data_rejection,
        checks.unsupported_method,
    ]
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    tried = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        tried.add(f"{operation.method.upper()} {operation.path}")
        for mode in schemathesis.GenerationMode:

            def fuzz(case: schemathesis.Case) -> None:
                case.call_and_validate(checks=judged)

            try:
                made_up = operation.as_strategy(generation_mode=mode)
                settled = settings(
                    max_examples=10, derandomize=True, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck),
                )  # fmt: skip
                settled(given(case=made_up)(fuzz))()
            except Unsatisfiable:
                assert mode is schemathesis.GenerationMode.NEGATIVE  # nothing that can be wrong
    assert tried == {"GET /", "GET /health", "GET /classes", "GET /metrics", "POST /predict"}
