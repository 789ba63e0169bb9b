"""Windows, and windows of one label merged into spans: what happens when."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

TOUCHING = 1e-6  # seconds; windows that lie closer together adjoin
UNSURE = "unsure"  # the answer where no label is probable enough


@dataclass(frozen=True)
class Window:
    """What a model says of one stretch of a clip.

    Attributes
    ----------
    start, end : seconds from the clip's first frame
    probabilities : (K,) float64, in the order of the model's labels; they sum to 1
    label : the most probable one, "unsure" where its probability is below the threshold
    confidence : the probability of the most probable label
    """

    start: float
    end: float
    probabilities: np.ndarray
    label: str
    confidence: float


@dataclass(frozen=True)
class Span:
    """Adjoining windows of one label.

    Attributes
    ----------
    start, end : seconds from the clip's first frame; the spans of a clip leave a gap
        only where no frame is shown
    label : may be "unsure"
    confidence : mean of the windows' confidence
    """

    start: float
    end: float
    label: str
    confidence: float


def merge(windows: Sequence[Window], length: float) -> list[Span]:
    """Spans of windows in order; time of which they show nothing is left out.

    Where windows overlap, each speaks for the time that is nearest to its middle.

    Parameters
    ----------
    length : seconds of the clip
    """
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


def unbroken(windows: Sequence[Window]) -> Iterator[list[Window]]:
    """Windows in order, in runs without a gap between one and the next."""
    run: list[Window] = []
    for window in windows:
        if run and window.start > run[-1].end + TOUCHING:
            yield run
            run = []
        run.append(window)
    if run:
        yield run


def borders(windows: Sequence[Window], length: float) -> list[float]:
    """Where the time for which each window speaks begins, in seconds, and last where it ends."""
    middles = [(window.start + window.end) / 2 for window in windows]
    return [0.0, *((left + right) / 2 for left, right in itertools.pairwise(middles)), length]
