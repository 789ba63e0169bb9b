"""Stage `split`: labels, groups, lists and folders -> data/splits.csv."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from pipeline.dataset.clips import NO_SPLIT, SPLITS, Clip, ClipTable, write_split_codes
from pipeline.dataset.near_copies import NearCopy, in_words
from pipeline.dataset.params import SplitParams
from pipeline.dataset.splits.checks import (
    check_leaks,
    check_sides,
    torn_groups,
    untested,
    untrained,
)
from pipeline.dataset.splits.columns import VAL, Columns
from pipeline.dataset.splits.methods import assign_splits
from pipeline.errors import DatasetError
from pipeline.wording import count, some

logger = logging.getLogger("clipcache.split")


def split_clips(
    clips: Iterable[Clip],
    params: SplitParams,
    path: Path = SPLITS,
    say: Callable[[str], None] = logger.warning,
    copies: Sequence[NearCopy] = (),
    *,
    multi_label: bool = False,
) -> np.ndarray:
    """Share the clips out to train, val and test as ``split.method`` says, and write splits.csv.

    Parameters
    ----------
    say : is told what a list leaves out, that nothing is left to validate on, and the like
    copies : pairs of videos that show the same moments; groups that hold some are dealt out as one
    multi_label : whether a clip may have several labels (``dataset.multi_label``)

    Returns
    -------
    (C,) int8 in the order of the clips, positions in `SPLIT_NAMES`; `NO_SPLIT` for a clip that
    stands in no split: "unlabelled" in splits.csv where it has no label, else in no line of it

    Raises
    ------
    DatasetError
        When a label cannot stand in both train and test, one video's bytes would stand in two
        splits, or the lists, folders or column that decide cannot be used.
    """
    import pyarrow.compute as pc

    whole = ClipTable.of(clips)
    splits = deal_clips(whole, params, say, copies, multi_label=multi_label)
    order = pc.sort_indices(whole.column("clip_id")).to_numpy()
    write_split_codes(whole.take(order), splits[order], path)
    return splits


def deal_clips(
    whole: ClipTable,
    params: SplitParams,
    say: Callable[[str], None] = lambda sentence: None,
    copies: Sequence[NearCopy] = (),
    *,
    multi_label: bool = False,
) -> np.ndarray:
    """As `split_clips`, but nothing is written."""
    chosen = np.flatnonzero(whole.labelled)
    if not len(chosen):
        raise DatasetError(
            "No clip has a label, so there is nothing to share out: label some first."
        )
    labelled = Columns.of(whole.take(chosen), multi_label=multi_label)
    chosen = chosen[_of_large_classes(labelled, params.min_clips, say)]
    table = whole.take(chosen)
    columns, assignment = assign_splits(table, params, copies, multi_label=multi_label)
    check_leaks(columns, assignment.splits, assignment.mending)
    check_sides(columns, assignment.splits, params.method, assignment.advice)
    for note in assignment.notes:
        say(note)
    if not (assignment.splits == VAL).any():
        say(
            "There are no validation clips: training cannot stop early, and confidences are not "
            "calibrated."
        )
    if lacking := untrained(columns, assignment.splits):
        say(
            f"No train clip has the label {some(lacking)}: what cannot be learnt is left out of "
            "training and of all scores."
        )
    if lacking := untested(columns, assignment.splits):
        say(f"No test clip has the label {some(lacking)}.")
    if torn := torn_groups(columns, assignment.splits):
        say(
            f"{count(len(torn), 'group of dataset.group stands', 'groups of dataset.group stand')} "
            "in more than one split, because "
            f"split.method {params.method} says so: {some(torn)}; the score may flatter."
        )
    if copies:
        digests = table.take(assignment.splits != NO_SPLIT).values("digest")
        sides = assignment.splits[assignment.splits != NO_SPLIT].tolist()
        for note in filter(None, in_words(copies, dict(zip(digests, sides, strict=True)))):
            say(note)
    splits = np.full(len(whole), NO_SPLIT, np.int8)
    splits[chosen] = assignment.splits
    return splits


def _of_large_classes(columns: Columns, least: int, say: Callable[[str], None]) -> np.ndarray:
    """(C,) bool, whether all of a clip's classes have at least as many clips; others are named."""
    labels = columns.label_names
    sizes = np.bincount(columns.labels, minlength=len(labels))
    kept = np.ones(len(columns), bool)
    kept[columns.rows[sizes[columns.labels] < least]] = False
    small = [label for label, size in zip(labels, sizes, strict=True) if size < least]
    if small and len(labels) - len(small) < 2:
        raise DatasetError(
            f"split.min_clips is {least}, and fewer than two classes have as many clips: lower it."
        )
    if small:
        say(
            f"{count(len(small), 'class has', 'classes have')} fewer clips than split.min_clips "
            f"({least}), and {int((~kept).sum()):,} of {len(kept):,} clips are left out "
            f"with them: {some(small)}."
        )
    return kept
