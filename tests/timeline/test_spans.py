"""What windows say, as spans."""

import itertools

import numpy as np
import pytest

from pipeline.head.model_card import Decoder
from pipeline.timeline.spans import UNSURE, Span, decoded, doubted, time_shares
from pipeline.timeline.windows import Windows

LABELS = ("run", "walk")
DECODER = Decoder(window=1.0, cost=0.5, typical=2.0, spread=0.5)


def windows(logits: np.ndarray, start: float = 0.0) -> Windows:
    """Windows of a second, four of them in each."""
    starts = start + np.arange(len(logits)) / 4
    places = np.stack([starts, starts + 1], axis=1)
    return Windows(start, float(places[-1, 1]), places, logits.astype(np.float32))


def test_spans_follow_each_other_from_start_to_end() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        here = windows(rng.normal(0, 2, (int(rng.integers(1, 60)), 2)))
        spans = decoded([here], DECODER, LABELS)
        assert (spans[0].start, spans[-1].end) == (0, here.end)
        for left, right in itertools.pairwise(spans):
            assert left.end == right.start
            assert left.label != right.label
        assert all(0 <= span.confidence <= 1 for span in spans)
        assert time_shares(spans, LABELS).sum() == pytest.approx(1)


def test_a_change_is_where_the_windows_change() -> None:
    logits = np.zeros((40, 2))
    logits[:20, 1] = logits[20:, 0] = 3
    first, second = decoded([windows(logits)], DECODER, LABELS)
    assert (first.label, second.label) == ("walk", "run")
    assert first.end == pytest.approx(20 / 4 + 0.5 - 1 / 8)  # between the middles of two windows
    assert first.confidence == pytest.approx(1 / (1 + np.exp(-3)))


def test_there_is_nothing_between_stretches() -> None:
    logits = np.tile([0.0, 2.0], (8, 1))
    spans = decoded([windows(logits), windows(logits, start=100)], DECODER, LABELS)
    assert [(span.start, span.end) for span in spans] == [(0, 2.75), (100, 102.75)]
    assert time_shares(spans, LABELS).tolist() == [0, 1]


def test_spans_below_the_threshold_are_unsure_and_such_that_adjoin_are_one() -> None:
    spans = [Span(0, 1, "run", 0.9), Span(1, 2, "walk", 0.4), Span(2, 5, "run", 0.6),
             Span(7, 8, "walk", 0.5), Span(8, 9, "run", 0.7)]  # fmt: skip
    told = doubted(spans, 0.7)
    assert [(one.start, one.end, one.label) for one in told] == [
        (0, 1, "run"), (1, 5, UNSURE), (7, 8, UNSURE), (8, 9, "run"),
    ]  # fmt: skip
    assert told[1].confidence == pytest.approx((0.4 + 3 * 0.6) / 4)
    assert doubted(spans, 0.0) == spans
