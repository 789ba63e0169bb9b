"""The clips of a data set as dots in a plane, those that are alike near each other.

t-SNE (van der Maaten and Hinton, 2008, https://www.jmlr.org/papers/v9/vandermaaten08a.html) of the
points of `pipeline.head.clip_space`. Who is near whom means something, distances across the map and
the sizes of its islands do not.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.dataset.clips import NO_LABEL, Clip, ClipTable
from pipeline.dataset.sources import ClipFiles
from pipeline.evaluation.report.images import strip_uri
from pipeline.head.clip_space import NONE, ClipSpace, points_of
from pipeline.store.feature_files import ABSENT, FeatureSet

MOST_DOTS = 1500  # evenly spaced clips, and all errors
MOST_STRIPS = 150  # dots with pictures: errors first
FRAMES = 3  # of each
LEAST_CLIPS = 6
WIDTH = 1000  # of the map; its numbers are whole
PERPLEXITY = 20.0
ALIKE = 1e-5  # most that points differ by rounding
START = 1e-4  # deviation of the places to begin with, as t-SNE wants it


@dataclass(frozen=True)
class Dot:
    """A clip on the map.

    Attributes
    ----------
    x, y : 0 to `WIDTH`
    taken_for : what the head takes a test clip for; "" where it was not asked
    strip : frames as a data URI; None where there are none
    """

    x: int
    y: int
    clip: str
    label: str
    split: str
    taken_for: str
    strip: str | None


@dataclass(frozen=True)
class ClipMap:
    """What a page shows.

    Attributes
    ----------
    left_out : clips with features that are not on it, since there are so many
    """

    dots: list[Dot]
    left_out: int

    def values(self) -> dict[str, Any]:
        """For the script of the page."""
        return {"width": WIDTH, "dots": [asdict(dot) for dot in self.dots]}


def clip_map(
    features: FeatureSet,
    clips: ClipTable,
    splits: Mapping[str, str],
    taken_for: Mapping[str, str],
    files: ClipFiles,
    rule: str,
) -> ClipMap | None:
    """The map; None where there are only a few clips with features.

    Parameters
    ----------
    splits : clip_id -> split
    taken_for : clip_id -> what the head takes a test clip for
    rule : how a frame becomes a square
    """
    positions = features.positions(clips.column("clip_id"))
    clips, positions = clips.take(positions != ABSENT), positions[positions != ABSENT]
    total = len(clips)
    if total < LEAST_CLIPS:
        return None
    kept = np.zeros(total, bool)
    kept[np.linspace(0, total - 1, min(total, MOST_DOTS)).astype(int)] = True
    names, labels = list(clips.values("clip_id")), list(clips.values("label"))
    wrong = np.array([taken_for.get(name, label) != label
                      for name, label in zip(names, labels, strict=True)])  # fmt: skip
    chosen = np.flatnonzero(kept | wrong)
    clips, positions, wrong = clips.take(chosen), positions[chosen], wrong[chosen]
    codes, classes = clips.codes("label")
    if NO_LABEL in classes:  # it is sorted before all others
        codes = codes - 1
    known = points_of(
        ClipSpace.of(features, positions),
        clips.codes("group")[0].astype(np.int64),
        np.where(codes < 0, NONE, codes).astype(np.int64),
    )
    places = in_a_plane(known.points)
    there = list(clips)
    first = np.argsort(~wrong, kind="stable")
    if len(first) > MOST_STRIPS:
        errors = int(wrong.sum())
        rest = first[errors:][np.linspace(0, len(first) - errors - 1, MOST_STRIPS).astype(int)]
        first = np.concatenate([first[:errors], rest])[:MOST_STRIPS]
    strips = _strips(first.tolist(), there, positions, features, files, rule)
    return ClipMap(
        [
            Dot(int(x), int(y), clip.clip_id, clip.label, splits.get(clip.clip_id, ""),
                taken_for.get(clip.clip_id, ""), strips.get(row))
            for row, (clip, (x, y)) in enumerate(zip(there, places, strict=True))
        ],
        total - len(there),
    )  # fmt: skip


def in_a_plane(points: np.ndarray) -> np.ndarray:
    """Points (n, D) in a plane: (n, 2) int64, 0 to `WIDTH`; the same for the same points."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if np.ptp(points, axis=0).max() < ALIKE:  # scikit-learn's init="pca" would divide by 0
        return np.full((len(points), 2), WIDTH // 2)
    start = PCA(2, svd_solver="randomized", random_state=0).fit_transform(points)
    start *= START / start[:, 0].std()
    # equal points start beside each other: its tree of places does not end otherwise
    start += START * 1e-3 * np.random.default_rng(0).normal(size=start.shape)
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, init=start.astype(np.float32), metric="cosine",
                 random_state=0)  # fmt: skip
    # beside other work its threads wait for one another: 40 s instead of 2 for 256 points
    with threadpool_limits(1):
        placed = model.fit_transform(points)
    low, high = placed.min(axis=0), placed.max(axis=0)
    return (WIDTH * (placed - low) / np.maximum(high - low, 1e-9)).round().astype(np.int64)


def _strips(
    rows: Sequence[int],
    clips: Sequence[Clip],
    positions: np.ndarray,
    features: FeatureSet,
    files: ClipFiles,
    rule: str,
) -> dict[int, str | None]:
    """Frames of the clips in these rows."""

    def strip(row: int) -> str | None:
        seconds = clips[row].segment[0] + features.spread_times(positions[row], FRAMES)
        return strip_uri(files.source(clips[row]), seconds, rule)

    with ThreadPoolExecutor() as pool:
        return dict(zip(rows, pool.map(strip, rows), strict=True))
