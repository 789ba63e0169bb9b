"""Side-by-side timing: every contender lives in processes of its own, and they take turns.

Other programs' load comes and goes in minutes, so nothing is ever timed in one block: in each
round every contender runs once, in an order that changes, and contenders are compared round by
round. A contender's spread over the rounds is the noise.
"""

import multiprocessing
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

import numpy as np

ROUND_SECONDS = 0.8  # that one contender's turn should last
QUIET = 0.1  # share of one processor that other programs may take before a round begins
START_SECONDS = 300  # after which a contender that does not start is given up
# Read by OpenBLAS, MKL, OpenMP and TensorFlow when they start.
THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip

Run = Callable[[int], None]  # does that many units of work


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Attributes
    ----------
    name, setting : for the table
    make : module-level function that gives what runs; called once in each process
    arguments : of `make`
    processes, threads : how many processes, and threads in each; each does the same work
    unit : work is handed out in multiples of this
    """

    name: str
    setting: str
    make: Callable[..., Run]
    arguments: tuple[Any, ...] = ()
    processes: int = 1
    threads: int = 1
    unit: int = 1


@dataclass(frozen=True)
class Timing:
    """Rates of one contender, one number per round.

    Attributes
    ----------
    rates : (rounds,) units/s by the clock, all processes together
    cpu_rates : (rounds,) units per second of processor time
    """

    rates: np.ndarray
    cpu_rates: np.ndarray

    @property
    def rate(self) -> float:
        """Median, units/s."""
        return float(np.median(self.rates))

    @property
    def cpu_rate(self) -> float:
        """Median, units per second of processor time."""
        return float(np.median(self.cpu_rates))

    @property
    def spread(self) -> str:
        """Lowest to highest rate."""
        return f"{self.rates.min():,.0f} to {self.rates.max():,.0f}"

    def over(self, other: "Timing") -> float:
        """Median over the rounds of this rate over the other's of the same round."""
        return float(np.median(self.rates / other.rates))


def side_by_side(
    contenders: Sequence[Contender],
    rounds: int,
    seconds: float = ROUND_SECONDS,
    patience: float = 0.0,
) -> list[Timing]:
    """Time the contenders in turns; the first turn of each warms it up and is not counted.

    A round waits for a quiet moment, on average `patience` seconds at most. Only the quieter half
    of the rounds is kept: those in which other programs took the least processor time, which has
    nothing to do with who was fast.
    """
    teams = [Team(contender) for contender in contenders]
    order = list(range(len(teams)))
    results = np.zeros((rounds, len(teams), 2))
    others = np.zeros(rounds)
    try:
        for team in teams:
            team.calibrate(seconds)
        patience *= rounds
        for number in range(rounds):
            random.Random(number).shuffle(order)
            patience -= _wait_for_quiet(patience)
            busy = busy_seconds()
            spent = 0.0
            for i in order:
                results[number, i] = teams[i].run()
                spent += teams[i].spent
            others[number] = busy_seconds() - busy - spent
    finally:
        for team in teams:
            team.stop()
    quiet = np.sort(np.argsort(others, kind="stable")[: -(-rounds // 2)])
    return [Timing(*results[quiet, i].T) for i in range(len(teams))]


def _wait_for_quiet(patience: float) -> float:
    """Wait until other programs rest; gives the seconds that took, about `patience` at most."""
    started = perf_counter()
    while (waited := perf_counter() - started) < patience:
        before = busy_seconds()
        sleep(1.0)
        if busy_seconds() - before < QUIET:
            break
    return waited


def busy_seconds() -> float:
    """Processor time that all programs took since the machine started; 0 if it does not say."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    ticks = [int(value) for value in stat.read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


class Team:
    """The processes of one contender, started and waiting for work."""

    def __init__(self, contender: Contender) -> None:
        self.amount = contender.unit
        self.spent = 0.0  # processor seconds of the last run
        self._contender = contender
        context = multiprocessing.get_context("spawn")
        saved = {name: os.environ.get(name) for name in THREAD_VARIABLES}
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(contender.threads)))
        self._members: list[tuple[Any, Connection]] = []
        try:
            for _ in range(contender.processes):
                ours, theirs = context.Pipe()
                arguments = (theirs, contender.make, contender.arguments)
                process = context.Process(target=_serve, args=arguments, daemon=True)
                process.start()
                theirs.close()
                self._members.append((process, ours))
        finally:
            for name, value in saved.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        for _, connection in self._members:
            if not connection.poll(START_SECONDS):
                raise TimeoutError(f"{contender.name} does not start")
            connection.recv()

    def calibrate(self, seconds: float) -> None:
        """Warm up, and find the amount of work that fills a turn."""
        self.run()
        rate, _ = self.run()
        each = rate * seconds / len(self._members)
        self.amount = self._contender.unit * max(1, round(each / self._contender.unit))

    def run(self) -> tuple[float, float]:
        """Do `amount` units in each process: units/s by the clock, and per processor second."""
        started = perf_counter()
        for _, connection in self._members:
            connection.send(self.amount)
        self.spent = cpu = sum(connection.recv() for _, connection in self._members)
        done = self.amount * len(self._members)
        return done / (perf_counter() - started), done / max(cpu, 1e-9)

    def stop(self) -> None:
        """End the processes."""
        for process, connection in self._members:
            connection.close()
            process.join(10)
            process.kill()


def processor_seconds(
    parts: Mapping[str, Callable[[], object]], rounds: int, seconds: float = 0.05
) -> dict[str, float]:
    """Processor time of one call of each part, in this process, taken in turns; medians."""
    repeats = {}
    for name, call in parts.items():
        call()
        started = process_time()
        call()
        repeats[name] = max(1, int(seconds / max(process_time() - started, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, call in parts.items():
            started = process_time()
            for _ in range(repeats[name]):
                call()
            times[name].append((process_time() - started) / repeats[name])
    return {name: float(np.median(values)) for name, values in times.items()}


def _serve(connection: Connection, make: Callable[..., Run], arguments: tuple[Any, ...]) -> None:
    run = make(*arguments)
    connection.send("ready")
    while True:
        try:
            amount = connection.recv()
        except EOFError:
            return
        before = os.times()
        run(amount)
        after = os.times()
        connection.send(after.user + after.system - before.user - before.system)
