"""Videos that are copies of one another: reports/near_copies.csv, and what groups they tie."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.csv_tables import read_columns, write_rows
from pipeline.dataset.components import joined
from pipeline.wording import count, some

NEAR_COPIES = Path("reports/near_copies.csv")
COLUMNS = ("video", "copy", "likeness", "label", "copy_label", "group", "copy_group",
           "digest", "copy_digest")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Video:
    """A video, of which one clip or many are in the index.

    Attributes
    ----------
    name : its path as in index.csv, or the id of the clip of images
    label : "" where its clips have several
    digest : as in index.csv
    """

    name: str
    label: str
    group: str
    digest: str


@dataclass(frozen=True, slots=True)
class NearCopy:
    """Two videos of different groups that show the same moments.

    Attributes
    ----------
    likeness : correlation of what changes in them, at most 1
    """

    video: Video
    copy: Video
    likeness: float

    def __str__(self) -> str:
        return f"{self.video.name} = {self.copy.name}"


def write_near_copies(copies: Iterable[NearCopy], path: Path = NEAR_COPIES) -> None:
    """Write pairs of videos, whole or not at all."""
    rows = (
        (
            *(pair.video.name, pair.copy.name, f"{pair.likeness:.2f}"),
            *(pair.video.label, pair.copy.label),
            *(pair.video.group, pair.copy.group),
            *(pair.video.digest, pair.copy.digest),
        )
        for pair in copies
    )
    write_rows(path, COLUMNS, rows, exact=True)


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
    types = {name: pa.float64() if name == "likeness" else pa.string() for name in COLUMNS}
    return [
        NearCopy(
            Video(row["video"], row["label"], row["group"], row["digest"]),
            Video(row["copy"], row["copy_label"], row["copy_group"], row["copy_digest"]),
            row["likeness"],
        )
        for row in read_columns(path, types, "clipcache copies").to_pylist()
    ]


def in_words(copies: Iterable[NearCopy], side_of: Mapping[str, object]) -> tuple[str, str]:
    """Sentences on pairs that stand in one split, and on those that do not; "" where none is.

    Parameters
    ----------
    side_of : digest of a video -> its split; pairs with one that is in none are left out
    """
    sides: dict[bool, list[NearCopy]] = {True: [], False: []}
    for pair in copies:
        digests = pair.video.digest, pair.copy.digest
        if all(digest in side_of for digest in digests):
            sides[side_of[digests[0]] == side_of[digests[1]]].append(pair)
    together, torn = sides[True], sides[False]
    first = second = ""
    if together:
        first = f"{told(together)[:-1]}, and stand in one split."
    if torn:
        second = (
            f"{count(len(torn), 'pair')} of videos in different splits are copies: {some(torn)} "
            f"({NEAR_COPIES}); the score may flatter."
        )
    return first, second


def told(copies: Sequence[NearCopy]) -> str:
    """A sentence on these pairs."""
    return (
        f"{count(len(copies), 'pair')} of videos of different groups are copies: {some(copies)} "
        f"({NEAR_COPIES})."
    )


def tied_groups(
    groups: np.ndarray, digests: Sequence[str], copies: Sequence[NearCopy]
) -> np.ndarray:
    """The group of each clip, (C,), where groups that hold copies of one video are one.

    Of such groups the one with the smallest code stands for all. Videos that are not there count
    for nothing.

    Parameters
    ----------
    groups : (C,) codes from 0
    digests : of the clips' videos
    """
    if not copies:
        return groups
    row = {digest: i for i, digest in enumerate(digests)}
    known = [(row[pair.video.digest], row[pair.copy.digest]) for pair in copies
             if pair.video.digest in row and pair.copy.digest in row]  # fmt: skip
    one, other = groups[np.array(known, np.int64).reshape(-1, 2)].T
    return joined(one, other, int(groups.max(initial=-1)) + 1)[groups]
