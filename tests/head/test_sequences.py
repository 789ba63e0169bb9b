import numpy as np
import pytest

from pipeline.head.sequences import Windowing, even_windows, random_window, take, window_rows

WINDOWING = Windowing(steps=16, rates=(0.7, 1.4), count=4)


def test_a_window_reads_rows_at_its_rate() -> None:
    assert window_rows(100, 4, start=10, rate=2.0).tolist() == [10, 12, 14, 16]
    assert window_rows(100, 5, start=0, rate=0.5).tolist() == [0, 1, 1, 2, 2]


def test_a_clip_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        window_rows(0, 4)


@pytest.mark.parametrize("length", [1, 2, 15, 16])
def test_a_clip_that_fits_into_a_window_is_one_window_with_padding_masked(length: int) -> None:
    embeddings = np.random.default_rng(0).normal(size=(length, 8)).astype(np.float16)
    windows = even_windows(length, WINDOWING)
    values, mask = take(embeddings, windows)
    assert values.shape == (1, 16, 8)
    assert mask[0].tolist() == [True] * length + [False] * (16 - length)
    np.testing.assert_array_equal(values[0, :length], embeddings.astype(np.float32))


@pytest.mark.parametrize("length", [17, 40, 64, 65, 10_000])
def test_windows_cover_every_frame_of_a_long_clip(length: int) -> None:
    windows = even_windows(length, WINDOWING)
    assert windows.min() == 0
    assert windows.max() == length - 1
    assert len(windows) >= WINDOWING.count
    assert set(windows.ravel().tolist()) == set(range(length))


def test_random_windows_stay_inside_the_clip_and_keep_their_order() -> None:
    rng = np.random.default_rng(0)
    for length in (1, 5, 16, 30, 200):
        for _ in range(50):
            rows = random_window(length, WINDOWING, rng)
            assert rows[0] < length
            assert (np.diff(rows) >= 0).all()
            if length > 16 * 1.4:
                assert rows[-1] < length
