"""What a clip is, and the tables that list clips: index.csv, splits.csv, rejected.csv, ...

A data set may have a million clips, so a table keeps its columns in Arrow arrays, and a row becomes
a `Clip` only while somebody looks at it.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from pipeline.csv_tables import as_arrow, as_numpy, damaged, read_columns, text_of, write_rows

if TYPE_CHECKING:
    import pyarrow as pa

INDEX = Path("data/index.csv")
IMAGES = Path("data/images.csv")
SPLITS = Path("data/splits.csv")
REJECTED = Path("reports/rejected.csv")
DAMAGED = Path("reports/damaged.csv")
SPLIT_NAMES = ("train", "val", "test")
KINDS = ("video", "images")
NO_SPLIT = -1  # code of a clip that stands in no split
NO_LABEL = ""  # of a clip that waits for one
BACKGROUND = "background"  # the label of where nothing happens
UNLABELLED = "unlabelled"  # its split, and the folder that it lies in where folders are labels

ROWS_AT_ONCE = 8192  # rows that are Python objects at the same time
DIGEST = "[0-9a-f]{64}"


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip of the data set.

    Attributes
    ----------
    clip_id : path below the raw folder, with its extension and forward slashes; with
        "#12.00-22.00" behind it for a segment of a video
    label : the action; `NO_LABEL` of a clip that is embedded, but never learnt from nor scored
    group : what must not be torn apart between train and test (a person, a source video)
    digest : SHA-256 of the file's bytes, 64 hexadecimal digits, also for a segment; of the
        images' digests in their order for a clip of images
    bytes : size of the file, or of all images
    kind : "video", or "images" for a clip whose frames are image files (see `read_images`)
    path : the video below the raw folder, or its URL; "" for images
    start, end : seconds of a segment, None for a whole clip
    split : what the layout says of it: "train", "val", "test", or "" where it says nothing
    """

    clip_id: str
    label: str
    group: str
    digest: str
    bytes: int
    kind: str = "video"
    path: str = ""
    start: float | None = None
    end: float | None = None
    split: str = ""

    @property
    def segment(self) -> tuple[float, float]:
        """Start and end in seconds, `pipeline.frames.video.WHOLE` of a whole clip."""
        return (
            0.0 if self.start is None else self.start,
            math.inf if self.end is None else self.end,
        )


@dataclass(frozen=True, slots=True)
class Rejected:
    """A clip that could not be used: in which stage, and why in words."""

    clip_id: str
    stage: str
    reason: str


@dataclass(frozen=True)
class Damaged:
    """A clip that is used although frames of its video are missing.

    Attributes
    ----------
    decoded : frames of the video that could be decoded
    claimed : frames that it should hold
    """

    clip_id: str
    decoded: int
    claimed: int


COLUMNS = tuple(field.name for field in fields(Clip))


