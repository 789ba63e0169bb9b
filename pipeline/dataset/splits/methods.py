"""The ways of `split.method`: from the columns of an index to the split of each clip."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.dataset.clips import NO_SPLIT, ClipTable
from pipeline.dataset.near_copies import NearCopy
from pipeline.dataset.params import SplitParams
from pipeline.dataset.splits.checks import check_groups, check_labels
from pipeline.dataset.splits.columns import TEST, TRAIN, VAL, Columns, joined_groups
from pipeline.dataset.splits.deal import deal_groups
from pipeline.dataset.splits.lists import key_of, read_lists
from pipeline.errors import DatasetError
from pipeline.wording import some


@dataclass(frozen=True)
class SplitAssignment:
    """A way's answer.

    Attributes
    ----------
    splits : (C,) int8, positions in SPLIT_NAMES, or NO_SPLIT
    notes : sentences on what did not fit
    advice : what to change where the split turns out to be of no use
    mending : what to do, other than removing one, where it tears the copies of a video apart
    """

    splits: np.ndarray
    notes: list[str] = field(default_factory=list)
    advice: str = "choose another split.method."
    mending: str = "choose a dataset.group that puts both into one group"


def by_group(columns: Columns, params: SplitParams) -> SplitAssignment:
    """Whole groups, by the shares of the settings; those that hold copies of one video are one."""
    check_groups(columns)
    ratios = {"train": params.train, "val": params.val, "test": params.test}
    of_labels = columns.dealt[columns.rows]
    groups = int(columns.dealt.max()) + 1
    splits = deal_groups(of_labels, columns.labels, ratios, params.seed, groups)[columns.dealt]
    check_labels(columns, splits)
    return SplitAssignment(splits)


def leave_one_group_out(columns: Columns, params: SplitParams) -> SplitAssignment:
    """`split.held_out` is tested on; validation is carved from the rest.

    Where groups are named within their label, such as Archery/g07, g07 is that of all labels.
    """
    wanted = params.held_out or ""
    held = [
        i for i, name in enumerate(columns.group_names)
        if wanted in (name, name.rpartition("/")[2])
    ]  # fmt: skip
    if not held:
        given = f"split.held_out is {wanted!r}, which is no group"
        if not wanted:
            given = f"split.method is {params.method}, which tests on the group split.held_out"
        raise DatasetError(
            f"{given}: set it to one of {some(columns.group_names, 20)} (the column group of "
            "data/index.csv)."
        )
    splits = np.where(np.isin(columns.groups, held), TEST, TRAIN).astype(np.int8)
    carve_validation(columns, splits, params)
    return SplitAssignment(
        splits, advice="hold out another group, or remove the clips in question."
    )


def official(columns: Columns, params: SplitParams) -> SplitAssignment:
    """By the lists in `split.lists`; validation is carved from their train side."""
    lists = read_lists(params)
    splits = np.full(len(columns), NO_SPLIT, np.int8)
    by_stem: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for key in lists.sides:
        by_stem[key[1]].append(key)
    found, unlisted, unused = set(), [], 0
    for row, clip in enumerate(columns.table):
        name = (clip.path or clip.clip_id).rpartition("/")[2]
        key = key_of(clip.label, name)
        if key not in lists.sides and len(by_stem[key[1]]) == 1:
            key = by_stem[key[1]][0]  # the folder has another name than the list gives it
        if key not in lists.sides:
            unlisted.append(clip.clip_id)
            continue
        found.add(key)
        side = lists.sides[key]
        unused += side is None
        splits[row] = NO_SPLIT if side is None else side
    if not found:
        raise DatasetError(
            f"split.lists is {params.lists}, of which no clip is in data/index.csv: the lists name "
            f"{some(list(lists.written.values()))}, and the index {some(unlisted)}; set "
            "split.lists and dataset.raw to the same data set."
        )
    notes = list(lists.notes)
    missing = [lists.written[key] for key in lists.sides if key not in found]
    if missing:
        notes.append(
            f"{len(missing):,} of {len(lists.sides):,} clips on the lists are not in "
            f"data/index.csv: {some(missing)}."
        )
    if unlisted:
        notes.append(
            f"{len(unlisted):,} of {len(columns):,} clips are on no list, and stand in no split: "
            f"{some(unlisted)}."
        )
    if unused:
        notes.append(f"{unused:,} clips are on the lists as unused, and stand in no split.")
    carve_validation(columns, splits, params)
    return SplitAssignment(
        splits,
        notes,
        advice="see the lists in split.lists, or choose another split.method.",
        mending="take it out of the lists in split.lists",
    )


def recorded(columns: Columns, params: SplitParams) -> SplitAssignment:
    """As the folders (train/, val/, test/) or the column `split` of the table say.

    Where they say nothing of validation, it is carved from train.
    """
    splits = columns.layout_splits.copy()
    if params.method == "folders":
        place = "the folders called train, val and test in dataset.raw, with the labels below them"
    else:
        place = "the column split of dataset.table"
    if (splits == NO_SPLIT).all():
        raise DatasetError(
            f"split.method is {params.method}, but data/index.csv says of no clip where it belongs:"
            f" that comes from {place}; provide that and run `clipcache index`, or choose another "
            "split.method."
        )
    notes = []
    if (splits == NO_SPLIT).any():
        clip_ids = columns.table.take(splits == NO_SPLIT).column("clip_id").to_pylist()
        notes.append(f"{len(clip_ids):,} clips have no split, and stand in none: {some(clip_ids)}.")
    if not (splits == VAL).any():
        carve_validation(columns, splits, params)
    return SplitAssignment(
        splits,
        notes,
        advice=f"see {place}, or choose another split.method.",
        mending=f"put both into one split ({place})",
    )


def carve_validation(columns: Columns, splits: np.ndarray, params: SplitParams) -> None:
    """Move whole groups from train to val, val / (train + val) of the clips, in place.

    Copies of one video count as one group, and so do groups that are tied by them.
    """
    rows = np.flatnonzero(splits == TRAIN)
    if not params.val or not len(rows):
        return
    share = params.val / (params.train + params.val)
    groups = np.zeros(len(columns), np.int64)
    groups[rows] = np.unique(joined_groups(columns)[rows], return_inverse=True)[1]
    chosen = splits == TRAIN
    labels = np.unique(columns.labels_of(chosen), return_inverse=True)[1]
    of_labels = groups[columns.rows][chosen[columns.rows]]
    ratios = {"train": 1 - share, "val": share, "test": 0}
    sides = deal_groups(of_labels, labels, ratios, params.seed, int(groups.max()) + 1)
    splits[rows] = sides[groups[rows]]


METHODS: dict[str, Callable[[Columns, SplitParams], SplitAssignment]] = {
    "group": by_group,
    "official": official,
    "folders": recorded,
    "column": recorded,
    "leave_one_group_out": leave_one_group_out,
}


def assign_splits(
    table: ClipTable,
    params: SplitParams,
    copies: Sequence[NearCopy] = (),
    *,
    multi_label: bool = False,
) -> tuple[Columns, SplitAssignment]:
    """Share the clips out as ``split.method`` says; copies of one video to one side where it may
    choose."""
    columns = Columns.of(table, copies, multi_label=multi_label)
    return columns, METHODS[params.method](columns, params)
