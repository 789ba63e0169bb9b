"""Scores of a test split: plain functions on arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.head.held_out import Tried

CALIBRATION_BINS = 15  # equal-width bins of confidence; Guo et al., 2017, section 2
LEVEL = 0.95  # of every interval
BLOCK = 1_000_000  # resampled indices held at a time, 8 bytes each
DIGITS = 4  # of every number written to a file, so that equal runs give equal bytes


@dataclass(frozen=True)
class Outcome:
    """What the head and the baselines said about every clip of a test split.

    Attributes
    ----------
    labels : the K classes, sorted
    clip_ids : (N,) str
    groups : (N,) of anything comparable
    actual : (N,) int64, index into labels
    probabilities : (N, K) float64, of the head; rows sum to 1
    baseline : (N,) int64, class that the frame-mean baseline predicts
    ordered_baseline : (N,) int64, class that the ordered baseline predicts
    tried : what is called "none of these", and the sets; None for models of earlier releases
    """

    labels: tuple[str, ...]
    clip_ids: np.ndarray
    groups: np.ndarray
    actual: np.ndarray
    probabilities: np.ndarray
    baseline: np.ndarray
    ordered_baseline: np.ndarray
    tried: Tried | None = None

    @cached_property
    def predicted(self) -> np.ndarray:
        """(N,) int64, the head's most likely class."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confidence(self) -> np.ndarray:
        """(N,) float64, the head's probability of that class."""
        return self.probabilities.max(axis=1)

    @cached_property
    def correct(self) -> np.ndarray:
        """(N,) bool, where the head is right."""
        return self.predicted == self.actual


@dataclass(frozen=True)
class Interval:
    """A confidence interval at `LEVEL`."""

    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """The numbers of one classifier on one test split, each between 0 and 1.

    Attributes
    ----------
    over_clips : interval of the accuracy, as if clips were independent of each other
    over_groups : the fairer one, since clips of a group are not; None where there is one group
    """

    accuracy: float
    macro_f1: float
    over_clips: Interval
    over_groups: Interval | None


@dataclass(frozen=True)
class Comparison:
    """Head against baseline on the same clips.

    Attributes
    ----------
    difference : accuracy of the head minus accuracy of the baseline
    over_clips, over_groups : paired bootstrap intervals of the difference; None where there is
        nothing to learn from resampling
    only_head, only_baseline : clips that only the one or the other gets right
    """

    difference: float
    over_clips: Interval | None
    over_groups: Interval | None
    only_head: int
    only_baseline: int


@dataclass(frozen=True)
class ClassScores:
    """The scores of a classifier for one class.

    Attributes
    ----------
    clips : of the class in the test split
    precision : share of the clips called so that are so
    recall : share of the clips that are so that are called so
    f1 : harmonic mean of the two
    accuracy : share of all test clips on the right side of "this class or not"
    """

    label: str
    clips: int
    precision: float
    recall: float
    f1: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in equal-width bins of confidence.

    Attributes
    ----------
    edges : (B + 1,) float64, from 0 to 1
    clips : (B,) int64 in each bin
    confidence, accuracy : (B,) float64, means over the bin's clips; NaN where it is empty
    """

    edges: np.ndarray
    clips: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


@dataclass(frozen=True)
class Measured:
    """All that is known about an outcome.

    Attributes
    ----------
    top5_accuracy, calibration_error, reliability, classes : of the head
    baseline_classes : of the frame-mean baseline; both lists are in the order of the labels
    confusion : of the head, (K, K) int64; rows are actual classes
    """

    outcome: Outcome
    head: Scores
    baseline: Scores
    ordered_baseline: Scores
    comparison: Comparison
    top5_accuracy: float
    calibration_error: float
    reliability: Reliability
    classes: list[ClassScores]
    baseline_classes: list[ClassScores]
    confusion: np.ndarray


def measure(outcome: Outcome, *, samples: int, seed: int = 0) -> Measured:
    """All scores of an outcome.

    Parameters
    ----------
    samples, seed : of the bootstrap
    """
    actual, predicted = outcome.actual, outcome.predicted
    return Measured(
        outcome=outcome,
        head=score(actual, predicted, outcome.groups),
        baseline=score(actual, outcome.baseline, outcome.groups),
        ordered_baseline=score(actual, outcome.ordered_baseline, outcome.groups),
        comparison=compare(outcome, samples=samples, seed=seed),
        top5_accuracy=top_k_accuracy(outcome.probabilities, actual, 5),
        calibration_error=expected_calibration_error(outcome.confidence, outcome.correct),
        reliability=reliability(outcome.confidence, outcome.correct),
        classes=class_scores(actual, predicted, outcome.labels),
        baseline_classes=class_scores(actual, outcome.baseline, outcome.labels),
        confusion=confusion_counts(actual, predicted, len(outcome.labels)),
    )


def top_k_accuracy(probabilities: np.ndarray, actual: np.ndarray, k: int) -> float:
    """Share of clips whose class is among the `k` most likely; of equals the first in order counts.

    Parameters
    ----------
    probabilities : (N, K) float
    actual : (N,) int
    """
    return float((top_k(probabilities, k) == actual[:, None]).any(axis=1).mean())


def top_k(probabilities: np.ndarray, k: int) -> np.ndarray:
    """(N, min(k, K)) int64: the most likely classes of each clip, the likeliest first."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :k]


