"""Layout `csv`: a table lists the clips, and segments of videos, anywhere below a folder or behind
URLs.

The columns stay in Arrow arrays, so that a table of a million rows needs no million objects.
"""

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from pipeline.dataset.layouts.contents import check_raw, links_note
from pipeline.dataset.layouts.found_clip import Findings, FoundClip
from pipeline.dataset.layouts.groups import groups_of
from pipeline.dataset.layouts.label_rows import joined_by_hand, one_row_a_clip, single_labels
from pipeline.dataset.layouts.labels import SPLIT_FOLDERS, check_classes
from pipeline.dataset.layouts.table_file import check_rows, lines_of, read_table, seconds_of
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.segments import segment_id
from pipeline.dataset.walk import extension, find_files, inside
from pipeline.errors import DatasetError
from pipeline.frames.images import IMAGE_EXTENSIONS
from pipeline.frames.storage import is_url
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.wording import some

if TYPE_CHECKING:
    import pyarrow as pa

STILL = IMAGE_EXTENSIONS - VIDEO_EXTENSIONS  # a GIF may move
ROWS_AT_ONCE = 8192  # rows that are Python objects at the same time


class Rows(Sequence[FoundClip]):
    """The clips of a table; a row is an object only while somebody looks at it."""

    def __init__(self, columns: "pa.Table") -> None:
        self._columns = columns

    def __len__(self) -> int:
        return self._columns.num_rows

    def __iter__(self) -> Iterator[FoundClip]:
        for batch in self._columns.to_batches(ROWS_AT_ONCE):
            values = {name: batch[name].to_pylist() for name in batch.schema.names}
            for i in range(batch.num_rows):
                found = FoundClip(**{name: column[i] for name, column in values.items()})
                yield _image(found) if extension(found.path) in STILL else found

    @overload
    def __getitem__(self, i: int) -> FoundClip: ...
    @overload
    def __getitem__(self, i: slice) -> "Rows": ...
    def __getitem__(self, i: int | slice) -> "FoundClip | Rows":
        if isinstance(i, slice):
            return Rows(self._columns.take(np.arange(len(self))[i]))
        return next(iter(Rows(self._columns.slice(range(len(self))[i], 1))))


def _image(found: FoundClip) -> FoundClip:
    """A still image is a clip of one frame, not a video whose name ends in .jpg."""
    return replace(found, path="", images=(found.path,), start=None, end=None)


def find(params: DatasetParams) -> Findings:
    """Every row of ``dataset.table`` is a clip, or a segment of one where it has start or end.

    With ``dataset.unlabelled`` so is every other video below ``dataset.raw``, without a label. With
    ``dataset.multi_label`` the rows of a clip are one, with the labels of all.
    Rows whose file is not below ``dataset.raw`` are left out, with a note: of the public tables of
    videos on the web, some are always gone.

    Raises
    ------
    DatasetError
        When the table cannot be read, or a row makes no sense; the message names the lines.
    """
    notes: list[str] = []
    columns = _read(params, notes).sort_by([("path", "ascending"), ("start", "ascending")])
    return Findings(Rows(columns.drop_columns("row")), notes)


def rows_of_clips(params: DatasetParams) -> dict[str, int]:
    """clip_id -> the row of the table that lists it, from 0; of an unnamed file one behind them.

    Raises
    ------
    DatasetError
        As `find` does.
    """
    columns = _read(params, [])
    names = columns["clip_id"].to_pylist()
    return dict(zip(names, columns["row"].to_pylist(), strict=True))


