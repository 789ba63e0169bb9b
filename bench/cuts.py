"""Videos put together again from frames that have only a running number: how many are found."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from bench.tables import Outcome, Rows, Table, Wanted
from bench.workspace import SHARED
from pipeline.dataset.layouts.cuts import Changes, is_cut, measure_changes, usual_change
from pipeline.frames.video import VideoReader
from pipeline.sample import write_sample

SMALL, POOR = (160, 120), 50  # pixels and JPEG quality of frames that were made small
STEPS = (1, 2, 5, 12)  # of so many frames of a dump, one is kept
BINS = (0, 1, 2, 3, 4, 6, 10, 20, 50, np.inf)  # of scores


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Scatter the frames of each class into one folder, and look for the videos."""
    rows: Rows = []
    spread: Rows = []
    outcome = Outcome()
    for name, classes in _sets(quick, folder):
        dumps = [_Dump(folder / name / str(i), videos) for i, videos in enumerate(classes)]
        found = sum((dump.look(1) for dump in dumps), _Count())
        rows.append([name, "every frame", *found.row()])
        spread += found.spread(name)
        small = [dump.made_small() for dump in dumps]
        for step in STEPS:
            kept = "small, every frame" if step == 1 else f"small, 1 in {step}"
            rows.append([name, kept, *sum((dump.look(step) for dump in small), _Count()).row()])
        if name == "weizmann":
            outcome.wanted += [
                Wanted("boundaries between videos found, Weizmann", found.share, 95.0, "%"),
                Wanted("false ones, of the true", found.wrong, 5.0, "%", at_least=False),
            ]
    outcome.tables = [
        Table(
            "Videos found again among scattered frames without names",
            ["set", "frames", "folders", "steps", "boundaries", "found", "missed", "false",
             "found %", "false %", "ms a frame"],
            rows,
            ["A folder holds the frames of all videos of a class, in a row, numbered; of "
             "ucf101_samples, of all classes. False is in per cent of the true boundaries. Frames "
             "are JPEGs of quality 95 and of the size of their video, which differs between videos "
             f"of ut_interaction and tells them apart; small: all of {SMALL[0]} x {SMALL[1]} and "
             f"quality {POOR}. All videos have 25 to 30 frames a second."],
        ),
        Table(
            "How far true boundaries stand apart: change as a multiple of what is usual around it",
            ["set", "steps", *(_bin(i) for i in range(len(BINS) - 1))],
            spread,
            ["Every frame. From 4 on a change is called a cut; steps that repeat a frame have 0."],
        ),
    ]  # fmt: skip
    return outcome


def _bin(i: int) -> str:
    low, high = BINS[i], BINS[i + 1]
    return f"{low:g} to {high:g}" if np.isfinite(high) else f"above {low:g}"


def _sets(quick: bool, folder: Path) -> Iterator[tuple[str, list[list[Path]]]]:
    """Name, and the videos of each folder, of the sets that are there."""
    for name in ("weizmann", "ut_interaction"):
        if (SHARED / name).is_dir():
            labels = sorted((SHARED / name).iterdir())
            yield name, [sorted(label.iterdir()) for label in (labels[:2] if quick else labels)]
    if (SHARED / "ucf101_samples").is_dir():
        yield "ucf101_samples", [sorted((SHARED / "ucf101_samples").glob("*/*.*"))]
    rendered = folder / "rendered"
    write_sample(rendered, actors=3 if quick else 8, takes=2)
    yield "sample", [sorted(label.iterdir()) for label in sorted(rendered.iterdir())]


class _Count:
    """Boundaries found, missed and made up; sums up over folders."""

    def __init__(self) -> None:
        self.folders = self.hits = self.missed = self.false = self.steps = 0
        self.seconds = 0.0
        self.true_scores = np.zeros(0)
        self.other_scores = np.zeros(0)

    def __add__(self, other: "_Count") -> "_Count":
        both = _Count()
        for name in ("folders", "hits", "missed", "false", "steps", "seconds"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        for name in ("true_scores", "other_scores"):
            both.__dict__[name] = np.concatenate([getattr(self, name), getattr(other, name)])
        return both

    @property
    def share(self) -> float:
        return 100 * self.hits / (self.hits + self.missed)

    @property
    def wrong(self) -> float:
        return 100 * self.false / (self.hits + self.missed)

    def row(self) -> list[str | int | float | None]:
        true = self.hits + self.missed
        return [self.folders, self.steps, true, self.hits, self.missed, self.false,
                self.share, self.wrong, 1e3 * self.seconds / max(self.steps, 1)]  # fmt: skip

    def spread(self, name: str) -> Rows:
        return [
            [name, kind, *map(int, np.histogram(scores, BINS)[0])]
            for kind, scores in (
                ("true boundaries", self.true_scores),
                ("all others", self.other_scores),
            )
        ]


class _Dump:
    """The frames of several videos in one folder, numbered through."""

    def __init__(self, folder: Path, videos: list[Path] | None = None) -> None:
        self.folder = folder
        self.paths: list[Path] = []
        self.video = np.zeros(0, int)  # of each frame
        for number, video in enumerate(videos or ()):
            for _, image in VideoReader(video).frames(lambda index, seconds: True):
                self._add(image, 95)
            self.video = np.append(self.video, [number] * (len(self.paths) - len(self.video)))

    def _add(self, image: np.ndarray, quality: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.paths.append(self.folder / f"{len(self.paths)}.jpg")
        cv2.imwrite(str(self.paths[-1]), image, [cv2.IMWRITE_JPEG_QUALITY, quality])

    def made_small(self) -> "_Dump":
        """The same frames, all of one size, compressed hard."""
        small = _Dump(self.folder / "small")
        for path in self.paths:
            small._add(cv2.resize(cv2.imread(str(path)), SMALL, interpolation=cv2.INTER_AREA), POOR)
        small.video = self.video
        return small

    def look(self, step: int) -> _Count:
        """Find the cuts when one frame in `step` of each video was kept."""
        place = np.concatenate(
            [np.flatnonzero(self.video == v)[::step] for v in np.unique(self.video)]
        )
        count = _Count()
        started = perf_counter()
        changes = measure_changes([self.paths[i] for i in place])
        # The numbers of frames that were left out must not give the boundaries away.
        changes = replace(changes, gap=np.zeros_like(changes.gap))
        cut = is_cut(changes)
        count.seconds = perf_counter() - started
        true = np.diff(self.video[place]) > 0
        count.folders, count.steps = 1, len(cut)
        count.hits, count.missed = int((cut & true).sum()), int((~cut & true).sum())
        count.false = int((cut & ~true).sum())
        scores = _scores(changes)
        count.true_scores, count.other_scores = scores[true], scores[~true]
        return count


def _scores(changes: Changes) -> np.ndarray:
    return changes.change / usual_change(changes)
