"""What a model says of a video's windows as probabilities, and decoded into spans."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.head.calibration import softmax
from pipeline.head.model_card import Decoder
from pipeline.timeline.decoder import decode
from pipeline.timeline.windows import Windows

UNSURE = "unsure"  # the answer where no label is probable enough
LEAST = 1e-9  # probability, of which there is a logarithm


@dataclass(frozen=True)
class Window:
    """What a model says of one stretch of a clip.

    Attributes
    ----------
    start, end : seconds from the clip's first frame
    probabilities : (K,) float64, in the order of the model's labels; they sum to 1, but where
        several labels may hold
    label : the most probable one, "unsure" where its probability is below the threshold; where
        several may hold, those that do, with | between them
    confidence : the probability of the most probable label
    """

    start: float
    end: float
    probabilities: np.ndarray
    label: str
    confidence: float


@dataclass(frozen=True)
class Span:
    """A stretch of one label.

    Attributes
    ----------
    start, end : seconds from the clip's first frame; the spans of a clip leave a gap only where no
        frame is shown
    label : may be "unsure"
    confidence : mean over its time of the probability that its windows give the label
    """

    start: float
    end: float
    label: str
    confidence: float


def decoded(windows: Sequence[Windows], decoder: Decoder, labels: Sequence[str]) -> list[Span]:
    """The spans of a video."""
    spans = []
    for stretch in windows:
        edges, seconds = stretch.edges, np.diff(stretch.edges)
        chances = softmax(stretch.logits, decoder.temperature)
        # Windows overlap: each has its share of what those say that see the same time.
        weights = np.minimum(seconds / np.diff(stretch.places).ravel(), 1)
        evidence = np.log(np.maximum(chances, LEAST)) * weights[:, None]
        found = decode(evidence, edges, decoder)
        starts = [0, *(np.flatnonzero(np.diff(found)) + 1).tolist()]
        for first, stop in zip(starts, [*starts[1:], len(found)], strict=True):
            label, time = int(found[first]), seconds[first:stop]
            confidence = float(chances[first:stop, label] @ time / time.sum())
            spans.append(Span(float(edges[first]), float(edges[stop]), labels[label], confidence))
    return spans


def doubted(spans: Sequence[Span], threshold: float) -> list[Span]:
    """The spans, with "unsure" for those of less confidence; such that adjoin are one."""
    told: list[Span] = []
    for span in spans:
        if span.confidence >= threshold:
            told.append(span)
        elif told and told[-1].label == UNSURE and told[-1].end == span.start:
            before = told.pop()
            lengths = before.end - before.start, span.end - span.start
            confidence = np.average([before.confidence, span.confidence], weights=lengths)
            told.append(Span(before.start, span.end, UNSURE, float(confidence)))
        else:
            told.append(replace(span, label=UNSURE))
    return told


def time_shares(spans: Sequence[Span], labels: Sequence[str]) -> np.ndarray:
    """The share that each label has of the time of all spans: (K,) float64."""
    seconds = dict.fromkeys(labels, 0.0)
    for span in spans:
        seconds[span.label] += span.end - span.start
    shares = np.array(list(seconds.values()))
    return shares / shares.sum()
