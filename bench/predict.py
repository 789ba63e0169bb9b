"""Using a model: the command `predict` as a whole process, and how far behind `live` is."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.clips import pictures, write_video
from bench.tables import Outcome, Rows, Table, Wanted
from bench.watch import watch
from bench.workspace import clipcache, environment, trained_project

CLIP_SECONDS = 5
SIZES = ((320, 240), (640, 480))
FPS = 25  # frames/s of the videos
LIVE_SECONDS, QUICK_LIVE_SECONDS = 60, 6
ROUNDS, QUICK_ROUNDS = 5, 2
GROWTH_MS = 20.0  # that the delay may differ between the first and the last quarter: half a frame
MIB = 2**20

# The same answer with the head in Keras: what the command would cost if it imported TensorFlow.
KERAS = """
import sys
from pathlib import Path
from pipeline.head.model_folder import load_model, predict_probabilities
from pipeline.embedding.clip_embedding import embed_clip
from pipeline.embedding.engines import load_engine
from pipeline.store.extractor_spec import ExtractorSpec
from pipeline.frames.sources import file_source
from pipeline.frames.video import Sampling
folder = Path("models/head")
model = load_model(folder, "keras")
card = model.card
clip = embed_clip(file_source(Path(sys.argv[1])), load_engine("litert", folder, threads=2),
                  ExtractorSpec(**card.extractor), Sampling(**card.sampling),
                  dict.fromkeys(card.views))
print(predict_probabilities(model, [clip.embeddings]))
"""
# Where the time of the command goes, from inside.
PARTS = """
import json, sys, time
started = time.perf_counter()
from pathlib import Path
import pipeline.cli
from pipeline.predict.files import Predictor
imported = time.perf_counter()
predictor = Predictor(Path("models/head"))
loaded = time.perf_counter()
clock = predictor.file(Path(sys.argv[1]), windows=False).clock
print(json.dumps({"import": imported - started, "load the model": loaded - imported, **clock}))
"""


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Train a model on generated clips, then use it."""
    project = trained_project(folder, backbone)
    outcome = Outcome()
    for width, height in SIZES[: 1 if quick else None]:
        video = folder / f"{width}.avi"
        write_video(video, pictures(CLIP_SECONDS * FPS, width, height, 0))
        _whole_process(outcome, project, video, (width, height), QUICK_ROUNDS if quick else ROUNDS)
    _live(outcome, project, QUICK_LIVE_SECONDS if quick else LIVE_SECONDS)
    return outcome


def _whole_process(
    outcome: Outcome, project: Path, video: Path, size: tuple[int, int], rounds: int
) -> None:
    python = [sys.executable, "-c"]
    commands = {
        "clipcache predict": clipcache("predict", str(video)),
        "clipcache predict --timeline": clipcache("predict", str(video), "--timeline"),
        "Python that does nothing": [*python, "pass"],
    }
    if size == SIZES[0]:
        commands["the head in Keras instead of LiteRT"] = [*python, KERAS, str(video)]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    processor: dict[str, list[float]] = {name: [] for name in commands}
    peaks: dict[str, int] = {}
    parts: list[dict[str, float]] = []
    for _ in range(rounds):
        for name, command in commands.items():
            before = _children_seconds()
            done = watch(command, project)
            processor[name].append(_children_seconds() - before)
            if done.ended != "done":
                raise OSError(f"{name} failed: {done.error}")
            seconds[name].append(done.seconds)
            peaks[name] = max(peaks.get(name, 0), done.main_peak)
        inside = watch([*python, PARTS, str(video)], project)
        parts.append(dict(inside.lines[0]))
    width, height = size
    rows: Rows = [
        [name, median(times), min(times), max(times), median(processor[name]), peaks[name] / MIB]
        for name, times in seconds.items()
    ]
    outcome.tables.append(Table(
        f"One clip of {CLIP_SECONDS} s, {width} x {height}, {FPS} frames/s, whole process",
        ["command", "median s", "fastest s", "slowest s", "CPU s", "peak MiB"], rows,
        [f"{rounds} rounds in turns, files in the operating system's cache; {8 * CLIP_SECONDS} "
         "frames sampled, each embedded in two views.",
         "CPU s: processor time of all threads, median; what it takes when it has a core alone."],
    ))  # fmt: skip
    spent = {part: median(run[part] for run in parts) for part in parts[0]}
    outcome.tables.append(Table(
        f"Where the time of that `clipcache predict` goes ({width} x {height})",
        ["part", "ms"], [[part, 1000 * value] for part, value in spent.items()],
        ["The rest is the start of Python and the end of the process."],
    ))  # fmt: skip
    outcome.wanted.append(Wanted(
        f"`clipcache predict` of a clip of {CLIP_SECONDS} s, {width} x {height}",
        median(seconds["clipcache predict"]), 3.0, "s", at_least=False,
    ))  # fmt: skip


def _children_seconds() -> float:
    """Processor time of all child processes that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _live(outcome: Outcome, project: Path, length: int) -> None:
    """Play a file in real time; what counts is whether the delay at the end is as at the start."""
    width, height = 640, 480
    video = project / "live.avi"
    second = pictures(2 * FPS, width, height, 1)
    write_video(video, np.concatenate([second] * (length // 2)))
    done = subprocess.run(
        clipcache("live", str(video), "--json"), cwd=project, env=environment(), check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    delays = np.array([line["delay_ms"] for line in lines])
    quarters = np.array_split(delays, 4)
    rows: Rows = [
        [name, float(np.median(part)), float(np.percentile(part, 95)), float(part.max())]
        for name, part in zip(("first", "second", "third", "last"), quarters, strict=True)
    ]
    outcome.tables.append(Table(
        f"`clipcache live` of a file of {length} s, {width} x {height}, {FPS} frames/s, in real "
        "time: delay of the answers",
        ["quarter", "median ms", "95 % below ms", "largest ms"], rows,
        [f"{len(lines)} answers for {8 * length} samples; {done.stderr.strip()}."],
    ))  # fmt: skip
    outcome.wanted += [
        Wanted("delay of `live` in the last quarter less that in the first",
               float(np.median(quarters[-1]) - np.median(quarters[0])), GROWTH_MS, "ms",
               at_least=False),
        Wanted("answers of `live` over sampled frames", 100 * len(lines) / (8 * length), 95.0, "%"),
    ]  # fmt: skip
