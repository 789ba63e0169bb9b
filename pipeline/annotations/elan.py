"""ELAN's .eaf: XML with tiers of annotations, read and written by pympi.

Times are whole milliseconds. The value of an annotation is the label; where it is empty, as in
files with a tier for each behaviour, the name of the tier is.
"""

import mimetypes
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pipeline.annotations.annotation_file import AnnotationFile, Annotations, Format, RateOf
from pipeline.annotations.stretch import Recording, Stretch, first_overlap
from pipeline.errors import ClipcacheError

if TYPE_CHECKING:
    from pympi.Elan import Eaf

ROOT = "<ANNOTATION_DOCUMENT"
TIER = "labels"  # of what no annotator is named for
MILLISECONDS = 1000  # in a second


def recognises(file: AnnotationFile) -> bool:
    """Whether it is XML whose root is ELAN's."""
    return file.text.lstrip().startswith("<") and ROOT in file.text[:5000]


def read(file: AnnotationFile, rate: RateOf) -> Annotations:
    """The annotations of all tiers, with the annotator of the tier, or else its name."""
    from pympi.Elan import Eaf

    try:
        ElementTree.parse(file.path)  # for the place, which pympi does not tell
    except ElementTree.ParseError as error:
        line, column = error.position
        raise file.broken(f"line {line}, column {column + 1}", "no valid XML") from None
    with file.at("its XML"):
        document = Eaf(str(file.path), suppress_version_warning=True)
    with file.at("HEADER"):
        video, origin, notes = _video(document)
    stretches = []
    for name, (aligned, referring, attributes, _) in document.tiers.items():
        annotator = attributes.get("ANNOTATOR", name)
        timeless = 0
        for number in [*aligned, *referring]:
            with file.at(f"tier {name}, annotation {number}"):
                start, end = _times(document, number)
                if start is None or end is None:
                    timeless += 1
                    continue
                value = aligned[number][2] if number in aligned else referring[number][1]
                first, last = (max(time + origin, 0) / MILLISECONDS for time in (start, end))
                stretches.append(Stretch(video, value.strip() or name, first, last, annotator))
        if timeless:
            notes.append(f"Tier {name}: {timeless:,} annotations have no time of their own and are "
                         "left out.")  # fmt: skip
    return Annotations(tuple(stretches), tuple(notes))


def _video(document: "Eaf") -> tuple[str, int, list[str]]:
    """The first video, the milliseconds of it that ELAN skips, and a note on the other ones."""
    media = document.media_descriptors
    if not media:
        raise ValueError("no media file is linked")
    videos = [one for one in media if one.get("MIME_TYPE", "").startswith("video")] or media
    urls = [one.get("RELATIVE_MEDIA_URL") or one["MEDIA_URL"] for one in videos]
    names = [url.removeprefix("file://").removeprefix("./") for url in urls]
    notes = [f"It is read for {names[0]}, not for {', '.join(names[1:])}."] if names[1:] else []
    return names[0], int(videos[0].get("TIME_ORIGIN") or 0), notes


def _times(document: "Eaf", number: str) -> tuple[int | None, int | None]:
    """Milliseconds of an annotation, or of the one that it refers to."""
    seen = set()
    while number not in seen:
        seen.add(number)
        aligned, referring, *_ = document.tiers[document.annotations[number]]
        if number in aligned:
            first, last = aligned[number][:2]
            return document.timeslots[first], document.timeslots[last]
        number = referring[number][0]
    raise ValueError("it refers to itself")


def write(recordings: Sequence[Recording], path: Path) -> None:
    """One video, with a tier for each annotator; what is shorter lasts a millisecond.

    ELAN has no annotation without a length.

    Raises
    ------
    ClipcacheError
        When stretches of one annotator overlap, which a tier cannot hold.
    """
    from pympi.Elan import Eaf

    (recording,) = recordings
    twice = first_overlap(recording.stretches, lambda one: one.annotator)
    if twice is not None:
        raise ClipcacheError(
            f"{recording.video}: {twice.label} overlaps another stretch at {twice.start:g} s, "
            "which a tier of ELAN cannot hold: write a .csv or .json."
        )
    video = Path(recording.video)
    document = Eaf(author="clipcache")
    document.remove_tier("default")
    document.add_linked_file(
        f"file://{video.absolute().as_posix()}",
        relpath=Path(os.path.relpath(video.absolute(), path.parent.absolute())).as_posix(),
        mimetype=mimetypes.guess_type(video.name)[0] or "video/mp4",
    )
    for annotator in dict.fromkeys(stretch.annotator for stretch in recording.stretches) or [""]:
        document.add_tier(annotator or TIER, ann=annotator)
    ends = []  # (milliseconds, the stretch, 0 for its start and 1 for its end)
    for place, stretch in enumerate(recording.stretches):
        start, end = round(stretch.start * MILLISECONDS), round(stretch.end * MILLISECONDS)
        ends += [(start, place, 0), (max(end, start + 1), place, 1)]
    slots = {
        (place, side): document.generate_ts_id(time) for time, place, side in sorted(ends)
    }  # in order of time, as ELAN has them
    for place, stretch in enumerate(recording.stretches):
        tier, number = stretch.annotator or TIER, document.generate_annotation_id()
        document.annotations[number] = tier
        first, last = slots[place, 0], slots[place, 1]
        document.tiers[tier][0][number] = (first, last, printable(stretch.label), None)
    document.to_file(str(path))


def printable(text: str) -> str:
    """Without control characters, which neither XML nor a subtitle may hold."""
    return "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text)


FORMAT = Format("ELAN", recognises, read)
