"""Stage `evaluate`: the head on the test split, beside the baseline -> reports/."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.csv_tables import listed, write_rows
from pipeline.dataset.clips import (
    BACKGROUND,
    DAMAGED,
    IMAGES,
    INDEX,
    REJECTED,
    SPLITS,
    read_damaged,
    read_images,
    read_index,
    read_rejected,
    read_splits,
)
from pipeline.dataset.near_copies import NEAR_COPIES, read_near_copies
from pipeline.errors import DatasetError, ModelError
from pipeline.evaluation.baseline import baseline_predictions, frame_means, ordered_predictions
from pipeline.evaluation.metrics import DIGITS, Interval, Measured, Outcome, Scores, measure, top_k
from pipeline.evaluation.multi_label.outcome import tell_labels
from pipeline.evaluation.multi_label.scores import MeasuredLabels, measure_labels
from pipeline.evaluation.multi_label.tables import label_summary, write_label_tables
from pipeline.evaluation.plots import (
    class_bars,
    confusion_matrix,
    read_curves,
    reliability_diagram,
    save_png,
    training_curves,
)
from pipeline.evaluation.report.evaluation import Run, head_name, verdict, write_report
from pipeline.evaluation.report.multi_label import write_label_report
from pipeline.evaluation.timelines import MeasuredTimelines, TimelineScores, measure_timelines
from pipeline.files import replacing_within, write_json, write_text
from pipeline.head.calibration import softmax
from pipeline.head.labelled_clips import LabelledClips, labelled_splits
from pipeline.head.model_folder import MODEL, Model, check_fits, load_model
from pipeline.store.feature_files import FEATURES, FeatureSet
from pipeline.timeline.scores import AP_OVERLAPS, F1_OVERLAPS
from pipeline.wording import some

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.params import Params

REPORTS = Path("reports")
F1_NAMES = tuple(f"f1_{100 * overlap:.0f}" for overlap in F1_OVERLAPS)
LIVE = "train"  # folder of the training log, below reports/
SHEETS = "frames"  # folder of the contact sheets, below reports/


@dataclass(frozen=True)
class Evaluated:
    """What the stage found: the scores, the test clips that have no features, the head's name, and
    the scores of long videos, where there are any."""

    measured: Measured | MeasuredLabels
    skipped: list[str]
    name: str
    timelines: MeasuredTimelines | None = None


def evaluate(
    params: "Params",
    *,
    index: Path = INDEX,
    splits: Path = SPLITS,
    features: Path = FEATURES,
    model: Path = MODEL,
    rejected: Path = REJECTED,
    reports: Path = REPORTS,
) -> Evaluated:
    """Classify the test split with the head and the baselines, and write all of `reports`.

    Test clips that were rejected by an earlier stage, and those of a label that no train clip has,
    are left out and counted. The baselines are trained on the train split, as the head is.

    Raises
    ------
    DatasetError
        When the test split has no clip that can be scored.
    ModelError
        When the model does not fit the features or the labels.
    """
    clips, split_of = read_index(index), read_splits(splits)
    of_images = "images" in clips.codes("kind")[1]
    images = read_images(index.with_name(IMAGES.name)) if of_images else {}
    feature_set = FeatureSet.open(features)
    several = params.dataset.multi_label
    sides = labelled_splits(feature_set, clips, splits, multi_label=several)
    in_test = (clip_id for clip_id in clips.values("clip_id") if split_of.get(clip_id) == "test")
    skipped = [
        clip_id for clip_id in in_test if clip_id not in feature_set or clip_id in sides.unlearnt
    ]
    _check_sides(sides.train, sides.test, skipped, splits)
    head = load_model(model, "litert")
    check_fits(head.card, feature_set.streams, feature_set.sampling, model, features)
    if head.card.several != several:
        raise ModelError(
            f"dataset.multi_label is {str(several).lower()}, but {model} was trained with "
            f"{str(head.card.several).lower()}: run `clipcache train` again (or `dvc repro`)."
        )
    drawn = {"samples": params.evaluate.bootstrap, "seed": params.evaluate.seed}
    measured: Measured | MeasuredLabels
    timelines = None
    if several:
        measured = measure_labels(tell_labels(head, feature_set, sides.train, sides.test), **drawn)
    else:
        measured = measure(classify(head, feature_set, sides.train, sides.test), **drawn)
        timelines = measure_timelines(head, feature_set, clips, sides.train, sides.test, **drawn)

    name = head_name(head.card)
    curves, best = read_curves(reports / LIVE), _best_epoch(reports / LIVE)
    done = Run(
        settings=params.model_dump(mode="json"),
        dataset=params.dataset,
        resize=params.features.resize,
        clips=clips,
        images=images,
        splits=split_of,
        copies=read_near_copies(reports / NEAR_COPIES.name),
        features=feature_set,
        card=head.card,
        measured=measured,
        timelines=timelines,
        skipped=skipped,
        rejected=read_rejected(rejected),
        damaged=read_damaged(rejected.with_name(DAMAGED.name)),
        curves=curves,
        best_epoch=best,
        sheets=reports / SHEETS,
    )
    with replacing_within(reports) as written:  # all of them or none
        write = _write_several if several else _write_single
        write(done, name, written, params.evaluate.top_k)
        _write_timelines(timelines, written)
        save_png(training_curves(curves, best), written / "plots/training_curves.png")
    return Evaluated(measured, skipped, name, timelines)


def classify(
    head: Model, features: FeatureSet, train: LabelledClips, test: LabelledClips
) -> Outcome:
    """What the head, and the baselines trained on `train`, say about `test`.

    Raises
    ------
    ModelError
        When a clip has a label that the model does not know.
    """
    train, test = train.numbered_by(head.labels), test.numbered_by(head.labels)
    added = head.head.contributions(features.clip(i) for i in test.positions)
    probabilities = softmax(added.sum(axis=1), head.card.temperature)
    baseline = baseline_predictions(
        frame_means(features, train.positions), train.labels, frame_means(features, test.positions)
    )
    return Outcome(
        labels=test.classes,
        clip_ids=features.clip_ids[test.positions],
        groups=test.groups,
        actual=test.labels,
        probabilities=probabilities,
        baseline=baseline,
        ordered_baseline=ordered_predictions(features, train, test, head.ordered_baseline),
        tried=head.reference.tried_on(added) if head.reference else None,
    )


def _write_single(run: Run, name: str, reports: Path, most: int) -> None:
    """All that is told where one label holds."""
    measured = run.measured
    assert isinstance(measured, Measured)
    numbers = summary(measured, run.skipped)
    if run.timelines:
        numbers["timeline"] = timeline_summary(run.timelines)
    write_json(reports / "metrics.json", numbers)
    _write_tables(measured, name, reports, most)
    _save_plots(
        reports / "plots",
        confusion_matrix(measured.confusion, measured.outcome.labels),
        class_bars(measured.classes),
        reliability_diagram(measured.reliability, measured.calibration_error),
    )
    write_report(run, reports / "report.html")


def _write_several(run: Run, name: str, reports: Path, most: int) -> None:
    """All that is told where several labels may hold."""
    measured = run.measured
    assert isinstance(measured, MeasuredLabels)
    write_json(reports / "metrics.json", label_summary(measured, run.skipped))
    write_label_tables(measured, name, run.card.thresholds or (), reports, most)
    _save_plots(
        reports / "plots",
        confusion_matrix(measured.together, measured.outcome.labels, measured.clips),
        class_bars(measured.rows),
        reliability_diagram(measured.reliability, measured.calibration_error),
    )
    write_label_report(run, reports / "report.html")


def _save_plots(
    folder: Path, confusion: "Figure", per_class: "Figure", reliability: "Figure"
) -> None:
    save_png(confusion, folder / "confusion.png")
    save_png(per_class, folder / "per_class.png")
    save_png(reliability, folder / "reliability.png")


def summary(measured: Measured, skipped: Sequence[str] = ()) -> dict[str, Any]:
    """The content of metrics.json: rounded, so that equal runs give equal bytes.

    An interval is a list [low, high], or null where there is none; DVC shows the single numbers
    and passes over lists, which keeps `dvc exp show` narrow.
    """
    outcome = measured.outcome
    shares = {
        "accuracy": measured.head.accuracy,
        "top5_accuracy": measured.top5_accuracy,
        "macro_f1": measured.head.macro_f1,
        "baseline_accuracy": measured.baseline.accuracy,
        "baseline_macro_f1": measured.baseline.macro_f1,
        "ordered_baseline_accuracy": measured.ordered_baseline.accuracy,
        "ordered_baseline_macro_f1": measured.ordered_baseline.macro_f1,
        "ece": measured.calibration_error,
        **(outcome.tried.shares(outcome.actual) if outcome.tried else {}),
    }
    return {
        **{name: round(share, DIGITS) for name, share in shares.items()},
        "test_clips": len(outcome.actual),
        "test_groups": len(set(outcome.groups.tolist())),
        "classes": len(outcome.labels),
        "skipped_clips": len(skipped),
        "intervals": {
            "accuracy": _intervals(measured.head),
            "baseline_accuracy": _intervals(measured.baseline),
            "ordered_baseline_accuracy": _intervals(measured.ordered_baseline),
            "difference": {
                "over_clips": _pair(measured.comparison.over_clips),
                "over_groups": _pair(measured.comparison.over_groups),
            },
        },
    }


def timeline_summary(timelines: MeasuredTimelines) -> dict[str, Any]:
    """What metrics.json says of long videos; see `summary`."""
    return {
        "videos": len(timelines.videos),
        "segments": int(timelines.class_segments.sum()),
        **{name: _timeline_numbers(scores) for name, scores in timelines.scores.items()},
        "intervals": {name: _pair(interval) for name, interval in timelines.intervals.items()},
        "none_of_these": round(timelines.none, DIGITS),
    }


def _timeline_numbers(scores: TimelineScores) -> dict[str, float]:
    numbers = {"accuracy": scores.accuracy, "edit": scores.edit}
    numbers |= dict(zip(F1_NAMES, scores.f1, strict=True))
    numbers["map"] = float(np.mean(scores.precision))
    numbers |= {
        f"map_{100 * overlap:.0f}": precision
        for overlap, precision in zip(AP_OVERLAPS, scores.precision, strict=True)
    }
    return {name: round(value, DIGITS) for name, value in numbers.items()}


def _write_timelines(timelines: MeasuredTimelines | None, reports: Path) -> None:
    """The tables of long videos; only their headers where there is none."""
    columns = ("accuracy", "edit", *F1_NAMES)
    videos = [] if timelines is None else [
        [video.name, f"{video.seconds:.2f}", way,
         *(f"{value:.{DIGITS}f}" for value in (scores.accuracy, scores.edit, *scores.f1))]
        for video in timelines.videos for way, scores in video.scores.items()
    ]  # fmt: skip
    classes = [] if timelines is None else [
        [label, segments, *(f"{value:.{DIGITS}f}" for value in f1)]
        for label, segments, f1 in zip(
            timelines.labels, timelines.class_segments, timelines.class_f1, strict=True
        )
        if label != BACKGROUND
    ]  # fmt: skip
    write_rows(reports / "timeline.csv", ["video", "seconds", "by", *columns], videos)
    write_rows(reports / "timeline_per_class.csv", ["label", "segments", *F1_NAMES], classes)


def _intervals(scores: Scores) -> dict[str, list[float] | None]:
    return {"over_clips": _pair(scores.over_clips), "over_groups": _pair(scores.over_groups)}


def _pair(interval: Interval | None) -> list[float] | None:
    return [round(interval.low, DIGITS), round(interval.high, DIGITS)] if interval else None


def _check_sides(
    train: LabelledClips, test: LabelledClips, skipped: Sequence[str], splits: Path
) -> None:
    if not len(test):
        why = (
            f", since {some(skipped)} were rejected or show what was not trained" if skipped else ""
        )
        raise DatasetError(
            f"The test split of {splits} has no clip to score{why}: raise split.test, or see "
            "reports/rejected.csv, and run `clipcache split` and `clipcache features` again."
        )
    if not len(train):
        raise DatasetError(
            f"The train split of {splits} has no clip with features, so there is no baseline to "
            "compare with: raise split.train, or see reports/rejected.csv."
        )


def _best_epoch(folder: Path) -> int | None:
    """The epoch whose weights were kept, from 1; None where training left no record."""
    path = folder / "metrics.json"
    if not path.is_file():
        return None
    best = json.loads(path.read_text("utf-8")).get("best_epoch")
    return int(best) if best else None


def _write_tables(measured: Measured, name: str, reports: Path, most: int) -> None:
    outcome, labels = measured.outcome, measured.outcome.labels
    ranked = top_k(outcome.probabilities, most)
    actual = [labels[i] for i in outcome.actual]
    predicted = [labels[i] for i in outcome.predicted]
    chances = [
        "|".join(f"{outcome.probabilities[row, i]:.{DIGITS}f}" for i in top)
        for row, top in enumerate(ranked)
    ]
    write_rows(
        reports / "predictions.csv",
        ["clip_id", "label", "predicted", "confidence", f"top{most}", f"top{most}_confidence",
         "baseline_predicted"],
        zip(
            outcome.clip_ids,
            actual,
            predicted,
            (f"{value:.{DIGITS}f}" for value in outcome.confidence),
            (listed(labels[i] for i in top) for top in ranked),
            chances,
            (labels[i] for i in outcome.baseline),
            strict=True,
        ),
    )  # fmt: skip
    write_rows(
        reports / "confusion.csv", ["actual", "predicted"], zip(actual, predicted, strict=True)
    )
    write_rows(
        reports / "per_class.csv",
        ["label", "clips", "precision", "recall", "f1", "accuracy"],
        (
            [row.label, row.clips, *(f"{value:.{DIGITS}f}" for value in
             (row.precision, row.recall, row.f1, row.accuracy))]
            for row in measured.classes
        ),
    )  # fmt: skip
    write_text(reports / "classification_report.txt", _classification_report(measured, name))


def _classification_report(measured: Measured, name: str) -> str:
    from sklearn.metrics import classification_report

    outcome = measured.outcome
    seen = np.union1d(outcome.actual, outcome.predicted)  # as in the macro F1 of metrics.json
    table = classification_report(
        outcome.actual,
        outcome.predicted,
        labels=seen,
        target_names=[outcome.labels[i] for i in seen],
        digits=3,
        zero_division=0,
    )
    return f"{verdict(measured, name)}\n\n{table}"
