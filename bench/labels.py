"""`python -m bench.labels PROJECT...`: what doubts, next and similar are worth, and how fast.

Each project has an index and features, as `clipcache features` leaves them. Labels are the truth
here: errors are planted, labels are withheld, and whoever is asked knows the answer. The heads are
the linear branches, which are solved in milliseconds. With --copies DATA instead, copies of videos
are made and looked for: see bench/near_copies.py.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from bench.near_copies import SETS, near_copies
from pipeline.dataset.clips import read_index
from pipeline.evaluation.folds import calibrated, deal_folds
from pipeline.head.clip_space import NONE, ClipSpace, points_of
from pipeline.head.labelled_clips import LabelledClips, labelled_clips
from pipeline.head.linear import fit_linear
from pipeline.head.near_copies import candidates
from pipeline.labelling.acquisition import choose
from pipeline.labelling.doubts import OutOfFold, find_doubts
from pipeline.store.feature_files import FEATURES, FeatureSet

FLIPPED, LOOKED_AT = 0.1, 0.15  # shares of the clips
FIRST = 5  # neighbours looked at
MANY = 10_000  # clips that the speed is measured with


@dataclass(frozen=True)
class Repeated:
    """A feature set whose clips are those of another, over and over."""

    features: FeatureSet
    count: int

    @property
    def lengths(self) -> np.ndarray:
        """(C,) rows of each clip."""
        return self.features.lengths[np.arange(self.count) % len(self.features)]

    @property
    def readings(self) -> Mapping[str, int]:
        """As the other's."""
        return self.features.readings

    def clip(self, i: int) -> Mapping[str, np.ndarray]:
        """Of the other, by the remainder."""
        return self.features.clip(i % len(self.features))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.labels", description=__doc__)
    parser.add_argument("projects", type=Path, nargs="*", metavar="PROJECT")
    parser.add_argument("--errors", type=int, default=5, help="draws of planted errors")
    parser.add_argument("--draws", type=int, default=20, help="draws of labels")
    parser.add_argument("--labels", type=int, default=30, help="labels given in a draw")
    parser.add_argument("--speed", action="store_true", help=f"measure with {MANY:,} clips too")
    parser.add_argument("--copies", type=Path, metavar="DATA", help="folder of the data sets")
    parser.add_argument("--sets", nargs="+", default=list(SETS), help="folders of it")
    parser.add_argument("--made", type=int, default=50, help="copies of each kind")
    arguments = parser.parse_args()
    print("| set | what | value |\n|---|---|---|")
    if arguments.copies:
        for row in near_copies(arguments.copies, arguments.made, arguments.sets):
            print(f"| {' | '.join(row)} |", flush=True)
    for project in arguments.projects:
        features = FeatureSet.open(project / FEATURES)
        clips = labelled_clips(features, read_index(project / "data" / "index.csv"))
        rows: list[Iterator[tuple[str, str]]] = [
            planted_errors(features, clips, arguments.errors),
            near_clips(features, clips),
            next_or_random(features, clips, arguments.draws, arguments.labels),
        ]
        if arguments.speed:
            rows.append(speed(features))
        for what, value in (row for part in rows for row in part):
            print(f"| {project.name} | {what} | {value} |", flush=True)


def planted_errors(
    features: FeatureSet, clips: LabelledClips, draws: int
) -> Iterator[tuple[str, str]]:
    """How many of labels that were made wrong are among the first doubts, and the scores."""
    found, scores = [], []
    for draw in range(draws):
        random, labels = np.random.default_rng(draw), clips.labels.copy()
        wrong = random.choice(len(clips), round(FLIPPED * len(clips)), replace=False)
        classes = len(clips.classes)
        labels[wrong] = (labels[wrong] + random.integers(1, classes, len(wrong))) % classes
        shares = _out_of_fold(features, replace(clips, labels=labels))
        names = [str(i) for i in range(len(clips))]
        doubts = find_doubts(OutOfFold(names, labels, list(clips.classes), shares))
        first = [int(row.clip_id) for row in doubts[: int(np.ceil(LOOKED_AT * len(clips)))]]
        found.append(np.isin(wrong, first).mean())
        mended = labels.copy()
        mended[first] = clips.labels[first]
        again = _out_of_fold(features, replace(clips, labels=mended))
        scores.append([(one.argmax(axis=1) == clips.labels).mean() for one in (shares, again)])
    clean = (_out_of_fold(features, clips).argmax(axis=1) == clips.labels).mean()
    yield (
        f"of {FLIPPED:.0%} wrong labels among the first {LOOKED_AT:.0%} of doubts, mean and least",
        f"{np.mean(found):.1%}, {np.min(found):.1%}",
    )
    before, after = np.mean(scores, axis=0)
    yield "accuracy with them, relabelled, and as it was", f"{before:.1%}, {after:.1%}, {clean:.1%}"


