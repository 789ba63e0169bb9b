"""Flow statistics and differences: units, mirror, cuts, ends; made-up movements with known flow."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from pipeline.frames.flow import (
    CELLS,
    DIMENSION,
    DIRECTIONS,
    FIELDS,
    flow_field,
    flow_statistics,
    mirrored,
)
from pipeline.frames.motion import difference_of, flow_field_of, flow_of
from pipeline.frames.neighbours import SIZE, Moment, SmallPicture
from pipeline.store.extractor_spec import DIMENSIONS

RIGHT, DOWN = 0, 3  # octants: x > 0 and |x| > |y|; y > 0 and |y| > |x| (0 + 0 + 1 is steep, down)


def texture(seed: int = 0, side: int = SIZE) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


def moved(picture: np.ndarray, x: float, y: float) -> np.ndarray:
    matrix = np.float32([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(picture, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_WRAP)


def fields(statistics: np.ndarray) -> np.ndarray:
    return statistics.reshape(FIELDS, CELLS, CELLS, DIRECTIONS)


def moment(*pictures: tuple[float, np.ndarray], here: int) -> Moment:
    small = [SmallPicture(t, cv2.cvtColor(p, cv2.COLOR_GRAY2RGB)) for t, p in pictures]
    return Moment(0, small[here], tuple(one for i, one in enumerate(small) if i != here))


def test_a_shift_is_found_in_its_direction_and_in_picture_widths_a_second() -> None:
    before = texture()
    for pixels, seconds in ((4, 0.1), (4, 0.05), (2, 0.1)):
        found = fields(flow_statistics(before, moved(before, pixels, 0), seconds))[0]
        inner = found[1:3, 1:3]  # what wraps around the border is no movement
        rightward = inner[..., [0, 2]].sum(-1).mean()  # the octants beside the x axis
        assert rightward == pytest.approx(pixels / SIZE / seconds, rel=0.1)
        assert inner.sum(-1).mean() == pytest.approx(rightward, rel=0.05)


def test_a_steady_camera_movement_leaves_no_motion_boundaries_inside() -> None:
    before = texture()
    found = fields(flow_statistics(before, moved(before, 3, 2), 0.1))
    assert found[1:, 1:3, 1:3].sum() < 0.05 * found[0, 1:3, 1:3].sum()


def test_the_mirror_of_the_statistics_is_exactly_that_of_the_field(monkeypatch) -> None:
    """Dense flow of mirrored frames differs a little, as the method scans from the left; of a
    mirrored field the statistics are the same numbers in other places."""
    from pipeline.frames import flow

    rng = np.random.default_rng(1)
    field = rng.normal(size=(SIZE, SIZE, 2)).astype(np.float32)
    opposite = np.ascontiguousarray(field[:, ::-1] * np.float32([-1, 1]))

    class Given:
        def __init__(self, answer: np.ndarray) -> None:
            self.answer = answer

        def calc(self, *frames: object) -> np.ndarray:
            return self.answer.copy()

    grey = texture()
    monkeypatch.setattr(flow, "_dis", lambda: Given(field))
    straight = flow_statistics(grey, grey, 0.1)
    monkeypatch.setattr(flow, "_dis", lambda: Given(opposite))
    assert mirrored(straight) == pytest.approx(flow_statistics(grey, grey, 0.1), rel=1e-5)
    assert np.array_equal(mirrored(mirrored(straight)), straight)


def test_the_mirror_agrees_with_the_flow_of_mirrored_frames() -> None:
    before = texture(2)
    after = moved(before, 3, -2)
    after[40:100, 40:100] = moved(before, -4, 1)[40:100, 40:100]
    straight = flow_statistics(before, after, 0.1)
    flipped = flow_statistics(*(np.ascontiguousarray(p[:, ::-1]) for p in (before, after)), 0.1)
    assert np.abs(mirrored(straight) - flipped).sum() < 0.15 * flipped.sum()
    assert np.abs(straight - flipped).sum() > 0.5 * flipped.sum()  # and it is needed


def test_many_clips_at_once_are_mirrored_alike() -> None:
    rows = np.random.default_rng(0).random((3, 5, DIMENSION), np.float32)
    assert np.array_equal(mirrored(rows)[1, 2], mirrored(rows[1, 2]))


@pytest.mark.parametrize("rate", [10, 15, 25, 30, 60, 120])
def test_the_frame_rate_does_not_matter(rate: int) -> None:
    picture, speed = texture(3), 0.25  # picture widths a second
    times = np.arange(rate) / rate
    shown = [(t, moved(picture, speed * SIZE * t, 0)) for t in times]
    found = fields(flow_of(moment(*shown, here=rate // 2)))[0, 1:3, 1:3].sum(-1).mean()
    assert found == pytest.approx(speed, rel=0.15)


def test_stills_do_not_move() -> None:
    still = moment((0.0, texture()), here=0)
    assert not flow_of(still).any()
    assert flow_of(still).shape == (DIMENSION,) == (DIMENSIONS["flow"],)
    assert not difference_of(still, "identity").any()
    same = moment((0.0, texture()), (0.1, texture()), here=0)
    assert not difference_of(same, "identity").any()


def test_a_difference_is_twice_the_change_and_is_mirrored_with_the_frames() -> None:
    dark, bright = np.full((SIZE, SIZE), 50, np.uint8), np.full((SIZE, SIZE), 60, np.uint8)
    bright[:, :20] = 50
    found = difference_of(moment((0.0, dark), (0.1, dark), (0.2, bright), here=1), "identity")
    assert found.shape == (SIZE, SIZE, 3)
    assert (found[:, 20:] == 20).all()
    assert not found[:, :20].any()
    pair = moment((0.0, dark), (0.1, dark), (0.2, bright), here=1)
    assert np.array_equal(difference_of(pair, "hflip"), found[:, ::-1])


def test_across_a_cut_nothing_moves() -> None:
    """The frame itself stands for what lies behind the cut."""
    one, other = texture(4), 255 - texture(5) // 4
    slow = moved(one, 1, 0)
    cut_behind = moment((0.0, one), (0.05, slow), (0.1, other), here=1)
    without = moment((0.0, one), (0.05, slow), here=1)
    assert np.array_equal(flow_of(cut_behind), flow_of(without))
    cut_before = moment((0.0, other), (0.05, one), (0.1, slow), here=1)
    assert np.array_equal(flow_of(cut_before), flow_of(moment((0.05, one), (0.1, slow), here=0)))


def test_threads_of_opencv_do_not_change_a_flow() -> None:
    threads, before = cv2.getNumThreads(), texture()
    after = moved(before, 3, 1)
    try:
        found = []
        for count in (1, 2, 4):
            cv2.setNumThreads(count)
            found.append(flow_statistics(before, after, 0.1).tobytes())
    finally:
        cv2.setNumThreads(threads)
    assert len(set(found)) == 1


def test_the_field_that_is_drawn_is_the_one_that_is_counted() -> None:
    before = texture()
    after = moved(before, 4, -2)
    seen = moment((0.0, before), (0.05, before), (0.1, after), here=1)
    found = flow_field_of(seen)
    assert found.shape == (SIZE, SIZE, 2)
    inner = found[40:-40, 40:-40].reshape(-1, 2).mean(axis=0)
    assert inner == pytest.approx([4 / SIZE / 0.1, -2 / SIZE / 0.1], rel=0.1)
    alone = moment((0.0, before), here=0)
    assert not flow_field_of(alone).any()


def test_threads_do_not_disturb_each_other() -> None:
    pairs = [(texture(seed), moved(texture(seed), seed - 8, 2)) for seed in range(16)]
    alone = [flow_field(*pair, 0.1) for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pair: flow_field(*pair, 0.1), pairs * 4))
    for one, other in zip(alone * 4, together, strict=True):
        assert np.array_equal(one, other)
