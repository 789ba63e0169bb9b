"""CSV files as columns: what is read lies in Arrow arrays, what is written streams row by row."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import DatasetError, how_to_have
from pipeline.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATORS = ",;\t"  # that people use; ours is the first
FORMULA = re.compile(r"'*\s*[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
BLOCK_BYTES = 8 << 20  # of a file parsed at a time; the longest row that is read


def read_columns(path: Path, types: Mapping[str, "pa.DataType"], command: str) -> "pa.Table":
    """Read columns of a CSV file; other columns are passed over.

    An empty cell is an empty text, and null in a column of numbers.

    Parameters
    ----------
    types : column -> its type
    command : the one that writes the file, named where it has to run again

    Raises
    ------
    DatasetError
        When the file is missing, has not these columns, or is damaged.
    """
    import pyarrow as pa

    if not path.exists():
        raise DatasetError(f"{path} is not there: {how_to_have(path, command)}.")
    try:
        present, separator = read_header(path)
    except (csv.Error, UnicodeDecodeError) as error:
        raise damaged(path, str(error), command) from None
    if not set(types) <= set(present):
        raise DatasetError(
            f"{path} has the columns {present}, but needs {list(types)}: run `{command}` again."
        )
    try:
        return read_rows(path, present, types, separator)
    except pa.ArrowInvalid as error:
        raise damaged(path, _reason(str(error)), command) from None


def read_header(path: Path) -> tuple[list[str], str]:
    """The names in the first line, and the separator.

    Raises
    ------
    csv.Error, UnicodeDecodeError
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        line = stream.readline()
    separator = max(SEPARATORS, key=line.count)
    return next(csv.reader([line], delimiter=separator), []), separator


def read_rows(
    path: Path, names: Sequence[str], types: Mapping[str, "pa.DataType"], separator: str
) -> "pa.Table":
    """All below the first line: the columns with a type, of those that it names.

    Raises
    ------
    pyarrow.ArrowInvalid
    """
    import pyarrow.csv as pacsv

    return pacsv.read_csv(
        path,
        # pyarrow's threads gain nothing where cells may hold line ends
        read_options=pacsv.ReadOptions(
            block_size=BLOCK_BYTES, use_threads=False, skip_rows=1, column_names=names
        ),
        parse_options=pacsv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=[""],
            strings_can_be_null=False,
        ),
    )  # fmt: skip


def damaged(path: Path, reason: str, command: str) -> DatasetError:
    """The error that says what is wrong with a table, and which command writes it anew."""
    return DatasetError(f"{path} is damaged ({reason}): run `{command}` again.")


def write_rows(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Iterable[object]],
    *,
    exact: bool = False,
) -> None:
    """Write a CSV file, whole or not at all; None is an empty cell.

    Parameters
    ----------
    exact : texts as they are, for tables that we read again; else as `cell` makes them, for those
        that people open in a spreadsheet
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns if exact else map(cell, columns))
        writer.writerows(rows if exact else (map(cell, row) for row in rows))


def cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: a text that would be one gets a ' in front.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def text_of(cell: str) -> str:
    """The text of which `cell` made a cell."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell


def listed(labels: Iterable[str]) -> str:
    """Labels in one cell, with | between them; a | of a label has a backslash in front of it."""
    return "|".join(re.sub(r"([|\\])", r"\\\1", label) for label in labels)


def as_numpy(column: "pa.Array") -> np.ndarray:
    """Numbers without nulls, not copied.

    pyarrow's own `to_numpy` and `array` import pandas where that is installed: half a second.
    """
    return np.from_dlpack(column)


def as_arrow(values: np.ndarray) -> "pa.Array":
    """Numbers as an Arrow array, not copied."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _reason(message: str) -> str:
    """What pyarrow says, in one line and without the text of the row."""
    if "Expected" in message and "columns, got" in message:
        return "a row is too short or too long"
    return " ".join(message.partition("\n")[0].split())
