"""The linear branches of a head: one for each stream and descriptor, solved in milliseconds.

They are a classifier of their own, with shares of their own: the ordered baseline that every
evaluation shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.frames.streams import reading
from pipeline.head.batches import clip_weights, targets_of
from pipeline.head.calibration import cross_entropy
from pipeline.head.descriptors import DESCRIPTORS, HEIGHTS, describe, units_of
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.ridge import PENALTY, scaling, solve
from pipeline.head.sequences import Features
from pipeline.head.shares import Folds, inner_folds, learn_shares, scorable
from pipeline.head.streams import IDENTITY, MIRROR, Clip, mirrored_streams, streams_of

MOST_CLIPS = 8000  # to solve on: 0.5 GB for a kernel, twice that while it is factorised
FOLDS = 5  # of the training clips, to learn the shares from


@dataclass(frozen=True)
class LinearBranch:
    """A solved branch: ``scores = described @ weights + bias``.

    Attributes
    ----------
    stream, descriptor : what it sees of a clip
    weights : (F, K) float32
    bias : (K,) float32
    """

    stream: str
    descriptor: str
    weights: np.ndarray
    bias: np.ndarray

    @property
    def name(self) -> str:
        """Such as "flow order"."""
        return f"{self.stream} {self.descriptor}"


@dataclass(frozen=True)
class OrderedBaseline:
    """Linear branches of all streams and descriptors as a classifier of their own.

    Attributes
    ----------
    shares : of each branch among themselves
    mirror : whether clips are seen mirrored too, where there is a mirrored view
    """

    branches: tuple[LinearBranch, ...]
    shares: tuple[float, ...]
    mirror: bool

    def logits(self, clip: Clip) -> np.ndarray:
        """The sum over branches of share x score: (K,) float32."""
        scores = linear_scores(self.branches, self.mirror, clip)
        return np.tensordot(np.array(self.shares, np.float32), np.stack(scores), 1)


@dataclass(frozen=True)
class LinearFit:
    """Solved branches, and what they are worth together.

    Attributes
    ----------
    mirror : whether clips are seen mirrored too, where there is a mirrored view
    chosen : (n,) int64, the training clips that were solved on
    folds : of these, for out-of-fold scores; may be empty
    unseen : (B, n, K) float64, the scores of each branch for clips that it was not solved on
    scorable : (n,) bool, clips whose scores there tell something
    shares : (B,) float64, of the branches among themselves
    """

    branches: tuple[LinearBranch, ...]
    mirror: bool
    chosen: np.ndarray
    folds: Folds
    unseen: np.ndarray
    scorable: np.ndarray
    shares: np.ndarray

    def alone(self) -> OrderedBaseline:
        """The branches without a network."""
        return OrderedBaseline(self.branches, tuple(self.shares.tolist()), self.mirror)


@dataclass(frozen=True)
class _Solution:
    """A branch with the mirror off or on: solved on all clips, and its out-of-fold scores."""

    branch: LinearBranch
    unseen: np.ndarray


def fit_linear(
    features: Features,
    clips: LabelledClips,
    descriptors: Sequence[str] = tuple(DESCRIPTORS),
    *,
    balanced: bool = True,
    seed: int = 0,
) -> LinearFit:
    """Solve a branch for each stream and descriptor, and learn their shares on inner folds.

    Of more than `MOST_CLIPS` clips an even sample is solved on, as the kernel of all would not fit
    into memory. Whether clips are seen mirrored too is chosen by the out-of-fold cross-entropy.

    Parameters
    ----------
    balanced : whether all classes weigh the same
    seed : of the inner folds
    """
    chosen = even_sample(clips.strata, MOST_CLIPS)
    clips = clips.take(chosen)
    classes = len(clips.classes)
    weights = np.ones(len(clips))
    if balanced:
        weights = clip_weights(clips.labels, classes).astype(np.float64)
    targets = 2 * targets_of(clips.labels, classes) - 1
    folds = inner_folds(clips.strata, clips.groups, FOLDS, seed)
    told = scorable(clips.labels, folds)
    mirrorable = mirrored_streams(features.readings)
    plain: list[_Solution] = []
    mirrored: list[_Solution] = []
    for stream, dimension in streams_of(features.readings).items():
        seen_as = (IDENTITY, MIRROR) if stream in mirrorable else (IDENTITY,)
        described = _described(features, clips.positions, stream, seen_as, tuple(descriptors))
        for descriptor, values in zip(descriptors, described, strict=True):
            units = units_of(stream, descriptor, dimension)
            both = [
                _solve(stream, descriptor, values[:views], units, targets, weights, folds)
                for views in range(1, len(seen_as) + 1)
            ]
            plain.append(both[0])
            mirrored.append(both[-1])
    options = []
    for mirror in (False, True) if mirrorable and folds else (False,):
        solutions = mirrored if mirror else plain
        unseen = np.stack([solution.unseen for solution in solutions])
        shares = learn_shares(unseen[:, told], clips.labels[told], weights[told])
        logits = np.tensordot(shares, unseen[:, told], 1)
        loss = cross_entropy(logits, clips.labels[told]) if told.any() else 0.0
        options.append((loss, mirror, solutions, unseen, shares))
    _, mirror, solutions, unseen, shares = min(options, key=lambda option: option[0])
    branches = tuple(solution.branch for solution in solutions)
    return LinearFit(branches, mirror, chosen, folds, unseen, told, shares)


def linear_scores(branches: Sequence[LinearBranch], mirror: bool, clip: Clip) -> list[np.ndarray]:
    """What each branch says of a clip, (K,) float32 each: with a mirror the mean of both views."""
    found = {}
    mirrorable = mirrored_streams(clip) if mirror else set()
    for stream in dict.fromkeys(branch.stream for branch in branches):
        wanted = [branch for branch in branches if branch.stream == stream]
        names = tuple(branch.descriptor for branch in wanted)
        views = (IDENTITY, MIRROR) if stream in mirrorable else (IDENTITY,)
        described = [describe(clip, stream, view, names) for view in views]
        for branch, *values in zip(wanted, *described, strict=True):
            found[branch.name] = np.mean(values, axis=0) @ branch.weights + branch.bias
    return [found[branch.name] for branch in branches]


def even_sample(labels: np.ndarray, most: int) -> np.ndarray:
    """At most about `most` clips, the same number of each class where it has so many.

    Returns
    -------
    (n,) int64, ascending; evenly spaced among those of a class
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    counts = np.bincount(labels)
    quota = max(q for q in range(1, most + 1) if q == 1 or np.minimum(counts, q).sum() <= most)
    parts = [np.flatnonzero(labels == label) for label in np.flatnonzero(counts)]
    even = [
        part[np.linspace(0, len(part) - 1, min(len(part), quota)).astype(int)] for part in parts
    ]
    return np.sort(np.concatenate(even))


