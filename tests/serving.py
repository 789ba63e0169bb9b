"""A server of its own for a test module: `clipcache serve` as a process, on a port that is free."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from clone import ROOT
from hostile_files import MOST_BYTES

START_SECONDS = 120.0


@dataclass
class Server:
    """A server that runs.

    Attributes
    ----------
    url : without a slash at its end
    scratch : where it keeps temporary files, and nothing else does
    log : what it has written so far
    """

    process: subprocess.Popen
    scratch: Path
    url: str = ""
    log: list[str] = field(default_factory=list)

    def files(self) -> list[Path]:
        """Temporary files that are there now."""
        return [path for path in self.scratch.rglob("*") if path.is_file()]

    def workers(self) -> list[int]:
        """Process ids of its workers."""
        found = []
        for children in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for pid in map(int, children.read_text().split()):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def wait_until_ready(self, workers: int = 1) -> None:
        """Wait until so many workers have the model loaded."""
        deadline = time.monotonic() + START_SECONDS
        while httpx.get(f"{self.url}/health").json()["workers"] < workers:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def stop(self) -> int:
        """End it as a service manager would; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextlib.contextmanager
def running_server(model: Path, scratch: Path, *options: str) -> Iterator[Server]:
    """``clipcache serve`` with the model and these options, ended afterwards."""
    scratch.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "TMPDIR": str(scratch),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "serve", "--model", str(model), "--port", "0", *options],
        cwd=scratch, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    server = Server(process, scratch)
    found = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            server.log.append(line)
            if match := re.search(r"Serving on (http://[^\s\"]+)", line):
                server.url = match[1]
                found.set()
        found.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        found.wait(START_SECONDS)
        assert server.url, "".join(server.log)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def small_server(model: Path, scratch: Path) -> contextlib.AbstractContextManager[Server]:
    """A server of one worker, one place in the queue and small limits."""
    options = ("--no-ui", "--workers", "1", "--queue", "1", "--max-bytes", str(MOST_BYTES),
               "--max-seconds", "60", "--max-frames", "900", "--max-pixels", "2000000",
               "--upload-timeout", "2", "--cors", "https://example.org")  # fmt: skip
    return running_server(model, scratch, *options)


def raw(server: Server) -> socket.socket:
    """A connection to it."""
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


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
