"""What training minimises, and the optimiser: both against the formulas that they stand for."""

import numpy as np
import pytest

from pipeline.head.build import PRESETS, build_network
from pipeline.head.optimisation import Length, losses_of, make_optimizer
from pipeline.head.params import TrainParams

LOGITS = np.array([[2.0, 0.0, -1.0], [0.1, 0.2, 0.3]], np.float32)
TARGETS = np.array([[1, 0, 0], [0.8, 0.1, 0.1]], np.float32)  # the second one smoothed


def costs(gamma: float) -> np.ndarray:
    """Focal loss of `LOGITS`; with gamma 0 cross entropy: (2,) float64."""
    chances = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    return -(TARGETS * (1 - chances) ** gamma * np.log(chances)).sum(axis=1)


def test_cross_entropy_and_focal_loss_are_their_formulas() -> None:
    plain = losses_of(LOGITS, TARGETS, TrainParams(loss="cross_entropy"))
    np.testing.assert_allclose(plain, costs(0), rtol=1e-5)
    for gamma in (0.0, 1.5, 2.0):
        focal = losses_of(LOGITS, TARGETS, TrainParams(loss="focal", focal_gamma=gamma))
        np.testing.assert_allclose(focal, costs(gamma), rtol=1e-5)
    assert costs(2)[0] < costs(0)[0] / 10  # the easy clip hardly counts


def rates(params: TrainParams, steps: int) -> np.ndarray:
    """The learning rate of every step, and that after the last: (steps + 1,)."""
    optimizer = make_optimizer(params, Length(params, steps))
    found = []
    for step in range(steps + 1):
        optimizer.iterations.assign(step)
        found.append(float(np.asarray(optimizer.learning_rate)))
    return np.array(found)


def test_the_rate_rises_through_the_warm_up_and_falls_to_nothing() -> None:
    found = rates(TrainParams(learning_rate=1e-2, warmup=0.2), 50)
    first, highest = 1e-2 / 10, 1e-2
    np.testing.assert_allclose(found[:11], np.linspace(first, highest, 11), rtol=1e-5)
    falling = highest * (1 + np.cos(np.pi * np.arange(41) / 40)) / 2
    np.testing.assert_allclose(found[10:], falling, rtol=1e-4, atol=1e-8)


def test_a_length_set_anew_is_that_of_the_next_training() -> None:
    params = TrainParams(learning_rate=1e-2, warmup=0.2)
    length = Length(params, 10)
    optimizer = make_optimizer(params, length)
    length.set(50)
    optimizer.iterations.assign(30)
    assert float(np.asarray(optimizer.learning_rate)) == pytest.approx(rates(params, 50)[30])


def test_a_constant_rate_is_constant() -> None:
    found = rates(TrainParams(learning_rate=3e-3, schedule="constant"), 20)
    np.testing.assert_allclose(found, 3e-3, rtol=1e-6)


@pytest.mark.parametrize("preset", ["default", "lstm128_deep"])
def test_weights_decay_and_biases_and_batch_normalisation_do_not(preset: str) -> None:
    params = TrainParams(learning_rate=0.1, schedule="constant", weight_decay=0.5)
    weights = build_network(PRESETS[preset], 4, {"rgb": 8}, 3).trainable_variables
    for weight in weights:
        weight.assign(np.ones(weight.shape))
    optimizer = make_optimizer(params, Length(params, 10))
    optimizer.build(weights)
    optimizer.apply([np.zeros(weight.shape, np.float32) for weight in weights], weights)
    left = {weight.path: float(np.asarray(weight).max()) for weight in weights}
    kept = {path for path in left if path.rsplit("/", 1)[-1] in ("bias", "gamma", "beta")}
    assert kept < set(left)
    assert {path for path in left if path.endswith("bias")}
    for path, value in left.items():
        assert value == pytest.approx(1.0 if path in kept else 1.0 - 0.1 * 0.5), path
