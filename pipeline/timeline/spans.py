"""What a model says of a video's windows as probabilities, and decoded into spans.

A span may look like none of the labels. It is judged by the mean of what its windows say, which is
held against clips that training held out (`pipeline.head.held_out`), less what stretches of known
labels are odder than clips as a rule: windows see less than clips, and borders are not exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.dataset.clips import BACKGROUND
from pipeline.head.calibration import softmax
from pipeline.head.held_out import Reference
from pipeline.head.model_card import Decoder
from pipeline.timeline.decoder import decode
from pipeline.timeline.windows import Windows

UNSURE = "unsure"  # the answer where no label is probable enough
NONE = "none of these"  # the answer where a clip is too odd to show any of the labels
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
    label : may be "unsure" or "none of these"
    confidence : mean over its time of the probability that its windows give the label
    familiarity : share of clips of known labels that are as odd or odder; None where that cannot be
        told, and for the background, which may be anything
    """

    start: float
    end: float
    label: str
    confidence: float
    familiarity: float | None = None


def decoded(
    windows: Sequence[Windows],
    decoder: Decoder,
    labels: Sequence[str],
    reference: Reference | None = None,
) -> list[Span]:
    """The spans of a video.

    Parameters
    ----------
    reference : what tells how odd they are; None where nothing does
    """
    spans, odder = [], decoder.oddness
    for stretch in windows:
        edges, chances = stretch.edges, softmax(stretch.logits, decoder.temperature)
        for first, stop, number in decoded_runs(stretch, decoder):
            label, time = labels[number], np.diff(edges[first : stop + 1])
            confidence = float(chances[first:stop, number] @ time / time.sum())
            familiarity = None
            if reference is not None and odder is not None and label != BACKGROUND:
                familiarity = float(
                    reference.familiarity(stretch.mean(first, stop)[None], odder)[0]
                )
            start, end = float(edges[first]), float(edges[stop])
            spans.append(Span(start, end, label, confidence, familiarity))
    return spans


def decoded_runs(stretch: Windows, decoder: Decoder) -> list[tuple[int, int, int]]:
    """The first window of each span of a stretch, the first one after it, and its class."""
    seconds = np.diff(stretch.edges)
    chances = softmax(stretch.logits, decoder.temperature)
    # Windows overlap: each has its share of what those say that see the same time.
    weights = np.minimum(seconds / np.diff(stretch.places).ravel(), 1)
    evidence = np.log(np.maximum(chances, LEAST)) * weights[:, None]
    found = decode(evidence, stretch.edges, decoder)
    starts = [0, *(np.flatnonzero(np.diff(found)) + 1).tolist()]
    return [
        (first, stop, int(found[first]))
        for first, stop in zip(starts, [*starts[1:], len(found)], strict=True)
    ]


def none_of_these(spans: Sequence[Span], false_alarms: float) -> list[Span]:
    """The spans, with "none of these" for those that are too odd; such that adjoin are one.

    Parameters
    ----------
    false_alarms : familiarity up to which a span is too odd
    """
    return _without_label(
        spans, NONE, [one.familiarity is not None and one.familiarity <= false_alarms
                      for one in spans],
    )  # fmt: skip


def doubted(spans: Sequence[Span], threshold: float) -> list[Span]:
    """The spans, with "unsure" for those of less confidence; such that adjoin are one."""
    return _without_label(
        spans, UNSURE, [one.label != NONE and one.confidence < threshold for one in spans]
    )


def _without_label(spans: Sequence[Span], answer: str, chosen: Sequence[bool]) -> list[Span]:
    """The spans, with another answer for those that are chosen."""
    told: list[Span] = []
    for span, here in zip(spans, chosen, strict=True):
        if not here:
            told.append(span)
        elif told and told[-1].label == answer and told[-1].end == span.start:
            before = told.pop()
            lengths = before.end - before.start, span.end - span.start
            confidence = np.average([before.confidence, span.confidence], weights=lengths)
            told.append(Span(before.start, span.end, answer, float(confidence)))
        else:
            told.append(replace(span, label=answer))
    return told


def time_shares(spans: Sequence[Span], labels: Sequence[str]) -> np.ndarray:
    """The share that each label has of the time of all spans: (K,) float64.

    Their sum is less than 1 where some of it is "none of these".
    """
    seconds = {**dict.fromkeys(labels, 0.0), NONE: 0.0}
    for span in spans:
        seconds[span.label] += span.end - span.start
    shares = np.array(list(seconds.values()))
    return shares[:-1] / shares.sum()
