"""What is told of scores where several labels may hold: numbers, tables, a verdict."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.csv_tables import listed, write_rows
from pipeline.dataset.label_sets import join_labels
from pipeline.evaluation.metrics import DIGITS, Interval, top_k
from pipeline.evaluation.multi_label.scores import (
    FRAME_MEAN,
    HEAD,
    NAMES,
    ORDERED,
    LabelOutcome,
    LabelScores,
    MeasuredLabels,
)
from pipeline.evaluation.report.page import between_points, points
from pipeline.files import write_text
from pipeline.wording import count

PREFIXES = {HEAD: "", FRAME_MEAN: "baseline_", ORDERED: "ordered_baseline_"}


def label_summary(measured: MeasuredLabels, skipped: Sequence[str] = ()) -> dict[str, Any]:
    """The content of metrics.json: rounded, so that equal runs give equal bytes.

    An interval is a list [low, high], or null where there is none.
    """
    outcome = measured.outcome
    shares = {
        f"{prefix}{name}": measured.scores[way].values[name]
        for way, prefix in PREFIXES.items()
        for name in NAMES
    }
    shares["ece"] = measured.calibration_error
    return {
        **{name: round(share, DIGITS) for name, share in shares.items()},
        "test_clips": len(outcome.actual),
        "test_groups": len(set(outcome.groups.tolist())),
        "classes": len(outcome.labels),
        "labels_per_clip": round(float(outcome.actual.sum(axis=1).mean()), DIGITS),
        "skipped_clips": len(skipped),
        "intervals": {
            **{
                f"{PREFIXES[way]}{name}": _intervals(measured.scores[way], name)
                for way in PREFIXES
                for name in (NAMES if way == HEAD else NAMES[:1])
            },
            "difference": {
                "over_clips": _pair(measured.difference[1]),
                "over_groups": _pair(measured.difference[2]),
            },
        },
    }


def label_verdict(measured: MeasuredLabels, name: str) -> str:
    """Head against baseline in a few sentences that a sceptic can accept."""
    head, mean = measured.scores[HEAD].values, measured.scores[FRAME_MEAN].values
    difference, over_clips, over_groups = measured.difference
    numbers = (
        f"On {count(len(measured.outcome.actual), 'test clip')} the {name} has a mean average "
        f"precision of {head['map']:.3f}, the frame-mean baseline of {mean['map']:.3f}: "
    )
    finding = f"{points(difference)} points for the head"
    if difference <= 0:
        finding = "the head does not beat the baseline"
    wide = [interval for interval in (over_clips, over_groups) if interval]
    if wide:
        interval = max(wide, key=lambda one: one.high - one.low)
        over = "groups" if interval is over_groups else "clips"
        finding += f" (95 % interval over {over} {between_points(interval)} points)"
        if interval.low <= 0 <= interval.high:
            finding += ". The interval includes 0, so on this split the two cannot be told apart"
    return (
        f"{numbers}{finding}. Exactly the right labels are told of {head['exact_match']:.1%} of "
        "the clips."
    )


def names_of(outcome: LabelOutcome, holds: np.ndarray) -> list[str]:
    """The labels of each row of (N, K) bool, as index.csv has them."""
    return [join_labels(outcome.labels[k] for k in np.flatnonzero(row)) for row in holds]


def write_label_tables(
    measured: MeasuredLabels, name: str, thresholds: Sequence[float], reports: Path, most: int
) -> None:
    """predictions.csv, per_class.csv, confusion.csv and classification_report.txt.

    Parameters
    ----------
    thresholds : (K,) of the head
    most : labels listed of each clip
    """
    outcome, head = measured.outcome, measured.outcome.head
    labels = outcome.labels
    ranked = top_k(head.scores, most)
    actual = names_of(outcome, outcome.actual)
    write_rows(
        reports / "predictions.csv",
        ["clip_id", "label", "predicted", f"top{most}", f"top{most}_confidence",
         "baseline_predicted"],
        zip(
            outcome.clip_ids,
            actual,
            names_of(outcome, head.holds),
            (listed(labels[i] for i in top) for top in ranked),
            ("|".join(f"{head.scores[row, i]:.{DIGITS}f}" for i in top)
             for row, top in enumerate(ranked)),
            names_of(outcome, outcome.judgements[FRAME_MEAN].holds),
            strict=True,
        ),
    )  # fmt: skip
    # a row for each pair of a label that holds and one that is told
    held, told = np.nonzero(measured.together)
    write_rows(
        reports / "confusion.csv",
        ["actual", "predicted"],
        (
            (labels[i], labels[j])
            for i, j in zip(held, told, strict=True)
            for _ in range(measured.together[i, j])
        ),
    )
    write_rows(
        reports / "per_class.csv",
        ["label", "clips", "told", "precision", "recall", "f1", "average_precision", "threshold",
         "baseline_f1", "baseline_average_precision"],
        (
            [row.label, row.clips, row.told, *(
                None if math.isnan(value) else f"{value:.{DIGITS}f}"
                for value in (row.precision, row.recall, row.f1, row.average_precision, threshold,
                              row.baseline_f1, row.baseline_average_precision)
            )]
            for row, threshold in zip(measured.rows, thresholds, strict=True)
        ),
    )  # fmt: skip
    write_text(reports / "classification_report.txt", _classification_report(measured, name))


def _classification_report(measured: MeasuredLabels, name: str) -> str:
    from sklearn.metrics import classification_report

    outcome = measured.outcome
    table = classification_report(
        outcome.actual, outcome.head.holds, target_names=outcome.labels, digits=3, zero_division=0
    )
    return f"{label_verdict(measured, name)}\n\n{table}"


def _intervals(scores: LabelScores, name: str) -> dict[str, list[float] | None]:
    return {
        "over_clips": _pair(scores.over_clips[name]),
        "over_groups": _pair(scores.over_groups[name]),
    }


def _pair(interval: Interval | None) -> list[float] | None:
    return [round(interval.low, DIGITS), round(interval.high, DIGITS)] if interval else None
