"""What a cross-validation tells where several labels may hold for a clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.csv_tables import write_rows
from pipeline.evaluation.baseline import baseline_judgement, frame_means
from pipeline.evaluation.folds import Fold, calibrated, run_folds
from pipeline.evaluation.metrics import DIGITS, expected_calibration_error
from pipeline.evaluation.multi_label.scores import (
    FRAME_MEAN,
    HEAD,
    NAMES,
    ORDERED,
    Judgement,
    LabelOutcome,
    label_rows,
    scores_of,
)
from pipeline.evaluation.multi_label.tables import names_of
from pipeline.head.labelled_clips import LabelledClips
from pipeline.store.feature_files import FeatureSet


@dataclass(frozen=True)
class TestedLabels:
    """What the heads and the baselines said of clips that they had not seen.

    Attributes
    ----------
    clips : C of them
    clip_ids : (C,) str
    fold_of : (C,) int64, the fold in which each clip was tested
    seeds : S of them, one for each training of a fold
    heads, ordered_baselines : S each
    baseline : of the frame mean
    """

    clips: LabelledClips
    clip_ids: np.ndarray
    fold_of: np.ndarray
    seeds: list[int]
    heads: Sequence[Judgement]
    ordered_baselines: Sequence[Judgement]
    baseline: Judgement

    @property
    def actual(self) -> np.ndarray:
        """(C, K) bool, which labels hold."""
        return self.clips.labels > 0

    def outcome(self, seed: int) -> LabelOutcome:
        """What was said in the trainings of one seed, by its position."""
        judgements = {
            HEAD: self.heads[seed],
            FRAME_MEAN: self.baseline,
            ORDERED: self.ordered_baselines[seed],
        }
        clips = self.clips
        return LabelOutcome(clips.classes, self.clip_ids, clips.groups, self.actual, judgements)


def tell_labels_by_folds(
    features: FeatureSet,
    clips: LabelledClips,
    fold_of: np.ndarray,
    seeds: list[int],
    tasks: Sequence[Fold],
    workers: int | None,
) -> TestedLabels:
    """Train the folds where several labels may hold."""
    shape = (2, len(seeds), *clips.labels.shape)
    scores, holds = np.zeros(shape), np.zeros(shape, bool)
    for task, found in run_folds(tasks, workers):
        for way, said in enumerate(found.judged or ()):
            scores[way, task.row, fold_of == task.fold] = said.scores
            holds[way, task.row, fold_of == task.fold] = said.holds
    probabilities = [calibrated(one, clips.labels, fold_of) for one in scores[0]]
    means = frame_means(features, clips.positions)
    mean_scores, mean_holds = np.zeros(shape[2:]), np.zeros(shape[2:], bool)
    for fold in np.unique(fold_of):
        here = fold_of == fold
        said = baseline_judgement(means[~here], clips.take(~here), means[here])
        mean_scores[here], mean_holds[here] = said.scores, said.holds
    return TestedLabels(
        clips,
        features.clip_ids[clips.positions],
        fold_of,
        seeds,
        [Judgement(*one) for one in zip(probabilities, holds[0], strict=True)],
        [Judgement(*one) for one in zip(scores[1], holds[1], strict=True)],
        Judgement(mean_scores, mean_holds),
    )


def label_numbers(tested: TestedLabels) -> dict[str, Any]:
    """The numbers of crossval.json: means over seeds, and of each label."""
    actual, fold_of = tested.actual, tested.fold_of
    ways = {
        "": tested.heads,
        "baseline_": [tested.baseline],
        "ordered_baseline_": tested.ordered_baselines,
    }
    scores = {
        way: [scores_of(actual, said) for said in judgements] for way, judgements in ways.items()
    }
    maps = [one["map"] for one in scores[""]]
    per_fold = []
    for fold in np.unique(fold_of):
        here = fold_of == fold
        parts = (Judgement(said.scores[here], said.holds[here]) for said in tested.heads)
        per_fold.append(float(np.mean([scores_of(actual[here], part)["map"] for part in parts])))
    numbers = {
        f"{way}{name}": np.mean([one[name] for one in found])
        for way, found in scores.items()
        for name in NAMES
    }
    numbers["std"] = np.std(maps if len(maps) > 1 else per_fold)
    numbers["ece"] = np.mean(
        [expected_calibration_error(said.scores.ravel(), actual.ravel()) for said in tested.heads]
    )
    numbers["fold_std"] = np.std(per_fold)
    rows = [label_rows(tested.outcome(seed)) for seed in range(len(tested.seeds))]
    return {
        **{name: round(float(value), DIGITS) for name, value in numbers.items()},
        "folds": len(per_fold),
        "seeds": tested.seeds,
        "clips": len(actual),
        "groups": len(np.unique(tested.clips.groups)),
        "classes": len(tested.clips.classes),
        "map_per_seed": [round(value, DIGITS) for value in maps],
        "map_per_fold": [round(value, DIGITS) for value in per_fold],
        "per_label": {
            label: {
                "clips": of_label[0].clips,
                "f1": round(float(np.mean([row.f1 for row in of_label])), DIGITS),
                "average_precision": round(
                    float(np.mean([row.average_precision for row in of_label])), DIGITS
                ),
            }
            for label, *of_label in zip(tested.clips.classes, *rows, strict=True)
        },
    }


def write_label_outcome(tested: TestedLabels, probabilities: Path) -> None:
    """Write what `crossval` writes where one label holds, into the folder of `probabilities`; a
    cell of the confusion counts clips for which a label holds and another one is told.
    """
    from pipeline.evaluation.plots import confusion_matrix, save_png

    reports, classes = probabilities.parent, tested.clips.classes
    actual = names_of(tested.outcome(0), tested.actual)
    write_rows(
        reports / "crossval_predictions.csv",
        ("seed", "fold", "clip_id", "actual", "predicted"),
        (
            (seed, tested.fold_of[c], clip_id, actual[c], predicted)
            for s, seed in enumerate(tested.seeds)
            for c, (clip_id, predicted) in enumerate(
                zip(tested.clip_ids, names_of(tested.outcome(s), tested.heads[s].holds),
                    strict=True)
            )
        ),
    )  # fmt: skip
    shares = np.mean([said.scores for said in tested.heads], axis=0)
    write_rows(
        probabilities,
        ("clip_id", "actual", *classes),
        (
            (clip_id, actual[c], *(f"{share:.6f}" for share in shares[c]))
            for c, clip_id in enumerate(tested.clip_ids)
        ),
        exact=True,
    )
    held = tested.actual.astype(np.int64)
    counts = np.sum([held.T @ said.holds.astype(np.int64) for said in tested.heads], axis=0)
    write_rows(
        reports / "crossval_confusion.csv",
        ("actual", *classes),
        ((label, *row) for label, row in zip(classes, counts.tolist(), strict=True)),
    )
    clips = len(tested.seeds) * held.sum(axis=0)
    save_png(confusion_matrix(counts, classes, clips), reports / "crossval_confusion.png")
