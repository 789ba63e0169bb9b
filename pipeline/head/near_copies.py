"""Clips that look like copies of one video: recompressed, cropped or mirrored ones.

Two clips of one scene look alike, and two takes of one action move alike; but only copies change
alike from frame to frame all the way. So for clips that are near each other, three courses over
time are compared: how much moves in which direction, what is seen, and what changes. docs/labels.md
says what is found and what is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.frames.flow import CELLS, DIRECTIONS, FIELDS, mirrored
from pipeline.frames.streams import DIFFERENCE, FLOW, RGB, reading
from pipeline.head.clip_space import NONE, ClipSpace, points_of
from pipeline.head.sequences import Features
from pipeline.head.streams import Clip, prepared

ALIKE = 0.53  # mean of the three correlations; 0.51 is the most of two takes in three data sets
NEIGHBOURS = 20  # of a clip that are compared with it
LENGTHS = 0.8  # shortest over longest of clips that are compared, and of what overlaps
STILL = 1e-8  # share of squares that change, squared: below it is rounding
SHIFT = 2  # rows by which a copy may begin later
BLOCK_ROWS = 256  # clips whose neighbours are looked for at a time


@dataclass(frozen=True)
class Courses:
    """What changes over a clip: (T, ...) float32 each, with mean 0 over time.

    Attributes
    ----------
    motion, mirrored : how much moves in each direction, and in the mirror
    seen, changed : the embeddings of frames, and of what changes
    """

    motion: np.ndarray
    mirrored: np.ndarray
    seen: np.ndarray
    changed: np.ndarray


def near_copies(
    features: Features, positions: np.ndarray, groups: np.ndarray
) -> list[tuple[int, int]]:
    """Pairs of clips of different groups that look like copies of one video.

    Parameters
    ----------
    positions, groups : (C,) where each clip is in the features, and its group

    Returns
    -------
    Pairs of numbers of clips, the smaller first; none where the features lack flow or difference
    """
    if not {reading(FLOW), reading(DIFFERENCE)} <= set(features.readings):
        return []
    lengths = features.lengths[positions]
    found = []
    known: dict[int, Courses] = {}
    for one, other in sorted(_neighbours(features, positions, groups, lengths)):
        for row in (one, other):
            if row not in known:
                known[row] = courses(features.clip(positions[row]))
        if likeness(known[one], known[other]) >= ALIKE:
            found.append((one, other))
        if len(known) > BLOCK_ROWS:  # pairs come in order, so older ones are hardly needed again
            known = {one: known[one]}
    return found


def courses(clip: Clip) -> Courses:
    """What changes over a clip, by its readings."""
    flow = np.asarray(clip[reading(FLOW)], np.float32)
    return Courses(
        _directions(flow),
        _directions(mirrored(flow)),
        prepared(clip[reading(RGB)], RGB),
        prepared(clip[reading(DIFFERENCE)], DIFFERENCE),
    )


def likeness(one: Courses, other: Courses) -> float:
    """The mean of the three correlations, -1 to 1; of motion the better one of both mirrorings."""
    motion = max(_correlation(one.motion, other.motion), _correlation(one.mirrored, other.motion))
    seen = _correlation(one.seen, other.seen)
    return (motion + seen + _correlation(one.changed, other.changed)) / 3


def _directions(flow: np.ndarray) -> np.ndarray:
    """Flow statistics (T, 384) without the places: (T, 24), so that a crop changes little."""
    cells = np.maximum(flow, 0).reshape(len(flow), FIELDS, CELLS * CELLS, DIRECTIONS)
    return np.sqrt(cells.sum(axis=2)).reshape(len(flow), -1)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of two courses (T, D), each less its mean over time, at the best shift of a few rows."""
    best = -1.0
    for shift in range(-SHIFT, SHIFT + 1):
        first, second = one[max(0, shift) :], other[max(0, -shift) :]
        rows = min(len(first), len(second))
        if rows < 3 or rows < LENGTHS * max(len(one), len(other)):
            continue
        first, second = first[:rows], second[:rows]
        all_of_it = np.vdot(first, first) * np.vdot(second, second)
        first, second = first - first.mean(axis=0), second - second.mean(axis=0)
        changing = np.vdot(first, first) * np.vdot(second, second)
        if changing > STILL * all_of_it:
            best = max(best, float(np.vdot(first, second) / np.sqrt(changing)))
    return best


def _neighbours(
    features: Features, positions: np.ndarray, groups: np.ndarray, lengths: np.ndarray
) -> Iterator[tuple[int, int]]:
    """Pairs of clips of different groups and about one length that are near in the space."""
    space = ClipSpace.of(features, positions)
    points = points_of(space, groups, np.full(len(positions), NONE)).points
    pairs = set()
    for start in range(0, len(points), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        near = points[rows] @ points.T
        shorter = np.minimum(lengths[rows, None], lengths)
        apart = shorter < LENGTHS * np.maximum(lengths[rows, None], lengths)
        near[apart | (groups[rows, None] == groups)] = -np.inf
        nearest = np.argpartition(-near, min(NEIGHBOURS, len(points) - 1), axis=1)[:, :NEIGHBOURS]
        for i, others in enumerate(nearest, start):
            pairs |= {(min(i, j), max(i, j)) for j in others.tolist()
                      if np.isfinite(near[i - start, j])}  # fmt: skip
    yield from pairs
