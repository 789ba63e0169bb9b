"""Which frames stand around a sampled one, whatever the rate, the gaps and the sampling."""

import numpy as np
import pytest

from pipeline.frames.neighbours import REACH, Moment, Neighbourhood

PICTURE = np.zeros((4, 4, 3), np.uint8)


def moments(times, sampled=None) -> dict[int, Moment]:
    """The moments of the sampled frames, all where none are named, by index."""
    neighbourhood, found = Neighbourhood("stretch"), {}
    for index, seconds in enumerate(times):
        chosen = sampled is None or index in sampled
        for moment in neighbourhood.add(index, PICTURE, seconds, chosen):
            found[moment.index] = moment
    for moment in neighbourhood.end():
        found[moment.index] = moment
    return found


def around(moment: Moment, distance: float) -> tuple[float, float]:
    before, after = moment.around(distance)
    return before.seconds, after.seconds


@pytest.mark.parametrize("rate", [10, 12.5, 15, 24, 25, 29.97, 30, 50, 60, 120, 240])
@pytest.mark.parametrize("distance", [0.05, 0.1])
def test_the_two_frames_lie_on_either_side_and_as_far_apart_as_asked_for(rate, distance) -> None:
    times = np.arange(int(2 * rate)) / rate
    for index, moment in moments(times).items():
        here = times[index]
        before, after = around(moment, distance)
        if 0 < index < len(times) - 1 and distance < here < times[-1] - distance - 1 / rate:
            assert before < here < after
            assert abs(here - before - distance) <= max(0.5, 1 - rate * distance) / rate + 1e-3
            nearest = min((2 / rate, 3 / rate, 4 / rate), key=lambda span: abs(span - 2 * distance))
            assert abs(after - before - 2 * distance) <= max(
                abs(nearest - 2 * distance), 0.5 / rate
            ) + 1e-3  # fmt: skip


def test_at_thirty_frames_a_second_the_two_span_a_tenth() -> None:
    found = moments(np.arange(30) / 30)[15]
    assert around(found, 0.05) == pytest.approx((13 / 30, 16 / 30))
    rounded = moments(np.round(np.arange(30) / 30, 3))[15]  # as WebM and Matroska have them
    assert around(rounded, 0.05) == pytest.approx((13 / 30, 16 / 30), abs=1e-3)


def test_it_does_not_matter_which_other_frames_are_sampled() -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.005, 0.2, 200))
    every = moments(times)
    for sampled in ({7, 90, 91}, set(range(0, 200, 9)), {199}, {0}):
        some = moments(times, sampled)
        assert set(some) == sampled
        for index, moment in some.items():
            for distance in (0.02, 0.05, REACH):
                assert around(moment, distance) == around(every[index], distance)


def test_the_ends_and_long_gaps_have_one_side_only() -> None:
    times = [0.0, 0.05, 0.1, 10.0, 10.05, 86400.0]
    found = moments(times)
    assert around(found[0], 0.05) == (0.0, 0.05)
    assert around(found[2], 0.05) == (0.05, 0.1)
    assert around(found[3], 0.05) == (10.0, 10.05)
    assert around(found[5], 0.05) == (86400.0, 86400.0)


def test_one_frame_is_its_own_neighbour() -> None:
    (moment,) = moments([3.0]).values()
    before, after = moment.around(0.1)
    assert before is after is moment.here


def test_only_the_newest_frames_are_held() -> None:
    neighbourhood = Neighbourhood("stretch")
    for index in range(2000):
        list(neighbourhood.add(index, PICTURE, index / 240, index % 30 == 0))
        assert len(neighbourhood._recent) <= 240 * 2 * REACH + 3
