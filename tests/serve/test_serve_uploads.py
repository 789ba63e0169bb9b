"""The room for uploads: what it holds, who has to wait, and that nothing stays in it."""

import asyncio
import contextlib
import ctypes
import os
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hostile_files import encoded, picture
from sample_model import unseen_clip
from serving import Server, raw, refused, running_server

from pipeline.errors import DiskError
from pipeline.serve import upload_room
from pipeline.serve.refusals import Refusal
from pipeline.serve.run import own_folder
from pipeline.serve.settings import Crowd
from pipeline.serve.upload_room import UploadRoom

LARGEST = 1000
CROWD = Crowd(uploads=4, client_uploads=2, files=8)


def in_room(folder: Path, check: Callable[[UploadRoom], Awaitable[None]]) -> None:
    asyncio.run(check(UploadRoom(folder, CROWD, LARGEST)))  # type: ignore[arg-type]


async def sends(room: UploadRoom, client: str, size: int = 10, seconds: float = 30.0) -> str:
    """Send so many bytes, then be silent; "sent", or the status it ends with."""
    try:
        async with room.upload(client, LARGEST) as upload:
            await room.write(upload, room.new_file(upload), bytes(size))
            await asyncio.sleep(seconds)
            return "sent"
    except Refusal as refusal:
        return str(refusal.status)


def test_the_slowest_goes_where_more_last_than_there_are_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_room, "FRESH_SECONDS", 0.3)

    async def check(room: UploadRoom) -> None:
        """The client "a" has two places, the room four."""
        sent = [asyncio.create_task(sends(room, "a", size)) for size in (30, 10, 20)]
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in sent)  # all of them are fresh
        assert await sends(room, "a", seconds=0) == "sent"
        assert await sent[1] == "408"
        await asyncio.sleep(0.2)
        others = [asyncio.create_task(sends(room, name, 25)) for name in ("b", "c", "d")]
        assert await sent[2] == "408"  # the slowest of all
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in (sent[0], *others))
        assert len(list(tmp_path.iterdir())) == 4
        for task in (sent[0], *others):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert list(tmp_path.iterdir()) == []
        assert (room.arriving, room.filled) == (0, 0)

    in_room(tmp_path, check)


def test_nobody_is_let_in_while_all_that_last_are_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_room, "FRESH_SECONDS", 0.1)
    monkeypatch.setattr(upload_room, "SLOW", 1)

    async def check(room: UploadRoom) -> None:
        fast = [asyncio.create_task(sends(room, "a", 900, 1.5)) for _ in range(2)]
        await asyncio.sleep(0.3)
        assert await sends(room, "a") == "429"
        fast += [asyncio.create_task(sends(room, name, 900, 1.0)) for name in ("b", "c")]
        await asyncio.sleep(0.3)
        assert await sends(room, "d") == "503"
        assert [await task for task in fast] == 4 * ["sent"]
        assert await sends(room, "d", seconds=0) == "sent"

    in_room(tmp_path, check)


def test_whoever_fills_the_room_waits_and_others_do_not(tmp_path: Path) -> None:
    async def check(room: UploadRoom) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(4):  # half of the room
                upload = await stack.enter_async_context(room.upload("a", LARGEST))
                await room.write(upload, room.new_file(upload), bytes(LARGEST))
                room.complete(upload)
            assert await sends(room, "a") == "503"
            assert await sends(room, "b", seconds=0) == "sent"
        assert await sends(room, "a", seconds=0) == "sent"

    in_room(tmp_path, check)


def test_what_nobody_owns_is_swept_away(tmp_path: Path) -> None:
    async def check(room: UploadRoom) -> None:
        async with room.upload("a", LARGEST) as upload:
            own = room.new_file(upload)
            (tmp_path / "left").write_bytes(b"x")
            room.sweep()
            assert list(tmp_path.iterdir()) == [own]

    in_room(tmp_path, check)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)],
        capture_output=True, check=False,
    ) if os.geteuid() == 0 else None  # fmt: skip
    if done is None or done.returncode:
        pytest.skip("only root may mount a small file system, and not everywhere")
    yield folder
    ctypes.CDLL(None).umount2(str(folder).encode(), 2)


