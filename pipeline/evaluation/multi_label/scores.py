"""Scores of a test split where several labels may hold for a clip: plain functions on arrays."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.metrics import (
    Interval,
    Reliability,
    expected_calibration_error,
    percentile_interval,
    reliability,
)

HEAD, FRAME_MEAN, ORDERED = "head", "frame mean", "ordered baseline"
BLOCK = 4_000_000  # numbers of resampled clips held at a time, 8 bytes each
MOST_NUMBERS = 2_000_000_000  # in all resamplings; of a large test split fewer will do
NAMES = ("map", "macro_f1", "micro_f1", "exact_match")  # of the scores of a classifier


@dataclass(frozen=True)
class Judgement:
    """What a classifier says of N clips.

    Attributes
    ----------
    scores : (N, K) float, larger where a label is likelier; probabilities of the head
    holds : (N, K) bool, which labels it says hold
    """

    scores: np.ndarray
    holds: np.ndarray


@dataclass(frozen=True)
class LabelOutcome:
    """What the head and the baselines said about every clip of a test split.

    Attributes
    ----------
    labels : the K classes, sorted
    clip_ids : (N,) str
    groups : (N,) of anything comparable
    actual : (N, K) bool, which labels hold
    judgements : by `HEAD`, `FRAME_MEAN` and `ORDERED`
    """

    labels: tuple[str, ...]
    clip_ids: np.ndarray
    groups: np.ndarray
    actual: np.ndarray
    judgements: Mapping[str, Judgement]

    @property
    def head(self) -> Judgement:
        """What the head says."""
        return self.judgements[HEAD]


@dataclass(frozen=True)
class LabelScores:
    """The numbers of one classifier, each by its name in `NAMES`, between 0 and 1.

    Attributes
    ----------
    values : ``map``, the mean over labels of the average precision; ``macro_f1``, the mean of F1;
        ``micro_f1``, F1 of all clips and labels together; ``exact_match``, the share of the clips
        of which exactly the right labels are told
    over_clips, over_groups : percentile bootstrap intervals; None where there is nothing to
        resample
    """

    values: dict[str, float]
    over_clips: dict[str, Interval | None]
    over_groups: dict[str, Interval | None]


@dataclass(frozen=True)
class LabelRow:
    """The scores of one label.

    Attributes
    ----------
    clips : for which it holds in the test split
    told : for which the head says so
    precision, recall, f1 : of the head
    average_precision : area under its curve of precision over recall; NaN where no clip has it
    baseline_f1, baseline_average_precision : of the frame mean
    """

    label: str
    clips: int
    told: int
    precision: float
    recall: float
    f1: float
    average_precision: float
    baseline_f1: float
    baseline_average_precision: float


@dataclass(frozen=True)
class MeasuredLabels:
    """All that is known about an outcome.

    Attributes
    ----------
    scores : of each classifier
    difference : mAP of the head less that of the frame mean, and its paired bootstrap intervals,
        over clips and over groups
    rows : a row for each label, in their order
    reliability, calibration_error : of the head, over the yes and no of all clips and labels
    clips : (K,) int64, for which each label holds
    together : (K, K) int64; of the clips for which the label of a row holds, for how many the head
        says that the label of a column does
    """

    outcome: LabelOutcome
    scores: dict[str, LabelScores]
    difference: tuple[float, Interval | None, Interval | None]
    rows: list[LabelRow]
    reliability: Reliability
    calibration_error: float
    clips: np.ndarray
    together: np.ndarray


def measure_labels(outcome: LabelOutcome, *, samples: int, seed: int = 0) -> MeasuredLabels:
    """All scores of an outcome.

    Parameters
    ----------
    samples, seed : of the bootstrap
    """
    actual, groups = outcome.actual, outcome.groups
    values, over_clips, over_groups = {}, {}, {}
    for name, said in outcome.judgements.items():
        values[name] = scores_of(actual, said)
        over_clips[name] = resampled(actual, said, None, samples=samples, seed=seed)
        over_groups[name] = resampled(actual, said, groups, samples=samples, seed=seed)
    intervals = [
        _interval(drawn[HEAD]["map"] - drawn[FRAME_MEAN]["map"]) if drawn[HEAD] else None
        for drawn in (over_clips, over_groups)
    ]
    return MeasuredLabels(
        outcome,
        {
            name: LabelScores(
                values[name],
                *(
                    {one: _interval(drawn[name][one]) if drawn[name] else None for one in NAMES}
                    for drawn in (over_clips, over_groups)
                ),
            )
            for name in outcome.judgements
        },
        (values[HEAD]["map"] - values[FRAME_MEAN]["map"], intervals[0], intervals[1]),
        label_rows(outcome),
        reliability(outcome.head.scores.ravel(), actual.ravel()),
        expected_calibration_error(outcome.head.scores.ravel(), actual.ravel()),
        actual.sum(axis=0),
        actual.astype(np.int64).T @ outcome.head.holds.astype(np.int64),
    )


def scores_of(actual: np.ndarray, said: Judgement) -> dict[str, float]:
    """The scores in `NAMES`: labels that hold for no clip count in F1 only where they are told.

    Parameters
    ----------
    actual : (N, K) bool
    """
    return {
        "map": float(np.nanmean(average_precisions(actual, said.scores))) if actual.any() else 0.0,
        **{name: float(values[0]) for name, values in _f1_and_exact(
            actual, said.holds, np.ones((1, len(actual)))).items()},
    }  # fmt: skip


def average_precisions(actual: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of each label, by scikit-learn: (K,) float64, NaN where it holds for no clip."""
    from sklearn.metrics import average_precision_score

    return np.array([
        average_precision_score(held, score) if held.any() else np.nan
        for held, score in zip(actual.T, scores.T, strict=True)
    ])  # fmt: skip


