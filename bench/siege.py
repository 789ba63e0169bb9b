"""The server besieged: spoiled forms, many small files, silent crowds, workers that are killed."""

import contextlib
import http.client
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from bench.clips import pictures, write_video
from bench.serve import MIB, resident, running_server
from bench.tables import Outcome, Rows, Table, Wanted
from bench.watch import descendants
from bench.workspace import trained_project

FORMS, QUICK_FORMS = 10_000, 200
SMALL, QUICK_SMALL = 2_000, 60
CROWD, QUICK_CROWD = 500, 500
ASKED, QUICK_ASKED = 40, 4  # times that the good client asks beside each crowd
SENDERS = 8
PATIENCE = 90.0  # seconds
RIGHT = frozenset({200, 400, 408, 413, 415, 422, 429, 503})
HEAD = (
    b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n"
)
CROWDS = {
    "that says nothing": b"",
    "with half a head": HEAD,
    "with half a body": HEAD + b"Content-Length: 500000\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n\x1aE\xdf\xa3',
}


class Target:
    """A server, and how it is asked."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def post(self, body: bytes, content_type: str) -> int:
        """The status of an answer; 0 for a connection that broke."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.request("POST", "/v1/predict", body, {"Content-Type": content_type})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def send(self, content: bytes) -> int:
        """The status for a file; a client that heeds a 503 or 429 asks again."""
        for _ in range(10):
            status = self.post(form(content), "multipart/form-data; boundary=b")
            if status not in (429, 503):
                break
            time.sleep(1)
        return status

    def healthy(self) -> bool:
        """Whether /ready says so."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Train a model on generated clips, serve it, and besiege it."""
    project = trained_project(folder, backbone)
    scratch = folder / "scratch"
    scratch.mkdir()
    os.environ["TMPDIR"] = str(scratch)
    clip = folder / "sent.avi"
    write_video(clip, pictures(24, 64, 48, 0))
    picture = cv2.imencode(".png", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    with running_server(project) as (process, host, port):
        target = Target(host, port)
        video = clip.read_bytes()
        spoiled = _spoiled(target, QUICK_FORMS if quick else FORMS, video, picture)
        memory = _small(target, process.pid, QUICK_SMALL if quick else SMALL, picture)
        crowds = _crowds(
            target, QUICK_CROWD if quick else CROWD, QUICK_ASKED if quick else ASKED, video
        )
        losses = _losses(target, process.pid, video)
        left = _files(scratch)
        ended, cut = _ended(target, process, video)
    return _outcome(spoiled, memory, crowds, losses, left + _files(scratch), ended, cut)


def _outcome(
    spoiled: Counter[int], memory: Rows, crowds: Rows, losses: Rows, left: int, ended: int,
    cut: Counter[int],
) -> Outcome:  # fmt: skip
    wrong = sum(count for status, count in spoiled.items() if status not in RIGHT)
    wrong += sum(count for status, count in cut.items() if status not in (200, 503, 0))
    wrong += sum(row[-1] for row in losses)  # type: ignore[misc]
    unserved = sum(row[-1] for row in crowds)  # type: ignore[misc]
    growth = max(float(memory[-1][i]) / float(memory[0][i]) for i in (1, 2))  # type: ignore[arg-type]
    return Outcome(
        [
            Table("Forms with bytes changed, moved, doubled or gone", ("status", "answers"),
                  [[status or "broken", count] for status, count in sorted(spoiled.items())]),
            Table("Small pictures, one after the other",
                  ("after", "server MiB", "largest worker MiB"), memory),
            Table("One client beside a crowd of one address with it",
                  ("crowd", "connections", "asked", "median s", "largest s", "not served"), crowds),
            Table("Workers lost under load", ("how", "answers", "wrong"), losses),
            Table("SIGTERM under load", ("status", "answers"),
                  [[status or "not taken", count] for status, count in sorted(cut.items())],
                  [f"The server ended with exit code {ended}."]),
        ],
        [
            Wanted("wrong answers", wrong, 0, "", False),
            Wanted("requests not served beside a crowd", unserved, 0, "", False),
            Wanted("memory at the end over after a tenth", growth, 1.05, "x", False),
            Wanted("files left", left, 0, "", False),
            Wanted("exit code", ended, 0, "", False),
        ],
    )  # fmt: skip


def form(content: bytes) -> bytes:
    """A form with one file, of the boundary "b"."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return head + content + b"\r\n--b--\r\n"


def _spoiled(target: Target, count: int, video: bytes, picture: bytes) -> Counter[int]:
    several = form(picture)[: -len(b"--b--\r\n")] + form(video)
    good = (form(video), form(picture), several)

    def send(number: int) -> int:
        source = random.Random(number)
        kind = "multipart/form-data; boundary=b"
        if number % 10 == 0:
            kind = kind[: source.randrange(len(kind))] or "x"
        return target.post(spoil(good[number % 3], source), kind)

    with ThreadPoolExecutor(SENDERS) as pool:
        return Counter(pool.map(send, range(count)))


def spoil(content: bytes, source: random.Random) -> bytes:
    """A few stretches of it overwritten, taken out, doubled, or all cut off after."""
    data = bytearray(content)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(max(1, min(len(data), 400) if source.random() < 0.7 else len(data)))
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
    return bytes(data)


def _small(target: Target, pid: int, count: int, picture: bytes) -> Rows:
    """A row after each fifth: memory of the server and of the largest worker."""
    rows: Rows = []
    marks = {max(1, count * part // 10) for part in (1, 3, 5, 7, 10)}
    for number in range(1, count + 1):
        target.send(picture)
        if number in marks:
            workers = max(map(resident, descendants(pid)), default=0)
            rows.append([number, resident(pid) / MIB, workers / MIB])
    return rows


def _crowds(target: Target, size: int, asked: int, video: bytes) -> Rows:
    rows: Rows = []
    for name, start in CROWDS.items():
        taken, refused = [], 0
        with _crowd(target, size, start) as opened:
            for _ in range(asked):
                started = time.perf_counter()
                refused += target.send(video) != 200
                refused += not target.healthy()
                taken.append(time.perf_counter() - started)
        rows.append([name, opened, asked, float(np.median(taken)), max(taken), refused])
    return rows


@contextlib.contextmanager
def _crowd(target: Target, size: int, start: bytes) -> Iterator[int]:
    """So many connections with a beginning; whichever is cut is opened again."""
    stop = threading.Event()

    def hold() -> None:
        held: list[socket.socket] = []
        while not stop.is_set():
            for one in [one for one in held if _is_cut(one)]:
                one.close()
                held.remove(one)
            while len(held) < size // SENDERS and not stop.is_set():
                with contextlib.suppress(OSError):
                    one = socket.create_connection((target.host, target.port), timeout=5)
                    one.sendall(start)
                    held.append(one)
            stop.wait(0.1)
        for one in held:
            one.close()

    threads = [threading.Thread(target=hold) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    try:
        yield size // SENDERS * SENDERS
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _is_cut(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(4096) == b"" or True
    except BlockingIOError:
        return False
    except OSError:
        return True


def _losses(target: Target, pid: int, video: bytes) -> Rows:
    """Workers are killed and stopped while clients send; each may cost the file it was at."""
    rows: Rows = []
    for name, number in (("killed", signal.SIGKILL), ("stopped, then killed", signal.SIGSTOP)):
        with ThreadPoolExecutor(SENDERS) as pool:
            sent = [pool.submit(target.send, video) for _ in range(3 * SENDERS)]
            time.sleep(0.5)
            worker = max(descendants(pid), key=resident)
            os.kill(worker, number)
            if number == signal.SIGSTOP:
                time.sleep(2)
                os.kill(worker, signal.SIGKILL)
            statuses = Counter(one.result() for one in sent)
        good = statuses[200]
        lost = statuses[500]
        rows.append([name, good, sum(statuses.values()) - good - min(lost, 1)])
    return rows


def _ended(target: Target, process: object, video: bytes) -> tuple[int, Counter[int]]:
    """SIGTERM while clients send: what is begun is answered."""
    ended: Callable[[float], int] = process.wait  # type: ignore[attr-defined]
    with ThreadPoolExecutor(SENDERS) as pool:
        kind = "multipart/form-data; boundary=b"
        sent = [pool.submit(target.post, form(video), kind) for _ in range(SENDERS)]
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)  # type: ignore[attr-defined]
        statuses = Counter(one.result() for one in sent)
    return ended(PATIENCE), statuses


def _files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))
