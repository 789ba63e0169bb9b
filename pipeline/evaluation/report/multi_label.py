"""The page about a head by which several labels may hold: reports/report.html."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluation.multi_label.scores import HEAD, LabelOutcome, MeasuredLabels
from pipeline.evaluation.multi_label.tables import label_verdict, names_of
from pipeline.evaluation.plots import class_bars, confusion_matrix, reliability_diagram, to_svg
from pipeline.evaluation.report.evaluation import (
    MISTAKES,
    Run,
    common_values,
    head_name,
    strips_of,
)
from pipeline.evaluation.report.page import write_page
from pipeline.head.calibration import cross_entropy


@dataclass(frozen=True)
class LabelMistake:
    """A clip of which other labels are told than hold.

    Attributes
    ----------
    missed, added : labels that hold and are not told, and the reverse, with their probabilities
    strip : data URI, or None where the clip could not be read
    """

    clip_id: str
    actual: str
    predicted: str
    missed: list[tuple[str, float]]
    added: list[tuple[str, float]]
    strip: str | None


def write_label_report(run: Run, path: Path) -> None:
    """Write the page; equal runs give equal bytes. See `evaluation.write_report`."""
    measured = run.measured
    assert isinstance(measured, MeasuredLabels)
    outcome, thresholds = measured.outcome, run.card.thresholds or ()
    said = dict(zip(map(str, outcome.clip_ids), names_of(outcome, outcome.head.holds), strict=True))
    values: dict[str, Any] = {
        **common_values(run, said),
        "verdict": label_verdict(measured, head_name(run.card)),
        "behind": measured.difference[0] <= 0,
        "ways": measured.scores,
        "scores": measured.scores[HEAD],
        "evidence": None,
        "timelines": None,
        "bars": to_svg(class_bars(measured.rows), "F1 and recall of each label"),
        "together": to_svg(
            confusion_matrix(measured.together, outcome.labels, measured.clips),
            "labels that come together",
        ),
        "rows": sorted(
            zip(measured.rows, thresholds, strict=True),
            key=lambda pair: (pair[0].f1, pair[0].recall, pair[0].label),
        ),
        "mistakes": _mistakes(run, outcome),
        "wrong": int((outcome.head.holds != outcome.actual).any(axis=1).sum()),
        "reliability": to_svg(
            reliability_diagram(measured.reliability, measured.calibration_error),
            "reliability diagram",
        ),
    }
    write_page(path, "multi_label.html", values)


def _mistakes(run: Run, outcome: LabelOutcome) -> list[LabelMistake]:
    """The clips whose true labels are the least probable."""
    head, actual = outcome.head, outcome.actual
    wrong = np.flatnonzero((head.holds != actual).any(axis=1))
    chances = head.scores[wrong].clip(1e-9, 1 - 1e-9)
    logits = np.log(chances / (1 - chances))
    costs = [cross_entropy(logits[i : i + 1], actual[row][None]) for i, row in enumerate(wrong)]
    worst = wrong[np.argsort(-np.array(costs), kind="stable")][:MISTAKES]
    strips = strips_of(run, [str(outcome.clip_ids[row]) for row in worst])
    right, said = names_of(outcome, actual[worst]), names_of(outcome, head.holds[worst])
    return [
        LabelMistake(
            clip_id := str(outcome.clip_ids[row]),
            right[i],
            said[i],
            _named(outcome, row, actual[row] & ~head.holds[row]),
            _named(outcome, row, head.holds[row] & ~actual[row]),
            strips[clip_id],
        )
        for i, row in enumerate(worst)
    ]


def _named(outcome: LabelOutcome, row: int, chosen: np.ndarray) -> list[tuple[str, float]]:
    scores = outcome.head.scores[row]
    return [(outcome.labels[k], float(scores[k])) for k in np.flatnonzero(chosen)]
