"""The timeline of a clip as a picture: a row per label, what was said when, and how surely."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.plots import BLUE, GRID, INK, MUTED, new_figure, style
from pipeline.lettering import shorten
from pipeline.predict.clock import short_clock, ticks
from pipeline.predict.prediction import UNANSWERED, Prediction, Span

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MOST_ROWS = 24  # labels; a longer list shows those that hold the longest
WIDTH, ROW = 7.2, 0.42  # inches
STRIP = 0.16  # height of a span's bar, in rows
MOST_TICKS = 9


def timeline_figure(prediction: Prediction, labels: Sequence[str]) -> "Figure":
    """A row for every label of the timeline, in the order in which they come up.

    The bar of a row says where its label is the answer; the area above is its probability over
    time, from the bar (0) to the next row (1).

    Parameters
    ----------
    labels : of the model, in the order of a window's probabilities
    """
    spans = prediction.timeline()
    rows = _rows_of(spans)
    middles = [(window.start + window.end) / 2 for window in prediction.windows]
    times = np.array([0.0, *middles, prediction.seconds])
    with style():
        figure, axes = new_figure(WIDTH, ROW * max(len(rows), 2))
        for place, label in enumerate(rows):
            base = len(rows) - 1 - place
            sure = label not in UNANSWERED
            if sure:
                chances = [w.probabilities[labels.index(label)] for w in prediction.windows]
                heights = np.array([chances[0], *chances, chances[-1]])
                axes.fill_between(times, base + STRIP, base + STRIP + (0.92 - STRIP) * heights,
                                  color=BLUE, alpha=0.22, linewidth=0)  # fmt: skip
            stretches = [(span.start, span.end - span.start) for span in spans
                         if span.label == label]  # fmt: skip
            axes.broken_barh(stretches, (base, STRIP), color=BLUE if sure else MUTED, linewidth=0)
            axes.axhline(base, color=GRID, linewidth=0.8, zorder=0)
        axes.set_yticks(
            [len(rows) - 1 - place + 0.42 for place in range(len(rows))],
            shorten(rows),
        )
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_ylim(-0.12, len(rows))
        axes.set_xlim(0, prediction.seconds)
        marks = ticks(prediction.seconds, MOST_TICKS)
        axes.set_xticks(marks, [short_clock(mark) for mark in marks])
        axes.tick_params(axis="x", length=3)
        units = ["seconds", "minutes", "hours"][
            : 1 + sum(prediction.seconds >= s for s in (60, 3600))
        ]
        axes.set_xlabel(" : ".join(reversed(units)))
        axes.set_title(_title(prediction), color=INK)
    return figure


def _title(prediction: Prediction) -> str:
    if prediction.is_long:
        ((label, share),) = prediction.shares(1)
        return f"{label} {share:.0%} of the time"
    if prediction.label in UNANSWERED:
        return f"{prediction.label} over the whole clip"
    return f"{prediction.label} {prediction.confidence:.0%} over the whole clip"


def _rows_of(spans: Sequence[Span]) -> list[str]:
    """Labels in the order of their first span; of too many, those that hold the longest."""
    held: dict[str, float] = {}
    for span in spans:
        held[span.label] = held.get(span.label, 0.0) + span.end - span.start
    kept = sorted(held, key=lambda label: -held[label])[:MOST_ROWS]
    return [label for label in held if label in kept]