def _described(
    features: Features,
    positions: np.ndarray,
    stream: str,
    views: Sequence[str],
    descriptors: tuple[str, ...],
) -> list[np.ndarray]:
    """Each descriptor of a stream of clips, in each view: (views, n, F) float32. Reads once."""
    sizes = [HEIGHTS[name] * features.readings[reading(stream)] for name in descriptors]
    found = [np.empty((len(views), len(positions), size), np.float32) for size in sizes]
    for row, position in enumerate(positions):
        clip = features.clip(position)
        for number, view in enumerate(views):
            for values, here in zip(found, describe(clip, stream, view, descriptors), strict=True):
                values[number, row] = here
    return found


def _solve(
    stream: str,
    descriptor: str,
    values: np.ndarray,
    units: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    folds: Folds,
) -> _Solution:
    """Solve a branch on descriptors in one view or two, (views, n, F).

    Clips in two views are solved on as the mean of both, with half the penalty. Where the mirror
    only moves numbers about, as in flow, that is the very solution of clips that are there twice:
    its dual coefficients are the same for both, and its kernel is that of the means, twice.
    """
    together = values.mean(axis=0) if len(values) > 1 else values[0]
    mean = together.mean(axis=0, dtype=np.float64)
    narrow = mean.astype(np.float32)
    variance = np.mean(
        [np.square(view - narrow).mean(axis=0, dtype=np.float64) for view in values], axis=0
    )
    scale = scaling(mean, variance, units)
    scaled = (together - narrow) * scale
    kernel = (scaled @ scaled.T).astype(np.float64)
    penalty = PENALTY / len(values)
    unseen = np.zeros(targets.shape)
    for learnt, scored in folds:
        inside = np.ix_(learnt, learnt)
        duals, bias = solve(kernel[inside], targets[learnt], weights[learnt], penalty)
        unseen[scored] = kernel[np.ix_(scored, learnt)] @ duals + bias
    duals, bias = solve(kernel, targets, weights, penalty)
    primal = scale[:, None] * (scaled.T @ duals.astype(np.float32))
    bias = bias - mean @ primal.astype(np.float64)
    return _Solution(LinearBranch(stream, descriptor, primal, bias.astype(np.float32)), unseen)