def _read(params: DatasetParams, notes: list[str]) -> "pa.Table":
    """The clips in the order of the table: the fields of `FoundClip`, and `row`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_table(Path(params.table), params.columns)
    where = params.table
    if params.unlabelled:
        table = _with_unnamed(table, params)
    start, end = seconds_of(table, "start", where), seconds_of(table, "end", where)
    check_rows(
        pc.and_(pc.is_valid(end), pc.less_equal(end, pc.fill_null(start, 0.0))), where,
        "an end that is not after the start",
    )  # fmt: skip
    start = pc.if_else(pc.and_(pc.is_null(start), pc.is_valid(end)), 0.0, start)
    splits = _splits(table["split"], where)

    code, paths, sizes = _files(table, params, notes)
    kept = sizes[code] >= 0
    if not kept.all():
        missing = [path for path, size in zip(paths, sizes, strict=True) if size < 0]
        if not kept.any():
            raise DatasetError(
                f"{where} names {some(missing)}, but none of its {len(paths):,} files is below "
                f"{params.raw}: set dataset.raw to the folder that its paths start from."
            )
        notes.append(
            f"{where}: {(~kept).sum():,} of {len(kept):,} rows are left out, because their files "
            f"are not below {params.raw} (dataset.raw): {some(missing)}."
        )
    texts = pc.unique(table["label"].filter(pa.array(kept))).to_pylist()
    several = params.multi_label
    check_classes(single_labels(texts) if several else texts, where, notes)
    notes += [] if several else joined_by_hand(texts, where)
    groups = _groups(table, code, paths, kept, params)
    columns = pa.table({
        "path": pa.array(paths).take(pa.array(code)),
        "label": table["label"],
        "group": groups,
        "start": start,
        "end": end,
        "split": splits,
        "digest": table["digest"],
        "bytes": pa.array(sizes[code]),
        "row": pa.array(np.arange(len(kept))),
    }).filter(pa.array(kept))  # fmt: skip
    columns = columns.append_column("clip_id", _clip_ids(columns))
    if several:
        return one_row_a_clip(columns, where)
    _check_twice(columns, where)
    return columns


def _with_unnamed(table: "pa.Table", params: DatasetParams) -> "pa.Table":
    """The table with a row for each video below the raw folder that it does not name."""
    import pyarrow as pa

    finder = _FileFinder(params)
    if is_url(params.raw):
        raise DatasetError(
            f"dataset.unlabelled is true, but dataset.raw is {params.raw}, which cannot be listed: "
            "name its files in dataset.table, without a label."
        )
    named = {file[0] for path in table["path"].unique().to_pylist() if (file := finder.find(path))}
    unnamed = [name for name in find_files(params.folder, VIDEO_EXTENSIONS) if name not in named]
    empty = [""] * len(unnamed)
    more = {name: unnamed if name == "path" else empty for name in table.column_names}
    return pa.concat_tables([table, pa.table(more, schema=table.schema)])


def _files(
    table: "pa.Table", params: DatasetParams, notes: list[str]
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """The files that the rows name; links that lead out of the raw folder are noted.

    Returns
    -------
    code : (C,) int32, the file of each row
    paths : of the files, below the raw folder, or their URLs
    sizes : (F,) int64, bytes; 0 of a URL, -1 of a file that is not there
    """
    encoded = table["path"].combine_chunks().dictionary_encode()
    written = encoded.dictionary.to_pylist()
    finder = _FileFinder(params)
    files = [finder.find(path) for path in written]
    if finder.irregular:
        raise DatasetError(
            f"{params.table} names {some(finder.irregular)}, which is no regular file: take it out."
        )
    if finder.folders:
        raise DatasetError(
            f"{params.table}: {some(finder.folders)} is a folder, and not a video or an image: "
            "for videos cut into frames set dataset.layout to frames."
        )
    if finder.outside:
        raise DatasetError(
            f"{params.table} names {some(finder.outside)}, which lies outside {params.raw}: name "
            "files below it by their path from there, or set dataset.raw to a folder above."
        )
    if finder.links:
        notes.append(links_note(params.raw, finder.links))
    paths = [path if file is None else file[0] for path, file in zip(written, files, strict=True)]
    sizes = np.array([-1 if file is None else file[1] for file in files])
    return encoded.indices.to_numpy(), paths, sizes


class _FileFinder:
    """Finds files below the raw folder; remembers which folders lie inside it.

    Paths are texts here: a table may name a million.
    """

    def __init__(self, params: DatasetParams) -> None:
        check_raw(params)
        self.raw = params.raw
        self.root = os.path.realpath(params.folder)
        self.outside: list[str] = []
        self.folders: list[str] = []
        self.irregular: list[str] = []
        self.links: list[str] = []  # that lead out of the raw folder
        self._folders: dict[str, bool] = {}
        self._names: dict[str, dict[str, str]] = {}  # of folders: composed name -> name on disk

    def find(self, path: str) -> tuple[str, int] | None:
        """Path below the raw folder and bytes of a file, 0 of a URL; None where it is not there."""
        if is_url(path):
            return self._url(path)
        if is_url(self.raw):
            if os.path.normpath(path).startswith("../"):
                self.outside.append(path)
            return f"{self.raw.rstrip('/')}/{path.lstrip('/')}", 0
        name = self._below(os.path.normpath(path))
        if name.startswith("../"):
            self.outside.append(path)
            return None
        status = _status(f"{self.root}/{name}")
        if status is None and (composed := self._composed(name)):
            name, status = composed, _status(f"{self.root}/{composed}")
        if status is None:
            if "\\" in path:  # written on Windows
                return self.find(path.replace("\\", "/"))
            if path.startswith("/") and os.path.lexists(path):
                self.outside.append(path)
            return None
        if stat.S_ISDIR(status.st_mode):
            self.folders.append(path)
        elif not stat.S_ISREG(status.st_mode):
            self.irregular.append(path)
        if not self._is_inside(name):
            self.links.append(name)
        return name, status.st_size

    def _url(self, url: str) -> tuple[str, int]:
        """A URL as it is; one of this machine must lie in the raw folder as every path must."""
        if url.lower().startswith(("file://", "local://")):
            path = os.path.realpath(url.partition("://")[2])
            raw = self.raw.partition("://")[2] if is_url(self.raw) else self.root
            if not inside(path, os.path.realpath(raw)):
                self.outside.append(url)
        return url, 0

    def _below(self, name: str) -> str:
        """A path as one from the raw folder: where it is absolute, but does not lie there, people
        mean the top of the data set."""
        if name.startswith("/"):
            for whole in (name, os.path.realpath(name)):
                if inside(whole, self.root):
                    return os.path.relpath(whole, self.root)
            return name.lstrip("/")
        whole = os.path.normpath(f"{self.root}/{name}")
        return os.path.relpath(whole, self.root) if inside(whole, self.root) else name

    def _composed(self, name: str) -> str | None:
        """The name as the disk has it, where only the composition of its letters differs: macOS
        and some archives write an accent as a letter of its own."""
        folder = self.root
        parts = []
        for part in name.split("/"):
            if folder not in self._names:
                try:
                    there = [entry.name for entry in os.scandir(folder)]
                except OSError:
                    there = []
                self._names[folder] = {unicodedata.normalize("NFC", one): one for one in there}
            found = self._names[folder].get(unicodedata.normalize("NFC", part))
            if found is None:
                return None
            parts.append(found)
            folder = f"{folder}/{found}"
        return "/".join(parts)

    def _is_inside(self, name: str) -> bool:
        """Whether no link on the way to a file leads out of the raw folder."""
        full = f"{self.root}/{name}"
        folder = full.rpartition("/")[0]
        if folder not in self._folders:
            self._folders[folder] = inside(os.path.realpath(folder), self.root)
        if Path(full).is_symlink():
            return inside(os.path.realpath(full), self.root)
        return self._folders[folder]


def _status(path: str) -> os.stat_result | None:
    """What the system says of a file, behind all links; None where it is not there."""
    try:
        return os.stat(path)  # noqa: PTH116 - for each of a million rows
    except (OSError, ValueError):
        return None


def _splits(column: "pa.ChunkedArray", where: str) -> "pa.Array":
    """The column `split` with our own names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = column.combine_chunks().dictionary_encode()
    names = [name.lower() for name in encoded.dictionary.to_pylist()]
    known = pa.array([SPLIT_FOLDERS.get(name, "") for name in names])
    strange = pa.array([bool(name) and name not in SPLIT_FOLDERS for name in names], pa.bool_())
    check_rows(
        strange.take(encoded.indices), where,
        f"a split that is none of {', '.join(SPLIT_FOLDERS)}",
    )  # fmt: skip
    return pc.take(known, encoded.indices)


