"""The CSV file of the layout `csv` as people write it: any of three separators, any case, Excel."""

import csv
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.csv_tables import read_header, read_rows
from pipeline.dataset.walk import extension
from pipeline.errors import DatasetError
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.wording import some

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("path", "label", "group", "split", "start", "end", "digest")
NEEDED = COLUMNS[:2]
LABEL_BYTES = 200  # reports name files after labels, and file systems allow 255 bytes


def check_table(path: Path) -> None:
    """Refuse a ``dataset.table`` that is no file.

    Raises
    ------
    DatasetError
    """
    if not path.is_file():
        raise DatasetError(
            f"dataset.table is {path}, which is not a file: name a CSV file with the columns path "
            "and label (and optionally group, split, start, end, digest), or set dataset.layout to "
            "the way the clips are laid out."
        )


def read_table(path: Path, columns: Mapping[Any, str]) -> "pa.Table":
    """The known columns as text, without white space around the cells; "" where there is none.

    Parameters
    ----------
    columns : our name of a column -> the table's, as ``dataset.columns`` has them

    Raises
    ------
    DatasetError
        When the file is missing, no table in UTF-8, lacks a column, or has a row without path.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    check_table(path)
    header, separator = _header(path)
    names = our_names(header, columns)
    lacking = [name for name in dict.fromkeys((*NEEDED, *columns)) if name not in names]
    if lacking:
        shown = [columns.get(name, name) for name in lacking]
        raise DatasetError(
            f"{path} lacks the column {' and the column '.join(shown)}; its first line has "
            f"{some(header, 20) or 'nothing'}: {_advice(path, header)}, or set dataset.table to "
            "another file."
        )
    double = [name for name in COLUMNS if names.count(name) > 1]
    if double:
        raise DatasetError(f"{path} has the column {double[0]} more than once: keep one of them.")
    try:
        table = read_rows(
            path,
            [name if name in COLUMNS else f"other {i}" for i, name in enumerate(names)],
            {name: pa.string() for name in COLUMNS if name in names},
            separator,
        )
    except pa.ArrowInvalid as error:
        reason = str(error).partition(". ")[0].partition("\n")[0]
        raise DatasetError(
            f"{path} cannot be read as a table in UTF-8 ({reason}): save it as CSV in UTF-8, with "
            "texts that hold the separator in quotation marks."
        ) from None
    if not table.num_rows:
        raise DatasetError(
            f"{path} lists no clip: give it a row for each, or set dataset.layout to the way the "
            "clips are laid out."
        )
    none = pa.array([""] * table.num_rows)
    table = pa.table({
        name: pc.utf8_trim_whitespace(table[name]) if name in table.column_names else none
        for name in COLUMNS
    })  # fmt: skip
    check_rows(pc.equal(table["path"], ""), str(path), "no path")
    for name in ("path", "label", "group"):
        check_rows(
            pc.match_substring_regex(table[name], r"[\x00-\x1f\x7f]"), str(path),
            f"a {name} with control characters such as line ends",
        )  # fmt: skip
    check_rows(
        pc.greater(pc.binary_length(table["label"]), LABEL_BYTES), str(path),
        f"a label of more than {LABEL_BYTES} bytes, no name for a file,",
    )  # fmt: skip
    digest = pc.utf8_lower(table["digest"])
    check_rows(
        pc.invert(pc.match_substring_regex(digest, "^([0-9a-f]{64})?$")), str(path),
        "a digest that is not 64 hexadecimal digits (SHA-256 of the file)",
    )  # fmt: skip
    return table.set_column(table.column_names.index("digest"), "digest", digest)


def our_names(header: Sequence[str], columns: Mapping[Any, str]) -> list[str]:
    """What we call each column of a table; "" for one that another takes the place of."""
    ours = {name.strip().lower(): column for column, name in columns.items()}
    names = [ours.get(name.strip().lower(), name.strip().lower()) for name in header]
    return [
        "" if name in columns and header[i].strip().lower() != columns[name].strip().lower()
        else name
        for i, name in enumerate(names)
    ]  # fmt: skip


def seconds_of(table: "pa.Table", name: str, where: str) -> "pa.ChunkedArray":
    """A column of seconds, float64; null where the cell is empty.

    Raises
    ------
    DatasetError
        When a cell is no number of seconds.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.if_else(pc.equal(table[name], ""), None, table[name])
    check_rows(
        pc.fill_null(pc.invert(pc.match_substring_regex(text, r"^\d+(\.\d*)?$|^\.\d+$")), False),
        where, f"a {name} that is no number of seconds (such as 12.5)",
    )  # fmt: skip
    return pc.cast(text, pa.float64())


def check_rows(wrong: "pa.ChunkedArray", where: str, what: str) -> None:
    """Refuse rows, by the lines that they stand on.

    Raises
    ------
    DatasetError
        When any of the bools is true.
    """
    rows = np.flatnonzero(wrong.to_numpy(zero_copy_only=False) if len(wrong) else [])
    if len(rows):
        raise DatasetError(
            f"{where} has {what} on line {some(lines_of(where, rows.tolist()))}: mend it, or set "
            "dataset.table to another table."
        )


def lines_of(where: str, rows: Sequence[int]) -> list[int]:
    """The lines of the file on which rows begin, counted from 1 as an editor does.

    Read again for this, since empty lines are no rows and cells may hold line ends.

    Parameters
    ----------
    rows : ascending, counted from 0 below the header
    """
    path = Path(where)
    separator, lines, last = _header(path)[1], [], 1
    wanted = iter(rows)
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(islice(stream, 1, None), delimiter=separator)
        number, row = 0, next(wanted, None)
        for cells in reader:
            if cells and number == row:
                lines.append(last + 1)
                row = next(wanted, None)
            number += bool(cells)
            last = reader.line_num + 1
            if row is None:
                break
    return lines


def _advice(path: Path, header: Sequence[str]) -> str:
    """What to do about a table without the columns that are needed."""
    if len(header) == 1 and re.fullmatch(r"\S.*\s\d+", header[0].strip()):
        return (
            "it reads like a list of SlowFast or MMAction2, with a path and the number of a class "
            f"on each line; write `path,label` into the first line of {path.name}, and a comma in "
            "place of the blank before each label"
        )
    if any("/" in name or extension(name.strip()) in VIDEO_EXTENSIONS for name in header):
        return (
            "that reads like a clip already; put a line with the names of the columns above it, "
            "such as `path,label`"
        )
    return (
        "name the columns there, or say in dataset.columns which they are, such as {path: "
        "filename, label: class}"
    )


def _header(path: Path) -> tuple[list[str], str]:
    """The names of the columns, and the separator."""
    try:
        return read_header(path)
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is not text in UTF-8: save it as CSV in UTF-8.") from None
