"""A head over many overlapping windows of one long clip, at hardly more than the price of one look.

What `pipeline.head.inference.Head.contributions` says of each window as a clip of its own, up to
rounding: the linear branches describe a window by sums over its rows, and those are differences of
running sums, however much windows overlap.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.head.descriptors import LAGS, PARTS
from pipeline.head.inference import Head, clip_logits, read_of
from pipeline.head.linear import LinearBranch
from pipeline.head.streams import (
    IDENTITY,
    MIRROR,
    Clip,
    mirrored_streams,
    network_streams,
    prepared,
    seen,
    side_by_side,
)

WINDOWS_AT_ONCE = 256  # whose descriptors are in memory, some 15 KB for each stream


def sliding_contributions(
    head: Head, clip: Clip, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """What each branch adds to the logits of windows of a clip: (n, B, K) float32.

    Parameters
    ----------
    clip : reading -> (T, D)
    first, last : (n,) int, a window's first row, and the first one after it; each has a row

    Raises
    ------
    ModelError
        When the clip lacks a reading.
    """
    clip = read_of(clip, head.readings)
    shares = dict(head.shares)
    number = {name: i for i, name in enumerate(shares)}
    added = np.zeros((len(first), len(shares), head.classes), np.float32)
    if head.forward:
        streams = tuple(network_streams(head.readings))
        whole = {view: side_by_side(clip, streams, view) for view in head.views}
        windows = (
            {view: rows[i:j] for view, rows in whole.items()}
            for i, j in zip(first, last, strict=True)
        )
        share = next(iter(shares.values()))
        added[:, 0] = share * clip_logits(head.forward, windows, head.windowing, head.classes)
    mirrorable = mirrored_streams(clip) if head.mirror else set()
    for stream in dict.fromkeys(branch.stream for branch in head.linear):
        branches = [
            branch for branch in head.linear if branch.stream == stream and shares[branch.name]
        ]
        views = (IDENTITY, MIRROR) if stream in mirrorable else (IDENTITY,)
        for view in views if branches else ():
            rows = prepared(seen(clip, stream, view), stream)
            for branch, start, scores in _scores(rows, branches, first, last):
                here = added[start : start + len(scores), number[branch.name]]
                here += np.float32(shares[branch.name] / len(views)) * scores
    return added


def _scores(
    rows: np.ndarray, branches: list[LinearBranch], first: np.ndarray, last: np.ndarray
) -> Iterator[tuple[LinearBranch, int, np.ndarray]]:
    """The scores of some windows by each branch, with the number of the first of them."""
    sums = _running(rows)
    wanted = {branch.descriptor for branch in branches}
    changes = {}
    if "statistics" in wanted:
        changes = {lag: _running(np.abs(rows[lag:] - rows[:-lag])) for lag in LAGS}
    for start in range(0, len(first), WINDOWS_AT_ONCE):
        i, j = (side[start : start + WINDOWS_AT_ONCE] for side in (first, last))
        for branch in branches:
            described = (
                _statistics(sums, changes, i, j)
                if branch.descriptor == "statistics"
                else _order(sums, i, j)
            )
            yield branch, start, described @ branch.weights + branch.bias


def _running(rows: np.ndarray) -> np.ndarray:
    """Sums of all rows before each, (T+1, D) float64, so that a difference is exact enough."""
    sums = np.zeros((len(rows) + 1, rows.shape[1]))
    np.cumsum(rows, axis=0, dtype=np.float64, out=sums[1:])
    return sums


def _statistics(
    sums: np.ndarray, changes: dict[int, np.ndarray], first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """As `pipeline.head.descriptors.statistics`, of each window: (n, F) float32."""
    lengths = last - first
    described = np.zeros((len(first), 1 + len(LAGS), sums.shape[1]), np.float32)
    described[:, 0] = (sums[last] - sums[first]) / lengths[:, None]
    for number, (lag, change) in enumerate(changes.items(), 1):
        long = lengths > lag
        total = change[last[long] - lag] - change[first[long]]
        described[long, number] = total / (lengths[long] - lag)[:, None]
    return described.reshape(len(first), -1)


def _order(sums: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """As `pipeline.head.descriptors.order`, of each window: (n, F) float32."""
    edges = np.arange(PARTS + 1) * (last - first)[:, None] // PARTS
    start = first[:, None] + edges[:, :-1]
    stop = np.maximum(first[:, None] + edges[:, 1:], start + 1)
    means = (sums[stop] - sums[start]) / (stop - start)[..., None]
    means -= means.mean(axis=1, keepdims=True)
    return means.astype(np.float32).reshape(len(first), -1)
