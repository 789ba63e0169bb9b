"""What a split is made from: the columns of the index as numbers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.dataset.clips import NO_SPLIT, SPLIT_NAMES, ClipTable
from pipeline.dataset.components import joined

TRAIN, VAL, TEST = range(3)  # positions in SPLIT_NAMES


@dataclass(frozen=True)
class Columns:
    """The clips of an index.

    Attributes
    ----------
    groups, labels, digests : (C,) int32, positions in the names
    group_names, label_names : sorted
    """

    table: ClipTable
    groups: np.ndarray
    group_names: list[str]
    labels: np.ndarray
    label_names: list[str]
    digests: np.ndarray

    @classmethod
    def of(cls, table: ClipTable) -> "Columns":
        """The columns of these clips."""
        return cls(table, *table.codes("group"), *table.codes("label"), table.codes("digest")[0])

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def layout_splits(self) -> np.ndarray:
        """(C,) int8, what the layout says: positions in SPLIT_NAMES, or NO_SPLIT."""
        codes, names = self.table.codes("split")
        known = [SPLIT_NAMES.index(name) if name else NO_SPLIT for name in names]
        return np.array(known, np.int8)[codes]


def joined_groups(columns: Columns) -> np.ndarray:
    """(C,) the groups as numbers without gaps, those that share a video's bytes as one."""
    order = np.argsort(columns.digests, kind="stable")
    digests, groups = columns.digests[order], columns.groups[order]
    same = digests[1:] == digests[:-1]
    first = joined(groups[:-1][same], groups[1:][same], len(columns.group_names))
    return np.unique(first[columns.groups], return_inverse=True)[1]
