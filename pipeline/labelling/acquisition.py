"""Which clip should get a label next: one that the labels so far leave open, and that stands for
many others that they leave open.

A clip's gain is its own openness times the sum, over the clips of the data set, of their openness
times how much nearer their nearest labelled clip would be. Openness is 1 less the margin between
the two likeliest labels (Scheffer et al., 2001, https://doi.org/10.1007/3-540-44816-0_31), by
kernel ridge regression on the points; without labels all clips are open, and what remains is
facility location (Wei et al., 2015, https://proceedings.mlr.press/v37/wei15.html), which begins in
the middle of what is frequent.
"""

import numpy as np

from pipeline.head.batches import class_weights
from pipeline.head.calibration import softmax
from pipeline.head.clip_space import NONE
from pipeline.head.linear import even_sample
from pipeline.head.ridge import solve

SHARPNESS = 3.0  # of the scores of +1 and -1, before they become probabilities
MOST_LABELLED = 1000  # clips that the regression is solved on
MOST_OPEN = 1000  # clips to choose from, the most open ones, and clips that they may stand for


def chances(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What each clip may show, by the clips that have a label: (C, K) float64 probabilities.

    Parameters
    ----------
    points : (C, D) of length 1
    labels : (C,) int from 0, `NONE` for a clip without one; K is the largest and 1 more
    """
    known = np.flatnonzero(labels != NONE)
    classes = int(labels.max(initial=NONE)) + 1
    if not len(known):
        return np.ones((len(points), classes)) / max(classes, 1)
    known = known[even_sample(labels[known], MOST_LABELLED)]
    numbers = labels[known]
    weights = class_weights(numbers, classes)[numbers].astype(np.float64)
    kernel = (points[known] @ points[known].T).astype(np.float64)
    duals, bias = solve(kernel, 2 * np.eye(classes)[numbers] - 1, weights)
    scores = points @ (points[known].T @ duals.astype(np.float32)) + bias
    return softmax(SHARPNESS * scores.astype(np.float64), 1.0)


def openness(shares: np.ndarray) -> np.ndarray:
    """1 less the margin between the two likeliest labels, (C,); 1 where there are not two."""
    if shares.shape[1] < 2:
        return np.ones(len(shares))
    top = np.partition(shares, -2, axis=1)[:, -2:]
    return 1 - (top[:, 1] - top[:, 0])


def choose(
    points: np.ndarray, labels: np.ndarray, count: int = 1, passed: frozenset[int] = frozenset()
) -> list[int]:
    """The clips to label next, the most useful first; fewer where no more are left.

    Several at once are chosen without knowing the answers, and are worth less than one by one.

    Parameters
    ----------
    points : (C, D) float32 of length 1
    labels : (C,) int, `NONE` for a clip without a label
    passed : rows that are not to be asked about
    """
    waiting = [row for row in np.flatnonzero(labels == NONE).tolist() if row not in passed]
    if not waiting:
        return []
    known = labels[labels != NONE]
    numbers = labels.copy()
    numbers[labels != NONE] = np.unique(known, return_inverse=True)[1]  # without gaps
    doubt = openness(chances(points, numbers))
    candidates = _most_open(np.array(waiting), doubt)
    others = _most_open(np.arange(len(points)), doubt)
    near = points[others] @ points[candidates].T
    covered = np.zeros(len(others), np.float32)
    if len(known):
        labelled = points[np.flatnonzero(labels != NONE)]
        for start in range(0, len(labelled), MOST_OPEN):
            part = points[others] @ labelled[start : start + MOST_OPEN].T
            covered = np.maximum(covered, part.max(axis=1))
    chosen: list[int] = []
    own = doubt[candidates]
    for _ in range(min(count, len(candidates))):
        gains = doubt[others] @ np.maximum(near - covered[:, None], 0) * own
        best = int(np.argmax(gains))
        if gains[best] <= 0 and not own.any():  # nothing is open: whatever is left
            best = next(i for i, row in enumerate(candidates.tolist()) if row not in chosen)
        chosen.append(int(candidates[best]))
        covered = np.maximum(covered, near[:, best])
        own[best] = 0
    return list(dict.fromkeys(chosen))


def _most_open(rows: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """At most `MOST_OPEN` of the rows, the most open; evenly spaced where they are all alike."""
    if len(rows) <= MOST_OPEN:
        return rows
    if np.ptp(doubt[rows]) < 1e-9:
        return rows[np.linspace(0, len(rows) - 1, MOST_OPEN).astype(int)]
    return np.sort(rows[np.argsort(-doubt[rows], kind="stable")[:MOST_OPEN]])
