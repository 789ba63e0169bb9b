"""What a split is made from: the columns of the index as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.dataset.clips import NO_SPLIT, SPLIT_NAMES, ClipTable
from pipeline.dataset.components import joined
from pipeline.dataset.label_sets import members_of
from pipeline.dataset.near_copies import NearCopy, tied_groups

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
    dealt : (C,) int, the groups as they are dealt out: numbers without gaps, those that hold copies
        of one video as one
    """

    table: ClipTable
    groups: np.ndarray
    group_names: list[str]
    labels: np.ndarray
    label_names: list[str]
    digests: np.ndarray
    rows: np.ndarray
    dealt: np.ndarray

    @classmethod
    def of(
        cls, table: ClipTable, copies: Sequence[NearCopy] = (), *, multi_label: bool = False
    ) -> "Columns":
        """The columns of these clips, some of which may be copies of others.

        The label of a clip is one, or with `multi_label` may be several.
        """
        labels, names = table.codes("label")
        rows = np.arange(len(labels))
        if multi_label:
            members, names = members_of(names)
            rows, labels = np.nonzero(members[labels])
        groups, group_names = table.codes("group")
        dealt = groups
        if copies:
            tied = tied_groups(groups, list(table.values("digest")), copies)
            dealt = np.unique(tied, return_inverse=True)[1]
        digests = table.codes("digest")[0]
        return cls(table, groups, group_names, labels, names, digests, rows, dealt)

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
    """(C,) the groups as they are dealt out, those that share a video's bytes as one."""
    order = np.argsort(columns.digests, kind="stable")
    digests, groups = columns.digests[order], columns.dealt[order]
    same = digests[1:] == digests[:-1]
    first = joined(groups[:-1][same], groups[1:][same], int(columns.dealt.max(initial=-1)) + 1)
    return np.unique(first[columns.dealt], return_inverse=True)[1]