def near_clips(features: FeatureSet, clips: LabelledClips) -> Iterator[tuple[str, str]]:
    """Precision among the nearest clips of other groups; those of the query's have no label."""
    space = ClipSpace.of(features, clips.positions)
    for what, labels in (
        ("with the labels of the other groups", lambda group: np.where(
            clips.groups == group, NONE, clips.labels)),
        ("without any label", lambda group: np.full(len(clips), NONE)),
    ):  # fmt: skip
        right = []
        for group in np.unique(clips.groups):
            points = points_of(space, clips.groups, labels(group)).points
            mine, others = clips.groups == group, np.flatnonzero(clips.groups != group)
            near = points[mine] @ points[others].T
            nearest = others[np.argsort(-near, axis=1, kind="stable")[:, :FIRST]]
            right.append((clips.labels[nearest] == clips.labels[mine][:, None]).mean(axis=1))
        yield (
            f"precision at {FIRST} among other groups, {what}",
            f"{np.concatenate(right).mean():.3f}",
        )


def next_or_random(
    features: FeatureSet, clips: LabelledClips, draws: int, count: int
) -> Iterator[tuple[str, str]]:
    """Accuracy on a third of the groups after labels of the rest were asked for, one by one."""
    accuracies: dict[str, list[float]] = {"next": [], "random": []}
    for draw in range(draws):
        random = np.random.default_rng(draw)
        names = np.unique(clips.groups)
        held_out = random.permutation(names)[: len(names) // 3]
        test = clips.take(np.isin(clips.groups, held_out))
        pool = clips.take(~np.isin(clips.groups, held_out))
        asked = random.permutation(len(pool))[:count]
        accuracies["random"].append(_accuracy(features, pool.take(asked), test))
        asked = ask_next(features, pool, count)
        accuracies["next"].append(_accuracy(features, pool.take(asked), test))
    means = {name: float(np.mean(values)) for name, values in accuracies.items()}
    gain = 100 * (means["next"] - means["random"])
    yield (
        f"accuracy with {count} labels by next, at random, and the difference in points",
        f"{means['next']:.1%}, {means['random']:.1%}, {gain:+.1f}",
    )


def ask_next(features: FeatureSet, pool: LabelledClips, count: int) -> np.ndarray:
    """The clips that `next` asks about, beginning without any label: (count,) int64."""
    space = ClipSpace.of(features, pool.positions)
    labels = np.full(len(pool), NONE)
    asked: list[int] = []
    for _ in range(min(count, len(pool))):
        (row,) = choose(points_of(space, pool.groups, labels).points, labels)
        labels[row] = pool.labels[row]
        asked.append(row)
    return np.array(asked)


def speed(features: FeatureSet) -> Iterator[tuple[str, str]]:
    """Seconds with many clips, of which 200 have a label."""
    random = np.random.default_rng(0)
    groups = random.integers(0, 200, MANY)
    labels = np.where(np.arange(MANY) % 50 == 0, random.integers(0, 20, MANY), NONE)
    space, seconds = _timed(lambda: ClipSpace.of(Repeated(features, MANY), np.arange(MANY)))
    yield f"describing {MANY:,} clips", f"{seconds:.1f} s"
    points, seconds = _timed(lambda: points_of(space, groups, labels).points)
    yield f"placing {MANY:,} clips by {np.sum(labels != NONE)} labels", f"{seconds:.1f} s"
    yield "the nearest of one clip", f"{1000 * _timed(lambda: points @ points[0])[1]:.0f} ms"
    yield "the next clip", f"{_timed(lambda: choose(points, labels))[1]:.1f} s"
    shares = random.dirichlet(np.ones(20), MANY)
    said = OutOfFold(list(map(str, range(MANY))), random.integers(0, 20, MANY),
                     list(map(str, range(20))), shares)  # fmt: skip
    yield f"doubts about {MANY:,} clips", f"{_timed(lambda: find_doubts(said))[1]:.1f} s"
    every, each = Repeated(features, MANY), np.arange(MANY)
    _, seconds = _timed(lambda: candidates(every, list(each[:, None]), each))
    yield f"videos that may be copies, of {MANY:,}", f"{seconds:.1f} s"


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = perf_counter()
    return work(), perf_counter() - started


def _out_of_fold(features: FeatureSet, clips: LabelledClips) -> np.ndarray:
    """Probabilities as crossval writes them, of the linear branches alone: (C, K)."""
    fold_of = deal_folds(clips.labels, clips.groups, None)
    logits = np.zeros((len(clips), len(clips.classes)), np.float32)
    for fold in np.unique(fold_of):
        here = fold_of == fold
        logits[here] = _logits(features, clips.take(~here), clips.take(here))
    return calibrated(logits, clips.labels, fold_of)


def _logits(features: FeatureSet, train: LabelledClips, test: LabelledClips) -> np.ndarray:
    head = fit_linear(features, train).alone()
    return np.stack([head.logits(features.clip(i)) for i in test.positions])


def _accuracy(features: FeatureSet, train: LabelledClips, test: LabelledClips) -> float:
    """Of a head that knows the classes of its train clips only."""
    seen = np.unique(train.labels)
    if len(seen) < 2:
        return float((test.labels == seen[0]).mean())
    numbered = train.numbered_by([train.classes[i] for i in seen])
    return float((seen[_logits(features, numbered, test).argmax(axis=1)] == test.labels).mean())


if __name__ == "__main__":
    main()
