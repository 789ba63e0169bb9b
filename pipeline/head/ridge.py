"""Kernel ridge regression on descriptors: solved, not trained.

Saunders et al., 1998, "Ridge regression learning algorithm in dual variables". One-against-all
targets of +1 and -1.
"""

import numpy as np

PENALTY = 0.3  # over a mean squared length of 1
ROUNDING = 1e-12  # share of the squared mean: a variance below it is that of float32, not of clips


def scaling(mean: np.ndarray, variance: np.ndarray, units: np.ndarray) -> np.ndarray:
    """The scale of each number under which every unit has a mean squared length of 1 / U.

    So no unit outweighs another, and a whole descriptor has the mean squared length 1.

    Parameters
    ----------
    mean, variance : (F,) float64, of the numbers over the clips
    units : (F,) int, which unit each number belongs to, 0 to U - 1

    Returns
    -------
    (F,) float32, for ``(values - mean) * scale``; 0 where a unit does not vary
    """
    lengths = np.bincount(units, variance)
    still = lengths <= ROUNDING * np.bincount(units, np.square(mean))
    scale = np.where(still, 0, 1 / np.sqrt(np.where(still, 1, lengths) * len(lengths)))
    return scale[units].astype(np.float32)


def solve(
    kernel: np.ndarray, targets: np.ndarray, weights: np.ndarray, penalty: float = PENALTY
) -> tuple[np.ndarray, np.ndarray]:
    """Dual coefficients and bias of weighted ridge regression; the bias is not penalised.

    They minimise ``sum(weights * (kernel @ duals + bias - targets)**2) + penalty * |w|**2``, where
    w are the primal weights.

    Parameters
    ----------
    kernel : (n, n) float64
    targets : (n, K)
    weights : (n,) of the clips, above 0

    Returns
    -------
    duals : (n, K) float64, which sum to 0 for each class; bias : (K,) float64
    """
    from scipy.linalg import cho_factor, cho_solve

    system = kernel.copy()
    system[np.diag_indices_from(system)] += penalty / weights
    factor = cho_factor(system, lower=True, overwrite_a=True)
    both = cho_solve(factor, np.column_stack([targets, np.ones(len(targets))]))
    solved, ones = both[:, :-1], both[:, -1]
    bias = solved.sum(axis=0) / ones.sum()
    return solved - np.outer(ones, bias), bias
