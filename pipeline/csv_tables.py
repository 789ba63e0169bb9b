"""CSV files as columns: what is read lies in Arrow arrays, what is written streams row by row."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import DatasetError
from pipeline.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

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
    import pyarrow.csv as pacsv

    if not path.exists():
        raise DatasetError(f"{path} is not there: run `{command}` first (or `dvc repro`).")
    present = _header(path, command)
    if not set(types) <= set(present):
        raise DatasetError(
            f"{path} has the columns {present}, but needs {list(types)}: run `{command}` again."
        )
    try:
        return pacsv.read_csv(
            path,
            # Python writes the line ends, and pyarrow's threads gain nothing where cells hold some
            read_options=pacsv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=[""],
                strings_can_be_null=False,
            ),
        )  # fmt: skip
    except pa.ArrowInvalid as error:
        raise damaged(path, _reason(str(error)), command) from None


def damaged(path: Path, reason: str, command: str) -> DatasetError:
    """The error that says what is wrong with a table, and which command writes it anew."""
    return DatasetError(f"{path} is damaged ({reason}): run `{command}` again.")


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file, whole or not at all; None is an empty cell."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


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


def _header(path: Path, command: str) -> list[str]:
    with path.open(newline="", encoding="utf-8") as stream:
        try:
            return next(csv.reader(stream), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise damaged(path, str(error), command) from None


def _reason(message: str) -> str:
    """What pyarrow says, in one line and without the text of the row."""
    if "Expected" in message and "columns, got" in message:
        return "a row is too short or too long"
    return " ".join(message.partition("\n")[0].split())
