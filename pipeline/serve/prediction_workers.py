"""A few long-lived worker processes that answer requests, and the queue in front of them.

What a hostile file can do to a decoder it does in one of these: a worker that crashes, hangs or is
killed costs the request it was at, and another one takes its place. They run at a lower priority
than the server, so that it answers at once while they compute.
"""

import asyncio
import contextlib
import ctypes
import logging
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipeline.errors import ClipcacheError
from pipeline.processes import (
    START_SECONDS,
    CrashedError,
    Ready,
    TooSlowError,
    start_process,
)
from pipeline.serve import refusals
from pipeline.serve.refusals import Refusal

NICENESS = 5  # of a worker, on top of the server's own
ABANDONED_SECONDS = 2.0  # for a worker whose asker is gone; to start another one costs as much
LONGEST_PAUSE = 30.0  # seconds between two attempts to start a worker
MOST_RETRY = 60  # seconds
LOOK_SECONDS = 0.25  # between two looks at how far a worker is

# A worker's function: called with a task, and with what tells how far it is.
Report = Callable[[int, int, float], None]
Function = Callable[[Any, Report], Any]

logger = logging.getLogger("clipcache.serve")


class PredictionWorkers:
    """A pool of processes, used from one event loop.

    Parameters
    ----------
    function : picklable; called in the workers with each task, and first with None: prepare; its
        second argument takes three numbers that say how far it is
    count : processes
    queue : tasks that may wait for a worker
    seconds : for one task

    Attributes
    ----------
    restarts : workers that were replaced since the start
    running : tasks that workers are at
    """

    def __init__(self, function: Function, *, count: int, queue: int, seconds: float) -> None:
        self.restarts = 0
        self.running = 0
        self._function = function
        self._count = count
        self._places = count + queue
        self._seconds = seconds
        self._workers: set[_Worker] = set()
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._admitted = 0
        self._typical = 1.0  # seconds of a task
        self._closing = False
        self._hopeless = False  # whether the last attempt to start a worker failed
        self._tasks: set[asyncio.Task[Any]] = set()
        # A thread for each worker that is spoken to, and for one more that is being started.
        self._threads = ThreadPoolExecutor(2 * count, "clipcache-worker")

    @property
    def waiting(self) -> int:
        """Tasks that wait for a worker."""
        return max(0, self._admitted - self.running)

    @property
    def ready(self) -> int:
        """Workers with the model loaded."""
        return sum(worker.prepared for worker in self._workers)

    async def start(self) -> None:
        """Start all workers; returns when all are ready.

        Raises
        ------
        ClipcacheError
            When a worker cannot be started; what the function raised, where it was that.
        """
        try:
            await asyncio.gather(*(self._start_one() for _ in range(self._count)))
        except (CrashedError, _NeverBegunError) as error:
            raise ClipcacheError(
                f"The worker processes end as soon as they start ({error}): see what stands above."
            ) from None

    async def close(self) -> None:
        """End all workers, whatever they do."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        for worker in list(self._workers):
            self._forget(worker)
            worker.kill()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def check_room(self) -> None:
        """Raise the refusal that a task would meet now, before its file is received."""
        if self._closing or (self._hopeless and not self._workers):
            sentence = "No worker is ready: the server is starting or ending."
            raise Refusal(503, sentence, {"Retry-After": "5"})
        if self._admitted >= self._places:
            seconds = math.ceil(self._admitted * self._typical / self._count)
            raise refusals.busy(min(MOST_RETRY, max(1, seconds)))

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue, for tasks that are done one after the other.

        Raises
        ------
        Refusal
            When the queue is full.
        """
        self.check_room()
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def ask(self, task: Any) -> Any:
        """As `answer`, in a place of its own."""
        with self.place():
            return await self.answer(task)

    async def answer(self, task: Any, seen: Report | None = None) -> Any:
        """What the function returns for a task; whoever asks has a place.

        Cancelling gives a worker that is already at the task a moment to end, and then replaces it.

        Parameters
        ----------
        seen : called a few times a second with how far the worker is

        Raises
        ------
        Refusal
            When the worker was lost, or the task took too long.
        Exception
            What the function raised.
        """
        answer: Any = _NeverBegunError()
        while isinstance(answer, _NeverBegunError):
            worker = await self._next()
            work = self._keep(self._run(worker, task))
            try:
                while seen is not None and not work.done():
                    await asyncio.wait({work}, timeout=LOOK_SECONDS)
                    seen(*worker.progress())
                answer = await asyncio.shield(work)
            except asyncio.CancelledError:
                loop = asyncio.get_running_loop()
                loop.call_later(ABANDONED_SECONDS, _kill_unless_done, worker, work)
                raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _next(self) -> "_Worker":
        while (worker := await self._idle.get()) not in self._workers:
            pass  # it died while it waited
        return worker

    async def _run(self, worker: "_Worker", task: Any) -> Any:
        """The answer, or the exception that stands for it."""
        started = time.monotonic()
        self.running += 1
        try:
            answer = await self._in_thread(worker.ask, task, self._seconds)
        except CrashedError as error:
            logger.error("A worker ended in the middle of a request (%s).", error)
            return Refusal(
                500,
                "The worker process ended while it was at this file; another one takes its place.",
            )
        except TooSlowError:
            return Refusal(
                504,
                f"The file took more than {self._seconds:g} seconds to recognise and was given up.",
            )
        except _NeverBegunError as error:
            return error
        finally:
            self.running -= 1
        self._typical += 0.2 * (time.monotonic() - started - self._typical)
        self._idle.put_nowait(worker)
        return answer

    async def _start_one(self) -> None:
        """One more worker, which is in `_idle` when this returns."""
        worker = await self._in_thread(_Worker, self._function)
        if self._closing:
            worker.kill()
            return
        self._workers.add(worker)
        try:
            await self._in_thread(worker.prepare)
        except BaseException:
            self._workers.discard(worker)
            worker.kill()
            raise
        asyncio.get_running_loop().add_reader(worker.sentinel, self._bury, worker)
        self._idle.put_nowait(worker)
        self._hopeless = False

    def _bury(self, worker: "_Worker") -> None:
        """A worker is dead, whether it was at work or idle: start another one."""
        self._forget(worker)
        worker.kill()
        if not self._closing:
            self.restarts += 1
            self._keep(self._replace())

    async def _replace(self) -> None:
        pause = 1.0
        while not self._closing:
            try:
                await self._start_one()
                return
            except (CrashedError, TooSlowError, _NeverBegunError, ClipcacheError, OSError) as error:
                self._hopeless = True
                logger.error("A worker cannot be started: %s", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _forget(self, worker: "_Worker") -> None:
        self._workers.discard(worker)
        asyncio.get_running_loop().remove_reader(worker.sentinel)

    def _keep(self, work: Any) -> "asyncio.Task[Any]":
        """Run a coroutine on its own; the event loop itself keeps no reference to a task."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)


class _NeverBegunError(Exception):
    """A worker died while it was idle, and nobody had noticed: another one can do its task."""


class _Worker:
    """One process and the pipe to it. Its methods block, except `kill`."""

    def __init__(self, function: Function) -> None:
        self.prepared = False
        context = multiprocessing.get_context("spawn")
        self._calls = context.RawValue(ctypes.c_long, 0)
        self._progress = context.RawArray(ctypes.c_double, 3)
        self._process, self._pipe = start_process(_Polite(function, self._calls, self._progress))

    @property
    def sentinel(self) -> int:
        """A descriptor that becomes readable when the process ends."""
        return self._process.sentinel

    def progress(self) -> tuple[int, int, float]:
        """What the function has last told."""
        done, total, seconds = self._progress
        return int(done), int(total), seconds

    def prepare(self) -> None:
        """Wait until it can take tasks."""
        deadline = time.monotonic() + START_SECONDS
        while not isinstance(self._hear(deadline), Ready):
            pass
        answer = self.ask(None, deadline - time.monotonic())
        if isinstance(answer, Exception):
            raise answer
        self.prepared = True

    def ask(self, task: Any, seconds: float) -> Any:
        """The answer to a task, or the exception that it raised, returned.

        Raises
        ------
        CrashedError, TooSlowError, _NeverBegunError
            The process is dead then.
        """
        calls = self._calls.value
        try:
            with contextlib.suppress(OSError):  # its death is found out by waiting for the answer
                self._pipe.send(task)
            return self._hear(time.monotonic() + seconds)
        except CrashedError:
            if self._calls.value == calls:
                raise _NeverBegunError from None
            raise

    def _hear(self, deadline: float) -> Any:
        try:
            if not self._pipe.poll(max(0.0, deadline - time.monotonic())):
                self.kill()
                raise TooSlowError
            return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(1.0)
            raise CrashedError(self._process.exitcode) from None

    def kill(self) -> None:
        """End the process; the pipe ends with it."""
        self._process.kill()


class _Polite:
    """The function as the worker calls it; the first call makes the process a good citizen."""

    def __init__(self, function: Function, calls: Any, progress: Any) -> None:
        self._function = function
        self._calls = calls
        self._progress = progress

    def __call__(self, task: Any) -> Any:
        self._calls.value += 1
        self._report(0, 0, 0.0)
        if task is None:
            os.nice(NICENESS)
            # Whoever ends a service signals all of its processes: the answers that are on their
            # way come first, then the server ends the workers.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return self._function(task, self._report)

    def _report(self, done: int, total: int, seconds: float) -> None:
        self._progress[:] = done, total, seconds


def _kill_unless_done(worker: _Worker, work: "asyncio.Task[Any]") -> None:
    if not work.done():
        worker.kill()