class ClipTable(Sequence[Clip]):
    """The clips of an index as columns, read like a list of clips."""

    def __init__(self, columns: "pa.Table") -> None:
        self._columns = columns

    @classmethod
    def of(cls, clips: Iterable[Clip]) -> "ClipTable":
        """The table of these clips, in their order; a table is returned as it is."""
        import pyarrow as pa

        if isinstance(clips, ClipTable):
            return clips
        schema, rows = pa.schema(list(_types().items())), iter(clips)
        batches = []
        while part := list(islice(rows, ROWS_AT_ONCE)):
            values = zip(*(astuple(clip) for clip in part), strict=True)
            batches.append(pa.record_batch(
                [pa.array(column, kind) for column, kind in zip(values, schema.types, strict=True)],
                schema=schema,
            ))  # fmt: skip
        return cls(pa.Table.from_batches(batches, schema).unify_dictionaries())

    def __len__(self) -> int:
        return self._columns.num_rows

    def __iter__(self) -> Iterator[Clip]:
        for batch in self._columns.to_batches(ROWS_AT_ONCE):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield Clip(*row)

    @overload
    def __getitem__(self, i: int) -> Clip: ...
    @overload
    def __getitem__(self, i: slice) -> "ClipTable": ...
    def __getitem__(self, i: int | slice) -> "Clip | ClipTable":
        if isinstance(i, slice):
            return self.take(np.arange(len(self))[i])
        row = range(len(self))[i]  # counts from the end where i is negative, and raises IndexError
        return next(iter(ClipTable(self._columns.slice(row, 1))))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClipTable) and all(
            self.column(name).cast(kind).equals(other.column(name).cast(kind))
            for name, kind in _types(plain=True).items()
        )

    __hash__ = None  # type: ignore[assignment]

    def column(self, name: str) -> "pa.ChunkedArray":
        """A column: text, int64 for `bytes`, float64 with nulls for `start` and `end`.

        `label`, `kind` and `split` are dictionaries: `codes` gives them as numbers.
        """
        return self._columns[name]

    def values(self, name: str) -> Iterator[Any]:
        """What a column holds, one row after the other."""
        for batch in self._columns.select([name]).to_batches(ROWS_AT_ONCE):
            yield from batch.column(0).to_pylist()

    def codes(self, name: str) -> tuple[np.ndarray, list[str]]:
        """A column of text as numbers.

        Returns
        -------
        codes : (C,) int32, which of the names each clip has
        names : the different values, sorted
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.column(name)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        column = column.unify_dictionaries().combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # without a chunk there is none to combine
            return np.empty(0, np.int32), []
        codes = as_numpy(column.indices)
        used = np.unique(codes)  # a part of a table keeps the names of the whole
        names = column.dictionary.take(as_arrow(used))
        order = as_numpy(pc.sort_indices(names))
        number = np.zeros(len(column.dictionary), np.int32)
        number[used[order]] = np.arange(len(used), dtype=np.int32)
        return number[codes], names.take(as_arrow(order)).to_pylist()

    @property
    def labelled(self) -> np.ndarray:
        """(C,) bool, whether a clip has a label."""
        codes, names = self.codes("label")
        return np.array([name != NO_LABEL for name in names], bool)[codes]

    def take(self, rows: np.ndarray) -> "ClipTable":
        """The clips at these positions, in their order; or where a mask of bools is true."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return ClipTable(self._columns.take(as_arrow(rows)))

    def together(self, name: str) -> "ClipTable":
        """The clips with those of equal value side by side, values in the order they first came."""
        if not len(self):
            return self
        codes = self.column(name).combine_chunks().dictionary_encode().indices
        return self.take(np.argsort(as_numpy(codes), kind="stable"))

    def sorted(self) -> "ClipTable":
        """The clips sorted by clip_id, as they stand in index.csv."""
        return ClipTable(self._columns.sort_by("clip_id"))


class ImageTable(Mapping[str, tuple[str, ...]]):
    """The image files of each image clip, by clip_id; in Arrow columns until asked for."""

    def __init__(self, columns: "pa.Table") -> None:
        columns = columns.combine_chunks()
        self._files = columns["file"]
        runs = columns["clip_id"].combine_chunks()
        self._clip_ids, self._ends = runs, np.zeros(0, np.int64)
        if len(runs):
            import pyarrow.compute as pc

            encoded = pc.run_end_encode(runs)
            self._clip_ids, self._ends = encoded.values, as_numpy(encoded.run_ends)

    def __getitem__(self, clip_id: str) -> tuple[str, ...]:
        row = bisect_left(self._clip_ids, clip_id, key=lambda known: known.as_py())
        if row == len(self) or self._clip_ids[row].as_py() != clip_id:
            raise KeyError(clip_id)
        start = int(self._ends[row - 1]) if row else 0
        return tuple(self._files.slice(start, int(self._ends[row]) - start).to_pylist())

    def __iter__(self) -> Iterator[str]:
        return (clip_id.as_py() for clip_id in self._clip_ids)

    def __len__(self) -> int:
        return len(self._ends)


def read_index(path: Path = INDEX) -> ClipTable:
    """The clips of index.csv, in the order of the file (sorted by clip_id).

    Raises
    ------
    DatasetError
        When the file is missing or not an index.
    """
    import pyarrow.compute as pc

    columns = read_columns(path, _types(), "clipcache index")
    table = ClipTable(columns)
    if not pc.all(pc.match_substring_regex(columns["digest"], f"^{DIGEST}$"), min_count=0).as_py():
        raise damaged(path, "a digest is not 64 hexadecimal digits", "clipcache index")
    if columns["bytes"].null_count:
        raise damaged(path, "a row is without its size", "clipcache index")
    for name, known in (("kind", KINDS), ("split", ("", *SPLIT_NAMES))):
        unknown = sorted(set(table.codes(name)[1]) - set(known))
        if unknown:
            raise damaged(path, f"{name} is {unknown[0]!r}", "clipcache index")
    return table


def write_index(clips: Iterable[Clip], path: Path = INDEX) -> ClipTable:
    """Write index.csv, sorted by clip_id; gives the clips as they are written."""
    table = ClipTable.of(clips).sorted()
    write_rows(path, COLUMNS, map(astuple, table), exact=True)
    return table


