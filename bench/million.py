"""A million clips: `index`, `split`, `features` and one epoch of `train`, with a null engine.

The clips have no files: a table lists them with their digests, and `bench.null_engines` makes two
or three frames out of each digest. All else is what a real run does, each stage in a process of its
own.
"""

import csv
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.null_engines import null_command
from bench.tables import Cell, Outcome, Table, Wanted
from bench.watch import Watched, watch
from bench.workspace import BACKBONE, clipcache, made_up_backbone, write_params
from pipeline.backbone.folder import LITERT_FILE, WEIGHTS_FILE

COUNTS, QUICK_COUNTS = (10_000, 100_000, 1_000_000), (100, 200)
LABELS = 50
PEOPLE = 2000  # groups
ENGINE = "synthetic"
TABLE = "clips.csv"
MIB = 2**20
PARAMS: dict[str, Any] = {
    "dataset": {"layout": "csv", "table": TABLE, "raw": "."},
    "split": {"train": 0.6, "val": 0.1, "test": 0.3},
    "features": {"views": ["identity"]},
    # A clip has at most three embedded frames, so a window of 16 steps would be mostly padding.
    "train": {"head": "lstm64", "steps": 4, "batch_size": 512, "epochs": 1},
}
# What is run, and what it is called in the table.
STAGES = (
    ("index", "index"),
    ("split", "split"),
    ("features", "features, empty cache"),
    ("features", "features, full cache"),
    ("train", "train, one epoch"),
)


@dataclass(frozen=True)
class Stage:
    """One command over one data set."""

    clips: int
    name: str
    done: Watched

    def row(self) -> list[Cell]:
        """A row of the table."""
        microseconds = 1e6 * self.done.seconds / self.clips
        return [self.clips, self.name, self.done.seconds, microseconds,
                self.done.main_peak / MIB, self.done.child_peak / MIB]  # fmt: skip

    @property
    def peak(self) -> int:
        """Bytes, most of any process."""
        return max(self.done.main_peak, self.done.child_peak)


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Run the stages on data sets that grow to a million clips."""
    stages: list[Stage] = []
    disk = 0
    for clips in QUICK_COUNTS if quick else COUNTS:
        project = _project(folder / f"{clips}", clips)
        stages += _stages(project, clips)
        disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(project)
        shutil.rmtree(folder / "cache")
    few, many = stages[0].clips, stages[-1].clips
    growth = {
        stage.name: (stage.done.main_peak - before.done.main_peak) / (many - few)
        for stage in stages
        for before in stages
        if (stage.clips, before.clips, before.name) == (many, few, stage.name)
    }
    notes = [
        "Each row is a `clipcache` command in a process of its own, its start included. Memory is "
        "the highest resident memory that the kernel saw (VmHWM), with the mapped pages of the "
        "feature file, which the kernel takes back when others need them.",
        f"Clips without files, listed in a table with their digests; bench.null_engines makes two "
        f"or three frames of each. {disk / 1e9:.3g} GB on disk at {many:,} clips. The head is the "
        f"preset {PARAMS['train']['head']} with windows of {PARAMS['train']['steps']} steps and "
        f"batches of {PARAMS['train']['batch_size']}.",
        f"Memory of the main process from {few:,} to {many:,} clips, bytes a clip: "
        + ", ".join(f"{name} {value:,.0f}" for name, value in growth.items()) + ".",
    ]  # fmt: skip
    columns = ("clips", "stage", "seconds", "microseconds a clip", "main MiB", "largest worker MiB")
    peak = max(stage.peak for stage in stages if stage.clips == many)
    return Outcome(
        [Table("A million clips: the null engine", columns, [s.row() for s in stages], notes)],
        [Wanted(f"peak memory of any process, {many:,} clips", peak / 1e9, 8.0, "GB", False)],
    )


def write_table(path: Path, clips: int) -> None:
    """A table as the layout csv reads it, with digests, so that no file has to be there."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "group", "digest"])
        writer.writerows(_rows(clips))


def _rows(clips: int) -> Iterator[tuple[str, str, str, str]]:
    for i in range(clips):
        label, person = f"action{i % LABELS:02d}", f"person{i // LABELS % PEOPLE:04d}"
        path = f"{ENGINE}://{label}/{person}_{i:07d}.mp4"
        yield path, label, person, hashlib.sha256(path.encode()).hexdigest()


def _project(folder: Path, clips: int) -> Path:
    """A folder in which the clipcache command runs."""
    place = made_up_backbone(folder / BACKBONE)
    description = place / "backbone.json"
    # `train` compares the backbone with what the features say, and copies its files
    description.write_text(json.dumps(json.loads(description.read_text()) | {"digest": ENGINE}))
    for name in (LITERT_FILE, WEIGHTS_FILE):
        (place / name).write_bytes(b"")
    write_params(folder, PARAMS)
    write_table(folder / TABLE, clips)
    return folder


def _stages(project: Path, clips: int) -> Iterator[Stage]:
    for command, name in STAGES:
        null = command == "features"
        done = watch(null_command(ENGINE, command) if null else clipcache(command), project)
        if done.ended != "done":
            raise RuntimeError(f"`clipcache {command}` failed: {done.error}")
        stage = Stage(clips, name, done)
        print(*stage.row(), sep="  ", file=sys.stderr, flush=True)  # the whole takes long
        yield stage
