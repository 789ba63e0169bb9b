"""What a split is made from: the columns of the index as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.dataset.clips import NO_SPLIT, SPLIT_NAMES, ClipTable
from pipeline.dataset.components import joined
from pipeline.dataset.near_copies import NearCopy, tied_groups

TRAIN, VAL, TEST = range(3)  # positions in SPLIT_NAMES


@dataclass(frozen=True)
class Columns:
    """The clips of an index.

    Attributes
    ----------
    groups, labels, digests : (C,) int32, positions in the names
    group_names, label_names : sorted
    dealt : (C,) int, the groups as they are dealt out: numbers without gaps, those that hold copies
        of one video as one
    """

    table: ClipTable
    groups: np.ndarray
    group_names: list[str]
    labels: np.ndarray
    label_names: list[str]
    digests: np.ndarray
    dealt: np.ndarray

    @classmethod
    def of(cls, table: ClipTable, copies: Sequence[NearCopy] = ()) -> "Columns":
        """The columns of these clips, some of which are copies of others."""
        groups, names = table.codes("group")
        dealt = groups
        if copies:
            tied = tied_groups(groups, list(table.values("clip_id")), copies)
            dealt = np.unique(tied, return_inverse=True)[1]
        return cls(
            table, groups, names, *table.codes("label"), table.codes("digest")[0], dealt
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def layout_splits(self) -> np.ndarray:
        """(C,) int8, what the layout says: positions in SPLIT_NAMES, or NO_SPLIT."""
        codes, names = self.table.codes("split")
        known = [SPLIT_NAMES.index(name) if name else NO_SPLIT for name in names]
        return np.array(known, np.int8)[codes]


def joined_groups(columns: Columns) -> np.ndarray:
    """(C,) the groups as they are dealt out, those that share a video's bytes as one."""
    order = np.argsort(columns.digests, kind="stable")
    digests, groups = columns.digests[order], columns.dealt[order]
    same = digests[1:] == digests[:-1]
    first = joined(groups[:-1][same], groups[1:][same], int(columns.dealt.max(initial=-1)) + 1)
    return np.unique(first[columns.dealt], return_inverse=True)[1]
