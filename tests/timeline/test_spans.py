"""What windows say, as spans."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from pipeline.dataset.clips import BACKGROUND
from pipeline.head.held_out import FALSE_ALARMS, HeldOut, Reference, learn_reference
from pipeline.head.model_card import Decoder
from pipeline.timeline.spans import (
    NONE,
    UNSURE,
    Span,
    decoded,
    doubted,
    none_of_these,
    time_shares,
)
from pipeline.timeline.windows import Windows

LABELS = ("run", "walk")
DECODER = Decoder(window=1.0, cost=0.5, typical=2.0, spread=0.5)


def windows(logits: np.ndarray, start: float = 0.0) -> Windows:
    """Windows of a second, four of them in each."""
    starts = start + np.arange(len(logits)) / 4
    places = np.stack([starts, starts + 1], axis=1)
    return Windows(start, float(places[-1, 1]), places, logits[:, None].astype(np.float32))


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


@pytest.fixture
def reference() -> Reference:
    """Of 60 clips to which two branches gave 2 logits each for what they show, but for noise."""
    labels = np.arange(60) % 2
    added = np.random.default_rng(0).normal(0, 0.3, (60, 2, 2))
    added[np.arange(60), :, labels] += 2
    return learn_reference(HeldOut(added.astype(np.float32), labels, np.arange(60) % 3))


def test_a_stretch_that_is_too_odd_is_none_of_these(reference) -> None:
    """Its logits are as high as those of others; how the branches came to them is unheard of."""
    added = np.zeros((60, 2, 2), np.float32)
    added[:24, :, 1] = 2
    added[24:] = [[5, -5], [-3, 5]]
    here = replace(windows(np.zeros((60, 2))), contributions=added)
    spans = decoded([here], replace(DECODER, oddness=0.1), LABELS, reference)
    assert [span.label for span in spans] == ["walk", "run"]
    told = none_of_these(spans, FALSE_ALARMS)
    assert [span.label for span in told] == ["walk", NONE]
    assert [(one.start, one.end) for one in told] == [(one.start, one.end) for one in spans]
    much = decoded([here], replace(DECODER, oddness=50.0), LABELS, reference)
    assert none_of_these(much, FALSE_ALARMS) == much  # stretches are so odd as a rule


def test_nothing_is_told_of_oddness_where_nothing_is_known_of_it(reference) -> None:
    here = replace(windows(np.zeros((60, 2))), contributions=np.zeros((60, 2, 2), np.float32))
    judged = replace(DECODER, oddness=0.0)
    (odd,) = decoded([here], judged, LABELS, reference)
    assert odd.familiarity == pytest.approx(1 / 61)
    (background,) = decoded([here], judged, (BACKGROUND, "walk"), reference)
    (unfitted,) = decoded([here], DECODER, LABELS, reference)
    (earlier,) = decoded([here], judged, LABELS)
    assert background.familiarity is unfitted.familiarity is earlier.familiarity is None


def test_none_adjoins_none_and_is_no_share_of_the_time() -> None:
    spans = [Span(0, 2, "run", 0.9, 0.5), Span(2, 4, "walk", 0.9, 0.01),
             Span(4, 8, "run", 0.6, 0.05), Span(8, 10, "walk", 0.6, None)]  # fmt: skip
    told = none_of_these(spans, 0.05)
    assert [(one.start, one.end, one.label) for one in told] == [
        (0, 2, "run"), (2, 8, NONE), (8, 10, "walk"),
    ]  # fmt: skip
    assert time_shares(told, LABELS).tolist() == pytest.approx([0.2, 0.2])
    assert [one.label for one in doubted(told, 0.7)] == ["run", NONE, UNSURE]
    assert none_of_these(spans, 0.0) == spans
