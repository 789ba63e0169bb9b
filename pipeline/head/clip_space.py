"""A space in which clips that show the same action lie near each other, by the cached features.

Its axes are the descriptors of the linear branches (`pipeline.head.descriptors`), each brought to
its principal components. What a clip shares with all clips of its group (the person, the scene) is
taken out where groups and labels are crossed, and each branch counts as much as it tells about the
labels that are there. Nearness is the weighed mean over branches of the cosine, from -1 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.head.batches import class_weights
from pipeline.head.descriptors import DESCRIPTORS, describe, units_of
from pipeline.head.linear import even_sample
from pipeline.head.ridge import scaling, solve
from pipeline.head.sequences import Features
from pipeline.head.shares import inner_folds, learn_shares, scorable
from pipeline.head.streams import IDENTITY, Clip, streams_of

NONE = -1  # label of a clip that has none
BASIS_CLIPS = 512  # of which the principal components are taken, evenly spaced
MOST_AXES = 256  # of a branch: a set of up to as many clips loses nothing
LEAST_AXES = 16
AT_ONCE = 64  # clips described at a time: 13 MB
POINT_BYTES = 512 << 20  # of all points together: larger sets get fewer axes
SHARE_CLIPS = 2000  # labelled clips that the weights are learnt from, at most
FOLDS = 5  # of the labelled clips, to learn the weights from
EQUAL_CLIPS = 10  # labels up to which the weights rather stay equal


@dataclass(frozen=True)
class Branch:
    """A descriptor of a stream: ``coordinates = (described - mean) @ axes``.

    Attributes
    ----------
    mean : (F,) float32
    axes : (F, R) float32, scaled principal components
    """

    stream: str
    descriptor: str
    mean: np.ndarray
    axes: np.ndarray


@dataclass(frozen=True)
class ClipSpace:
    """The axes of the space, and where the clips of a data set are on them.

    Attributes
    ----------
    branches : B of them
    coordinates : for each, (C, R) float32
    """

    branches: tuple[Branch, ...]
    coordinates: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, features: Features, positions: np.ndarray) -> "ClipSpace":
        """The space of these clips of a feature set; labels play no part in it.

        Every clip is read and described once, and those of the basis once more.
        """
        names = tuple(DESCRIPTORS)
        keys = [(stream, name) for stream in streams_of(features.readings) for name in names]
        most = POINT_BYTES // (4 * len(keys) * max(len(positions), 1))
        rank = int(np.clip(most, LEAST_AXES, MOST_AXES))
        picked = np.linspace(0, len(positions) - 1, min(len(positions), BASIS_CLIPS)).astype(int)
        sample = [_described(features.clip(positions[i])) for i in picked]
        branches = []
        for place, (stream, name) in enumerate(keys):
            values = np.stack([found[place] for found in sample])
            units = units_of(stream, name, streams_of(features.readings)[stream])
            branches.append(_principal(stream, name, values, units, rank))
        parts = [
            place_on(branches, [features.clip(i) for i in positions[start : start + AT_ONCE]])
            for start in range(0, len(positions), AT_ONCE)
        ]
        together = tuple(map(np.concatenate, zip(*parts, strict=True)))
        return cls(tuple(branches), together)

    def __len__(self) -> int:
        return len(self.coordinates[0])


@dataclass(frozen=True)
class Centred:
    """The clips before the branches are weighed.

    Attributes
    ----------
    blocks : of each branch, (C, R) float32 of length 1
    centres : for each what was taken out of the clips of each group, (G, R) float32
    """

    blocks: tuple[np.ndarray, ...]
    centres: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class ClipPoints:
    """Clips as points of length 1, whose dot product is how near they are, from -1 to 1.

    Attributes
    ----------
    points : (C, D) float32
    weights : (B,) float64, of the branches; they sum to 1
    centres : for each branch what was taken out of the clips of each group, (G, R) float32
    """

    points: np.ndarray
    weights: np.ndarray
    centres: tuple[np.ndarray, ...]

    def point(self, coordinates: Sequence[np.ndarray], group: int | None = None) -> np.ndarray:
        """Where a clip is by its coordinates in each branch, (n, R): (n, D) float32.

        Parameters
        ----------
        group : the one that it belongs to, whose centre is taken out; None for a stranger
        """
        if group is not None:
            centres = zip(coordinates, self.centres, strict=True)
            coordinates = [values - centre[group] for values, centre in centres]
        return _joined([unit(values) for values in coordinates], self.weights)


def place_on(branches: Sequence[Branch], clips: Sequence[Clip]) -> list[np.ndarray]:
    """The coordinates of n clips in each branch: (n, R) float32 each."""
    described = zip(*map(_described, clips), strict=True)
    return [
        (np.stack(values) - branch.mean) @ branch.axes
        for branch, values in zip(branches, described, strict=True)
    ]


def points_of(space: ClipSpace, groups: np.ndarray, labels: np.ndarray) -> ClipPoints:
    """Where the clips are, by what is known of their groups and labels.

    Parameters
    ----------
    groups : (C,) int, from 0
    labels : (C,) int, from 0, or `NONE`
    """
    known = np.flatnonzero(labels != NONE)
    centred = centre(space, groups, crossed(labels[known], groups[known]))
    return weighed(centred, groups, labels)


def centre(space: ClipSpace, groups: np.ndarray, taken_out: bool) -> Centred:
    """The clips as blocks of length 1, with or without what those of a group have in common."""
    size = int(groups.max(initial=-1)) + 1
    order = np.argsort(groups, kind="stable")
    there, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
    centres, blocks = [], []
    for values in space.coordinates:
        middle = np.zeros((size, values.shape[1]), np.float32)
        if taken_out:
            # as if each group had one more clip, in the middle of all: a single one stays
            sums = np.add.reduceat(values[order], starts, axis=0)
            middle[there] = sums / (1 + counts[:, None].astype(np.float32))
        centres.append(middle)
        blocks.append(unit(values - middle[groups] if taken_out else values))
    return Centred(tuple(blocks), tuple(centres))


def weighed(centred: Centred, groups: np.ndarray, labels: np.ndarray) -> ClipPoints:
    """The blocks side by side, as much as each tells about the labels."""
    weights = learn_weights(centred.blocks, groups, labels)
    return ClipPoints(_joined(centred.blocks, weights), weights, centred.centres)


def crossed(labels: np.ndarray, groups: np.ndarray) -> bool:
    """Whether two labelled clips of one group mostly show different actions.

    So it is where groups are people who do all of them; where they are source videos of a single
    action, the centre of a group tells the action and must stay.
    """
    _, together = np.unique(groups, return_counts=True)
    pairs = np.stack([groups, labels])
    _, same = np.unique(pairs, axis=1, return_counts=True)
    equal = int((same * (same - 1)).sum())
    return int((together * (together - 1)).sum()) - equal > equal


def learn_weights(
    blocks: Sequence[np.ndarray], groups: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """What each branch counts: (B,) float64, which sum to 1.

    They are shares as a head's (`pipeline.head.shares`), learnt from kernel ridge regression on
    clips of groups that were left out, and pulled towards equal weights where labels are few. All
    alike without labels.

    Parameters
    ----------
    blocks : (C, R) of each branch, of length 1
    labels : (C,) int, `NONE` for a clip without one
    """
    alike = np.full(len(blocks), 1 / len(blocks))
    known = np.flatnonzero(labels != NONE)
    if not len(known):
        return alike
    known = known[even_sample(np.unique(labels[known], return_inverse=True)[1], SHARE_CLIPS)]
    classes, numbers = np.unique(labels[known], return_inverse=True)
    folds = inner_folds(numbers, groups[known], FOLDS, 0) if len(classes) > 1 else []
    told = scorable(numbers, folds)
    if not told.any():
        return alike
    weights = class_weights(numbers, len(classes))[numbers].astype(np.float64)
    targets = 2 * np.eye(len(classes))[numbers] - 1
    unseen = np.zeros((len(blocks), *targets.shape))
    for scores, block in zip(unseen, blocks, strict=True):
        kernel = (block[known] @ block[known].T).astype(np.float64)
        for learnt, scored in folds:
            inside = np.ix_(learnt, learnt)
            duals, bias = solve(kernel[inside], targets[learnt], weights[learnt])
            scores[scored] = kernel[np.ix_(scored, learnt)] @ duals + bias
    shares = learn_shares(unseen[:, told], numbers[told], weights[told])
    shares = shares + shares.mean() * EQUAL_CLIPS / len(known)
    return shares / shares.sum()


def unit(values: np.ndarray) -> np.ndarray:
    """Rows of length 1; those of length 0 stay."""
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)


def _joined(blocks: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Blocks side by side, so that a dot product is the weighed mean of theirs."""
    roots = np.sqrt(weights).astype(np.float32)
    return np.concatenate([b * root for b, root in zip(blocks, roots, strict=True)], axis=-1)


