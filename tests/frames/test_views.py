"""Views: fixed pixel transforms of a square picture."""

import numpy as np
import pytest

from pipeline.frames.views import VIEWS, apply_view


@pytest.fixture
def picture() -> np.ndarray:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (14, 14, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((16, 16, 1), np.uint8))


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_a_picture_of_the_same_shape_and_always_the_same(
    picture: np.ndarray, view: str
) -> None:
    before = picture.copy()
    seen = apply_view(picture, view)
    assert seen.shape == picture.shape
    assert seen.dtype == np.uint8
    assert seen.flags.c_contiguous
    assert np.array_equal(seen, apply_view(picture, view))
    assert np.array_equal(picture, before)
    assert np.array_equal(seen, picture) == (view == "identity")


def test_the_mirrored_view_is_mirrored_left_to_right(picture: np.ndarray) -> None:
    assert np.array_equal(apply_view(picture, "hflip"), picture[:, ::-1])


def test_brightness_and_contrast_go_the_way_that_they_are_called(picture: np.ndarray) -> None:
    mean = picture.mean()
    assert apply_view(picture, "dark").mean() < mean < apply_view(picture, "bright").mean()
    spread = picture.std()
    flat, strong = apply_view(picture, "contrast_down"), apply_view(picture, "contrast_up")
    assert flat.std() < spread < strong.std()


def test_turning_and_zooming_keep_the_middle_of_the_picture(picture: np.ndarray) -> None:
    for view in ("rotate_left", "rotate_right", "zoom"):
        seen = apply_view(picture, view)
        assert np.array_equal(seen[119, 119], picture[119, 119])
        assert not np.array_equal(seen[10, 10], picture[10, 10])
    left, right = apply_view(picture, "rotate_left"), apply_view(picture, "rotate_right")
    upside_down = np.ascontiguousarray(left[::-1, ::-1])
    assert not np.array_equal(left, right)
    assert not np.array_equal(upside_down, right)