def _groups(
    table: "pa.Table", code: np.ndarray, paths: list[str], kept: np.ndarray, params: DatasetParams
) -> "pa.Array":
    """The column `group`; where it is empty, by dataset.group, so that segments stay together."""
    import pyarrow as pa
    import pyarrow.compute as pc

    given = table["group"].combine_chunks()
    empty = pc.equal(given, "").to_numpy(zero_copy_only=False)
    first = np.full(len(paths), -1)
    needed = np.flatnonzero(empty & kept)
    first[code[needed[::-1]]] = needed[::-1]
    unique = np.flatnonzero(first >= 0)
    labels = table["label"].take(pa.array(first[unique])).to_pylist()
    by_rule: list[str | None] = [None] * len(paths)
    for i, group in zip(
        unique, groups_of([paths[i] for i in unique], labels, params.group), strict=True
    ):
        by_rule[i] = group
    groups = pc.if_else(pa.array(empty), pa.array(by_rule, pa.string()).take(pa.array(code)), given)
    pairs = pa.table({"path": pa.array(code), "group": groups}).filter(pa.array(kept))
    several = pairs.group_by("path").aggregate([("group", "count_distinct")])
    torn = several.filter(pc.greater(several["group_count_distinct"], 1))["path"].to_pylist()
    if torn:
        raise DatasetError(
            f"{params.table} has segments of {some(sorted(paths[i] for i in torn))} in more than "
            "one group: give all rows of a video the same group, since its frames must not stand "
            "on both sides of the split."
        )
    return groups


def _clip_ids(columns: "pa.Table") -> "pa.Array":
    """The path, with "#12.00-22.00" behind it for a segment."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pc.any(pc.is_valid(columns["start"]), min_count=0).as_py():
        return columns["path"]
    chunks = [
        pa.array(
            [
                segment_id(path, start, end)
                for path, start, end in zip(
                    *(batch[name].to_pylist() for name in ("path", "start", "end")), strict=True
                )
            ],
            pa.string(),
        )
        for batch in columns.select(["path", "start", "end"]).to_batches(ROWS_AT_ONCE)
    ]
    return pa.chunked_array(chunks, pa.string())


def _check_twice(columns: "pa.Table", where: str) -> None:
    import pyarrow.compute as pc

    counts = pc.value_counts(columns["clip_id"].combine_chunks())
    twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        there = columns.filter(pc.equal(columns["clip_id"], twice[0]))["row"].to_pylist()
        raise DatasetError(
            f"{where} lists {some(twice.to_pylist())} more than once, the first on the lines "
            f"{some(lines_of(where, sorted(there)))}: keep one row of each, since a clip has "
            "one label, or set dataset.multi_label to true if all of them hold."
        )