def _described(clip: Clip) -> list[np.ndarray]:
    """All descriptors of all streams, in the order of the branches: (F,) float32 each."""
    names = tuple(DESCRIPTORS)
    return [values for stream in streams_of(dict.fromkeys(clip, 0))
            for values in describe(clip, stream, IDENTITY, names)]  # fmt: skip


def _principal(
    stream: str, descriptor: str, values: np.ndarray, units: np.ndarray, rank: int
) -> Branch:
    """The principal components of a descriptor (n, F), by its kernel: n is small."""
    mean = values.mean(axis=0, dtype=np.float64)
    narrow = mean.astype(np.float32)
    scale = scaling(mean, np.square(values - narrow).mean(axis=0, dtype=np.float64), units)
    scaled = (values - narrow) * scale
    lengths, vectors = np.linalg.eigh((scaled @ scaled.T).astype(np.float64))
    kept = lengths > 1e-6 * max(lengths[-1], 1e-12)
    kept[: max(len(kept) - rank, 0)] = False
    if not kept.any():  # all clips are alike in it
        return Branch(stream, descriptor, narrow, np.zeros((len(narrow), 1), np.float32))
    basis = (vectors[:, kept] / np.sqrt(lengths[kept])).astype(np.float32)
    return Branch(stream, descriptor, narrow, scale[:, None] * (scaled.T @ basis))
