"""How well is what happens in the long videos of the test split known, and beside what?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.dataset.clips import BACKGROUND, ClipTable
from pipeline.evaluation.metrics import Interval
from pipeline.head.calibration import softmax
from pipeline.head.held_out import FALSE_ALARMS
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.model_card import Decoder
from pipeline.head.model_folder import Model
from pipeline.store.feature_files import FeatureSet
from pipeline.timeline.fit import labels_at
from pipeline.timeline.long_videos import tiled_videos
from pipeline.timeline.scores import (
    UNKNOWN,
    Segment,
    VideoScores,
    f1_of,
    mean_average_precision,
    score_video,
    segments_of,
)
from pipeline.timeline.spans import NONE, decoded, none_of_these
from pipeline.timeline.windows import Windows, windows_of

DECODED, WINDOWS, MAJORITY = "decoded", "windows", "majority"
COVERED = 0.95  # of an interval

Part = tuple[str, float, float]  # label, start and end in seconds; "" where nothing is known


@dataclass(frozen=True)
class TimelineScores:
    """The scores of one way to label videos.

    Attributes
    ----------
    accuracy : share of the frames that are labelled right
    edit : mean over the videos, 0 to 1
    f1 : of the segments of all videos, at each of `pipeline.timeline.scores.F1_OVERLAPS`
    precision : mAP at each of `pipeline.timeline.scores.AP_OVERLAPS`
    """

    accuracy: float
    edit: float
    f1: tuple[float, ...]
    precision: tuple[float, ...]


@dataclass(frozen=True)
class ScoredVideo:
    """A test video.

    Attributes
    ----------
    name, seconds : of it
    scores : by the name of the way in which it is labelled
    truth, predicted : what happens when, and what the model says
    """

    name: str
    seconds: float
    scores: dict[str, VideoScores]
    truth: tuple[Part, ...]
    predicted: tuple[Part, ...]


@dataclass(frozen=True)
class MeasuredTimelines:
    """All about the long videos of the test split.

    Attributes
    ----------
    labels : class names
    scores : of the windows decoded, of the windows alone, and of the most frequent label everywhere
    intervals : of the decoded windows' "accuracy", "edit" and "f1_50", 95 % over groups (bootstrap:
        Field and Welsh, 2007, https://doi.org/10.1111/j.1467-9868.2007.00593.x); None where there
        is one group
    class_f1 : (K, overlaps) float64; class_segments : (K,) int64, annotated in the test videos
    none : share of the frames of annotated actions that `predict` calls "none of these", 0 where no
        action is annotated
    """

    labels: tuple[str, ...]
    videos: tuple[ScoredVideo, ...]
    scores: dict[str, TimelineScores]
    intervals: dict[str, Interval | None]
    class_f1: np.ndarray
    class_segments: np.ndarray
    none: float


def measure_timelines(
    model: Model,
    features: FeatureSet,
    clips: ClipTable,
    train: LabelledClips,
    test: LabelledClips,
    *,
    samples: int,
    seed: int = 0,
) -> MeasuredTimelines | None:
    """Label the long videos that test clips tile; None where there is none.

    Parameters
    ----------
    samples, seed : of the bootstrap
    """
    train, test = train.numbered_by(model.labels), test.numbered_by(model.labels)
    videos = tiled_videos(features, clips, test)
    decoder = model.card.decoder
    if not videos or decoder is None:
        return None
    labels = model.labels
    background = labels.index(BACKGROUND) if BACKGROUND in labels else None
    rows = np.bincount(train.labels, features.lengths[train.positions], len(labels))
    found: dict[str, list[list[Segment]]] = {name: [] for name in (DECODED, WINDOWS, MAJORITY)}
    actual, scored, none = [], [], []
    for video in videos:
        times = video.times(features)
        truth = video.truth(times)
        parts = windows_of(model.head, video.parts(features), video.length, decoder.window)
        spans = decoded(parts, decoder, labels, model.reference)
        predicted = labels_at(spans, labels, times)
        said = _said(parts, predicted, decoder, times, int(rows.argmax()))
        odd = labels_at(none_of_these(spans, FALSE_ALARMS), (*labels, NONE), times) == len(labels)
        none.append(odd[(truth != UNKNOWN) & (truth != background)])
        for name, (predicted, confidence) in said.items():
            found[name].append(segments_of(predicted, truth != UNKNOWN, background, confidence))
        actual.append(segments_of(truth, truth != UNKNOWN, background))
        scored.append(
            ScoredVideo(
                video.name,
                video.length,
                {name: score_video(predicted, truth, len(labels), background)
                 for name, (predicted, _) in said.items()},
                _parts(truth, times, video.length, labels),
                _parts(said[DECODED][0], times, video.length, labels),
            )
        )  # fmt: skip
    scores = {
        name: _scores([one.scores[name] for one in scored], found[name], actual) for name in found
    }
    every = np.sum([one.scores[DECODED].counts for one in scored], axis=0)
    segments = np.bincount([one.label for row in actual for one in row], minlength=len(labels))
    groups = np.array([video.group for video in videos])
    return MeasuredTimelines(
        labels, tuple(scored), scores,
        _intervals([one.scores[DECODED] for one in scored], groups, samples, seed),
        f1_of(every).T, segments, _share(np.concatenate(none)),
    )  # fmt: skip


def _share(chosen: np.ndarray) -> float:
    return float(chosen.sum() / max(len(chosen), 1))


def _said(
    parts: Sequence[Windows], predicted: np.ndarray, decoder: Decoder, times: np.ndarray,
    majority: int,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """What each way says of the rows of a video: classes (T,) and confidence (T,)."""
    starts = np.concatenate([part.edges[:-1] for part in parts])
    window = np.searchsorted(starts, times + 1e-6, side="right").clip(1) - 1
    chances = softmax(np.concatenate([part.logits for part in parts]), decoder.temperature)[window]
    every = np.arange(len(times))
    best = chances.argmax(axis=1)
    return {
        DECODED: (predicted, chances[every, predicted]),
        WINDOWS: (best, chances[every, best]),
        MAJORITY: (np.full(len(times), majority), np.ones(len(times))),
    }


def _scores(
    videos: Sequence[VideoScores],
    predicted: Sequence[Sequence[Segment]],
    actual: Sequence[Sequence[Segment]],
) -> TimelineScores:
    counts = np.sum([one.counts.sum(axis=1) for one in videos], axis=0)
    return TimelineScores(
        sum(one.right for one in videos) / sum(one.frames for one in videos),
        float(np.mean([one.edit for one in videos])),
        tuple(f1_of(counts).tolist()),
        tuple(mean_average_precision(predicted, actual).tolist()),
    )


def _intervals(
    videos: Sequence[VideoScores], groups: np.ndarray, samples: int, seed: int
) -> dict[str, Interval | None]:
    """Percentile intervals over groups that are drawn as wholes."""
    unit = np.unique(groups, return_inverse=True)[1]
    drawn = int(unit.max()) + 1
    if drawn < 2:
        return {"accuracy": None, "edit": None, "f1_50": None}
    facts = np.array(
        [[one.right, one.frames, one.edit, 1.0, *one.counts[-1].sum(axis=0)] for one in videos]
    )
    of_group = np.stack([facts[unit == group].sum(axis=0) for group in range(drawn)])
    times = np.random.default_rng(seed).multinomial(drawn, np.full(drawn, 1 / drawn), samples)
    right, frames, edit, number, *counts = (times @ of_group).T
    shares = {"accuracy": right / frames, "edit": edit / number,
              "f1_50": f1_of(np.stack(counts, axis=1))}  # fmt: skip
    tails = 50 * (1 - COVERED), 50 * (1 + COVERED)
    return {
        name: Interval(*np.percentile(values, tails).tolist()) for name, values in shares.items()
    }


def _parts(
    classes: np.ndarray, times: np.ndarray, length: float, labels: Sequence[str]
) -> tuple[Part, ...]:
    """Runs of one class, in seconds."""
    starts = [0, *(np.flatnonzero(np.diff(classes)) + 1).tolist()]
    edges = [0.0, *times[starts[1:]].tolist(), length]
    names = ["" if classes[i] == UNKNOWN else labels[classes[i]] for i in starts]
    return tuple(zip(names, edges, edges[1:], strict=False))
