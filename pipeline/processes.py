"""Worker processes of which any may crash, hang or be killed at the price of its own task.

Each worker has a pipe of its own and holds one task at a time, so a death is known at once, is
blamed on the right task, and leaves nothing locked for the others. (The pools of the standard
library and of pebble share one queue: a worker killed between two tasks ends the whole run.)
"""

import contextlib
import multiprocessing
import os
import platform
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.errors import ClipcacheError

Task = TypeVar("Task")

START_SECONDS = 300.0  # for a process to start and import what it needs
FAILED_STARTS = 5  # in a row, after which there is no point in going on
IDLE_SECONDS = 1.0  # longest time between two calls of `idle`


class CrashedError(Exception):
    """A worker process ended in the middle of a task; `exit_code` where it is known."""

    def __init__(self, exit_code: int | None) -> None:
        super().__init__("" if exit_code is None else f"exit code {exit_code}")
        self.exit_code = exit_code


class TooSlowError(Exception):
    """A task took longer than allowed; its worker was ended."""


class LostError(Exception):
    """A task went down with its machine, as many `times` as one is willing to try."""

    def __init__(self, times: int) -> None:
        super().__init__(f"{times} times")
        self.times = times


class Ready:
    """The first word of a worker."""


class _Nothing:
    """A worker is still at its task."""


@dataclass
class _Worker(Generic[Task]):
    process: SpawnProcess
    pipe: Connection
    task: Task
    deadline: float
    ready: bool = False

    def give(self, task: Task, seconds: float) -> None:
        """Send it a task; whether it is still alive is found out by waiting for the answer."""
        self.task, self.deadline = task, time.monotonic() + seconds
        with contextlib.suppress(OSError):
            self.pipe.send(task)

    def begin(self, seconds: float) -> None:
        """Let the time for its task run from now."""
        self.ready, self.deadline = True, time.monotonic() + seconds

    def hear(self, speaks: bool) -> Any:
        """What there is to know: `Ready`, its answer, or how it failed; else `_Nothing`."""
        if not speaks:
            return TooSlowError() if time.monotonic() > self.deadline else _Nothing()
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(1.0)  # it is on its way out, with an exit code of its own
            return CrashedError(self.process.exitcode)

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def processor_name() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_in_processes(
    function: Callable[[Task], Any],
    tasks: Iterable[Task],
    *,
    workers: int,
    timeout: float,
    idle: Callable[[], None] = lambda: None,
) -> Generator[tuple[Task, Any], None, None]:
    """Call ``function(task)`` in worker processes, in any order.

    Parameters
    ----------
    function : picklable
    tasks : picklable; taken one by one, when a worker is free
    workers : processes, at least 1
    timeout : seconds for one task
    idle : called at least about every second, also while all workers are busy

    Yields
    ------
    (task, value), or (task, exception): what the function raised, `CrashedError` or `TooSlowError`

    Raises
    ------
    ClipcacheError
        When worker processes cannot be started.
    """
    remaining = iter(tasks)
    again: list[Task] = []  # tasks of workers that died before they began
    team: list[_Worker[Task]] = []
    failed_starts = 0

    def next_task() -> Task | None:
        return again.pop() if again else next(remaining, None)

    try:
        while True:
            while len(team) < workers and (task := next_task()) is not None:
                team.append(_start(function, task))
            if not team:
                return
            left = min(worker.deadline for worker in team) - time.monotonic()
            patience = min(IDLE_SECONDS, max(left, 0.0))
            heard = wait([worker.pipe for worker in team], timeout=patience)
            for worker in list(team):
                answer = worker.hear(worker.pipe in heard)
                if isinstance(answer, Ready):
                    worker.begin(timeout)
                    failed_starts = 0
                if isinstance(answer, _Nothing | Ready):
                    continue
                done = worker.task
                lost = isinstance(answer, CrashedError | TooSlowError)
                upcoming = None if lost else next_task()
                if upcoming is None:
                    team.remove(worker)
                    worker.kill()
                else:
                    worker.give(upcoming, timeout)
                if worker.ready:
                    yield done, answer
                    continue
                again.append(done)
                failed_starts += 1
                if failed_starts == FAILED_STARTS:
                    raise ClipcacheError(
                        f"The worker processes end as soon as they start ({answer}): see what "
                        "stands above, or try with fewer of them."
                    )
            idle()
    finally:
        for worker in team:
            worker.kill()


def start_process(function: Callable[[Task], Any]) -> tuple[SpawnProcess, Connection]:
    """Start a worker process, which ends with this one.

    Returns
    -------
    The process, and a pipe: out of it comes `Ready`, then for each task that is sent into it
    ``function(task)``, or the exception that it raised. When the process dies, the pipe ends.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(function, theirs), daemon=True)
    process.start()
    theirs.close()  # so that its death closes the pipe
    return process, ours


def _start(function: Callable[[Task], Any], task: Task) -> "_Worker[Task]":
    worker = _Worker(*start_process(function), task, 0.0)
    worker.give(task, START_SECONDS)
    return worker


def _work(function: Callable[[Task], Any], pipe: Connection) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process alone answers Ctrl-C
    threading.Thread(target=follow_parent, daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # no one listens
        pipe.send(Ready())
        while True:
            pipe.send(attempt(function, pipe.recv()))


def attempt(function: Callable[[Task], Any], task: Task) -> Any:
    """What the function gives for a task, or the exception that it raises, with a note on where."""
    try:
        return function(task)
    except Exception as error:
        error.add_note(f"In a worker process:\n{traceback.format_exc()}")
        return error


def follow_parent() -> None:
    """Never outlive the main process, however it ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
