"""Every command and client of docs/serve.md, against a server that runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clone import ROOT
from hostile_files import picture
from serving import Server

PAGE = (ROOT / "docs/serve.md").read_text()
BLOCK = re.compile(
    r"^```(\w+)\n(.*?)^```(?:\n\n```(?:json)?\n(.*?)^```)?", re.DOTALL | re.MULTILINE
)
BLOCKS = [match.groups() for match in BLOCK.finditer(PAGE)]
CURL = [(code, shown) for kind, code, shown in BLOCKS if kind == "sh" and "curl" in code]

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.fixture
def folder(clip: Path, tmp_path: Path) -> Path:
    """clip.mp4, other.png and README.md."""
    shutil.copy(clip, tmp_path / "clip.mp4")
    (tmp_path / "other.png").write_bytes(picture())
    (tmp_path / "README.md").write_text("no video\n")
    return tmp_path


def code_of(kind: str, server: Server) -> str:
    (code,) = (code for found, code, _ in BLOCKS if found == kind)
    return code.replace("http://127.0.0.1:8000", server.url)


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", range(len(CURL)))
def test_curl(folder: Path, server: Server, number: int) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    code, shown = CURL[number]
    out = run(folder, "bash", "-euc", code.replace("http://127.0.0.1:8000", server.url))
    if "event-stream" in code:
        names = re.findall(r"^event: (\w+)", out, re.MULTILINE)
        assert set(names) == set(re.findall(r"^event: (\w+)", shown, re.MULTILINE))
        return
    answer, told = json.loads(out), json.loads(shown)
    assert list(answer) == list(told)
    if "action" in told:
        assert answer["action"] == told["action"]
        assert answer["seconds"] == told["seconds"]
    else:
        assert answer == told


def test_python(folder: Path, server: Server) -> None:
    out = run(folder, sys.executable, "-c", code_of("python", server))
    lines = dict(line.split() for line in out.splitlines())
    assert lines["clip.mp4"] == "walk"
    assert set(lines) == {"clip.mp4", "other.png"}


def test_javascript(folder: Path, server: Server) -> None:
    node = shutil.which("node")
    version = run(folder, node, "--version") if node else "v0"
    if int(version[1:].partition(".")[0]) < 20:
        pytest.skip("there is no Node 20 here")
    (folder / "client.mjs").write_text(code_of("js", server))
    assert run(folder, str(node), "client.mjs").startswith("walk 0.")


def test_the_limits_that_the_page_names_are_those_of_the_code() -> None:
    from pipeline.serve.app import TOGETHER
    from pipeline.serve.settings import Crowd, Limits, Settings

    crowd, limits = Crowd(), Limits()
    for text in (
        f"{crowd.client_connections} of {crowd.connections} connections",
        f"{crowd.client_uploads} of {crowd.uploads}\nuploads",
        f"half of the room for {crowd.files} of the largest files",
        f"`--max-bytes` {limits.bytes >> 20} MiB a file, four times that a request, "
        f"{limits.files} files",
        f"`--upload-timeout` {limits.upload_seconds:g} s, or {limits.pause_seconds:g} s without a "
        f"byte; {crowd.head_seconds:g} s for the head",
        f"`--max-seconds` {limits.seconds:g}, `--max-frames` {limits.frames}",
        f"`--max-pixels` {limits.pixels}",
        f"`--timeout` {limits.work_seconds:g} s",
        f"`--queue` {Settings.queue}",
        f"already sends {crowd.client_uploads} files",
    ):
        assert text in PAGE, text
    assert TOGETHER == 4


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    (code,) = (code for kind, code, _ in BLOCKS if kind == "ini")
    unit = tmp_path / "clipcache.service"
    unit.write_text(code.replace("/opt/clipcache/bin/clipcache", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"SYSTEMD_LOG_LEVEL": "warning"},
    )  # fmt: skip
    about = [line for line in done.stderr.splitlines() if "clipcache" in line]
    assert (done.returncode, about) == (0, [])


def test_the_image_runs_without_rights() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    user = next(place for place, line in enumerate(lines) if line == "USER clipcache")
    command = next(place for place, line in enumerate(lines) if line.startswith("CMD"))
    assert user < command
    assert not [line for line in lines[user + 1 :] if line.startswith("USER")]
