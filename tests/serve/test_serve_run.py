"""How the server starts and ends: in one sentence where it cannot, and with nothing left behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from sample_model import unseen_clip
from serving import ROOT, running_server

from pipeline.errors import ClipcacheError
from pipeline.serve.run import model_digest, serve
from pipeline.serve.settings import Settings


def start(folder: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "serve", *options],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def sentence(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    assert "run `clipcache train` first" in sentence(start(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named(sample_model: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = start(tmp_path, "--model", str(sample_model), "--port", port, "--no-ui")
    assert f"cannot listen on 127.0.0.1, port {port}" in sentence(done)


def test_a_damaged_model_ends_it_before_it_listens(sample_model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(sample_model, broken)
    for network in broken.glob("head.*"):
        network.write_bytes(network.read_bytes()[:100])
    message = sentence(start(tmp_path, "--model", str(broken), "--port", "0", "--no-ui"))
    assert "broken" in message
    assert list(tmp_path.iterdir()) == [broken]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pipeline.serve.run.NEEDED", ("fastapi", "no_such_package"))
    with pytest.raises(ClipcacheError, match=r"no_such_package: run `make extras`"):
        serve(Settings(model=tmp_path))


def test_the_digest_is_of_the_whole_model(sample_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sample_model, copy)
    before = model_digest(sample_model)
    assert model_digest(copy) == before
    with (copy / "model.json").open("a") as stream:
        stream.write(" ")
    assert model_digest(copy) != before


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is not dead and only not yet noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_request_in_flight_is_answered_before_it_ends(sample_model: Path, tmp_path: Path) -> None:
    """A killed server's folder is swept by the next one, which leaves nothing of its own."""
    scratch = tmp_path / "scratch"
    clip = unseen_clip(sample_model, "walk")
    options = ("--no-ui", "--workers", "1")
    with running_server(sample_model, scratch, *options) as killed:
        workers = killed.workers()
        (folder,) = scratch.iterdir()
        (folder / "upload").write_bytes(b"half a file")
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
    assert folder.exists()
    with running_server(sample_model, scratch, *options) as server:
        assert not folder.exists()
        deadline = time.monotonic() + 20
        while any(map(runs, workers)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        answers: list[httpx.Response] = []

        def ask() -> None:
            with clip.open("rb") as stream:
                url = f"{server.url}/predict"
                answers.append(httpx.post(url, files={"file": stream}, timeout=120))

        asking = threading.Thread(target=ask)
        asking.start()
        with httpx.Client(base_url=server.url) as client:
            while "clipcache_workers_busy 1.0" not in client.get("/metrics").text:
                assert asking.is_alive()
        for pid in server.workers():
            os.kill(pid, signal.SIGTERM)  # as a service manager does, to all of its processes
        assert server.stop() == 0
        asking.join()
        assert answers[0].json()["action"] == "walk"
    assert list(scratch.iterdir()) == []


def test_every_request_has_a_line_of_json(sample_model: Path, tmp_path: Path) -> None:
    clip = unseen_clip(sample_model, "walk")
    options = ("--no-ui", "--workers", "1", "--log", "json", "--threshold", "1")
    with running_server(sample_model, tmp_path / "s", *options) as server:
        headers = {"X-Request-ID": "mine", "X-Forwarded-For": "203.0.113.9"}
        with clip.open("rb") as stream:
            files = {"file": ('a\n{"event": "forged"}', stream)}
            answer = httpx.post(f"{server.url}/v1/predict", files=files, headers=headers)
        assert answer.json()["action"] == "unsure"
        assert "best guess, walk" in answer.json()["doubts"][0]
        httpx.get(f"{server.url}/nothing")
        unsure = httpx.get(f"{server.url}/metrics").text
        assert "clipcache_predictions_unsure_total 1.0" in unsure
        assert 'clipcache_predictions_total{label="walk"} 1.0' in unsure
        assert server.stop() == 0
    lines = [json.loads(line) for line in server.log]
    assert [line["event"] for line in lines] == ["note", "note", *3 * ["request"]]
    first, second, _ = lines[2:]
    assert first["id"] == "mine"
    assert first["client"] == "127.0.0.1"  # whatever anybody forwards
    assert (first["route"], first["status"], first["action"]) == ("/v1/predict", 200, "unsure")
    assert first["bytes_in"] > clip.stat().st_size
    assert (second["route"], second["status"]) == ("none", 404)


def test_only_the_proxy_that_is_named_says_who_the_client_is(
    sample_model: Path, tmp_path: Path
) -> None:
    options = ("--no-ui", "--workers", "1", "--log", "json", "--proxy", "127.0.0.1")
    with running_server(sample_model, tmp_path / "s", *options) as server:
        headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
        assert httpx.get(f"{server.url}/health", headers=headers).status_code == 200
        assert server.stop() == 0
    assert json.loads(server.log[-1])["client"] == "203.0.113.9"  # who spoke to the proxy


def test_a_worker_that_is_stopped_costs_the_file_it_is_at(
    sample_model: Path, tmp_path: Path
) -> None:
    options = ("--no-ui", "--workers", "1", "--timeout", "4")
    content = unseen_clip(sample_model, "walk").read_bytes()
    with running_server(sample_model, tmp_path / "s", *options) as server:
        (worker,) = server.workers()
        os.kill(worker, signal.SIGSTOP)
        answer = httpx.post(f"{server.url}/v1/predict", files={"file": content}, timeout=60)
        assert answer.status_code == 504
        assert "4 seconds" in answer.json()["detail"]
        answer = httpx.post(f"{server.url}/v1/predict", files={"file": content}, timeout=60)
        assert answer.json()["action"] == "walk"
        assert server.files() == []
        assert not runs(worker)


def test_a_server_that_is_stopped_and_goes_on_is_as_before(
    sample_model: Path, tmp_path: Path
) -> None:
    content = unseen_clip(sample_model, "walk").read_bytes()
    with running_server(sample_model, tmp_path / "s", "--no-ui", "--workers", "1") as server:
        os.kill(server.process.pid, signal.SIGSTOP)
        answers: list[httpx.Response] = []

        def ask() -> None:
            url = f"{server.url}/v1/predict"
            answers.append(httpx.post(url, files={"file": content}, timeout=60))

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(1.5)
        os.kill(server.process.pid, signal.SIGCONT)
        asking.join()
        assert answers[0].json()["action"] == "walk"
        assert server.stop() == 0
    assert list((tmp_path / "s").iterdir()) == []
