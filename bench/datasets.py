"""The stages `index` and `split` on large data sets: one shaped like UCF101, and a long table."""

import hashlib
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np

from bench.tables import Cell, Outcome, Table, Wanted
from bench.watch import Watched, watch
from bench.workspace import clipcache

MIB = 2**20
CLASSES, CLIPS, GROUPS = 101, 13_320, 25  # UCF101: Soomro et al., 2012
QUICK_CLIPS = 1_010
ROWS, QUICK_ROWS = 1_000_000, 20_000
LABELS = 400  # as Kinetics-400 has
TESTED = 7  # source videos of each class in a test list of UCF101
COLUMNS = (
    "data set", "split.method", "clips", "index s", "split s", "processor s", "largest MiB",
)  # fmt: skip


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Index and split generated data sets; the files are tiny, since only their number counts."""
    clips, rows = (QUICK_CLIPS, QUICK_ROWS) if quick else (CLIPS, ROWS)
    ucf = write_ucf(folder / "ucf", clips)
    table = write_table(folder / "table", rows)
    lines: list[list[Cell]] = []
    wanted = []
    for place, name, count, limit in (
        (ucf, "UCF101-shaped", clips, 60.0),
        (table, "CSV of segments behind URLs, with digests", rows, 600.0),
    ):
        index, indexing = clipcache_run(place, "index")
        for method in ("group", "official") if place is ucf else ("group", "column"):
            split, splitting = clipcache_run(place, "split", f"{method}.yaml")
            peak = max(index.main_peak, split.main_peak) / MIB
            lines.append([name, method, count, index.seconds, split.seconds,
                          indexing + splitting, peak])  # fmt: skip
            seconds = index.seconds + split.seconds
            wanted.append(Wanted(f"{name}, {method}: index and split", seconds, limit, "s", False))
            if place is ucf:
                wanted.append(Wanted(f"{name}, {method}: memory", peak, 500e6 / MIB, "MiB", False))
    notes = [
        "Each number is of a `clipcache` command in a process of its own, its start included; "
        "memory is the highest resident memory that the kernel saw (VmHWM), processor time that of "
        "both commands."
    ]
    return Outcome([Table("Index and split", COLUMNS, lines, notes)], wanted)


def write_ucf(project: Path, clips: int) -> Path:
    """Files named as in UCF101, each with bytes of its own, and lists in the published form."""
    settings: dict[str, Any] = {"dataset": {"raw": "data/raw", "group": "ucf"}}
    _write_settings(project, settings, "group", "official")
    lists = project / "lists"
    train: list[tuple[str, int]] = []
    test: list[tuple[str, int]] = []
    for number in range(clips):
        label, rest = number % CLASSES, number // CLASSES
        group, take = rest % GROUPS + 1, rest // GROUPS + 1
        name = f"Class{label:03d}/v_Class{label:03d}_g{group:02d}_c{take:02d}.avi"
        path = project / "data/raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        (test if group <= TESTED else train).append((name, label + 1))
    (lists / "trainlist01.txt").write_text("".join(f"{name} {label}\r\n" for name, label in train))
    (lists / "testlist01.txt").write_text("".join(f"{name}\r\n" for name, _ in test))
    return project


def write_table(project: Path, rows: int) -> Path:
    """A table of segments, two of each video, with digests, so that no video is read."""
    dataset = {"raw": "lists", "layout": "csv", "table": "lists/clips.csv", "group": "none"}
    settings: dict[str, Any] = {"dataset": dataset}
    _write_settings(project, settings, "group", "column")
    random = np.random.default_rng(0)
    labels = random.integers(0, LABELS, rows)
    with (project / "lists/clips.csv").open("w") as stream:
        stream.write("path,label,start,end,split,digest\n")
        for number in range(rows):
            video, part = divmod(number, 2)
            digest = hashlib.sha256(str(video).encode()).hexdigest()
            side = "test" if video % 10 == 0 else "train"
            stream.write(
                f"s3://bucket/videos/{video:08d}.mp4,label {labels[number]},{10 * part},"
                f"{10 * part + 10},{side},{digest}\n"
            )
    return project


def clipcache_run(
    project: Path, command: str, settings: str = "group.yaml"
) -> tuple[Watched, float]:
    """One command, watched, and the seconds of processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    watched = watch(clipcache(command, "--params", settings), project)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if watched.ended != "done":
        raise RuntimeError(f"clipcache {command}: {watched.error}")
    return watched, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _write_settings(project: Path, settings: dict[str, Any], *methods: str) -> None:
    """A settings file for each method; JSON is YAML."""
    (project / "lists").mkdir(parents=True)
    for method in methods:
        content = {**settings, "split": {"method": method}}
        (project / f"{method}.yaml").write_text(json.dumps(content))
