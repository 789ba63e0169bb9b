"""A table with a row for each stretch: `video,label,start,end`, or frame numbers."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.annotations.annotation_file import (
    AnnotationFile,
    Annotations,
    Format,
    RateOf,
    number_of,
    point_notes,
    rate_of,
    seconds_of,
)
from pipeline.annotations.stretch import Recording, Stretch

TIMES, FRAMES = ("start", "end"), ("start_frame", "end_frame")
COLUMNS = ("video", "label", *TIMES, "annotator", "confidence")


def _names(file: AnnotationFile) -> list[str]:
    return [name.strip().lower() for name in file.rows[0][1]] if file.rows else []


def recognises(file: AnnotationFile) -> bool:
    """Whether the first line names the columns."""
    names = set(_names(file))
    return {"video", "label"} <= names and (set(TIMES) <= names or set(FRAMES) <= names)


def read(file: AnnotationFile, rate: RateOf) -> Annotations:
    """A stretch for every row; `annotator`, `confidence` and `fps` are optional columns.

    Frames count from 0, and `end_frame` is the first one after the stretch, so that a time is a
    frame number over the frames a second: the column `fps`, else the video's own rate.
    """
    names = _names(file)
    stretches = []
    for line, cells in file.rows[1:]:
        with file.at(f"line {line}"):
            if len(cells) < len(names):
                raise ValueError(f"{len(cells)} cells, where the first line has {len(names)}")
            row = {name: cell.strip() for name, cell in zip(names, cells, strict=False)}
            start, end = _times(row, rate)
            confidence = row.get("confidence", "")
            stretches.append(
                Stretch(row["video"], row["label"], start, end, row.get("annotator", ""),
                        number_of(confidence, "confidence") if confidence else None)
            )  # fmt: skip
    return Annotations(tuple(stretches), tuple(point_notes(stretches)))


def _times(row: Mapping[str, str], rate: RateOf) -> tuple[float, float]:
    if set(TIMES) <= set(row):
        return seconds_of(row["start"]), seconds_of(row["end"])
    start, end = (number_of(row[name], "frame number") for name in FRAMES)
    fps = rate_of(row["fps"]) if row.get("fps") else rate(row["video"])
    return start / fps, end / fps


def write(recordings: Sequence[Recording], path: Path) -> None:
    """A row for each stretch of all videos."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(
            [getattr(stretch, name) for name in COLUMNS]
            for recording in recordings
            for stretch in recording.stretches
        )


FORMAT = Format("CSV table", recognises, read)
