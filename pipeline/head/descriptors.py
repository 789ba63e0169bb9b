"""A clip of any length as a fixed number of numbers, for the linear branches.

Two descriptors of the prepared rows (T, D) of a stream: its *statistics*, which do not know the
order, and its *order*, which knows nothing else.
"""

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.frames.streams import FLOW
from pipeline.head.streams import Clip, prepared, seen

LAGS = (1, 2, 4)  # rows between which the statistics measure change
PARTS = 8  # consecutive, of equal length, whatever the clip's length: speed does not matter
FLOW_BLOCKS = (128, 384)  # where the histograms of flow and those of its boundaries end


def statistics(rows: np.ndarray) -> np.ndarray:
    """Mean, and mean absolute change over 1, 2 and 4 rows: (T, D) -> (4, D) float32.

    A change over more rows than there are is 0.
    """
    described = np.zeros((1 + len(LAGS), rows.shape[1]), np.float32)
    described[0] = rows.mean(axis=0)
    for number, lag in enumerate(LAGS, 1):
        if len(rows) > lag:
            described[number] = np.abs(rows[lag:] - rows[:-lag]).mean(axis=0)
    return described


def order(rows: np.ndarray) -> np.ndarray:
    """Means of consecutive parts, less the mean of those: (T, D) -> (8, D) float32.

    A clip of fewer rows than parts shows a row in several of them; that of one row is all 0.
    """
    edges = np.arange(PARTS + 1) * len(rows) // PARTS
    first = edges[:-1]
    last = np.maximum(edges[1:], first + 1)
    # float64, in which the means of equal rows are equal: a scale must not make much of rounding
    means = np.stack(
        [rows[i:j].mean(axis=0, dtype=np.float64) for i, j in zip(first, last, strict=True)]
    )
    return (means - means.mean(axis=0)).astype(np.float32)


DESCRIPTORS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "statistics": statistics,
    "order": order,
}
HEIGHTS = {"statistics": 1 + len(LAGS), "order": PARTS}  # rows of a descriptor


def describe(clip: Clip, stream: str, view: str, descriptors: tuple[str, ...]) -> list[np.ndarray]:
    """Each descriptor of a stream in a view: (F,) float32, its rows one after the other."""
    rows = prepared(seen(clip, stream, view), stream)
    return [DESCRIPTORS[name](rows).ravel() for name in descriptors]


def units_of(stream: str, descriptor: str, dimension: int) -> np.ndarray:
    """Which numbers of a descriptor are scaled together: (F,) int64, from 0.

    Each statistic of each block of columns by itself; of the order each block, for its rows are
    alike. Flow has two blocks, every other stream is one.
    """
    columns = np.arange(dimension)
    block = np.searchsorted(FLOW_BLOCKS, columns, side="right") if stream == FLOW else 0 * columns
    rows = np.arange(HEIGHTS[descriptor]) * (descriptor == "statistics")
    return (rows[:, None] * (block[-1] + 1) + block).ravel()
