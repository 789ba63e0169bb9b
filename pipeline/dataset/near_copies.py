"""Clips that are copies of one video: reports/near_copies.csv, and what groups they tie."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.csv_tables import read_columns, write_rows
from pipeline.dataset.clips import Clip
from pipeline.dataset.components import joined
from pipeline.wording import count, some

NEAR_COPIES = Path("reports/near_copies.csv")
COLUMNS = ("clip_id", "copy", "likeness", "label", "copy_label", "group", "copy_group")


@dataclass(frozen=True, slots=True)
class NearCopy:
    """Two clips of different groups that show the same moments.

    Attributes
    ----------
    likeness : correlation of what changes in them, at most 1
    """

    clip_id: str
    copy: str
    likeness: float

    def __str__(self) -> str:
        return f"{self.clip_id} = {self.copy}"


def write_near_copies(pairs: Iterable[tuple[Clip, Clip, float]], path: Path = NEAR_COPIES) -> None:
    """Write pairs of clips and their likeness, whole or not at all."""
    write_rows(
        path,
        COLUMNS,
        (
            (
                one.clip_id,
                two.clip_id,
                f"{likeness:.2f}",
                one.label,
                two.label,
                one.group,
                two.group,
            )
            for one, two, likeness in pairs
        ),
        exact=True,
    )


def read_near_copies(path: Path = NEAR_COPIES) -> list[NearCopy]:
    """The pairs that `clipcache copies` found; none where it has not run.

    Raises
    ------
    DatasetError
        When the file is damaged.
    """
    import pyarrow as pa

    if not path.exists():
        return []
    types = {"clip_id": pa.string(), "copy": pa.string(), "likeness": pa.float64()}
    rows = read_columns(path, types, "clipcache copies").to_pylist()
    return [NearCopy(row["clip_id"], row["copy"], row["likeness"]) for row in rows]


def in_words(copies: Iterable[NearCopy], side_of: Mapping[str, object]) -> tuple[str, str]:
    """Sentences on pairs that stand in one split, and on those that do not; "" where none is.

    Parameters
    ----------
    side_of : clip_id -> its split; pairs with a clip that is in none are left out
    """
    sides: dict[bool, list[NearCopy]] = {True: [], False: []}
    for pair in copies:
        if pair.clip_id in side_of and pair.copy in side_of:
            sides[side_of[pair.clip_id] == side_of[pair.copy]].append(pair)
    together, torn = sides[True], sides[False]
    first = second = ""
    if together:
        first = (
            f"{count(len(together), 'pair')} of clips of different groups are copies of one video "
            f"and stand in one split: {some(together)} ({NEAR_COPIES})."
        )
    if torn:
        second = (
            f"{count(len(torn), 'pair')} of clips in different splits are copies of one video: "
            f"{some(torn)} ({NEAR_COPIES}); the score may flatter."
        )
    return first, second


def tied_groups(
    groups: np.ndarray, clip_ids: Sequence[str], copies: Sequence[NearCopy]
) -> np.ndarray:
    """The group of each clip, (C,), where groups that hold copies of one video are one.

    Of such groups the one with the smallest code stands for all. Clips that are not there count
    for nothing.

    Parameters
    ----------
    groups : (C,) codes from 0
    """
    if not copies:
        return groups
    row = {clip_id: i for i, clip_id in enumerate(clip_ids)}
    known = [(row[pair.clip_id], row[pair.copy]) for pair in copies
             if pair.clip_id in row and pair.copy in row]  # fmt: skip
    one, other = groups[np.array(known, np.int64).reshape(-1, 2)].T
    return joined(one, other, int(groups.max(initial=-1)) + 1)[groups]
