"""The trainings of a cross-validation: which clips are tested in which, and what they say."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.errors import ClipcacheError, DatasetError
from pipeline.evaluation.baseline import ordered_judgement, ordered_predictions
from pipeline.evaluation.multi_label.scores import Judgement
from pipeline.head.build import NETWORK_BRANCH
from pipeline.head.calibration import fit_temperature, sigmoid, softmax
from pipeline.head.fit import set_up_tensorflow
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.params import TrainParams
from pipeline.head.training import train_head
from pipeline.processes import CrashedError, available_cores, run_in_processes
from pipeline.progress import Progress
from pipeline.store.feature_files import FeatureSet

MOST_LEFT_OUT = 10  # groups up to which each of them is a fold of its own
FOLDS = 5  # where there are more groups


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
    judged : by the head and by the ordered baseline, where several labels may hold; both then have
        logits for scores
    """

    logits: np.ndarray
    ordered_baseline: np.ndarray
    tried: dict[str, float]
    judged: tuple[Judgement, Judgement] | None = None


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
    """Probabilities (C, K), each fold's temperature fitted on the other folds' predictions.

    Parameters
    ----------
    labels : (C,) int; or (C, K) of 0 and 1 where several may hold
    """
    probabilities = np.zeros(logits.shape)
    for fold in np.unique(fold_of):
        here = fold_of == fold
        temperature = fit_temperature(logits[~here], labels[~here])
        probabilities[here] = (softmax if labels.ndim == 1 else sigmoid)(logits[here], temperature)
    return probabilities


@cache
def _features(folder: Path) -> FeatureSet:
    """The features of a worker process, which uses one thread: there are as many as cores."""
    from threadpoolctl import threadpool_limits

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # of libraries that are loaded later
    threadpool_limits(1)  # of those that are there
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
    if trained.thresholds is not None:
        logits = added.sum(axis=1)
        head = Judgement(logits, logits >= trained.thresholds)
        ordered = ordered_judgement(features, task.train, task.test, trained.linear)
        return Said(logits, np.zeros(0, np.int64), {}, (head, ordered))
    reference, alone = trained.reference, trained.linear.alone() if trained.linear else None
    return Said(
        added.sum(axis=1),
        ordered_predictions(features, task.train, task.test, alone),
        reference.tried_on(added).shares(task.test.labels) if reference else {},
    )
