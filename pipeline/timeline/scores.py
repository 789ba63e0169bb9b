"""How well a timeline is known: the scores that the field uses.

Frame accuracy, edit score and segmental F1 are those of Lea et al., 2017, "Temporal convolutional
networks for action segmentation and detection" (https://arxiv.org/abs/1611.05267), as Farha and
Gall, 2019, "MS-TCN" (https://arxiv.org/abs/1903.01945) compute them; mAP at a temporal overlap is
that of Caba Heilbron et al., 2015, "ActivityNet" (https://doi.org/10.1109/CVPR.2015.7298698).
Segments of the background are in none of them, only its frames are in the accuracy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNKNOWN = -1  # the label of a frame of which nothing is known
F1_OVERLAPS = (0.1, 0.25, 0.5)  # intersection over union from which a segment counts as found
AP_OVERLAPS = (0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class Segment:
    """A run of frames of one label.

    Attributes
    ----------
    label : a class
    start, stop : its first frame, and the first one after it
    confidence : mean over its frames
    """

    label: int
    start: int
    stop: int
    confidence: float = 1.0


@dataclass(frozen=True)
class VideoScores:
    """What is counted in one video; sums of it over videos give the scores.

    Attributes
    ----------
    frames, right : frames that are annotated, and those of them that are labelled right
    edit : 0 to 1
    counts : (overlaps, K, 3) int64, segments of each class that were found, that were made up and
        that were missed, at each of `F1_OVERLAPS`
    """

    frames: int
    right: int
    edit: float
    counts: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share of the frames that are labelled right."""
        return self.right / self.frames

    @property
    def f1(self) -> np.ndarray:
        """F1 at each of `F1_OVERLAPS`: (overlaps,) float64."""
        return f1_of(self.counts.sum(axis=1))


def segments_of(
    labels: np.ndarray,
    known: np.ndarray,
    background: int | None = None,
    confidence: np.ndarray | None = None,
) -> list[Segment]:
    """The runs of equal labels, without those of the background.

    Parameters
    ----------
    labels : (T,) int
    known : (T,) bool; where it is false the video is cut, and what lies there is in no segment
    background : its class, if there is one
    confidence : (T,) float64 of each frame
    """
    edges = np.flatnonzero((np.diff(labels) != 0) | (np.diff(known.astype(int)) != 0)) + 1
    starts = [0, *edges.tolist()]
    return [
        Segment(
            int(labels[start]), start, stop,
            1.0 if confidence is None else float(confidence[start:stop].mean()),
        )
        for start, stop in zip(starts, [*starts[1:], len(labels)], strict=True)
        if known[start] and labels[start] != background
    ]  # fmt: skip


def edit_score(predicted: Sequence[int], actual: Sequence[int]) -> float:
    """1 less the Levenshtein distance of two sequences of labels over the longer one's length.

    Of two empty ones it is 1.
    """
    row = list(range(len(actual) + 1))
    for i, label in enumerate(predicted, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(actual, 1):
            here = min(row[j] + 1, row[j - 1] + 1, before + (label != other))
            before, row[j] = row[j], here
    longest = max(len(predicted), len(actual))
    return 1 - row[-1] / longest if longest else 1.0


def found(
    predicted: Sequence[Segment], actual: Sequence[Segment], overlap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which predicted segments hit an actual one of their label, and which of those are hit.

    In the order of `predicted` each takes the actual segment of its label that it overlaps most,
    and hits it where the intersection over union is at least `overlap` and nobody has hit it yet.

    Returns
    -------
    (P,) bool and (A,) bool
    """
    hits, hit = np.zeros(len(predicted), bool), np.zeros(len(actual), bool)
    label, start, stop = (
        np.array([getattr(one, name) for one in actual], int) for name in ("label", "start", "stop")
    )
    for i, one in enumerate(predicted if len(actual) else ()):
        shared = np.minimum(stop, one.stop) - np.maximum(start, one.start)
        union = np.maximum(stop, one.stop) - np.minimum(start, one.start)
        shares = np.where(label == one.label, shared / union, 0)
        best = int(shares.argmax())
        if shares[best] >= overlap and not hit[best]:
            hits[i] = hit[best] = True
    return hits, hit


def score_video(
    predicted: np.ndarray, actual: np.ndarray, classes: int, background: int | None = None
) -> VideoScores:
    """Score the frames of a video.

    Parameters
    ----------
    predicted, actual : (T,) int; where `actual` is `UNKNOWN` nothing is scored
    classes : K
    """
    known = actual != UNKNOWN
    said = segments_of(predicted, known, background)
    true = segments_of(actual, known, background)
    counts = np.zeros((len(F1_OVERLAPS), classes, 3), np.int64)
    labels = np.array([one.label for one in said], int)
    true_labels = np.array([one.label for one in true], int)
    for row, overlap in zip(counts, F1_OVERLAPS, strict=True):
        hits, hit = found(said, true, overlap)
        for column, kept in enumerate((labels[hits], labels[~hits], true_labels[~hit])):
            row[:, column] = np.bincount(kept, minlength=classes)
    return VideoScores(
        int(known.sum()),
        int((predicted[known] == actual[known]).sum()),
        edit_score(labels.tolist(), true_labels.tolist()),
        counts,
    )


def f1_of(counts: np.ndarray) -> np.ndarray:
    """F1 of (..., 3) counts of found, made up and missed: (...) float64; 0 where all are 0."""
    right, wrong, missed = np.moveaxis(counts, -1, 0)
    return 2 * right / np.maximum(2 * right + wrong + missed, 1)


def average_precision(
    predicted: Sequence[Sequence[Segment]], actual: Sequence[Sequence[Segment]], overlap: float
) -> float:
    """Average precision of one class over videos, with interpolated precision.

    The segments of all videos are taken from the surest down. Each goes to the segment that it
    overlaps most among those that are not found yet, and is right where the intersection over union
    is at least `overlap`.

    Parameters
    ----------
    predicted, actual : of each video the segments of the class; at least one is there in `actual`
    """
    free = [list(segments) for segments in actual]
    ranked = sorted(
        ((one, video) for video, segments in enumerate(predicted) for one in segments),
        key=lambda pair: -pair[0].confidence,
    )
    right = np.zeros(len(ranked))
    for place, (one, video) in enumerate(ranked):
        shares = [_overlap(one, other) for other in free[video]]
        if shares and max(shares) >= overlap:
            free[video].pop(int(np.argmax(shares)))
            right[place] = 1
    recall = np.cumsum(right) / sum(map(len, actual))
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * best).sum())


def mean_average_precision(
    predicted: Sequence[Sequence[Segment]], actual: Sequence[Sequence[Segment]]
) -> np.ndarray:
    """The mean over the classes that are there of `average_precision`: (overlaps,) float64.

    Parameters
    ----------
    predicted, actual : of each video its segments

    Returns
    -------
    at each of `AP_OVERLAPS`; 0 where nothing is annotated
    """
    classes = sorted({one.label for segments in actual for one in segments})

    def of(label: int, side: Sequence[Sequence[Segment]]) -> list[list[Segment]]:
        return [[one for one in video if one.label == label] for video in side]

    precisions = [
        [average_precision(of(label, predicted), of(label, actual), overlap)
         for overlap in AP_OVERLAPS]
        for label in classes
    ]  # fmt: skip
    return np.mean(precisions or [[0.0] * len(AP_OVERLAPS)], axis=0)


def _overlap(one: Segment, other: Segment) -> float:
    shared = min(one.stop, other.stop) - max(one.start, other.start)
    return max(shared, 0) / (max(one.stop, other.stop) - min(one.start, other.start))
