"""Tool `relabel`: corrected labels into the table, or the moves of files that they come to."""

import csv
import io
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.csv_tables import SEPARATORS, text_of
from pipeline.dataset.clips import NO_LABEL, UNLABELLED
from pipeline.dataset.layouts import FoundClip, find_clips
from pipeline.dataset.layouts.csv_table import rows_of_clips
from pipeline.dataset.layouts.table_file import LABEL_BYTES, our_names
from pipeline.dataset.params import DatasetParams
from pipeline.errors import DatasetError
from pipeline.files import replacing, write_text
from pipeline.wording import count, some

MOVES = Path("reports/relabel.sh")


@dataclass(frozen=True)
class Correction:
    """A label that a clip should have; `was`: the one that it is to replace, None: whichever."""

    clip_id: str
    label: str
    was: str | None = None


@dataclass(frozen=True)
class Relabelled:
    """What became of corrections.

    Attributes
    ----------
    changed : clips that got another label, in the table
    same : that had it already
    moves : files to move, from and to, where folders are the labels
    """

    changed: int
    same: int
    moves: list[tuple[Path, Path]] = field(default_factory=list)


def read_corrections(path: Path) -> list[Correction]:
    """The rows of a CSV file with the columns clip_id and label, and optionally `was`.

    Raises
    ------
    DatasetError
        When it is no such file, or names a clip twice.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is not text in UTF-8: save it as CSV in UTF-8.") from None
    first = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=max(SEPARATORS, key=first.count))
    if not {"clip_id", "label"} <= set(reader.fieldnames or ()):
        raise DatasetError(
            f"{path} needs the columns clip_id and label, as the page of `clipcache doubts` writes "
            "them; its first line has " + (some(list(reader.fieldnames or ()), 8) or "nothing.")
        )
    found: dict[str, Correction] = {}
    for row in reader:
        clip_id, label = row["clip_id"] or "", text_of((row["label"] or "").strip())
        _check_label(path, reader.line_num, label)
        known = found.get(clip_id)
        if known is not None and known.label != label:
            raise DatasetError(f"{path} has two labels for {clip_id}: keep one of the rows.")
        found[clip_id] = Correction(clip_id, label, row.get("was"))
    return list(found.values())


def relabel(
    params: DatasetParams, corrections: Sequence[Correction], moves: Path = MOVES
) -> Relabelled:
    """Give clips other labels: all of them, or none where anything is wrong.

    In the layout csv the table is written anew, whole or not at all, with all its other cells. In
    the others a label is a folder: the moves are written to a script, and nothing is moved.

    Parameters
    ----------
    moves : the script

    Raises
    ------
    DatasetError
        When a clip is not in the data set, has another label than `was`, or a file of the name is
        there already.
    """
    clips = {clip.clip_id: clip for clip in find_clips(params).clips}
    named = [
        Correction(text_of(one.clip_id), one.label, one.was) if one.clip_id not in clips else one
        for one in corrections
    ]
    if unknown := [one.clip_id for one in named if one.clip_id not in clips]:
        raise DatasetError(
            f"{count(len(unknown), 'correction names a clip', 'corrections name clips')} that the "
            f"data set does not have: {some(unknown)}; take them out, or see dataset.raw."
        )
    stale = [
        f"{one.clip_id} ({clips[one.clip_id].label or 'no label'}, not {one.was or 'no label'})"
        for one in named
        if one.was is not None and clips[one.clip_id].label not in (one.was, one.label)
    ]
    if stale:
        raise DatasetError(
            f"{some(stale)} got another label since the corrections were made: run `clipcache "
            "crossval` and `clipcache doubts` again, or take them out."
        )
    different = [one for one in named if clips[one.clip_id].label != one.label]
    same = len(named) - len(different)
    if not different:
        return Relabelled(0, same)
    if params.layout == "csv":
        _write_table(params, {one.clip_id: one.label for one in different}, clips)
        return Relabelled(len(different), same)
    files = [move for one in different for move in _moves(params, clips[one.clip_id], one.label)]
    _write_moves(files, moves)
    return Relabelled(0, same, files)


def _check_label(path: Path, line: int, label: str) -> None:
    if not label.isprintable() or len(label.encode()) > LABEL_BYTES:
        raise DatasetError(
            f"{path} has a label on line {line} with control characters or of more than "
            f"{LABEL_BYTES} bytes: mend it."
        )


def _write_table(
    params: DatasetParams, labels: dict[str, str], clips: dict[str, FoundClip]
) -> None:
    """Write dataset.table anew with these labels; a file that it does not name gets a row."""
    path = Path(params.table)
    data = path.read_bytes().decode("utf-8-sig")
    marked = path.read_bytes().startswith(b"\xef\xbb\xbf")  # Excel looks for it
    ends = "\r\n" if data.partition("\n")[0].endswith("\r") else "\n"
    separator = max(SEPARATORS, key=data.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(data, newline=""), delimiter=separator)
    header = next(reader)
    names = our_names(header, params.columns)
    place, file = names.index("label"), names.index("path")
    row_of = rows_of_clips(params)
    label_of_row = {row_of[clip_id]: label for clip_id, label in labels.items()}
    number = 0
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8-sig" if marked else "utf-8") as stream,
    ):
        writer = csv.writer(stream, delimiter=separator, lineterminator=ends)
        writer.writerow(header)
        for cells in reader:
            if cells:
                if number in label_of_row:
                    cells[place] = label_of_row[number]
                number += 1
            writer.writerow(cells)
        for clip_id, label in labels.items():
            if row_of[clip_id] >= number:
                cells = [""] * len(header)
                cells[file], cells[place] = clips[clip_id].path, label
                writer.writerow(cells)


def _moves(params: DatasetParams, clip: FoundClip, label: str) -> list[tuple[Path, Path]]:
    """Where the files of a clip are to go for another label."""
    if "/" in label or label in (".", ".."):
        raise DatasetError(f"The label {label!r} cannot be the name of a folder: choose another.")
    moved = []
    for file in clip.images or (clip.path,):
        parts = PurePosixPath(file).parts
        at = 1 if clip.split and len(parts) > 2 else 0
        if clip.label == NO_LABEL and parts[at].lower() != UNLABELLED:
            raise DatasetError(f"{file} lies in no folder of a label, so it cannot be moved.")
        target = Path(params.raw, *parts[:at], label or UNLABELLED, *parts[at + 1 :])
        if target.exists():
            raise DatasetError(f"{target} is there already: rename {file} first.")
        moved.append((Path(params.raw, file), target))
    return moved


def _write_moves(files: Sequence[tuple[Path, Path]], path: Path) -> None:
    """A script of the shell that makes the moves; it overwrites nothing."""
    lines = ["#!/bin/sh", "set -e"]
    lines += [
        f"mkdir -p {shlex.quote(str(folder))}"
        for folder in dict.fromkeys(target.parent for _, target in files)
    ]
    lines += [
        f"mv -n -- {shlex.quote(str(source))} {shlex.quote(str(target))}"
        for source, target in files
    ]
    write_text(path, "\n".join(lines) + "\n")
