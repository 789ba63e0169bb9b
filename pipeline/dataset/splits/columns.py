"""What a split is made from: the columns of the index as numbers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.dataset.clips import NO_SPLIT, SPLIT_NAMES, ClipTable
from pipeline.dataset.components import joined
from pipeline.dataset.label_sets import members_of

TRAIN, VAL, TEST = range(3)  # positions in SPLIT_NAMES


@dataclass(frozen=True)
class Columns:
    """The clips of an index.

    Attributes
    ----------
    groups, digests : (C,) int32, positions in the names
    labels, rows : (P,) a label, as a position in the names, and the clip that has it: as many as
        there are clips, in their order, where each has one label
    group_names, label_names : sorted
    """

    table: ClipTable
    groups: np.ndarray
    group_names: list[str]
    labels: np.ndarray
    label_names: list[str]
    digests: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, table: ClipTable, *, multi_label: bool = False) -> "Columns":
        """The columns of these clips, whose label is one, or with `multi_label` may be several."""
        labels, names = table.codes("label")
        rows = np.arange(len(labels))
        if multi_label:
            members, names = members_of(names)
            rows, labels = np.nonzero(members[labels])
        return cls(table, *table.codes("group"), labels, names, table.codes("digest")[0], rows)

    def __len__(self) -> int:
        return len(self.groups)

    def labels_of(self, clips: np.ndarray) -> np.ndarray:
        """The labels of the clips where a (C,) mask is true, as often as clips have them."""
        return self.labels[clips[self.rows]]

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
