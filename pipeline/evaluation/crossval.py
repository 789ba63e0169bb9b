"""Cross-validation of the head over groups, on the cached features -> reports/crossval.json."""

import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.csv_tables import write_rows
from pipeline.dataset.clips import INDEX, read_index
from pipeline.dataset.near_copies import NEAR_COPIES, read_near_copies, tied_groups
from pipeline.errors import ClipcacheError, DatasetError
from pipeline.evaluation.baseline import baseline_predictions, frame_means, ordered_predictions
from pipeline.evaluation.metrics import confusion_counts, expected_calibration_error, macro_f1
from pipeline.evaluation.params import CrossvalParams
from pipeline.files import check_writable, write_json
from pipeline.head.build import NETWORK_BRANCH
from pipeline.head.calibration import fit_temperature, softmax
from pipeline.head.fit import set_up_tensorflow
from pipeline.head.labelled_clips import LabelledClips, labelled_clips
from pipeline.head.params import TrainParams
from pipeline.head.training import train_head
from pipeline.processes import CrashedError, available_cores, run_in_processes
from pipeline.progress import Progress
from pipeline.store.feature_files import FEATURES, FeatureSet
from pipeline.wording import count, some

REPORTS = Path("reports")
MOST_LEFT_OUT = 10  # groups up to which each of them is a fold of its own
FOLDS = 5  # where there are more groups
DIGITS = 4  # of numbers in crossval.json
PROBABILITIES = REPORTS / "crossval_probabilities.csv"

logger = logging.getLogger("clipcache.crossval")


@dataclass(frozen=True)
class Fold:
    """One training: what the process that runs it is told.

    Attributes
    ----------
    features : folder of the features; each process opens it for itself
    row : the position of the seed among the seeds
    fold : number of the fold, from 0
    train, test : clips to learn from, and those to say the logits of
    params : with the seed of this training
    """

    features: Path
    row: int
    fold: int
    train: LabelledClips
    test: LabelledClips
    params: TrainParams


@dataclass(frozen=True)
class Said:
    """What a training gave for the test clips of its fold.

    Attributes
    ----------
    logits : (n, K) float32, of the head
    ordered_baseline : (n,) int64, the classes that the ordered baseline predicts
    tried : by name, the share of them that is called "none of these", and what sets come to
    """

    logits: np.ndarray
    ordered_baseline: np.ndarray
    tried: dict[str, float]


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
    tested: Tested


def crossval(
    settings: CrossvalParams,
    training: TrainParams,
    *,
    features_folder: Path = FEATURES,
    index: Path = INDEX,
    near_copies: Path = NEAR_COPIES,
    reports: Path = REPORTS,
    say: Callable[[str], None] = logger.warning,
) -> CrossValidation:
    """Train on all groups but some, test on those, in turn; write crossval.json and a confusion.

    Every clip is tested once per seed, by a head that saw none of its group. There is no
    validation split: each head trains for all `train.epochs`. The temperature for a fold is
    fitted on the predictions for the other folds' clips, so no clip's own label decides its
    confidence. Groups that share a video, or hold copies of one, are one.

    Parameters
    ----------
    say : is told of clips without a label, of groups that share a video, and of near-copies

    Raises
    ------
    DatasetError
        When there is only one group or one class.
    """
    check_writable(reports / "crossval.json")
    features = FeatureSet.open(features_folder)
    indexed = read_index(index)
    clips = labelled_clips(features, indexed)
    if waiting := int((~indexed.labelled).sum()):
        say(f"{count(waiting, 'clip')} without a label left out.")
    if clips.joined:
        say(
            f"{count(len(clips.joined), 'group shares', 'groups share')} a video with another, "
            f"whole or as segments: {some(clips.joined)}; what shares a video stays in one fold."
        )
    copies = read_near_copies(near_copies)
    tied = tied_groups(clips.groups, features.clip_ids[clips.positions].tolist(), copies)
    if (tied != clips.groups).any():
        clips = replace(clips, groups=tied)
        say(
            f"{count(len(copies), 'pair')} of clips of different groups are copies of one video "
            f"and stay in one fold: {some(copies)} ({near_copies})."
        )
    elif not near_copies.exists():
        say("Copies of one video under other names were not looked for: `clipcache copies` does.")
    fold_of = deal_folds(clips.labels, clips.groups, settings.folds)
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


def deal_folds(labels: np.ndarray, groups: np.ndarray, folds: int | None) -> np.ndarray:
    """The fold of each clip: (C,) int64, from 0; no group is torn apart.

    `folds` None: each group is a fold where there are at most `MOST_LEFT_OUT`, else `FOLDS` folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) < 2 or len(np.unique(labels)) < 2:
        raise DatasetError(
            "Cross-validation needs at least two groups and two labels: see dataset.group in the "
            "settings."
        )
    wanted = folds or (len(names) if len(names) <= MOST_LEFT_OUT else FOLDS)
    if wanted > len(names):
        raise DatasetError(
            f"crossval.folds is {wanted}, but there are only {len(names)} groups: lower it, or "
            "set it to null."
        )
    if wanted == len(names):
        return group_of.astype(np.int64)
    splitter = StratifiedGroupKFold(wanted, shuffle=True, random_state=0)
    fold_of = np.zeros(len(labels), np.int64)
    for fold, (_, test) in enumerate(splitter.split(np.zeros(len(labels)), labels, groups)):
        fold_of[test] = fold
    return fold_of


def run_folds(folds: Sequence[Fold], workers: int | None) -> Iterator[tuple[Fold, Said]]:
    """Train the folds in worker processes; what was said of each one's test clips.

    Parameters
    ----------
    workers : processes at a time; None for one per core

    Raises
    ------
    ClipcacheError
        When a training ends in the middle.
    """
    workers = min(workers or available_cores(), len(folds))
    results = run_in_processes(_run_fold, folds, workers=workers, timeout=math.inf)
    with Progress("crossval", len(folds), "trainings") as progress, closing(results):
        for fold, answer in results:
            yield fold, _said(fold, answer)
            progress.advance()


def calibrated(logits: np.ndarray, labels: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Probabilities (C, K), each fold's temperature fitted on the other folds' predictions."""
    probabilities = np.zeros(logits.shape)
    for fold in np.unique(fold_of):
        here = fold_of == fold
        probabilities[here] = softmax(logits[here], fit_temperature(logits[~here], labels[~here]))
    return probabilities


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


@cache
def _features(folder: Path) -> FeatureSet:
    """The features of a worker process, which uses one thread: there are as many as cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    return FeatureSet.open(folder)


def _said(task: Fold, answer: object) -> Said:
    """What a training gave, or a sentence on how it ended."""
    if isinstance(answer, CrashedError):
        raise ClipcacheError(
            f"The training of fold {task.fold} with seed {task.params.seed} ended in the middle "
            f"({answer}): where memory is short, set crossval.workers to 1."
        )
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, Said)
    return answer


def _run_fold(task: Fold) -> Said:
    """Train, and say something of the test clips; what is solved for the head is not solved twice.

    An ordered baseline of its own is the same for every seed.
    """
    features, nothing = _features(task.features), task.train.take(np.zeros(0, np.int64))
    if NETWORK_BRANCH in task.params.shape.branches:
        set_up_tensorflow(threads=1)
    trained = train_head(features, task.train, nothing, task.params)
    added = trained.head.contributions(features.clip(i) for i in task.test.positions)
    reference = trained.reference
    return Said(
        added.sum(axis=1),
        ordered_predictions(features, task.train, task.test, trained.ordered_baseline),
        reference.tried_on(added).shares(task.test.labels) if reference else {},
    )


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
