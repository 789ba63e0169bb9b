"""Which items belong together, directly or through others."""

from collections.abc import Sequence

import numpy as np


def joined(
    one: Sequence[int] | np.ndarray, other: Sequence[int] | np.ndarray, count: int
) -> np.ndarray:
    """Connected components of `count` items.

    Parameters
    ----------
    one, other : (n,) positions of items that belong together, pair by pair

    Returns
    -------
    (count,) int64, for each item the position of the first one of its component
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(one), bool), (one, other)), (count, count))
    components, labels = connected_components(edges, directed=False)
    first = np.empty(components, np.int64)
    first[labels[::-1]] = np.arange(count)[::-1]  # of several values the last one stays
    return first[labels]
