"""Stage `split`: labels and groups -> data/splits.csv."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pipeline.clips import SPLIT_NAMES, SPLITS, Clip, write_splits
from pipeline.dataset_params import SplitParams
from pipeline.errors import DatasetError, some

# Cost of a label that a split lacks altogether, in units of the squared deviation below.
MISSING = {"train": 1e6, "val": 1e2, "test": 1e6}
PASSES = 50  # of improvement over all groups; a handful is enough in practice
ATTEMPTS = 30  # from other orders, while a label is missing from train or test


def split_clips(clips: Sequence[Clip], params: SplitParams, path: Path = SPLITS) -> dict[str, str]:
    """Deal the clips out to train, val and test, group by group, and write splits.csv.

    Returns
    -------
    clip_id -> "train", "val" or "test"

    Raises
    ------
    DatasetError
        When a label has a single group, or cannot stand in both train and test, or one video's
        bytes would stand in two splits.
    """
    _check_groups(clips)
    side = deal_groups(
        [clip.group for clip in clips],
        [clip.label for clip in clips],
        {"train": params.train, "val": params.val, "test": params.test},
        params.seed,
    )
    splits = {clip.clip_id: side[clip.group] for clip in clips}
    check_leaks(clips, splits)
    _check_labels(clips, splits)
    write_splits(splits, path)
    return splits


def deal_groups(
    groups: Sequence[str], labels: Sequence[str], ratios: dict[str, float], seed: int
) -> dict[str, str]:
    """Give each group to one split, so that each label's clips come near the ratios.

    Largest groups first, each to where the sum over labels and splits of (clips - wanted)^2 /
    clips of the label grows least; then groups move as long as that improves it. A label missing
    from train or test costs more than any deviation; where one is, other orders are tried.

    Parameters
    ----------
    groups, labels : of each clip
    ratios : split -> share; a split with share 0 stays empty
    seed : order among groups of equal size

    Returns
    -------
    group -> split
    """
    names = [name for name in SPLIT_NAMES if ratios[name] > 0]
    label_names, label_of = np.unique(labels, return_inverse=True)
    group_names, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(group_names), len(label_names)))
    np.add.at(counts, (group_of, label_of), 1)
    totals = counts.sum(0)
    wanted = np.array([ratios[name] for name in names])[:, None] * totals
    missing = np.array([MISSING[name] for name in names])[:, None]
    placed = np.zeros_like(wanted)

    def cost(split: int, columns: np.ndarray, clips: np.ndarray) -> float:
        deviation = (clips - wanted[split, columns]) ** 2 / totals[columns]
        return float((deviation + missing[split] * (clips == 0)).sum())

    def added(group: int, split: int, sign: int) -> float:
        columns = np.flatnonzero(counts[group])
        before = placed[split, columns]
        after = before + sign * counts[group, columns]
        return cost(split, columns, after) - cost(split, columns, before)

    needed = [i for i, name in enumerate(names) if name in ("train", "test")]
    random = np.random.default_rng(seed)
    side = np.zeros(len(group_names), int)

    def improve(order: np.ndarray) -> None:
        for _ in range(PASSES):
            moved = False
            for group in order:
                leaving = added(group, side[group], -1)
                gains = [
                    0.0 if split == side[group] else leaving + added(group, split, +1)
                    for split in range(len(names))
                ]
                best = int(np.argmin(gains))
                if gains[best] < -1e-9:
                    placed[side[group]] -= counts[group]
                    placed[best] += counts[group]
                    side[group] = best
                    moved = True
            if not moved:
                return

    for attempt in range(ATTEMPTS):
        order = random.permutation(len(group_names))
        if attempt == 0:
            order = order[np.argsort(-counts[order].sum(1), kind="stable")]
        placed[:] = 0
        for group in order:
            side[group] = min(range(len(names)), key=lambda split: added(group, split, +1))
            placed[side[group]] += counts[group]
        improve(order)
        if placed[needed].all():
            break
    return {str(name): names[split] for name, split in zip(group_names, side, strict=True)}


def check_leaks(clips: Iterable[Clip], splits: dict[str, str]) -> None:
    """Refuse a split that tears one video, or one group, apart.

    Raises
    ------
    DatasetError
        Naming the first few.
    """
    by_digest: dict[str, list[Clip]] = defaultdict(list)
    by_group: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        by_digest[clip.digest].append(clip)
        by_group[clip.group].add(splits[clip.clip_id])
    torn = [group for group, sides in by_group.items() if len(sides) > 1]
    if torn:
        raise DatasetError(f"The groups {some(torn)} stand in more than one split.")
    for same in by_digest.values():
        if len({splits[clip.clip_id] for clip in same}) > 1:
            names = " and ".join(
                f"{clip.clip_id} ({splits[clip.clip_id]}, group {clip.group})" for clip in same[:2]
            )
            raise DatasetError(
                f"{names} are the same video, but stand in different splits: remove one of them, "
                "or choose a dataset.group that puts both into one group."
            )


def _check_groups(clips: Sequence[Clip]) -> None:
    groups: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        groups[clip.label].add(clip.group)
    if len(groups) < 2:
        raise DatasetError("There is one class only: a classifier needs at least two labels.")
    single = [label for label, names in groups.items() if len(names) < 2]
    if single:
        raise DatasetError(
            f"All clips of {some(single)} are of one group each, so they cannot stand in both train"
            " and test: add clips of another group, remove the label, or set dataset.group to a "
            "finer rule."
        )


def _check_labels(clips: Sequence[Clip], splits: dict[str, str]) -> None:
    sides: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        sides[clip.label].add(splits[clip.clip_id])
    lacking = [label for label, names in sides.items() if not {"train", "test"} <= names]
    if lacking:
        raise DatasetError(
            f"There is no way to deal the groups out so that {some(lacking)} can be trained and "
            "tested: add clips of other groups, remove the label, or set dataset.group to a finer "
            "rule."
        )
