"""What makes a split worthless: a video on both sides, a label without clips."""

import numpy as np

from pipeline.dataset.clips import NO_SPLIT, SPLIT_NAMES
from pipeline.dataset.near_copies import NEAR_COPIES
from pipeline.dataset.splits.columns import TEST, TRAIN, Columns
from pipeline.errors import DatasetError
from pipeline.wording import some


def check_groups(columns: Columns) -> None:
    """Refuse labels that whole groups can never put on both sides.

    Raises
    ------
    DatasetError
        When there is one class only, or all clips of a label are of one group.
    """
    names = columns.label_names
    if len(names) < 2:
        raise DatasetError("There is one class only: a classifier needs at least two labels.")
    pairs = np.unique(columns.dealt.astype(np.int64)[columns.rows] * len(names) + columns.labels)
    groups = np.bincount(pairs % len(names), minlength=len(names))
    if (groups < 2).any():
        single = [names[i] for i in np.flatnonzero(groups < 2)]
        raise DatasetError(
            f"All clips of {some(single)} are of one group each, so they cannot stand in both train"
            f" and test: add clips of another group, remove the label, or {_finer(columns)}."
        )


def check_labels(columns: Columns, splits: np.ndarray) -> None:
    """Refuse groups dealt out so that a label cannot be both trained and tested.

    Raises
    ------
    DatasetError
        Naming the labels.
    """
    trained, tested = (np.unique(columns.labels_of(splits == side)) for side in (TRAIN, TEST))
    known = np.arange(len(columns.label_names))
    lacking = np.setdiff1d(known, np.intersect1d(trained, tested))
    if len(lacking):
        raise DatasetError(
            f"There is no way to deal the groups out so that {some(_names(columns, lacking))} can "
            "be trained and tested: add clips of other groups, remove the label, or "
            f"{_finer(columns)}."
        )


def check_leaks(columns: Columns, splits: np.ndarray, mending: str) -> None:
    """Refuse a split that puts one video's bytes on two sides.

    Parameters
    ----------
    splits : (C,) positions in `SPLIT_NAMES`, or `NO_SPLIT`
    mending : what to do, other than removing one of them

    Raises
    ------
    DatasetError
        Naming two of the clips, and how many videos there are.
    """
    torn = _torn(columns.digests, splits)
    if not len(torn):
        return
    rows = np.flatnonzero((columns.digests == torn[0]) & (splits != NO_SPLIT))
    other = rows[splits[rows] != splits[rows[0]]][0]
    one, two = columns.table[int(rows[0])], columns.table[int(other)]
    named = " and ".join(
        f"{clip.clip_id} ({SPLIT_NAMES[splits[row]]}, group {clip.group})"
        for clip, row in ((one, rows[0]), (two, other))
    )
    same = (
        "are segments of one video" if one.path and one.path == two.path else "are the same video"
    )
    more = f" (and {len(torn) - 1:,} more videos like that)" if len(torn) > 1 else ""
    raise DatasetError(
        f"{named} {same}, but stand in different splits{more}: remove one of them, or {mending}."
    )


def torn_groups(columns: Columns, splits: np.ndarray) -> list[str]:
    """Groups that stand in more than one split."""
    return [columns.group_names[i] for i in _torn(columns.groups, splits)]


def check_sides(columns: Columns, splits: np.ndarray, method: str, advice: str) -> None:
    """Refuse a split on which nothing can be learned or measured.

    Raises
    ------
    DatasetError
        When train or test is empty, train has one label, or test has a label that train lacks.
    """
    trained, tested = (np.unique(columns.labels_of(splits == side)) for side in (TRAIN, TEST))
    for side, labels in (("train", trained), ("test", tested)):
        if not len(labels):
            raise DatasetError(f"split.method is {method}, which leaves {side} empty: {advice}")
    unknown = np.setdiff1d(tested, trained)
    if len(unknown):
        raise DatasetError(
            f"split.method is {method}, which tests on {some(_names(columns, unknown))} but has no "
            f"clip of it to train on: {advice}"
        )
    if len(trained) < 2:
        raise DatasetError(
            f"split.method is {method}, which trains on {columns.label_names[trained[0]]} alone, "
            f"but a classifier needs at least two labels: {advice}"
        )


def untrained(columns: Columns, splits: np.ndarray) -> list[str]:
    """Labels that no train clip has, so that the model will not know them."""
    trained = np.bincount(columns.labels_of(splits == TRAIN), minlength=len(columns.label_names))
    return _names(columns, np.flatnonzero(trained == 0))


def untested(columns: Columns, splits: np.ndarray) -> list[str]:
    """Labels that are trained, but that no test clip has."""
    trained, tested = (
        np.bincount(columns.labels_of(splits == side), minlength=len(columns.label_names))
        for side in (TRAIN, TEST)
    )
    return _names(columns, np.flatnonzero((tested == 0) & (trained > 0)))


def _torn(codes: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """The codes whose clips stand in more than one split, ascending."""
    placed = splits != NO_SPLIT
    size = int(codes.max()) + 1 if len(codes) else 0
    lowest, highest = np.full(size, len(SPLIT_NAMES)), np.full(size, -1)
    np.minimum.at(lowest, codes[placed], splits[placed])
    np.maximum.at(highest, codes[placed], splits[placed])
    return np.flatnonzero(highest > lowest)


def _finer(columns: Columns) -> str:
    """How to get more groups."""
    if columns.dealt.max(initial=-1) + 1 < len(columns.group_names):
        return f"remove copies of one video, which tie groups together: see {NEAR_COPIES}"
    if "images" in columns.table.codes("kind")[1]:
        return "set dataset.group to a finer rule or dataset.near_duplicates to a smaller distance"
    return "set dataset.group to a finer rule"


def _names(columns: Columns, labels: np.ndarray) -> list[str]:
    return [columns.label_names[i] for i in labels]
