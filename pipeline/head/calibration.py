"""Confidence that can be trusted: temperature scaling.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599
"""

import numpy as np

TEMPERATURES = np.geomspace(0.05, 10.0, 400)  # what `fit_temperature` chooses from
PRIOR_DEVIATION = 1.0  # of the temperature's logarithm: a few clips, all right, prove little
OFFSET_DEVIATION = 3.0  # of the offset of a label, in logits, for the same reason


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of `logits` / `temperature` along the last axis, same shape, float64."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    powers = np.exp(scaled)
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The probability of each label by itself, same shape, float64: where several may hold."""
    from scipy.special import expit

    return expit(np.asarray(logits, np.float64) / temperature)


def cross_entropy(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean negative log-probability of the true labels of a clip, in nats.

    Parameters
    ----------
    logits : (n, K)
    labels : (n,) int; or (n, K) of 0 and 1 where several may hold
    """
    if labels.ndim == 2:
        scaled = np.asarray(logits, np.float64) / temperature
        return float((np.logaddexp(0, scaled) - labels * scaled).sum(axis=1).mean())
    chosen = softmax(logits, temperature)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def share_right(logits: np.ndarray, labels: np.ndarray) -> float:
    """Share of the clips that are right, or of the yes and no of all labels where several may hold.

    Parameters
    ----------
    logits, labels : as `cross_entropy` takes them
    """
    right = (logits > 0) == labels if labels.ndim == 2 else logits.argmax(axis=1) == labels
    return float(right.mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature under which unseen clips were most probable, 1.0 for no clips at all.

    A log-normal prior around 1 keeps a handful of clips from claiming certainty.

    Parameters
    ----------
    logits : (n, K), of clips that the head was not trained on
    labels : as `cross_entropy` takes them
    """
    if not len(labels):
        return 1.0
    costs = [
        len(labels) * cross_entropy(logits, labels, temperature)
        + 0.5 * (np.log(temperature) / PRIOR_DEVIATION) ** 2
        for temperature in TEMPERATURES
    ]
    return float(TEMPERATURES[int(np.argmin(costs))])


def fit_offsets(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What to add to the logits of each label where several may hold: (K,) float64.

    Branches that were solved for yes and no alike say too little for a label that is rare. Platt,
    1999, "Probabilistic outputs for support vector machines", with a normal prior around 0.

    Parameters
    ----------
    logits : (n, K), of clips that the head was not trained on
    labels : (n, K) of 0 and 1
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    def loss(offsets: np.ndarray) -> tuple[float, np.ndarray]:
        moved = logits + offsets
        nats = (np.logaddexp(0, moved) - labels * moved).sum()
        prior = offsets / OFFSET_DEVIATION
        slope = (expit(moved) - labels).sum(axis=0) + prior / OFFSET_DEVIATION
        return float(nats + 0.5 * prior @ prior), slope

    start = np.zeros(logits.shape[1])
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B").x)
