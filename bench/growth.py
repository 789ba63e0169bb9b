"""How time and memory grow with the number of clips, with and without a CNN."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from bench.clips import add_clip, write_dataset
from bench.null_engines import SETUPS, null_command
from bench.tables import Cell, Outcome, Table, Wanted
from bench.watch import Watched, watch
from bench.workspace import clipcache, made_up_backbone, make_project
from pipeline.store.cache import EmbeddingCache, embeddings_folder
from pipeline.store.extractor_spec import ExtractorSpec

COUNTS, QUICK_COUNTS = (100, 1_000, 10_000), (20, 40)
REAL_COUNTS, QUICK_REAL_COUNTS = (100, 1_000), (4, 8)
REPEATS = 3  # of the short runs
MIB = 2**20


@dataclass(frozen=True)
class Growth:
    """What one data set gave; seconds by the clock, with the start of the command, and bytes."""

    clips: int
    index: float
    cold: float
    nothing: float
    added: float
    cache: float
    main_peak: int
    worker_peak: int
    cache_bytes: int

    def row(self) -> list[Cell]:
        """A row of the table."""
        return [
            self.clips, self.index, self.cold, 1e3 * self.cold / self.clips, self.nothing,
            self.added, 1e3 * self.cache, self.main_peak / MIB, self.worker_peak / MIB,
            self.cache_bytes / MIB,
        ]  # fmt: skip


COLUMNS = (
    "clips", "index s", "cold run s", "ms per clip", "no-op s", "one clip added s",
    "cache start-up ms", "main MiB", "largest worker MiB", "cache MiB",
)  # fmt: skip


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Grow a data set with the null engine, and one with the real engine."""
    small = {"frames": 16, "width": 64, "height": 64}
    nothing = made_up_backbone(folder / "made-up")
    overhead = [
        _grow(folder, nothing, "dummy", clips, small)
        for clips in (QUICK_COUNTS if quick else COUNTS)
    ]
    notes = [
        "Each number is of a `clipcache` command in a process of its own, its start included; "
        f"no-op and one clip added are medians of {REPEATS}.",
        "Memory is the highest resident memory of a process that the kernel saw (VmHWM).",
    ]
    outcome = Outcome([Table(
        "Growth of the overhead: null engine, clips of 16 frames of 64 x 64 (6 sampled)", COLUMNS,
        [growth.row() for growth in overhead], notes,
    )])  # fmt: skip
    if (backbone / "backbone.tflite").exists():
        large = {"frames": 50, "width": 320, "height": 240}
        counts = QUICK_REAL_COUNTS if quick else REAL_COUNTS
        real = [_grow(folder, backbone, "litert", clips, large) for clips in counts]
        outcome.tables.append(Table(
            "Growth with LiteRT: clips of 2 seconds of 320 x 240 (16 sampled), one view", COLUMNS,
            [growth.row() for growth in real], notes[1:],
        ))  # fmt: skip
        outcome.wanted += _judge(real[0], real[-1])
    return outcome


def _judge(small: Growth, large: Growth) -> list[Wanted]:
    peaks = [max(growth.main_peak, growth.worker_peak) for growth in (small, large)]
    added = 100 * large.added / large.cold
    few, many = f"{small.clips:,} clips", f"{large.clips:,} clips"
    return [
        Wanted(f"peak memory of any process, {many}", peaks[1] / MIB, 600.0, "MiB", False),
        Wanted(f"that over the peak at {few}", peaks[1] / peaks[0], 1.1, "x", False),
        Wanted(f"one clip added to {many}, of the cold run", added, 5.0, "%", False),
    ]


def _grow(
    folder: Path, backbone: Path, engine: str, clips: int, size: dict[str, int]
) -> Growth:  # fmt: skip
    features: dict[str, Any] = {"streams": ["rgb"], "pooling": ["mean"]}
    if engine not in SETUPS:
        features["engine"] = engine
    place = folder / f"{engine}-{clips}"
    project = make_project(place, backbone, {"features": features})
    raw = project / "data/raw"
    write_dataset(raw, clips, **size)
    shutil.rmtree(os.environ["CLIPCACHE_DIR"], ignore_errors=True)
    index = _run(clipcache("index"), project)
    cold = _features(project, engine)
    start_up = median(_start_cache() for _ in range(REPEATS))
    nothing = median(_features(project, engine).seconds for _ in range(REPEATS))
    original = next(raw.rglob("*.avi"))
    added = []
    for number in range(REPEATS):
        add_clip(raw, clips + number, original)
        _run(clipcache("index"), project)
        added.append(_features(project, engine).seconds)
    stored = sum(path.stat().st_size for path in embeddings_folder().rglob("*.h5"))
    shutil.rmtree(place)
    return Growth(
        clips, index.seconds, cold.seconds, nothing, median(added), start_up,
        cold.main_peak, cold.child_peak, stored,
    )  # fmt: skip


def _features(project: Path, engine: str) -> Watched:
    null = engine in SETUPS
    return _run(null_command(engine, "features") if null else clipcache("features"), project)


def _run(command: list[str], project: Path) -> Watched:
    done = watch(command, project)
    if done.ended != "done":
        raise RuntimeError(f"{' '.join(command)} failed: {done.error}")
    return done


def _start_cache() -> float:
    """Seconds until the cache of the one extractor there is can be looked things up in."""
    description: dict[str, Any] = json.loads(
        next(embeddings_folder().glob("*/extractor.json")).read_text()
    )
    started = perf_counter()
    EmbeddingCache(ExtractorSpec(**description), "identity")
    return perf_counter() - started
