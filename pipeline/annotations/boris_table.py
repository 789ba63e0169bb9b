"""What BORIS 7 to 9 export as CSV or TSV: events one by one, or aggregated to stretches.

Aggregated events have the columns "Start (s)" and "Stop (s)". Single events have "Time", and START,
STOP or POINT in "Behavior type", in version 7 in "Status", with the media above the table.
"""

import re
from collections.abc import Mapping, Sequence

from pipeline.annotations.annotation_file import (
    AnnotationFile,
    Annotations,
    Format,
    RateOf,
    number_of,
    point_notes,
    seconds_of,
)
from pipeline.annotations.boris_media import MEANT, Event, Media, paired
from pipeline.annotations.stretch import Stretch
from pipeline.wording import some

START, STOP, TIME, BEHAVIOUR = "Start (s)", "Stop (s)", "Time", "Behavior"
FILES = ("Media file name", "Media file", "Media file path")  # of versions 8 and 9, and 7
NO_VIDEO = ("", "NA", "LIVE", "Not found")
ABOVE = 200  # rows above the table of version 7, at most

Row = tuple[int, Mapping[str, str]]  # the number of its line, and its cells by their column


def _header(file: AnnotationFile) -> int | None:
    """Which row names the columns."""
    for place, (_, cells) in enumerate(file.rows[:ABOVE]):
        if BEHAVIOUR in cells and ({START, STOP} <= set(cells) or TIME in cells):
            return place
    return None


def recognises(file: AnnotationFile) -> bool:
    """Whether a row has the names of the columns that BORIS gives."""
    return _header(file) is not None


def read(file: AnnotationFile, rate: RateOf) -> Annotations:
    """The states of all observations, with their subjects; modifiers are no part of the label."""
    place = _header(file) or 0
    above = {cells[0]: cells[1] for _, cells in file.rows[:place] if len(cells) > 1}
    names = file.rows[place][1]
    observations: dict[str, list[Row]] = {}
    for line, cells in file.rows[place + 1 :]:
        with file.at(f"line {line}"):
            if len(cells) < len([name for name in names if name]):
                raise ValueError(f"{len(cells)} cells, where the columns are {len(names)}")
            row = above | dict(zip(names, cells, strict=False))
            observations.setdefault(row.get("Observation id", ""), []).append((line, row))
    stretches: list[Stretch] = []
    notes = []
    for name, rows in observations.items():
        with file.at(f"line {rows[0][0]}"):
            media = _media([row for _, row in rows])
        if not media.files:
            notes.append(f"Observation {name} is not of a video and is left out.")
            continue
        found, unpaired = _stretches(file, rows, media)
        stretches += found
        if unpaired:
            notes.append(f"Observation {name}: {some(unpaired)} starts or stops alone and is left "
                         "out.")  # fmt: skip
    return Annotations(tuple(stretches), (*point_notes(stretches), *notes))


def _media(rows: Sequence[Mapping[str, str]]) -> Media:
    """The files of an observation; where it has several, "Source" and durations put them in order.

    "Source" is such as "player #1:a.mp4;b.mp4|player #2:c.mp4", and the durations go along.
    """
    first = rows[0]
    column = next((name for name in FILES if name in first), "")
    named = list(dict.fromkeys(row[column] for row in rows)) if column else []
    named = [name for name in named if name not in NO_VIDEO]
    offset = number_of(first.get("Time offset (s)") or 0, "time offset")
    source = re.sub(r"^player #1:\s*", "", first.get("Source", "").partition("|")[0])
    files = source.split(";")
    if len(files) == 1 or not set(named) <= set(files):
        return Media(named, {}, offset)
    durations = first.get("Media duration (s)", "").partition("|")[0].split(";")
    lengths = {name: seconds_of(length) for name, length in zip(files, durations, strict=False)}
    return Media(files, lengths, offset)


def _stretches(
    file: AnnotationFile, rows: Sequence[Row], media: Media
) -> tuple[list[Stretch], list[str]]:
    events = []
    for line, row in rows:
        with file.at(f"line {line}"):
            modifiers = "|".join(row[name] for name in row if name.startswith("Modifier"))
            about = (row.get("Subject", ""), row[BEHAVIOUR], modifiers)
            if START in row:
                start, stop = seconds_of(row[START]), seconds_of(row[STOP])
                Stretch(media.files[0], row[BEHAVIOUR], start, stop)  # makes sense, or is refused
                is_point = row.get("Behavior type") == "POINT"
                events += [Event(start, *about, "POINT")] if is_point else [
                    Event(start, *about, "START"), Event(stop, *about, "STOP")]  # fmt: skip
                continue
            status = row.get("Status") or row.get("Behavior type", "")
            if status not in MEANT:
                raise ValueError(f"{status!r} is none of {', '.join(MEANT)}")
            events.append(Event(seconds_of(row[TIME]), *about, status))
    with file.at(f"line {rows[0][0]}"):
        return paired(events, media)


FORMAT = Format("BORIS table", recognises, read)
