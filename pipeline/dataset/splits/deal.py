"""Whole groups dealt out to splits, so that each label's clips come near the wanted shares."""

from collections.abc import Sequence

import numpy as np

from pipeline.dataset.clips import SPLIT_NAMES

# Cost of a label that a split lacks altogether, in units of the squared deviation below.
MISSING = {"train": 1e6, "val": 1e2, "test": 1e6}
PASSES = 50  # of improvement over all groups; a handful is enough in practice
ATTEMPTS = 30  # from other orders, while a label is missing from train or test
MOST_PLACED = 3_000_000  # groups in all attempts together


def deal_groups(
    groups: np.ndarray,
    labels: np.ndarray,
    ratios: dict[str, float],
    seed: int,
    count: int | None = None,
) -> np.ndarray:
    """Give each group to one split, so that each label's clips come near the ratios.

    Largest groups first, each to where the sum over labels and splits of (clips - wanted)^2 /
    clips of the label grows least; then groups move as long as that improves it. A label missing
    from train or test costs more than any deviation; where one is, other orders are tried.

    Parameters
    ----------
    groups, labels : (C,) of each clip, integers from 0 without gaps; a clip with several labels is
        there once for each, and clips without any do not count
    ratios : split -> share; a split with share 0 stays empty
    seed : order among groups of equal size
    count : G, where the last groups may have clips without labels only

    Returns
    -------
    (G,) int8, the split of each group as a position in `SPLIT_NAMES`
    """
    names = [name for name in SPLIT_NAMES if ratios[name] > 0]
    count = count or int(groups.max()) + 1
    missing = [MISSING[name] for name in names]
    table = _Table(groups, labels, [ratios[name] for name in names], missing, count)
    needed = [i for i, name in enumerate(names) if name in ("train", "test")]
    random = np.random.default_rng(seed)
    for attempt in range(min(ATTEMPTS, MOST_PLACED // len(table.sizes) + 1)):
        order = random.permutation(len(table.sizes))
        if attempt == 0:
            order = order[np.argsort(-table.sizes[order], kind="stable")]
        table.deal(order.tolist())
        if all(all(table.placed[split]) for split in needed):
            break
    numbers = np.array([SPLIT_NAMES.index(name) for name in names], np.int8)
    return numbers[np.array(table.side, np.int64)]


class _Table:
    """Which groups have how many clips of which label, and how many clips stand where.

    Lists of Python numbers: a group has few labels, where an array costs more than it saves.
    """

    def __init__(
        self,
        groups: np.ndarray,
        labels: np.ndarray,
        ratios: Sequence[float],
        missing: Sequence[float],
        count: int,
    ) -> None:
        kinds = int(labels.max()) + 1
        pairs, counts = np.unique(groups.astype(np.int64) * kinds + labels, return_counts=True)
        starts = np.searchsorted(pairs // kinds, np.arange(count + 1))
        totals = np.bincount(labels, minlength=kinds).astype(float)
        self.sizes = np.bincount(groups, minlength=count)
        self.placed = [[0] * kinds for _ in ratios]
        self.side = [0] * len(self.sizes)
        self._starts: list[int] = starts.tolist()
        self._labels: list[int] = (pairs % kinds).tolist()
        self._counts: list[int] = counts.tolist()
        self._totals: list[float] = totals.tolist()
        self._wanted: list[list[float]] = [(ratio * totals).tolist() for ratio in ratios]
        self._missing = missing

    def deal(self, order: Sequence[int]) -> None:
        """Place all groups in this order, then improve."""
        splits = range(len(self.placed))
        for row in self.placed:
            row[:] = [0] * len(row)
        for group in order:
            costs = [self._added(group, split, +1) for split in splits]
            best = costs.index(min(costs))
            self.side[group] = best
            self._move(group, best, +1)
        for _ in range(PASSES):
            moved = False
            for group in order:
                here = self.side[group]
                leaving = self._added(group, here, -1)
                gains = [
                    0.0 if split == here else leaving + self._added(group, split, +1)
                    for split in splits
                ]
                best = gains.index(min(gains))
                if gains[best] < -1e-9:
                    self._move(group, here, -1)
                    self._move(group, best, +1)
                    self.side[group] = best
                    moved = True
            if not moved:
                return

    def _move(self, group: int, split: int, sign: int) -> None:
        placed = self.placed[split]
        for i in range(self._starts[group], self._starts[group + 1]):
            placed[self._labels[i]] += sign * self._counts[i]

    def _added(self, group: int, split: int, sign: int) -> float:
        """What it costs to put a group into a split (+1), or to take it out (-1)."""
        placed, wanted = self.placed[split], self._wanted[split]
        missing, cost = self._missing[split], 0.0
        for i in range(self._starts[group], self._starts[group + 1]):
            label = self._labels[i]
            before = placed[label]
            after = before + sign * self._counts[i]
            want = wanted[label]
            cost += ((after - want) ** 2 - (before - want) ** 2) / self._totals[label]
            if not after:
                cost += missing
            if not before:
                cost -= missing
        return cost
