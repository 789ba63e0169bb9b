"""Run a command, watch the memory of all its processes, and end it at a limit."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.workspace import environment

POLL_SECONDS = 0.02


@dataclass
class Watched:
    """How a command went.

    Attributes
    ----------
    ended : "done", "memory", "time" or "failed"
    seconds : by the clock, start of the process included
    main_peak : bytes, most memory of the command's own process
    child_peak : bytes, most memory of any process below it, 0 without one
    lines : the lines of JSON on its standard output
    error : end of its standard error
    """

    ended: str = "done"
    seconds: float = 0.0
    main_peak: int = 0
    child_peak: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""


def watch(
    command: Sequence[str],
    folder: Path,
    *,
    memory: int | None = None,
    seconds: float | None = None,
    **variables: str,
) -> Watched:
    """Run a command.

    The kernel keeps the highest resident memory of every process (VmHWM); what is read here
    misses nothing but the last moments of a process.

    Parameters
    ----------
    memory : bytes of resident memory of one process at which the command is killed
    seconds : after which it is killed
    variables : added to its environment
    """
    result = Watched()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment(**variables), stdout=output, stderr=errors,
            start_new_session=True,
        )  # fmt: skip
        try:
            _follow(process, result, started, memory, seconds)
        finally:  # also when somebody presses Ctrl-C here
            if process.poll() is None:
                _kill([process.pid, *descendants(process.pid)])
                process.wait()
        result.seconds = time.perf_counter() - started
        if result.ended == "done" and process.returncode:
            result.ended = "memory" if process.returncode == -signal.SIGKILL else "failed"
        output.seek(0)
        errors.seek(0)
        result.lines = [json.loads(line) for line in output if line.startswith("{")]
        result.error = errors.read()[-2000:]
    return result


def _follow(
    process: subprocess.Popen[bytes], result: Watched, started: float,
    memory: int | None, seconds: float | None,
) -> None:  # fmt: skip
    """Note the peaks until the command ends or goes over a limit."""
    while process.poll() is None:
        result.main_peak = max(result.main_peak, _peak(process.pid))
        command = _command(process.pid)
        # A new process shares its maker's memory, and command line, until it starts its program.
        below = [pid for pid in descendants(process.pid) if _command(pid) not in (command, b"")]
        result.child_peak = max([result.child_peak, *map(_peak, below)])
        if memory is not None and max(result.main_peak, result.child_peak) > memory:
            result.ended = "memory"
        elif seconds is not None and time.perf_counter() - started > seconds:
            result.ended = "time"
        if result.ended != "done":
            return
        time.sleep(POLL_SECONDS)


def _peak(pid: int) -> int:
    """Highest resident memory so far, bytes; 0 when the process is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0


def _command(pid: int) -> bytes:
    """The command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descendants(pid: int) -> list[int]:
    """Process ids of all processes below one."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                below = [int(child) for child in children.read_text().split()]
            except OSError:
                continue
            found += below
            waiting += below
    return found


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
