"""A long clip as windows, and windows of one label merged into spans: what happens when."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.errors import ClipcacheError
from pipeline.predict.prediction import Prediction, Span, Window
from pipeline.predict.stretches import unbroken

MOST_WINDOWS = 200_000  # of one clip: more than two days at the usual second between windows


def check_windows(window: float, stride: float) -> None:
    """Refuse windows that make no sense.

    Raises
    ------
    ClipcacheError
        When window or stride is not above 0, or the stride would leave gaps.
    """
    if not (np.isfinite([window, stride]).all() and window > 0 and stride > 0):
        raise ClipcacheError(
            f"Windows of {window:g} s every {stride:g} s make no sense: both must be above 0."
        )
    if stride > window:
        raise ClipcacheError(
            f"Windows of {window:g} s every {stride:g} s would leave gaps: take a stride of at "
            "most the window."
        )


def place_windows(length: float, window: float, stride: float) -> list[tuple[float, float]]:
    """Start and end of the windows that cover a clip, in seconds.

    One begins every `stride` seconds; the last ends with the clip. A clip no longer than a window
    is one window, which ends with the clip.

    Parameters
    ----------
    length, window, stride : seconds

    Raises
    ------
    ClipcacheError
        When window or stride is not above 0, when the stride would leave gaps, or when there would
        be absurdly many windows.
    """
    check_windows(window, stride)
    if length / stride > MOST_WINDOWS:
        raise ClipcacheError(
            f"Windows every {stride:g} s over {length:.0f} s are more than {MOST_WINDOWS:,}: take "
            "a longer stride."
        )
    if length <= window:
        return [(0.0, length)]
    count = int(np.ceil((length - window) / stride - 1e-9))  # before the last one
    places = [(i * stride, i * stride + window) for i in range(count)]
    return [*places, (length - window, length)]


def timeline(prediction: Prediction) -> list[Span]:
    """The clip as spans, each of one label; where no frame is shown for long, there is none.

    Where windows overlap, each speaks for the time that is nearest to its middle.
    """
    return merge(prediction.windows, prediction.seconds)


def merge(windows: Sequence[Window], length: float) -> list[Span]:
    """As `timeline`, of windows in order; time of which they show nothing is left out."""
    runs = list(unbroken(windows))
    if len(runs) > 1:
        return [
            replace(span, start=max(span.start, run[0].start))
            for run in runs for span in merge(run, run[-1].end)
        ]  # fmt: skip
    edges = borders(windows, length)
    sections = zip(windows, edges, edges[1:], strict=False)
    spans = []
    for label, group in itertools.groupby(sections, key=lambda section: section[0].label):
        members = list(group)
        confidence = float(np.mean([window.confidence for window, _, _ in members]))
        spans.append(Span(members[0][1], members[-1][2], label, confidence))
    return spans


def borders(windows: Sequence[Window], length: float) -> list[float]:
    """Where the time for which each window speaks begins, in seconds, and last where it ends."""
    middles = [(window.start + window.end) / 2 for window in windows]
    return [0.0, *((left + right) / 2 for left, right in itertools.pairwise(middles)), length]
