"""Ridge regression against its normal equations, and the scale of its units."""

import numpy as np
import pytest

from pipeline.head.ridge import scaling, solve


@pytest.mark.parametrize(("clips", "numbers"), [(12, 40), (40, 5), (2, 3)])
def test_the_duals_are_the_solution_of_the_normal_equations(clips: int, numbers: int) -> None:
    rng = np.random.default_rng(0)
    values, targets = rng.normal(size=(clips, numbers)), rng.choice([-1.0, 1.0], (clips, 3))
    weights = rng.uniform(0.5, 2, clips)
    duals, bias = solve(values @ values.T, targets, weights, 0.3)
    # sum w (x v + b - y)^2 + 0.3 |v|^2, with a column of ones that is not penalised
    wide = np.column_stack([values, np.ones(clips)])
    penalty = 0.3 * np.diag([1.0] * numbers + [0.0])
    expected = np.linalg.solve(
        wide.T @ (weights[:, None] * wide) + penalty, wide.T @ (weights[:, None] * targets)
    )
    np.testing.assert_allclose(values.T @ duals, expected[:-1], atol=1e-8)
    np.testing.assert_allclose(bias, expected[-1], atol=1e-8)
    np.testing.assert_allclose(duals.sum(axis=0), 0, atol=1e-8)


def test_every_unit_gets_the_same_length_and_all_together_one() -> None:
    rng = np.random.default_rng(0)
    units = np.array([0] * 5 + [1] * 50 + [2] * 3)
    values = rng.normal(3, 1, (30, 58)) * np.where(units == 1, 1e-3, 100)
    values[:, units == 2] = 7  # does not vary
    scale = scaling(values.mean(axis=0), values.var(axis=0), units)
    scaled = (values - values.mean(axis=0)) * scale
    lengths = [np.square(scaled[:, units == unit]).sum(axis=1).mean() for unit in range(3)]
    np.testing.assert_allclose(lengths, [1 / 3, 1 / 3, 0], rtol=1e-5)
    assert not scaling(np.ones(4), np.zeros(4), np.zeros(4, int)).any()