def read_images(path: Path = IMAGES) -> ImageTable:
    """The files, below the raw folder and in their order, of every image clip, by clip_id.

    Raises
    ------
    DatasetError
        When the file is missing or damaged.
    """
    import pyarrow as pa

    types = {"clip_id": pa.string(), "file": pa.string()}
    return ImageTable(read_columns(path, types, "clipcache index"))


def write_images(images: Mapping[str, Sequence[str]], path: Path = IMAGES) -> None:
    """Write images.csv, sorted by clip_id; only its header where all clips are videos."""
    rows = ((clip_id, file) for clip_id in sorted(images) for file in images[clip_id])
    write_rows(path, ("clip_id", "file"), rows, exact=True)


def read_splits(path: Path = SPLITS) -> dict[str, str]:
    """clip_id -> "train", "val", "test" or "unlabelled", in the order of the file."""
    columns = _read_splits(path)
    return dict(zip(columns["clip_id"].to_pylist(), columns["split"].to_pylist(), strict=True))


def read_split_codes(clips: ClipTable, path: Path = SPLITS) -> np.ndarray:
    """The split of each clip: (C,) int8, a position in `SPLIT_NAMES`, or `NO_SPLIT`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = _read_splits(path)
    known = pc.index_in(columns["split"], pa.array(SPLIT_NAMES)).fill_null(NO_SPLIT)
    row = pc.index_in(clips.column("clip_id"), columns["clip_id"]).fill_null(len(columns))
    return np.append(known.to_numpy(), NO_SPLIT)[row.to_numpy()].astype(np.int8)


def write_split_codes(clips: ClipTable, codes: np.ndarray, path: Path = SPLITS) -> None:
    """Write splits.csv in the order of the clips, which an index sorts by clip_id.

    Parameters
    ----------
    codes : (C,) int, positions in `SPLIT_NAMES`; a clip with `NO_SPLIT` is left out, unless it has
        no label: then its split is "unlabelled"
    """
    named = zip(clips.values("clip_id"), codes, clips.labelled, strict=True)
    rows = (
        (clip_id, SPLIT_NAMES[code] if labelled else UNLABELLED)
        for clip_id, code, labelled in named
        if code != NO_SPLIT or not labelled
    )
    write_rows(path, ("clip_id", "split"), rows, exact=True)


def read_rejected(path: Path = REJECTED) -> list[Rejected]:
    """The rows of rejected.csv; an empty list where the file is missing."""
    import pyarrow as pa

    if not path.exists():
        return []
    types = {field.name: pa.string() for field in fields(Rejected)}
    columns = read_columns(path, types, "clipcache features").to_pydict()
    return [Rejected(*map(text_of, row)) for row in zip(*columns.values(), strict=True)]


def write_rejected(rejected: Iterable[Rejected], path: Path = REJECTED) -> None:
    """Write rejected.csv, sorted by clip_id; a file with only its header where all went well."""
    rows = sorted(astuple(row) for row in rejected)
    write_rows(path, [field.name for field in fields(Rejected)], rows)


def read_damaged(path: Path = DAMAGED) -> list[Damaged]:
    """The rows of damaged.csv; an empty list where the file is missing."""
    import pyarrow as pa

    if not path.exists():
        return []
    types = {"clip_id": pa.string(), "decoded": pa.int64(), "claimed": pa.int64()}
    columns = read_columns(path, types, "clipcache features").to_pydict()
    return [Damaged(*row) for row in zip(*columns.values(), strict=True)]


def write_damaged(damaged: Iterable[Damaged], path: Path = DAMAGED) -> None:
    """Write damaged.csv, sorted by clip_id; a file with only its header where all is whole."""
    rows = sorted(astuple(row) for row in damaged)
    write_rows(path, [field.name for field in fields(Damaged)], rows)


def _read_splits(path: Path) -> "pa.Table":
    import pyarrow as pa

    return read_columns(path, {"clip_id": pa.string(), "split": pa.string()}, "clipcache split")


def _types(*, plain: bool = False) -> dict[str, Any]:
    """The columns of the index as Arrow keeps them; `plain` without dictionaries."""
    import pyarrow as pa

    text = pa.string()
    few = text if plain else pa.dictionary(pa.int32(), text)
    special = {"label": few, "kind": few, "split": few, "bytes": pa.int64(),
               "start": pa.float64(), "end": pa.float64()}  # fmt: skip
    return {name: special.get(name, text) for name in COLUMNS}
