"""What an executor costs the main process for each clip, when the clips themselves cost nothing."""

import importlib.util
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from bench.tables import Outcome, Rows, Table
from pipeline.backbone.folder import DIMENSION
from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.executors import RayCluster, WorkerPool, available_cores
from pipeline.processes import run_in_processes

SECONDS = 10  # of a clip, as in Kinetics
FPS, RATE = 25, 8  # frames a second, and embedded of them
VIEWS = ("identity", "hflip")
WARM = 20  # answers before the clock starts


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Hand out tasks that are answered at once with the embeddings of a clip of ten seconds."""
    tasks = 200 if quick else 1000
    ways: dict[str, Callable[[int, int], Generator[tuple[int, Any], None, None]]]
    ways = {"worker processes": _in_processes}
    if importlib.util.find_spec("ray"):
        ways["Ray on this machine"] = _in_actors
    rows: Rows = [[name, *_measure(way, tasks)] for name, way in ways.items()]
    size = SECONDS * RATE * len(VIEWS) * DIMENSION * 2
    title = f"What an executor costs for each of {tasks:,} clips, each with {size / 1e3:.0f} kB"
    notes = [f"The first {WARM} answers are not counted; embeddings are received, not stored."]
    columns = ("executor", "workers", "s to the first answer", "clips/s",
               "main process: CPU ms a clip")  # fmt: skip
    return Outcome([Table(title, columns, rows, notes)])


def ready_made(task: int) -> ClipEmbeddings:
    """What a worker answers."""
    frames = np.arange(0, SECONDS * FPS, FPS / RATE).astype(np.int32)
    rows = {view: np.zeros((len(frames), DIMENSION), np.float16) for view in VIEWS}
    return ClipEmbeddings(np.arange(SECONDS * FPS) / FPS, dict.fromkeys(VIEWS, frames), rows)


def prepare() -> Callable[[int], ClipEmbeddings]:
    """What a Ray actor prepares."""
    return ready_made


def _in_processes(tasks: int, workers: int) -> Generator[tuple[int, Any], None, None]:
    return run_in_processes(ready_made, range(tasks), workers=workers, timeout=300)


def _in_actors(tasks: int, workers: int) -> Generator[tuple[int, Any], None, None]:
    from pipeline.embedding.executors.ray_actors import run_in_actors

    return run_in_actors(prepare, (), range(tasks), WorkerPool(workers, cluster=RayCluster()))


def _measure(
    way: Callable[[int, int], Generator[tuple[int, Any], None, None]], tasks: int
) -> list[float]:
    workers, started = available_cores(), perf_counter()
    with closing(way(tasks, workers)) as answers:
        for number, (_, answer) in enumerate(answers):
            if not isinstance(answer, ClipEmbeddings):
                raise answer
            if number == 0:
                first = perf_counter()
            if number == WARM:
                begun, used = perf_counter(), process_time()
        seconds, used = perf_counter() - begun, process_time() - used
    counted = tasks - 1 - WARM
    return [workers, first - started, counted / seconds, 1e3 * used / counted]