def test_a_full_disk_is_a_503_and_not_the_end(
    sample_model: Path, small_disk: Path, tmp_path: Path
) -> None:
    clip = unseen_clip(sample_model, "walk").read_bytes()
    with running_server(sample_model, small_disk, "--workers", "1", "--no-ui") as server:
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(3_200_000))
        answer = httpx.post(f"{server.url}/v1/predict", files={"file": clip}, timeout=60)
        refused(answer, 503, "no room")
        assert 1 <= int(answer.headers["retry-after"]) <= 60

        def chunks() -> Iterator[bytes]:  # of a length that nobody announces
            yield b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n\x1aE\xdf\xa3'
            for _ in range(50):
                yield bytes(100_000)

        headers = {"content-type": "multipart/form-data; boundary=b"}
        answer = httpx.post(
            f"{server.url}/v1/predict", content=chunks(), headers=headers, timeout=60
        )
        refused(answer, 503, "no room")
        ballast.unlink()
        answer = httpx.post(f"{server.url}/v1/predict", files={"file": clip}, timeout=60)
        assert answer.json()["action"] == "walk"
        assert server.files() == []


def test_no_room_for_its_folder_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/self")
    with pytest.raises(DiskError, match=r"/proc/self cannot be written"), own_folder():
        pytest.fail("it was made")


@pytest.fixture(scope="module")
def limited(sample_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the real numbers of places and a short patience."""
    options = ("--workers", "1", "--no-ui", "--max-bytes", "2000000")
    with running_server(sample_model, tmp_path_factory.mktemp("s"), *options) as server:
        yield server


def test_slow_uploads_of_one_client_do_not_shut_the_api(
    limited: Server, sample_model: Path
) -> None:
    """32 of them, as once kept the API shut for two minutes."""
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n\x1aE\xdf\xa3'
    )
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(raw(limited)) for _ in range(32)]
        for connection in slow:
            connection.sendall(head)

        def drip() -> None:
            while not stop.wait(0.2):
                for connection in slow:
                    with contextlib.suppress(OSError):
                        connection.send(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            time.sleep(upload_room.FRESH_SECONDS + 0.5)
            clip = unseen_clip(sample_model, "walk").read_bytes()
            for _ in range(3):
                answer = httpx.post(f"{limited.url}/v1/predict", files={"file": clip}, timeout=60)
                assert answer.json()["action"] == "walk"
        finally:
            stop.set()
            dripping.join()
    deadline = time.monotonic() + 20
    while limited.files():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_form_with_any_byte_changed_is_an_answer_or_a_clear_no(
    limited: Server, tmp_path: Path
) -> None:
    """Cut, doubled, swapped and overwritten parts of good forms; `bench.serve` tries thousands."""
    video = encoded(tmp_path / "v.mp4", 10).read_bytes()
    forms = [
        httpx.Request("POST", limited.url, files=files)
        for files in (
            {"file": ("a.mp4", video)},
            [("files", ("a.png", picture())), ("files", ("b.mp4", video))],
        )
    ]
    source = random.Random(7)
    with httpx.Client(base_url=limited.url, timeout=60) as client:
        for number in range(120):
            form = forms[number % 2]
            body = mutated(form.read(), source)
            headers = {"content-type": form.headers["content-type"]}
            if number % 5 == 4:
                headers["content-type"] = mutated(headers["content-type"].encode(), source).decode(
                    "latin-1"
                )
            try:
                answer = client.post("/v1/predict", content=body, headers=headers)
            except (httpx.LocalProtocolError, UnicodeEncodeError):
                continue  # a header that no client sends
            assert answer.status_code in (200, 400, 413, 415, 422), (number, answer.text)
    assert limited.files() == []


def mutated(content: bytes, source: random.Random) -> bytes:
    """A few bytes of it changed, moved, gone or doubled."""
    data = bytearray(content)
    for _ in range(source.randint(1, 4)):
        edge = min(len(data), 400) if source.random() < 0.7 else len(data)
        at = source.randrange(max(1, edge))
        length = source.randint(1, 40)
        what = source.randrange(4)
        if what == 0:
            data[at : at + length] = source.randbytes(length)
        elif what == 1:
            del data[at : at + length]
        elif what == 2:
            data[at:at] = data[at : at + length]
        else:
            del data[at + length :]
        if not data:
            break
    return bytes(data)
