"""The whole `features` stage beside the embedding alone, and what each part of it costs."""

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from bench.clips import pictures, write_dataset, write_video
from bench.contenders import Team, processor_seconds
from bench.engines import embedding_team
from bench.tables import Outcome, Rows, Table, Wanted
from pipeline.dataset.clips import ClipTable
from pipeline.embedding.engines import load_engine
from pipeline.embedding.executors import available_cores
from pipeline.frames.video import RESIZE_RULES, VideoReader, resize
from pipeline.frames.views import apply_view
from pipeline.params import Params
from pipeline.stages.features import Extraction, extract_features
from pipeline.stages.index import index_clips
from pipeline.store.shards import Entry, write_shard

WIDTH, HEIGHT = 320, 240  # pixels, as in UCF101
SIZE = 224  # pixels
SOURCES = ((320, 240), (480, 360), (640, 480), (1280, 720), (1920, 1080))
RATE = 8  # frames embedded per second of video
ALONE: dict[str, tuple[str, ...]] = {"streams": ("rgb",), "pooling": ("mean",)}
ONE_VIEW, TWO_VIEWS, STREAMS = "rgb in one view", "rgb in two views", "all streams, the default"
SETTINGS: dict[str, dict[str, tuple[str, ...]]] = {
    ONE_VIEW: ALONE, TWO_VIEWS: {**ALONE, "views": ("identity", "hflip")}, STREAMS: {},
}  # fmt: skip
MOST = 1.15  # times what two views take, that all streams may take


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Run the stage and the embedding alone in turns, then time the parts."""
    clips, frames, rounds = (12, 50, 2) if quick else (60, 150, 3)
    write_dataset(folder / "raw", clips, frames=frames, width=WIDTH, height=HEIGHT)
    write_dataset(folder / "tiny", available_cores(), frames=1, width=WIDTH, height=HEIGHT)
    stage = _Stage(folder, backbone)
    outcome = Outcome()
    for title in (ONE_VIEW,) if quick else SETTINGS:
        _compare(outcome, stage, title, rounds)
        rounds = 2
    _against_two_views(outcome, stage, 1 if quick else 5)
    outcome.tables.append(_parts(backbone, folder, 3 if quick else 15))
    outcome.tables.append(_resizing(3 if quick else 15))
    return outcome


class _Stage:
    """The features stage on generated clips, every time with an empty cache folder."""

    def __init__(self, folder: Path, backbone: Path) -> None:
        self.folder, self.backbone = folder, backbone
        self.raw = self._index("raw", ONE_VIEW)[1]

    def _index(self, name: str, title: str) -> tuple[Params, ClipTable]:
        features = {"engine": "litert", "fps": RATE, **SETTINGS[title]}
        raw = {"raw": str(self.folder / name)}
        params = Params.model_validate({"dataset": raw, "features": features})
        return params, index_clips(params.dataset, self.folder / f"{name}.csv")

    def __call__(self, name: str, title: str, *, warm: bool = False) -> tuple[float, Extraction]:
        """Seconds of one run with the settings of a title, and what it did."""
        params, clips = self._index(name, title)
        if not warm:
            shutil.rmtree(os.environ["CLIPCACHE_DIR"], ignore_errors=True)
        started = perf_counter()
        done = extract_features(
            params, clips, backbone=self.backbone, folder=self.folder / "features",
            rejected=self.folder / "rejected.csv",
        )  # fmt: skip
        return perf_counter() - started, done


def _against_two_views(outcome: Outcome, stage: _Stage, rounds: int) -> None:
    """All streams, and rgb in two views, in turns."""
    pairs = [[stage("raw", title)[0] for title in (TWO_VIEWS, STREAMS)] for _ in range(rounds)]
    ratios = [streams / views for views, streams in pairs]
    views, streams = np.median(pairs, axis=0)
    rows: Rows = [
        [TWO_VIEWS, float(views), 1.0],
        [STREAMS, float(streams), float(np.median(ratios))],
    ]
    note = f"{min(ratios):.2f} to {max(ratios):.2f} in {rounds} pairs of runs."
    outcome.tables.append(
        Table("Streams instead of a mirrored view", ["features", "seconds", "ratio"], rows, [note])
    )
    outcome.wanted.append(
        Wanted("all streams over rgb in two views", float(np.median(ratios)), MOST, at_least=False)
    )


def _compare(outcome: Outcome, stage: _Stage, title: str, rounds: int) -> None:
    cores = available_cores()
    team = Team(embedding_team("litert", stage.backbone, cores))
    runs: list[tuple[float, Extraction, float, float, float]] = []
    try:
        team.run()
        for _ in range(rounds):
            seconds, done = stage("raw", title)
            again, _ = stage("raw", title, warm=True)
            team.amount = done.embedded // cores
            alone, _ = team.run()
            start, _ = stage("tiny", title)
            runs.append((seconds, done, again, alone, start))
    finally:
        team.stop()
    share = [100 * done.embedded / seconds / alone for seconds, done, _, alone, _ in runs]
    seconds, done, again, alone, start = sorted(runs, key=lambda run: run[0])[len(runs) // 2]
    total = cores * seconds
    worked = {
        part: done.seconds[part]
        for part in ("decode", "resize", "flow", "embed")
        if part in done.seconds
    }
    rows: Rows = [[part, spent, 100 * spent / total, 1e3 * spent / done.embedded]
                             for part, spent in worked.items()]  # fmt: skip
    rest = total - sum(worked.values())
    for part, spent in (
        ("start and end of the workers", min(rest, cores * start)),
        ("feature file (as in a run with nothing to do)", again),
    ):
        rows.append([part, spent, 100 * spent / total, 1e3 * spent / done.embedded])
        rest -= spent
    rest = max(rest, 0.0)
    rows.append(["idle, hashing, shards, transfer", rest, 100 * rest / total,
                 1e3 * rest / done.embedded])  # fmt: skip
    clips = len(stage.raw)
    outcome.tables.append(
        Table(
            f"Where the time of `features` goes: {clips} clips of {WIDTH} x {HEIGHT}, 25 frames/s,"
            f" {RATE} sampled a second, {title}",
            ["part", f"seconds of {cores} cores", "%", "ms per embedded frame"],
            rows,
            [f"Stage {seconds:.1f} s: {clips / seconds:.2f} clips/s, "
             f"{done.embedded / seconds:.0f} frames embedded/s, {done.embedded} in all.",
             f"Embedding alone, {cores} processes, frames in memory: {alone:.0f} frames/s; "
             f"the stage reaches {np.median(share):.0f} % of it "
             f"({min(share):.0f} to {max(share):.0f} in {len(share)} runs)."],
        )
    )  # fmt: skip
    if title == ONE_VIEW:
        outcome.wanted.append(
            Wanted("features stage over the embedding alone", float(np.median(share)), 75.0, "%")
        )


def _parts(backbone: Path, folder: Path, rounds: int) -> Table:
    cv2.setNumThreads(1)
    engine = load_engine("litert", backbone)
    frames = pictures(75, WIDTH, HEIGHT, 0)
    video = folder / "part.avi"
    write_video(video, frames)
    content = video.read_bytes()
    seen = resize(frames[0], SIZE, "stretch")
    single = np.random.default_rng(0).random(1280).astype(np.float32)
    clip = np.zeros((48, 1280), np.float16)
    entry = Entry("0" * 64, np.arange(150.0), np.arange(48, dtype=np.int32), clip)
    samples = len(frames) * RATE / 25  # of this video

    def read(every: int) -> Callable[[], object]:
        return lambda: sum(1 for _ in VideoReader(video).frames(lambda i, _: i % every == 0))

    calls: dict[str, tuple[Callable[[], object], float]] = {
        "decode: read a frame (25/8 for each sampled one)": (read(10**9), 1 / samples),
        "decode: read, and convert the sampled frame to BGR": (read(3), 1 / samples),
        "resize: stretch to 224, BGR to RGB": (lambda: resize(frames[0], SIZE, "stretch"), 1),
        "of that, BGR to RGB": (lambda: cv2.cvtColor(seen, cv2.COLOR_BGR2RGB), 1),
        "view: mirrored": (lambda: apply_view(seen, "hflip"), 1),
        "batch: 32 frames into one array": (lambda: np.stack([seen] * 32), 1 / 32),
        "embed: LiteRT": (lambda: engine(seen[np.newaxis]), 1),
        "float32 to float16": (lambda: single.astype(np.float16), 1),
        "hash the video's bytes": (lambda: hashlib.sha256(content).digest(), 1 / samples),
        "to the main process: pickled there and back": (
            lambda: pickle.loads(pickle.dumps(entry, 5)), 1 / 48,
        ),
        "cache: shard of 256 clips": (
            lambda: write_shard(folder / "shard.h5", [entry] * 256), 1 / 48 / 256,
        ),
    }  # fmt: skip
    cost = processor_seconds({name: call for name, (call, _) in calls.items()}, rounds)
    micro = {name: 1e6 * cost[name] * share for name, (_, share) in calls.items()}
    rows: Rows = [
        [name, value, 100 * value / micro["embed: LiteRT"]] for name, value in micro.items()
    ]
    return Table(
        "Parts, for each sampled frame",
        ["part", "microseconds", "% of the embedding"],
        rows,
        [f"Processor time on one core, medians of {rounds} turns. The video: {len(frames)} frames "
         f"at 25 frames/s, {len(content) * 8 / 1000 / (len(frames) / 25):.0f} kbit/s MPEG-4."],
    )  # fmt: skip


def _resizing(rounds: int) -> Table:
    cv2.setNumThreads(1)
    sources = {source: pictures(1, *source, 0)[0] for source in SOURCES}
    parts: dict[str, Callable[[], object]] = {}
    for source, image in sources.items():
        for rule in RESIZE_RULES:
            parts[f"{source} {rule}"] = partial(resize, image, SIZE, rule)
        for name in ("INTER_AREA", "INTER_LINEAR"):
            parts[f"{source} {name}"] = partial(_in_one_step, image, getattr(cv2, name))
    cost = processor_seconds(parts, rounds)
    columns = [*RESIZE_RULES, "INTER_AREA", "INTER_LINEAR"]
    rows: Rows = [
        [f"{width} x {height}", *(1e6 * cost[f"{(width, height)} {name}"] for name in columns)]
        for width, height in SOURCES
    ]
    return Table(
        f"Resizing to {SIZE} px and BGR to RGB, microseconds",
        ["source", *columns],
        rows,
        ["The first three are the rules of features.resize; the other two are OpenCV's ways in one "
         "step (INTER_LINEAR skips pixels when it shrinks by more than 2)."],
    )  # fmt: skip


def _in_one_step(image: np.ndarray, interpolation: int) -> np.ndarray:
    shrunk = cv2.resize(image, (SIZE, SIZE), interpolation=interpolation)
    return cv2.cvtColor(shrunk, cv2.COLOR_BGR2RGB)
