"""From what overlapping windows say to stretches: the likeliest labels under costs of change.

A segmental Viterbi decoder (Ostendorf et al., 1996, "From HMM's to segment models",
https://doi.org/10.1109/89.536930): every stretch costs something, and one that is shorter than
stretches usually are costs more, by the logarithm of a log-normal density. A longer one costs no
more, for nobody knows how long a video goes on.
"""

import numpy as np

from pipeline.head.model_card import Decoder


def decode(evidence: np.ndarray, edges: np.ndarray, decoder: Decoder) -> np.ndarray:
    """The label of each section of a video: (n,) int64.

    Exact, in time n x K x the sections in `decoder.typical` seconds.

    Parameters
    ----------
    evidence : (n, K) float64, what speaks for each label in each section, in nats
    edges : (n + 1,) seconds where the sections begin, and the last one ends
    """
    count, classes = evidence.shape
    every = np.arange(classes)
    total = np.concatenate([np.zeros((1, classes)), np.cumsum(evidence, axis=0)])
    start = np.zeros((count + 1, classes), np.int64)  # of the best stretch that ends there
    before = np.zeros((count + 1, classes), np.int64)  # the label of the stretch before one
    enter = np.zeros((count + 1, classes))  # of a stretch of a label that begins there, less total
    best = np.zeros((count + 1, classes))
    long = np.full(classes, -np.inf)  # the best of those that begin a typical length ago or more
    long_start = np.zeros(classes, np.int64)
    first = 0  # of the sections at which a stretch would begin that is still short
    for end in range(1, count + 1):
        while edges[end] - edges[first] >= decoder.typical:
            better = enter[first] > long
            long[better], long_start[better] = enter[first, better], first
            first += 1
        best[end], start[end] = long, long_start
        if first < end:
            short = enter[first:end] - _shortness(edges[end] - edges[first:end], decoder)[:, None]
            row = short.argmax(axis=0)
            score = short[row, every]
            better = score > long
            best[end, better], start[end, better] = score[better], first + row[better]
        best[end] += total[end] - decoder.cost
        leader = int(best[end].argmax())
        others = best[end].copy()
        others[leader] = -np.inf
        second = int(others.argmax())
        before[end] = np.where(every == leader, second, leader)
        enter[end] = best[end, before[end]] - total[end]
    labels = np.empty(count, np.int64)
    end, label = count, int(best[count].argmax())
    while end:
        begin = start[end, label]
        labels[begin:end] = label
        end, label = begin, before[begin, label]
    return labels


def _shortness(seconds: np.ndarray, decoder: Decoder) -> np.ndarray:
    """What stretches of these lengths cost because they are short, in nats."""
    deviations = np.log(np.minimum(seconds / decoder.typical, 1)) / decoder.spread
    return np.square(deviations) / 2
