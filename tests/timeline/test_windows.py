"""Windows over a video whose rows come by, with a real head of linear branches."""

import numpy as np
import pytest
from clips_in_memory import make_clips

from pipeline.errors import ClipcacheError
from pipeline.head.inference import Head
from pipeline.head.linear import fit_linear
from pipeline.head.sequences import Windowing
from pipeline.timeline import windows as module
from pipeline.timeline.windows import WindowedHead, check_windows, windows_of

FPS = 8.0


@pytest.fixture(scope="module")
def clips():
    return make_clips("motion")


@pytest.fixture(scope="module")
def head(clips) -> Head:
    fitted = fit_linear(clips, clips.clips())
    return Head(
        2, clips.readings, dict(zip((b.name for b in fitted.branches), fitted.shares, strict=True)),
        fitted.branches, None, ("identity",), fitted.mirror, Windowing(),
    )  # fmt: skip


def video(clips, number: int) -> dict[str, np.ndarray]:
    """Several clips end to end."""
    rows = [clips.rows[i % len(clips.rows)] for i in range(number)]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def length_of(rows: dict[str, np.ndarray]) -> int:
    return len(rows["identity"])


def test_a_window_says_what_the_head_says_of_it_as_a_clip(clips, head) -> None:
    rows = video(clips, 6)
    count = length_of(rows)
    (found,) = windows_of(head, [(np.arange(count) / FPS, rows)], count / FPS, 1.5, 0.5)
    assert np.allclose(found.places[:3], [(0, 1.5), (0.5, 2), (1, 2.5)])
    assert found.places[-1].tolist() == [count / FPS - 1.5, count / FPS]
    parts = [
        {name: values[round(start * FPS) : round(end * FPS)] for name, values in rows.items()}
        for start, end in np.ceil(found.places * FPS - 1e-6) / FPS
    ]
    np.testing.assert_allclose(found.logits, head.logits(parts), atol=1e-4)


def test_windows_cover_a_video_of_any_length_without_a_gap(clips, head) -> None:
    rows = video(clips, 4)
    for count in (1, 2, 7, 12, 13, 40):
        part = {name: values[:count] for name, values in rows.items()}
        (found,) = windows_of(head, [(np.arange(count) / FPS, part)], count / FPS, 1.5)
        assert found.places[0, 0] == 0
        assert found.places[-1, 1] == count / FPS == found.edges[-1]
        assert (np.diff(found.edges) > 0).all()
        assert (found.places[1:, 0] <= found.places[:-1, 1]).all()
        assert len(found.places) == len(found.logits)


@pytest.mark.parametrize("together", [1, 5, 64])
def test_how_rows_come_in_does_not_matter(clips, head, together, monkeypatch) -> None:
    rows = video(clips, 10)
    count = length_of(rows)
    times = np.arange(count) / FPS
    (whole,) = windows_of(head, [(times, rows)], count / FPS, 1.0)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 16)
    windowed = WindowedHead(head, 1.0)
    most = 0
    for i in range(0, count, together):
        part = {name: values[i : i + together] for name, values in rows.items()}
        windowed.add(times[i : i + together], part)
        most = max(most, len(windowed._times))
    (found,) = windowed.end(count / FPS)
    np.testing.assert_allclose(found.places, whole.places)
    np.testing.assert_allclose(found.logits, whole.logits, atol=1e-4)
    assert most <= 16  # what the next windows need, however long the video


def test_time_that_no_frame_shows_has_no_window(clips, head) -> None:
    rows = video(clips, 4)
    count = length_of(rows)
    day = 86_400.0
    times = np.arange(count) / FPS
    times[30:] += day
    before, after = windows_of(head, [(times, rows)], times[-1] + 1 / FPS, 2.0)
    assert (before.start, before.end) == (0, pytest.approx(30 / FPS))
    assert (after.start, after.end) == (times[30], pytest.approx(times[-1] + 1 / FPS))
    assert before.places[-1, 1] == before.end
    assert after.places[0, 0] == after.start
    one_by_one = [
        (times[i : i + 1], {name: values[i : i + 1] for name, values in rows.items()})
        for i in range(count)
    ]
    again, later = windows_of(head, one_by_one, times[-1] + 1 / FPS, 2.0)
    np.testing.assert_allclose(again.places, before.places)
    np.testing.assert_allclose(later.logits, after.logits, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "stride", "reason"),
    [(0, 1, "above 0"), (2, -1, "above 0"), (2, float("nan"), "above 0"), (2, 3, "gaps")],
)
def test_windows_that_make_no_sense_are_one_sentence(size, stride, reason) -> None:
    with pytest.raises(ClipcacheError, match=reason):
        check_windows(size, stride)


def test_absurdly_many_windows_are_refused(clips, head) -> None:
    rows = video(clips, 2)
    count = length_of(rows)
    with pytest.raises(ClipcacheError, match="longer stride"):
        windows_of(head, [(np.arange(count) / FPS, rows)], count / FPS, 1.0, 1e-6)
