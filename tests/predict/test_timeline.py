"""Windows over a long clip, and the spans that they are merged into."""

import itertools

import numpy as np
import pytest
from pipeline.predict.spans import Window, merge
from pipeline.predict.windows import place_windows, shown_stretches

from pipeline.errors import ClipcacheError
from pipeline.predict.clock import clock, short_clock, ticks


def window(start: float, end: float, label: str, confidence: float = 0.9) -> Window:
    return Window(start, end, np.array([confidence, 1 - confidence]), label, confidence)


def test_windows_come_every_stride_and_the_last_ends_with_the_clip() -> None:
    assert place_windows(5, 2, 1) == [(0, 2), (1, 3), (2, 4), (3, 5)]
    *before, last = place_windows(5.3, 2, 1)
    assert before == [(0, 2), (1, 3), (2, 4), (3, 5)]
    assert last == pytest.approx((3.3, 5.3))


def test_time_that_no_frame_shows_has_no_window_and_no_label() -> None:
    day = 86_400.0
    times = np.concatenate([np.arange(50) / 25, day + np.arange(75) / 25])
    stretches = shown_stretches(times, 2.0)
    assert np.allclose(stretches, [(0.0, 2.0), (day, day + 3.0)])
    windows = [window(0, 2, "a"), window(day, day + 2, "a"), window(day + 1, day + 3, "b")]
    spans = [(span.start, span.end, span.label) for span in merge(windows, day + 3)]
    assert spans == [(0, 2, "a"), (day, day + 1.5, "a"), (day + 1.5, day + 3, "b")]
    assert np.allclose(shown_stretches(np.arange(100) / 25, 2.0), [(0.0, 4.0)])


@pytest.mark.parametrize("length", [0.04, 1.0, 2.0])
def test_a_short_clip_is_one_window(length: float) -> None:
    assert place_windows(length, 2, 1) == [(0, length)]


def test_windows_cover_every_clip_without_a_gap() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        length, size = random.uniform(0.04, 100), random.uniform(0.1, 20)
        stride = size * random.uniform(0.01, 1)
        places = place_windows(length, size, stride)
        assert places[0][0] == 0
        assert places[-1][1] == pytest.approx(length)
        for (start, end), (later, _) in itertools.pairwise(places):
            assert start < later <= end + 1e-9


@pytest.mark.parametrize(
    ("size", "stride", "reason"),
    [(0, 1, "above 0"), (2, -1, "above 0"), (2, float("nan"), "above 0"), (2, 3, "gaps"),
     (1, 1e-6, "longer stride")],
)  # fmt: skip
def test_windows_that_make_no_sense_are_one_sentence(size, stride, reason) -> None:
    with pytest.raises(ClipcacheError, match=reason):
        place_windows(100, size, stride)


def test_adjoining_windows_of_one_label_are_merged() -> None:
    windows = [
        window(0, 2, "walk", 0.9),
        window(1, 3, "walk", 0.7),
        window(2, 4, "unsure", 0.4),
        window(3, 5, "walk", 0.8),
    ]
    spans = merge(windows, 5)
    assert [(span.start, span.end, span.label) for span in spans] == [
        (0, 2.5, "walk"), (2.5, 3.5, "unsure"), (3.5, 5, "walk"),
    ]  # fmt: skip
    assert [span.confidence for span in spans] == pytest.approx([0.8, 0.4, 0.8])


def test_spans_follow_each_other_from_start_to_end() -> None:
    random = np.random.default_rng(1)
    for _ in range(100):
        length = random.uniform(0.1, 60)
        places = place_windows(length, 2, random.uniform(0.1, 2))
        spans = merge([window(*place, str(random.choice(["a", "b"]))) for place in places], length)
        assert spans[0].start == 0
        assert spans[-1].end == length
        for left, right in itertools.pairwise(spans):
            assert left.end == right.start
            assert left.label != right.label


@pytest.mark.parametrize("seconds", [0.04, 0.9, 6.1, 59, 95, 4000, 100_000])
def test_an_axis_of_time_has_round_and_few_marks(seconds: float) -> None:
    marks = ticks(seconds, 6)
    assert marks[0] == 0
    assert 1 <= len(marks) <= 7
    assert marks[-1] <= seconds + 0.05
    assert len(set(np.diff(marks).round(6))) <= 1


def test_times_are_said_as_people_read_them() -> None:
    assert [clock(0), clock(75.26), clock(3723.4)] == ["0:00.0", "1:15.3", "1:02:03.4"]
    assert [short_clock(time) for time in (0, 0.5, 30, 90, 3600)] == [
        "0", "0.5", "30", "1:30", "1:00:00"
    ]  # fmt: skip
