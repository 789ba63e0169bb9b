"""What each branch of a head is worth, learnt from clips that the branch had not seen.

Stacking (Wolpert, 1992, https://doi.org/10.1016/S0893-6080(05)80023-1) with weights that are not
negative (Breiman, 1996, https://doi.org/10.1007/BF00117832).
"""

import warnings

import numpy as np

PENALTY = 0.01  # on the sum of the shares, in nats
DIGITS = 6  # of a share

Folds = list[tuple[np.ndarray, np.ndarray]]  # positions to learn from, and to score


def inner_folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> Folds:
    """Folds of the training clips that tear no group apart; empty where there can be none.

    Fewer where there are fewer groups or where every class has fewer clips; a single group is torn
    apart, as there is no other way.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    names = len(np.unique(groups))
    largest = int(np.bincount(labels).max())
    count = min(folds, largest, names if names > 1 else folds)
    if count < 2:
        return []
    splitter = StratifiedGroupKFold if names > 1 else StratifiedKFold
    with warnings.catch_warnings():  # of classes with fewer clips than there are folds
        warnings.simplefilter("ignore", UserWarning)
        dealt = splitter(count, shuffle=True, random_state=seed).split(labels, labels, groups)
        return [(learnt, scored) for learnt, scored in dealt if len(learnt) and len(scored)]


def scorable(labels: np.ndarray, folds: Folds) -> np.ndarray:
    """(n,) bool: clips whose class, or all of them, was there to learn when they were scored."""
    known = np.zeros(len(labels), bool)
    for learnt, scored in folds:
        if labels.ndim == 2:
            known[scored] = ~labels[scored][:, ~labels[learnt].any(axis=0)].any(axis=1)
        else:
            known[scored] = np.isin(labels[scored], labels[learnt])
    return known


def learn_shares(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The shares under which the sum of the branches' scores is the best logits.

    Parameters
    ----------
    scores : (B, n, K), of each branch for clips that it was not fitted on
    labels : (n,) int; or (n, K) of 0 and 1 where several may hold
    weights : (n,), of the clips

    Returns
    -------
    (B,) float64, not negative; they do not sum to 1, for they also say how sure to be. All alike,
    1 / B, where no clip or none of the branches tells anything.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    alike = np.full(len(scores), 1 / len(scores))
    if not len(labels):
        return alike.round(DIGITS)
    weights = weights / weights.sum()
    rows = np.arange(len(labels))

    def loss(shares: np.ndarray) -> tuple[float, np.ndarray]:
        logits = np.tensordot(shares, scores, 1)
        if labels.ndim == 2:
            nats = (np.logaddexp(0, logits) - labels * logits).sum(axis=1)
            slope = np.tensordot(scores, (expit(logits) - labels) * weights[:, None], 2)
            return float(weights @ nats + PENALTY * shares.sum()), slope + PENALTY
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        totals = powers.sum(axis=1)
        nats = np.log(totals) - logits[rows, labels]
        powers /= totals[:, None]
        powers[rows, labels] -= 1
        slope = np.tensordot(scores, powers * weights[:, None], 2)
        return float(weights @ nats + PENALTY * shares.sum()), slope + PENALTY

    bounds = [(0, None)] * len(scores)
    found = minimize(loss, np.ones(len(scores)), jac=True, bounds=bounds, method="L-BFGS-B").x
    return (found if found.any() else alike).round(DIGITS)
