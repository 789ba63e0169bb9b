"""The server under load: 16 clients that send clips as fast as they are answered."""

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from bench.clips import pictures, write_video
from bench.tables import Outcome, Rows, Table, Wanted
from bench.watch import descendants
from bench.workspace import ROOT, clipcache, environment, trained_project

CLIENTS = 16
SECONDS, QUICK_SECONDS = 60, 6
WARM_UP, QUICK_WARM_UP = 20, 2  # seconds of load before anything is noted
REAL = ROOT.parent / "shared" / "data" / "weizmann"
CLIPS = 30  # different clips that are sent
PAUSE = 1.0  # seconds after a 503, less than it asks for
PARTS = 6  # of the time, for the series
MIB = 2**20

# In a process of its own, so that what is measured is the server and not the senders.
PROBE = """
import http.client, json, sys, time
host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
end = time.perf_counter() + seconds
taken = []
while time.perf_counter() < end:
    started = time.perf_counter()
    connection = http.client.HTTPConnection(host, port, timeout=30)
    connection.request("GET", "/health")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    taken.append((time.perf_counter() - started, answer.status))
    time.sleep(0.05)
print(json.dumps(taken))
"""


@dataclass
class Load:
    """What the clients saw.

    Attributes
    ----------
    statuses : how often each status came; "broken" for a connection that failed
    seconds : of each request that was answered with 200
    """

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    noting: bool = False
    stop: bool = False


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Train a model on generated clips, serve it, and send it clips."""
    project = trained_project(folder, backbone)
    clips, what = _clips(folder)
    warm_up, seconds = (QUICK_WARM_UP, QUICK_SECONDS) if quick else (WARM_UP, SECONDS)
    with running_server(project) as (process, host, port):
        load = Load()
        clients = [
            threading.Thread(target=_send, args=(load, host, port, clips, number), daemon=True)
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        time.sleep(warm_up)
        load.noting = True
        probe = subprocess.Popen(
            [sys.executable, "-c", PROBE, host, str(port), str(seconds)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        memory = _memory(process.pid, seconds)
        health = json.loads(probe.communicate()[0])
        load.noting, load.stop = False, True
        for client in clients:
            client.join(90)
        process.send_signal(signal.SIGTERM)
        ended = process.wait(90)
    return _outcome(load, health, memory, seconds, what, ended)


def _outcome(
    load: Load, health: list[tuple[float, int]], memory: Rows, seconds: float, what: str, ended: int
) -> Outcome:
    taken = 1e3 * np.array([one for one, _ in health])
    answered = np.array(load.seconds)
    quantiles = np.quantile(answered, (0.5, 0.99)) if len(answered) else (0.0, 0.0)
    wrong = sum(count for status, count in load.statuses.items() if status not in ("200", "503"))
    wrong += sum(status != 200 for _, status in health) + (ended != 0)
    first, last = memory[0], memory[-1]
    growth = max(float(last[i]) / float(first[i]) for i in (1, 2))  # type: ignore[arg-type]
    return Outcome(
        [
            Table(
                f"{CLIENTS} clients for {seconds:g} s", ("status", "answers"),
                [[status, count] for status, count in sorted(load.statuses.items())],
                [f"{what}; {len(answered) / seconds:.1f} clips a second, answered in "
                 f"{quantiles[0]:.2f} s (median), {quantiles[1]:.2f} s (99 %).",
                 f"After a 503 a client waits {PAUSE:g} s, less than Retry-After asks for."],
            ),
            Table(
                "/health meanwhile", ("requests", "median ms", "99 % ms", "largest ms"),
                [[len(taken), *map(float, np.quantile(taken, (0.5, 0.99, 1.0)))]],
                ["Asked every 50 ms by a process of its own, with a new connection each time."],
            ),
            Table(
                "Resident memory, after the warm-up",
                ("from second", "server MiB", "largest worker MiB"), memory,
                ["Means over the part."],
            ),
        ],
        [
            Wanted("answers other than 200 and 503", wrong, 0, "", False),
            Wanted("/health at most", float(taken.max()), 100.0, "ms", False),
            Wanted("memory at the end over after warm-up", growth, 1.05, "x", False),
        ],
    )  # fmt: skip


def _clips(folder: Path) -> tuple[list[bytes], str]:
    """Files to send, and what they are."""
    if REAL.is_dir():
        found = sorted(REAL.rglob("*.avi"))
        chosen = found[:: max(1, len(found) // CLIPS)][:CLIPS]
        return [path.read_bytes() for path in chosen], f"{len(chosen)} real clips (Weizmann)"
    made = []
    for seed in range(4):
        path = folder / f"sent{seed}.avi"
        write_video(path, pictures(60, 180, 144, seed))
        made.append(path.read_bytes())
    return made, f"{len(made)} generated clips"


@contextlib.contextmanager
def running_server(project: Path) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    process = subprocess.Popen(
        clipcache("serve", "--port", "0"), cwd=project, env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"Serving on (\S+)", line):
                address = urlsplit(found[1])
                yield process, str(address.hostname), int(address.port or 0)
                return
        raise RuntimeError("the server did not start")
    finally:
        process.kill()
        process.wait()


def _send(load: Load, host: str, port: int, clips: list[bytes], number: int) -> None:
    """One client: clip after clip, each with a connection of its own."""
    boundary = uuid.uuid4().hex
    head = (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="clip"\r\n\r\n'
            ).encode()  # fmt: skip
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    while not load.stop:
        number += 1
        body = head + clips[number % len(clips)] + f"\r\n--{boundary}--\r\n".encode()
        started = time.perf_counter()
        try:
            connection = http.client.HTTPConnection(host, port, timeout=90)
            connection.request("POST", "/predict", body, headers)
            answer = connection.getresponse()
            answer.read()
            connection.close()
            status = str(answer.status)
        except OSError:
            status = "broken"
        if load.noting:
            load.statuses[status] += 1
            if status == "200":
                load.seconds.append(time.perf_counter() - started)
        if status == "503":
            time.sleep(PAUSE)


def _memory(pid: int, seconds: float) -> Rows:
    """A row for each part of the time: its first second, the server's and a worker's MiB."""
    rows: Rows = []
    for part in range(PARTS):
        end = time.perf_counter() + seconds / PARTS
        server, workers = [], []
        while time.perf_counter() < end:
            server.append(resident(pid))
            workers.append(max(map(resident, descendants(pid)), default=0))
            time.sleep(0.5)
        rows.append([part * seconds / PARTS, *(float(np.mean(x)) / MIB for x in (server, workers))])
    return rows


def resident(pid: int) -> int:
    """Bytes of resident memory; 0 when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else 0
