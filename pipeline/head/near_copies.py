"""Videos that may be copies of each other, by their embeddings: recompressed, cropped, mirrored.

Two videos of one scene look alike, and two takes of one action move alike; but copies also change
alike from frame to frame all the way. So for videos that are near each other, what changes over
time is compared: how much moves in which direction, what is seen, and what is embedded of the
change. This is generous, and leaves few enough that `pipeline.frames.film_match` can look at their
pixels.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline.frames.flow import CELLS, DIRECTIONS, FIELDS, mirrored
from pipeline.frames.streams import DIFFERENCE, FLOW, RGB, reading
from pipeline.head.sequences import Features
from pipeline.head.streams import Clip, prepared

LIKELY = 0.2  # likeness from which pixels are worth a look; of most copies 0.25 and more
SURE = 0.6  # likeness of copies where nobody can look; 0.51 is the most of two takes in three sets
NEIGHBOURS = 12  # of a video that are compared with it, at least
PAIRS = 100_000  # that are compared anyway: in a set of a few hundred videos each with each
LIKELIEST = 3  # of a video that are candidates
LENGTHS = 0.8  # shortest over longest of videos that are compared, and of what overlaps
LONGEST = 4096  # rows of a video that are looked at, from its beginning: 8 minutes
STILL = 1e-8  # share of squares that change, squared: below it is rounding
SHIFT = 16  # rows by which a copy may begin later: 2 s
BLOCK_ROWS = 256  # videos whose neighbours are looked for at a time
AXES = 128  # of what neighbours are looked for in
BASIS_VIDEOS = 512  # of which the axes are taken, evenly spaced
NUMBERS = 32  # that stand for an embedding in a course
MOST_VIDEOS = 100_000  # all are compared with all: 10,000 take seconds, ten times as many minutes


@dataclass(frozen=True)
class Candidate:
    """Two videos that may be copies.

    Attributes
    ----------
    one, other : their numbers, the smaller first
    likeness : correlation of what changes over time, -1 to 1
    shift : rows by which the same is seen earlier in `other`; negative: later
    """

    one: int
    other: int
    likeness: float
    shift: int


def candidates(
    features: Features, videos: Sequence[np.ndarray], groups: np.ndarray
) -> list[Candidate]:
    """Pairs of videos of different groups that may be copies, the likeliest first.

    No clip is read twice.

    Parameters
    ----------
    videos : of each one where its clips are in the features, in their order
    groups : (V,) of each one

    Returns
    -------
    None of more than `MOST_VIDEOS` videos
    """
    if len(videos) > MOST_VIDEOS or len(np.unique(groups)) < 2:
        return []
    known, means = [], np.zeros((len(videos), features.readings[reading(RGB)]), np.float32)
    lengths = np.array([features.lengths[positions].sum() for positions in videos])
    for row, positions in enumerate(videos):
        before = np.cumsum(features.lengths[positions]) - features.lengths[positions]
        clips = [features.clip(i) for i in positions[before < LONGEST]]
        seen = [prepared(clip[reading(RGB)], RGB) for clip in clips]
        means[row] = np.concatenate(seen).mean(axis=0)
        known.append(course(clips))
    found = []
    for one, other in _neighbours(means, lengths, groups):
        likeness, shift = compared(known[one], known[other])
        if likeness >= LIKELY:
            found.append(Candidate(one, other, likeness, shift))
    return _likeliest(sorted(found, key=lambda pair: (-pair.likeness, pair.one, pair.other)))


def _likeliest(pairs: list[Candidate]) -> list[Candidate]:
    """Those that are among the `LIKELIEST` of one of the two videos; pairs come in order."""
    taken: Counter[int] = Counter()
    kept = []
    for pair in pairs:
        if min(taken[pair.one], taken[pair.other]) < LIKELIEST:
            kept.append(pair)
        taken[pair.one] += 1
        taken[pair.other] += 1
    return kept


def course(clips: Sequence[Clip]) -> np.ndarray:
    """What changes over a video, the clips of which come one after the other: (T, D) float16.

    Each stream of it has mean 0 and squares of sum 1. Motion comes first, if there is any. Of
    embeddings a random projection stays, which keeps products of long vectors (Johnson and
    Lindenstrauss, 1984).
    """
    known = [stream for stream in (FLOW, RGB, DIFFERENCE) if reading(stream) in clips[0]]
    parts = [
        np.concatenate([_small(clip[reading(stream)], stream) for clip in clips])[:LONGEST]
        for stream in known
    ]
    return np.concatenate([_changing(part) for part in parts], axis=1).astype(np.float16)


def _small(rows: np.ndarray, stream: str) -> np.ndarray:
    """The numbers that stand for the rows of a stream."""
    if stream == FLOW:
        return _directions(np.asarray(rows, np.float32))
    rows = prepared(rows, stream)
    return rows @ _projection(rows.shape[1])


def compared(one: np.ndarray, other: np.ndarray) -> tuple[float, int]:
    """The likeness of two courses, of which one may be mirrored, and the shift at which it is so.

    Returns
    -------
    -1 to 1, the mean correlation of the streams; rows
    """
    one, other = one.astype(np.float32), other.astype(np.float32)
    turned = other
    if (moves := other.shape[1] % NUMBERS) > 0:
        turned = other.copy()
        turned[:, :moves] = other[:, _turned()]
    before, after = (_cumulated(np.square(rows).sum(axis=1)) for rows in (one, other))
    seen_as = [other] if turned is other else [other, turned]
    best, found = -1.0, 0
    for shift in range(-SHIFT, SHIFT + 1):
        first, second = max(0, shift), max(0, -shift)
        rows = min(len(one) - first, len(other) - second)
        if rows < 3 or rows < LENGTHS * max(len(one), len(other)):
            continue
        energy = (before[first + rows] - before[first]) * (after[second + rows] - after[second])
        shared = max(
            float(np.vdot(one[first : first + rows], seen[second : second + rows]))
            for seen in seen_as
        )
        value = shared / float(np.sqrt(energy)) if energy > STILL else 0.0
        if value > best:
            best, found = value, shift
    return best, found


def _changing(rows: np.ndarray) -> np.ndarray:
    """Rows (T, D) less their mean over time, with squares of sum 1; 0 where nothing changes."""
    changing = rows - rows.mean(axis=0)
    energy = float(np.vdot(changing, changing))
    if energy**2 <= STILL * float(np.vdot(rows, rows)) ** 2:
        return np.zeros_like(rows)
    return changing / np.sqrt(energy)


def _cumulated(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _directions(flow: np.ndarray) -> np.ndarray:
    """Flow statistics (T, 384) without the places: (T, 24), so that a crop changes little."""
    cells = np.maximum(flow, 0).reshape(len(flow), FIELDS, CELLS * CELLS, DIRECTIONS)
    return np.sqrt(cells.sum(axis=2)).reshape(len(flow), -1)


@cache
def _turned() -> np.ndarray:
    """Where each of the numbers of `_directions` is found in the mirror: (24,)."""
    each = np.arange(FIELDS * DIRECTIONS).reshape(FIELDS, 1, DIRECTIONS)
    cells = np.broadcast_to(each, (FIELDS, CELLS * CELLS, DIRECTIONS))
    return mirrored(cells.reshape(-1)).reshape(cells.shape)[:, 0].ravel()


@cache
def _projection(dimension: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(dimension, NUMBERS)).astype(np.float32)


def _neighbours(
    means: np.ndarray, lengths: np.ndarray, groups: np.ndarray
) -> Iterator[tuple[int, int]]:
    """Pairs of videos of different groups and about one length whose mean embeddings are near."""
    points = _points(means)
    most = min(max(NEIGHBOURS, PAIRS // len(points)), len(points) - 1)
    pairs = set()
    for start in range(0, len(points), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        near = points[rows] @ points.T
        shorter = np.minimum(lengths[rows, None], lengths)
        apart = shorter < LENGTHS * np.maximum(lengths[rows, None], lengths)
        near[apart | (groups[rows, None] == groups)] = -np.inf
        nearest = np.argpartition(-near, most, axis=1)[:, :most]
        for i, others in enumerate(nearest, start):
            pairs |= {(min(i, j), max(i, j)) for j in others.tolist()
                      if np.isfinite(near[i - start, j])}  # fmt: skip
    yield from pairs


def _points(means: np.ndarray) -> np.ndarray:
    """Mean embeddings less what they have in common, on their principal axes: (C, A), length 1."""
    means = means - means.mean(axis=0)
    picked = np.linspace(0, len(means) - 1, min(len(means), BASIS_VIDEOS)).astype(int)
    points = means @ np.linalg.svd(means[picked], full_matrices=False)[2][:AXES].T
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