def label_rows(outcome: LabelOutcome) -> list[LabelRow]:
    """The scores of each label; a share without any clip behind it is 0."""
    from sklearn.metrics import precision_recall_fscore_support

    actual, head, mean = outcome.actual, outcome.head, outcome.judgements[FRAME_MEAN]
    precision, recall, f1, clips = precision_recall_fscore_support(
        actual, head.holds, zero_division=0
    )
    baseline = precision_recall_fscore_support(actual, mean.holds, zero_division=0)[2]
    columns = (
        clips, head.holds.sum(axis=0), precision, recall, f1,
        average_precisions(actual, head.scores), baseline, average_precisions(actual, mean.scores),
    )  # fmt: skip
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [LabelRow(label, *row) for label, row in zip(outcome.labels, rows, strict=True)]


def resampled(
    actual: np.ndarray, said: Judgement, groups: np.ndarray | None, *, samples: int, seed: int
) -> dict[str, np.ndarray]:
    """The scores in `NAMES` of bootstrap resamplings, (S,) each; equal seeds draw the same clips.

    With `groups` whole groups are drawn, as in `pipeline.evaluation.metrics.bootstrap_interval`.

    Returns
    -------
    empty where there is nothing to resample
    """
    clips, classes = actual.shape
    unit = np.arange(clips) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(unit.max()) + 1
    if units < 2 or samples < 1:
        return {}
    samples = max(min(samples, MOST_NUMBERS // (clips * classes)), 100)
    random = np.random.default_rng(seed)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    at_once = max(1, BLOCK // clips)
    for start in range(0, samples, at_once):
        draws = min(at_once, samples - start)
        weights = random.multinomial(units, np.full(units, 1 / units), draws)[:, unit]
        found = _f1_and_exact(actual, said.holds, weights)
        found["map"] = _mean_average_precision(actual, said.scores, weights)
        for name in NAMES:
            parts[name].append(found[name])
    return {name: np.concatenate(values) for name, values in parts.items()}


def _f1_and_exact(
    actual: np.ndarray, holds: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """F1 and exact match of clips that count (S, N): (S,) each."""
    right, held, told = (
        weights @ values.astype(np.float64) for values in (actual & holds, actual, holds)
    )
    both = held + told
    f1 = 2 * right / np.maximum(both, 1)
    exact = weights @ (actual == holds).all(axis=1)
    return {
        "macro_f1": f1.sum(axis=1) / np.maximum((both > 0).sum(axis=1), 1),
        "micro_f1": 2 * right.sum(axis=1) / np.maximum(both.sum(axis=1), 1),
        "exact_match": exact / weights.sum(axis=1),
    }


def _mean_average_precision(
    actual: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Of clips that count (S, N), as scikit-learn's with sample weights: (S,).

    Labels that hold for no clip of a resampling are left out of its mean.
    """
    total, labels = np.zeros(len(weights)), np.zeros(len(weights))
    for held, score in zip(actual.T, scores.T, strict=True):
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        end = np.searchsorted(-ranked, -ranked, side="right") - 1  # clips of one score count alike
        seen = weights[:, order].astype(np.float64)
        hit = seen * held[order]
        precision = np.cumsum(hit, axis=1)[:, end] / np.maximum(np.cumsum(seen, axis=1)[:, end], 1)
        hits = hit.sum(axis=1)
        total += np.where(hits > 0, (hit * precision).sum(axis=1) / np.maximum(hits, 1), 0)
        labels += hits > 0
    return total / np.maximum(labels, 1)


def _interval(values: np.ndarray) -> Interval | None:
    """Percentile interval; None where all are equal, as resampling knows no spread then."""
    if np.ptp(values) < 1e-9:
        return None
    return percentile_interval(values)
