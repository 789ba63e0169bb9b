"""Descriptors of clips, against their definitions written as loops."""

import numpy as np
import pytest

from pipeline.head.descriptors import DESCRIPTORS, HEIGHTS, describe, order, statistics, units_of


def rows(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, 3)).astype(np.float32)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 30])
def test_statistics_are_the_mean_and_the_mean_change(length: int) -> None:
    values = rows(length)
    found = statistics(values)
    assert found.shape == (HEIGHTS["statistics"], 3)
    np.testing.assert_allclose(found[0], sum(values) / length, rtol=1e-5)
    for number, lag in enumerate((1, 2, 4), 1):
        changes = [abs(values[t] - values[t - lag]) for t in range(lag, length)]
        expected = sum(changes) / len(changes) if changes else np.zeros(3)
        np.testing.assert_allclose(found[number], expected, rtol=1e-5)


def test_statistics_do_not_know_which_way_time_runs_and_order_does() -> None:
    values = rows(24)
    np.testing.assert_allclose(statistics(values), statistics(values[::-1]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(order(values)[::-1], order(values[::-1]), atol=1e-6)
    assert abs(order(values) - order(values[::-1])).max() > 0.1


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 40, 41])
def test_order_is_eighths_of_the_clip_less_their_mean(length: int) -> None:
    values = rows(length)
    means = []
    for part in range(8):
        inside = [
            t for t in range(length) if int(part * length / 8) <= t < int((part + 1) * length / 8)
        ]
        inside = inside or [int(part * length / 8)]
        means.append(sum(values[t] for t in inside) / len(inside))
    expected = np.array(means) - sum(means) / 8
    np.testing.assert_allclose(order(values), expected, atol=1e-6)
    assert (length > 1) == bool(abs(expected).max() > 1e-6)


def test_order_does_not_depend_on_speed_or_a_constant() -> None:
    values = rows(16)
    np.testing.assert_allclose(order(np.repeat(values, 3, axis=0)), order(values), atol=1e-6)
    np.testing.assert_allclose(order(values + 5), order(values), atol=1e-5)


def test_units_are_each_statistic_of_each_block() -> None:
    assert units_of("place", "statistics", 3).tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert units_of("place", "order", 3).tolist() == [0] * 24
    flow = units_of("flow", "statistics", 384).reshape(4, 384)
    assert [np.unique(row).tolist() for row in flow[:, :128]] == [[0], [2], [4], [6]]
    assert [np.unique(row).tolist() for row in flow[:, 128:]] == [[1], [3], [5], [7]]
    assert units_of("flow", "order", 384).reshape(8, 384)[:, [0, 127, 128, 383]].tolist() == (
        [[0, 0, 1, 1]] * 8
    )


def test_a_clip_is_described_as_one_row_of_numbers() -> None:
    clip = {"identity": rows(9) ** 2, "place/identity": rows(9, 1)}
    found = describe(clip, "place", "hflip", tuple(DESCRIPTORS))
    np.testing.assert_array_equal(found[0], statistics(clip["place/identity"]).ravel())
    np.testing.assert_array_equal(found[1], order(clip["place/identity"]).ravel())
