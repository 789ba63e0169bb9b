"""Confidence that can be trusted: temperature scaling.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599
"""

import numpy as np

TEMPERATURES = np.geomspace(0.05, 10.0, 400)  # what `fit_temperature` chooses from
PRIOR_DEVIATION = 1.0  # of the temperature's logarithm: a few clips, all right, prove little


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of `logits` / `temperature` along the last axis, same shape, float64."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    powers = np.exp(scaled)
    return powers / powers.sum(axis=-1, keepdims=True)


def cross_entropy(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean negative log-probability of the true labels, in nats.

    Parameters
    ----------
    logits : (n, K)
    labels : (n,) int
    """
    chosen = softmax(logits, temperature)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature under which unseen clips were most probable, 1.0 for no clips at all.

    A log-normal prior around 1 keeps a handful of clips from claiming certainty.

    Parameters
    ----------
    logits : (n, K), of clips that the head was not trained on
    labels : (n,) int
    """
    if not len(labels):
        return 1.0
    costs = [
        len(labels) * cross_entropy(logits, labels, temperature)
        + 0.5 * (np.log(temperature) / PRIOR_DEVIATION) ** 2
        for temperature in TEMPERATURES
    ]
    return float(TEMPERATURES[int(np.argmin(costs))])
