"""From which logit on a label holds, where several may: learnt from clips that were held out.

The threshold of a label is the one with the best F1 (Lipton et al., 2014,
https://doi.org/10.1007/978-3-662-44851-9_15), drawn towards one that is common to all labels: that
of few clips is mostly chance.
"""

import numpy as np

PRIOR = 3.0  # clips with the label at which its own threshold and the common one count the same
COMMON = 200  # thresholds that are tried for all labels at once


def choose_thresholds(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The logit from which on each label holds: (K,) float64; 0 where no clip was held out.

    Parameters
    ----------
    logits : (n, K), of clips that the head was not trained on
    labels : (n, K) of 0 and 1
    """
    held = labels.astype(bool)
    if not held.any():
        return np.zeros(logits.shape[1])
    known = held.any(axis=0)
    tried = np.unique(np.quantile(logits[:, known], np.linspace(0, 1, COMMON)))
    scores = [_f1(logits[:, known] >= cut, held[:, known]).mean() for cut in tried]
    common = _middle(tried, np.array(scores))
    chosen = np.full(logits.shape[1], common)
    for label in np.flatnonzero(known):
        clips = held[:, label].sum()
        share = clips / (clips + PRIOR)
        own = _best(logits[:, label].astype(np.float64), held[:, label])
        chosen[label] = share * own + (1 - share) * common
    return chosen


def _f1(holds: np.ndarray, held: np.ndarray) -> np.ndarray:
    """F1 of each label: (K,)."""
    return 2 * (holds & held).sum(axis=0) / np.maximum(holds.sum(axis=0) + held.sum(axis=0), 1)


def _best(logits: np.ndarray, held: np.ndarray) -> float:
    """The threshold of the best F1 of one label, half way to the next lower logit."""
    order = np.argsort(-logits, kind="stable")
    ranked, right = logits[order], np.cumsum(held[order])
    f1 = 2 * right / (np.arange(1, len(ranked) + 1) + held.sum())
    last = np.append(ranked[1:] < ranked[:-1], True)  # clips of one logit are on one side
    best = int(np.argmax(np.where(last, f1, -1)))
    return float(ranked[best] + ranked[min(best + 1, len(ranked) - 1)]) / 2


def _middle(tried: np.ndarray, scores: np.ndarray) -> float:
    """The middle one of those that are as good as the best."""
    best = np.flatnonzero(scores == scores.max())
    return float(tried[best[len(best) // 2]])
