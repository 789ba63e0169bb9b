"""Cross-validation of the head over groups, on the cached features -> reports/crossval.json."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.csv_tables import write_rows
from pipeline.dataset.clips import INDEX, read_index
from pipeline.dataset.near_copies import NEAR_COPIES, read_near_copies, tied_groups, told
from pipeline.evaluation.baseline import baseline_predictions, frame_means
from pipeline.evaluation.folds import Fold, calibrated, deal_folds, run_folds
from pipeline.evaluation.metrics import confusion_counts, expected_calibration_error, macro_f1
from pipeline.evaluation.multi_label.crossval import (
    TestedLabels,
    label_numbers,
    tell_labels_by_folds,
    write_label_outcome,
)
from pipeline.evaluation.params import CrossvalParams
from pipeline.files import check_writable, write_json
from pipeline.head.labelled_clips import LabelledClips, labelled_clips
from pipeline.head.params import TrainParams
from pipeline.store.feature_files import FEATURES, FeatureSet
from pipeline.wording import count, some

REPORTS = Path("reports")
DIGITS = 4  # of numbers in crossval.json
PROBABILITIES = REPORTS / "crossval_probabilities.csv"

logger = logging.getLogger("clipcache.crossval")


@dataclass(frozen=True)
class Tested:
    """What the heads and the baselines said of clips that they had not seen.

    Attributes
    ----------
    clips : C of them
    fold_of : (C,) int64, the fold in which each clip was tested
    seeds : S of them, one for each training of a fold
    probabilities : (S, C, K) float64
    baseline : (C,) int64, the classes that the frame mean predicts
    ordered_baseline : (S, C) int64, those that the ordered baseline predicts
    tried : by name, the share of the clips that is called "none of these", and what sets come to
    """

    clips: LabelledClips
    fold_of: np.ndarray
    seeds: list[int]
    probabilities: np.ndarray
    baseline: np.ndarray
    ordered_baseline: np.ndarray
    tried: dict[str, float]

    @cached_property
    def predicted(self) -> np.ndarray:
        """(S, C) int64, the likeliest classes."""
        return self.probabilities.argmax(axis=2)


@dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation found.

    Attributes
    ----------
    scores : what crossval.json holds: ``accuracy`` (mean over seeds of the share of all clips that
        is right), ``std`` (over seeds; over folds where there is one seed), ``macro_f1``,
        ``baseline_accuracy``, ``ordered_baseline_accuracy``, ``ece``, ``folds``, ``seeds``, ...
    tested : what they were measured on
    """

    scores: dict[str, Any]
    tested: Tested | TestedLabels


def crossval(
    settings: CrossvalParams,
    training: TrainParams,
    *,
    features_folder: Path = FEATURES,
    index: Path = INDEX,
    near_copies: Path = NEAR_COPIES,
    reports: Path = REPORTS,
    say: Callable[[str], None] = logger.warning,
    multi_label: bool = False,
) -> CrossValidation:
    """Train on all groups but some, test on those, in turn; write crossval.json and a confusion.

    Every clip is tested once per seed, by a head that saw none of its group. There is no
    validation split: each head trains for all `train.epochs`. The temperature for a fold is
    fitted on the predictions for the other folds' clips, so no clip's own label decides its
    confidence. Groups that share a video, or hold copies of one, are one.

    Parameters
    ----------
    say : is told of clips without a label, of groups that share a video, and of near-copies
    multi_label : whether several labels may hold for a clip (``dataset.multi_label``); the numbers
        are those of `pipeline.evaluation.multi_label.crossval` then

    Raises
    ------
    DatasetError
        When there is only one group or one class.
    """
    check_writable(reports / "crossval.json")
    features = FeatureSet.open(features_folder)
    indexed = read_index(index)
    clips = labelled_clips(features, indexed, multi_label=multi_label)
    if waiting := int((~indexed.labelled).sum()):
        say(f"{count(waiting, 'clip')} without a label left out.")
    if clips.joined:
        say(
            f"{count(len(clips.joined), 'group shares', 'groups share')} a video with another, "
            f"whole or as segments: {some(clips.joined)}; what shares a video stays in one fold."
        )
    copies = read_near_copies(near_copies)
    tied = tied_groups(clips.groups, features.digests[clips.positions].tolist(), copies)
    if (tied != clips.groups).any():
        clips = replace(clips, groups=tied)
        say(f"{told(copies)[:-1]}, and stay in one fold.")
    elif not near_copies.exists():
        say("Copies of one video under other names were not looked for: `clipcache copies` does.")
    fold_of = deal_folds(clips.strata, clips.groups, settings.folds)
    seeds = [training.seed + i for i in range(settings.seeds)]
    tasks = [
        Fold(
            features_folder,
            row,
            fold,
            clips.take(fold_of != fold),
            clips.take(fold_of == fold),
            training.model_copy(update={"seed": seed}),
        )
        for row, seed in enumerate(seeds)
        for fold in range(int(fold_of.max()) + 1)
    ]
    if clips.several:
        several = tell_labels_by_folds(features, clips, fold_of, seeds, tasks, settings.workers)
        numbers = label_numbers(several)
        write_json(reports / "crossval.json", numbers)
        write_label_outcome(several, reports / PROBABILITIES.name)
        return CrossValidation(numbers, several)
    logits = np.zeros((len(seeds), len(clips), len(clips.classes)), np.float32)
    ordered = np.zeros((len(seeds), len(clips)), np.int64)
    tried: dict[str, list[float]] = {}
    for task, found in run_folds(tasks, settings.workers):
        for name, share in found.tried.items():
            tried.setdefault(name, []).extend([share] * len(task.test))
        logits[task.row, fold_of == task.fold] = found.logits
        ordered[task.row, fold_of == task.fold] = found.ordered_baseline
    tested = Tested(
        clips,
        fold_of,
        seeds,
        np.stack([calibrated(one, clips.labels, fold_of) for one in logits]),
        _run_baseline(features, clips, fold_of),
        ordered,
        {
            name: float(np.mean(shares))
            for name, shares in tried.items()
            if len(shares) == logits.shape[0] * logits.shape[1]
        },
    )
    result = summary(tested)
    write_json(reports / "crossval.json", result)
    _write_outcome(reports, tested, features.clip_ids[clips.positions])
    return CrossValidation(result, tested)