def macro_f1(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of the F1 scores of all classes that occur or are predicted, each counting the same."""
    from sklearn.metrics import f1_score

    return float(f1_score(actual, predicted, average="macro", zero_division=0))


def class_scores(
    actual: np.ndarray, predicted: np.ndarray, labels: Sequence[str]
) -> list[ClassScores]:
    """Scores of every class, in the order of `labels`; a score without any clip behind it is 0."""
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        actual, predicted, labels=range(len(labels)), zero_division=0
    )
    clips = np.bincount(actual, minlength=len(labels))  # scikit-learn's may be of floats
    accuracy = [
        float(((actual == index) == (predicted == index)).mean()) for index in range(len(labels))
    ]
    columns = (precision.tolist(), recall.tolist(), f1.tolist(), accuracy)
    return [ClassScores(*row) for row in zip(labels, clips.tolist(), *columns, strict=True)]


def confusion_counts(actual: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(K, K) int64: clips of class i (row) that were called j (column)."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(actual, predicted, labels=range(classes)).astype(np.int64)


def reliability(
    confidence: np.ndarray, correct: np.ndarray, bins: int = CALIBRATION_BINS
) -> Reliability:
    """Sort clips into bins of confidence; bin m holds (m / bins, (m + 1) / bins].

    Source: Guo et al., 2017, "On Calibration of Modern Neural Networks", equations 1 and 2,
    https://arxiv.org/abs/1706.04599

    Parameters
    ----------
    confidence : (N,) float in [0, 1], probability of the predicted class
    correct : (N,) bool
    """
    place = np.clip(np.ceil(np.asarray(confidence, np.float64) * bins).astype(int) - 1, 0, bins - 1)
    clips = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, confidence, bins) / clips
        accuracy = np.bincount(place, np.asarray(correct, np.float64), bins) / clips
    return Reliability(np.linspace(0, 1, bins + 1), clips, mean_confidence, accuracy)


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Mean distance between confidence and accuracy over the bins, weighted by their clips.

    Source: Guo et al., 2017, equation 3, https://arxiv.org/abs/1706.04599
    """
    binned = reliability(confidence, correct)
    gaps = np.nan_to_num(np.abs(binned.accuracy - binned.confidence))
    return float((gaps * binned.clips).sum() / binned.clips.sum())


def bootstrap_interval(
    values: np.ndarray, groups: np.ndarray | None = None, *, samples: int, seed: int = 0
) -> Interval | None:
    """Percentile bootstrap interval of the mean of `values`.

    With `groups`, whole groups are drawn instead of clips (the cluster bootstrap of Field and
    Welsh, 2007, https://doi.org/10.1111/j.1467-9868.2007.00593.x): clips of one person or source
    video resemble each other, and an interval over clips is then too narrow. Differences of two
    classifiers on the same clips, clip by clip, give the paired interval of their difference.

    Parameters
    ----------
    values : (N,) float or bool, one per clip
    groups : (N,) of anything comparable
    samples : resamplings

    Returns
    -------
    None where there is nothing to resample: fewer than two clips or groups, or no samples; or where
    all values are equal, as resampling knows no spread then, however few they are
    """
    values = np.asarray(values, np.float64)
    unit = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    totals, counts = np.bincount(unit, values), np.bincount(unit)
    units = len(counts)
    if units < 2 or samples < 1 or len(set(values.tolist())) < 2:
        return None
    random = np.random.default_rng(seed)
    means = np.empty(samples)
    rows = max(1, BLOCK // units)
    for start in range(0, samples, rows):
        drawn = random.integers(units, size=(min(rows, samples - start), units))
        means[start : start + rows] = totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return percentile_interval(means)


def percentile_interval(values: np.ndarray) -> Interval:
    """Between which `LEVEL` of some resampled values lie."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def accuracy_interval(correct: np.ndarray, groups: np.ndarray | None = None) -> Interval | None:
    """Wilson's interval of an accuracy; the one interval of a share in terminal, files and report.

    It has a width where every clip is right or every clip is wrong, and so still tells how little a
    few clips prove. Source: Wilson, 1927, https://doi.org/10.1080/01621459.1927.10502953

    With `groups`, clips of a group count for less, as they resemble each other: for as many
    independent clips as give the variance that is seen between groups (Kish's design effect; see
    Korn and Graubard, 1998, section 2), but for one a group at least, and for themselves at most.
    Where all clips are right nothing is seen of that variance, and a group counts as one.

    Parameters
    ----------
    correct : (N,) bool
    groups : (N,) of anything comparable

    Returns
    -------
    None where there is a single group.
    """
    correct = np.asarray(correct, np.float64)
    clips, share = len(correct), float(correct.mean())
    independent = float(clips)
    if groups is not None:
        unit = np.unique(groups, return_inverse=True)[1]
        sizes = np.bincount(unit)
        if len(sizes) < 2:
            return None
        excess = np.bincount(unit, correct) - share * sizes
        variance = len(sizes) / (len(sizes) - 1) * float(excess @ excess) / clips**2
        if share in (0.0, 1.0):
            independent = float(len(sizes))
        elif variance > 0:
            independent = float(np.clip(share * (1 - share) / variance, len(sizes), clips))
    return _wilson(share, independent)


def _wilson(share: float, clips: float) -> Interval:
    from scipy.special import ndtri

    z = float(ndtri((1 + LEVEL) / 2))
    scale = 1 + z**2 / clips
    centre = (share + z**2 / (2 * clips)) / scale
    half = z / scale * np.sqrt(share * (1 - share) / clips + z**2 / (4 * clips**2))
    low = 0.0 if share == 0 else max(0.0, float(centre - half))
    return Interval(low, 1.0 if share == 1 else min(1.0, float(centre + half)))


def score(actual: np.ndarray, predicted: np.ndarray, groups: np.ndarray) -> Scores:
    """Scores of one classifier from the (N,) actual and predicted classes."""
    correct = predicted == actual
    over_clips = accuracy_interval(correct)
    assert over_clips is not None
    return Scores(
        accuracy=float(correct.mean()),
        macro_f1=macro_f1(actual, predicted),
        over_clips=over_clips,
        over_groups=accuracy_interval(correct, groups),
    )


def compare(outcome: Outcome, *, samples: int, seed: int = 0) -> Comparison:
    """Head against baseline, clip by clip."""
    head, baseline = outcome.correct, outcome.baseline == outcome.actual
    difference = head.astype(np.float64) - baseline
    return Comparison(
        difference=float(difference.mean()),
        over_clips=bootstrap_interval(difference, samples=samples, seed=seed),
        over_groups=bootstrap_interval(difference, outcome.groups, samples=samples, seed=seed),
        only_head=int((head & ~baseline).sum()),
        only_baseline=int((baseline & ~head).sum()),
    )


def frequent_confusions(confusion: np.ndarray, most: int) -> list[tuple[int, int, int]]:
    """The largest off-diagonal cells: (actual, predicted, clips), the most frequent first."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = [divmod(int(cell), len(wrong)) for cell in order]
    return [(row, column, int(wrong[row, column])) for row, column in cells if wrong[row, column]]
