"""What a clip is, and the two tables that list clips: index.csv and splits.csv."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from pipeline.errors import DatasetError
from pipeline.files import replacing

INDEX = Path("data/index.csv")
SPLITS = Path("data/splits.csv")
REJECTED = Path("reports/rejected.csv")
SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip of the data set.

    Attributes
    ----------
    clip_id : path below the raw folder, with its extension and forward slashes
    label : the action
    group : what must not be torn apart between train and test (a person, a source video)
    digest : SHA-256 of the file's bytes, 64 hexadecimal digits
    bytes : size of the file
    kind : "video"
    """

    clip_id: str
    label: str
    group: str
    digest: str
    bytes: int
    kind: str = "video"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A clip that could not be used: in which stage, and why in words."""

    clip_id: str
    stage: str
    reason: str


def read_index(path: Path = INDEX) -> list[Clip]:
    """The clips of index.csv, in the order of the file (sorted by clip_id).

    Raises
    ------
    DatasetError
        When the file is missing or not an index.
    """
    rows = _read(path, [field.name for field in fields(Clip)], "clipcache index")
    try:
        return [Clip(r["clip_id"], r["label"], r["group"], r["digest"], int(r["bytes"]), r["kind"])
                for r in rows]  # fmt: skip
    except ValueError as error:
        raise DatasetError(f"{path} is damaged ({error}): run `clipcache index` again.") from None


def write_index(clips: Iterable[Clip], path: Path = INDEX) -> None:
    """Write index.csv, sorted by clip_id."""
    rows = (astuple(clip) for clip in sorted(clips, key=lambda clip: clip.clip_id))
    _write(path, [field.name for field in fields(Clip)], rows)


def read_splits(path: Path = SPLITS) -> dict[str, str]:
    """clip_id -> "train", "val" or "test", in the order of the file."""
    return {row["clip_id"]: row["split"] for row in _read(path, ["clip_id", "split"],
                                                          "clipcache split")}  # fmt: skip


def write_splits(splits: Mapping[str, str], path: Path = SPLITS) -> None:
    """Write splits.csv, sorted by clip_id."""
    _write(path, ["clip_id", "split"], sorted(splits.items()))


def read_rejected(path: Path = REJECTED) -> list[Rejected]:
    """The rows of rejected.csv; an empty list where the file is missing."""
    if not path.exists():
        return []
    names = [field.name for field in fields(Rejected)]
    return [Rejected(**row) for row in _read(path, names, "clipcache features")]


def write_rejected(rejected: Iterable[Rejected], path: Path = REJECTED) -> None:
    """Write rejected.csv, sorted by clip_id; a file with only its header where all went well."""
    rows = sorted(astuple(row) for row in rejected)
    _write(path, [field.name for field in fields(Rejected)], rows)


def _read(path: Path, columns: list[str], command: str) -> list[dict[str, str]]:
    if not path.exists():
        raise DatasetError(f"{path} is not there: run `{command}` first (or `dvc repro`).")
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        try:
            if not set(columns) <= set(reader.fieldnames or []):
                raise DatasetError(
                    f"{path} has the columns {reader.fieldnames}, but needs {columns}: "
                    f"run `{command}` again."
                )
            rows = list(reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetError(f"{path} is damaged ({error}): run `{command}` again.") from None
    if any(None in row.values() for row in rows):
        raise DatasetError(f"{path} is damaged (a row is too short): run `{command}` again.")
    return rows


def _write(path: Path, columns: list[str], rows: Iterable[Iterable[object]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
