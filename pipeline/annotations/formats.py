"""Annotations in and out: which format a file has, and which one a name asks for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline.annotations import (
    boris_project,
    boris_table,
    elan,
    label_studio,
    plain_csv,
    webvtt,
)
from pipeline.annotations.annotation_file import AnnotationFile, Annotations, Format, RateOf
from pipeline.annotations.stretch import Recording
from pipeline.errors import ClipcacheError, DatasetError
from pipeline.files import replacing

FORMATS: tuple[Format, ...] = (
    label_studio.FORMAT,
    boris_project.FORMAT,
    elan.FORMAT,
    boris_table.FORMAT,
    plain_csv.FORMAT,
)
WRITERS: Mapping[str, Callable[[Sequence[Recording], Path], None]] = {
    ".csv": plain_csv.write,
    ".vtt": webvtt.write,
    ".eaf": elan.write,
    ".boris": boris_project.write,
    ".json": label_studio.write,
}
OF_ONE_VIDEO = (".vtt", ".eaf")


def read_annotations(path: Path, rate: RateOf | None = None) -> Annotations:
    """What a file of annotations says, whatever format it is in; that is told by its content.

    Parameters
    ----------
    rate : gives the frames a second of a video by its name; asked only where the file counts
        frames and does not say how many there are in a second

    Raises
    ------
    DatasetError
        When the file cannot be read, is of no known format, or is broken somewhere; nothing of it
        is read then, and the sentence says where.
    """
    try:
        file = AnnotationFile(path, path.read_text("utf-8-sig"))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DatasetError(
            f"{path}, line {line}, is not UTF-8 text: save it as UTF-8, or export it again."
        ) from None
    for one in FORMATS:
        if one.recognises(file):
            return one.read(file, rate or _no_rate)
    names = ", ".join(one.name for one in FORMATS)
    raise DatasetError(
        f"{path} is none of the formats that are read ({names}): a table needs a first line with "
        "video,label,start,end."
    )


def _no_rate(video: str) -> float:
    raise ValueError(f"frames are counted, but nothing says how many {video} has in a second")


def check_annotations_path(path: Path, videos: int) -> None:
    """Refuse a name whose ending is that of no format, or of one that holds a single video.

    Raises
    ------
    ClipcacheError
    """
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise ClipcacheError(
            f"{path} should end with {', '.join(WRITERS)}: the ending says in which format "
            "annotations are written."
        )
    if suffix in OF_ONE_VIDEO and videos > 1:
        several = ", ".join(suffix for suffix in WRITERS if suffix not in OF_ONE_VIDEO)
        raise ClipcacheError(
            f"{path} can hold one video, but {videos} are named: name one, or write {several}."
        )


def write_annotations(recordings: Sequence[Recording], path: Path) -> None:
    """Write what is said of videos, whole or not at all, in the format that the ending names.

    Raises
    ------
    ClipcacheError
        When the ending is wrong, or the format cannot hold it.
    DiskError
    """
    check_annotations_path(path, len(recordings))
    with replacing(path) as temporary:
        WRITERS[path.suffix.lower()](recordings, temporary)
