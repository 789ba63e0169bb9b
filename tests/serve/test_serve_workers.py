"""The pool of workers: what it does with functions that fail, hang or cannot be prepared."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pipeline.errors import ClipcacheError, ModelError
from pipeline.serve.prediction_workers import NICENESS, Function, PredictionWorkers, Report
from pipeline.serve.refusals import Refusal, undecodable


def act(task: Any, report: Report) -> Any:
    """In a worker: do as the task says."""
    if task is None:
        return None
    what, value = task
    if what == "refuse":
        raise undecodable(value)
    if what == "fail":
        raise ValueError(value)
    if what == "sleep":
        time.sleep(value)
    if what == "count":
        for done in range(value):
            report(done + 1, value, done / 2)
            time.sleep(0.3)
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "nice":
        return os.nice(0)
    return value


def unprepared(task: Any, report: Report) -> Any:
    raise ModelError("The model is not there: train one.")


def dead(task: Any, report: Report) -> Any:
    os._exit(3)


def run(
    check: Callable[[PredictionWorkers], Awaitable[None]], function: Function = act,
    *, count: int = 1, queue: int = 1, seconds: float = 30.0,
) -> None:  # fmt: skip
    """Call ``check`` with a pool that has started."""

    async def main() -> None:
        workers = PredictionWorkers(function, count=count, queue=queue, seconds=seconds)
        try:
            await workers.start()
            await check(workers)
        finally:
            await workers.close()

    asyncio.run(main())


async def status_of(work: Awaitable[Any]) -> int:
    with pytest.raises(Refusal) as caught:
        await work
    return caught.value.status


def test_answers_and_errors_come_back() -> None:
    async def check(workers: PredictionWorkers) -> None:
        assert await workers.ask(("echo", 7)) == 7
        assert await workers.ask(("nice", 0)) == min(19, os.nice(0) + NICENESS)
        assert await status_of(workers.ask(("refuse", "so it is"))) == 422
        with pytest.raises(ValueError, match="a bug") as caught:
            await workers.ask(("fail", "a bug"))
        assert "In a worker process" in caught.value.__notes__[0]
        assert workers.restarts == 0

    run(check)


def test_a_task_that_hangs_is_given_up_and_the_next_one_answered() -> None:
    async def check(workers: PredictionWorkers) -> None:
        assert await status_of(workers.ask(("sleep", 60))) == 504
        assert await workers.ask(("echo", 1)) == 1
        assert workers.restarts == 1

    run(check, seconds=1.0)


def test_a_task_that_kills_its_worker_costs_itself() -> None:
    async def check(workers: PredictionWorkers) -> None:
        assert await status_of(workers.ask(("die", None))) == 500
        assert await workers.ask(("echo", 1)) == 1

    run(check)


def test_places_are_counted_and_given_back() -> None:
    async def check(workers: PredictionWorkers) -> None:
        busy = [asyncio.create_task(workers.ask(("sleep", 60))) for _ in range(2)]
        await asyncio.sleep(0)
        assert await status_of(workers.ask(("echo", 1))) == 503
        await asyncio.sleep(0.1)
        assert (workers.running, workers.waiting) == (1, 1)
        for task in busy:
            task.cancel()
        await asyncio.wait(busy)
        assert await workers.ask(("echo", 1)) == 1  # after the abandoned worker was replaced
        assert workers.restarts == 1
        assert workers.waiting == 0

    run(check)


def test_it_is_told_how_far_a_task_is() -> None:
    async def check(workers: PredictionWorkers) -> None:
        told: list[tuple[int, int, float]] = []
        with workers.place():
            await workers.answer(("count", 4), lambda *how_far: told.append(how_far))
        assert (1, 4, 0.0) in told
        assert told[-1] == (4, 4, 1.5)
        assert told == sorted(told)

    run(check)


def test_a_worker_that_cannot_be_prepared_is_an_error_at_the_start() -> None:
    async def never(workers: PredictionWorkers) -> None:
        pytest.fail("it started")

    with pytest.raises(ModelError, match="train one"):
        run(never, unprepared)
    with pytest.raises(ClipcacheError, match="end as soon as they start"):
        run(never, dead)