def summary(tested: Tested) -> dict[str, Any]:
    """The numbers of crossval.json."""
    actual, fold_of, seeds = tested.clips.labels, tested.fold_of, tested.seeds
    right = tested.predicted == actual
    per_seed = right.mean(axis=1)
    per_fold = [float(right[:, fold_of == fold].mean()) for fold in np.unique(fold_of)]
    errors = [
        expected_calibration_error(one.max(axis=1), hit)
        for one, hit in zip(tested.probabilities, right, strict=True)
    ]
    scores = {
        "accuracy": per_seed.mean(),
        "std": np.std(per_seed if len(seeds) > 1 else per_fold),
        "macro_f1": np.mean([macro_f1(actual, one) for one in tested.predicted]),
        "baseline_accuracy": (tested.baseline == actual).mean(),
        "ordered_baseline_accuracy": (tested.ordered_baseline == actual).mean(),
        "ece": np.mean(errors),
        **tested.tried,
        "fold_std": np.std(per_fold),
    }
    return {
        **{name: round(float(value), DIGITS) for name, value in scores.items()},
        "folds": len(per_fold),
        "seeds": seeds,
        "clips": len(actual),
        "groups": len(np.unique(tested.clips.groups)),
        "classes": len(tested.clips.classes),
        "accuracy_per_seed": [round(float(value), DIGITS) for value in per_seed],
        "accuracy_per_fold": [round(value, DIGITS) for value in per_fold],
    }


def _run_baseline(features: FeatureSet, clips: LabelledClips, fold_of: np.ndarray) -> np.ndarray:
    """What the baseline says of every clip, trained on the other folds: (C,) classes."""
    means = frame_means(features, clips.positions)
    predicted = np.zeros(len(clips), np.int64)
    for fold in np.unique(fold_of):
        here = fold_of == fold
        predicted[here] = baseline_predictions(means[~here], clips.labels[~here], means[here])
    return predicted


def _write_outcome(reports: Path, tested: Tested, clip_ids: np.ndarray) -> None:
    """Write crossval_predictions.csv (a row per seed and clip), crossval_confusion.csv/png and the
    mean over seeds of all probabilities, which `clipcache doubts` reads."""
    from pipeline.evaluation.plots import confusion_matrix, save_png

    actual, classes, predicted = tested.clips.labels, tested.clips.classes, tested.predicted
    write_rows(
        reports / "crossval_predictions.csv",
        ("seed", "fold", "clip_id", "actual", "predicted", "confidence"),
        (
            (seed, tested.fold_of[c], clip_id, classes[actual[c]], classes[predicted[s, c]],
             f"{tested.probabilities[s, c].max():.4f}")
            for s, seed in enumerate(tested.seeds)
            for c, clip_id in enumerate(clip_ids)
        ),
    )  # fmt: skip
    write_rows(
        reports / PROBABILITIES.name,
        ("clip_id", "actual", *classes),
        (
            (clip_id, classes[actual[c]], *(f"{share:.6f}" for share in shares))
            for c, (clip_id, shares) in enumerate(
                zip(clip_ids, tested.probabilities.mean(axis=0), strict=True)
            )
        ),
        exact=True,
    )
    counts = np.sum([confusion_counts(actual, one, len(classes)) for one in predicted], axis=0)
    write_rows(
        reports / "crossval_confusion.csv",
        ("actual", *classes),
        ((label, *row) for label, row in zip(classes, counts.tolist(), strict=True)),
    )
    save_png(confusion_matrix(counts, classes), reports / "crossval_confusion.png")
