"""Which clips an export is compared on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.dataset.clips import IMAGES, INDEX, SPLITS, read_images, read_index, read_splits
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.sources import ClipFiles
from pipeline.errors import ClipcacheError, DatasetError
from pipeline.frames.sources import Source, entered, file_source
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.predict.inputs import named_files

MOST_CLIPS = 40  # about 150 windows


@dataclass(frozen=True)
class NamedClip:
    """A clip to compare on: where its frames are, and which seconds of them; None for all."""

    name: str
    source: Source
    start: float | None = None
    end: float | None = None


def clips_of_files(paths: Sequence[Path]) -> list[NamedClip]:
    """The files, and the videos below the folders.

    Raises
    ------
    ClipError
        When one is not there, or a folder holds no video.
    """
    files = named_files(paths, VIDEO_EXTENSIONS, "no video to compare on")
    return [NamedClip(str(file), file_source(file)) for file in files]


def clips_of_test_split(
    params: DatasetParams, index: Path = INDEX, splits: Path = SPLITS
) -> list[NamedClip]:
    """The clips of the test split whose files are on this machine.

    Raises
    ------
    DatasetError
        When there is none.
    """
    images = index.parent / IMAGES.name
    try:
        side = read_splits(splits)
        test = [clip for clip in read_index(index) if side.get(clip.clip_id) == "test"]
        names = read_images(images) if any(clip.kind == "images" for clip in test) else None
        files = ClipFiles.of(params, names)
        clips = [
            NamedClip(
                clip.clip_id,
                entered(files.source(clip), clip.segment[0]),  # both see the same frames
                clip.start,
                clip.end,
            )
            for clip in test
        ]
        clips = [clip for clip in clips if Path(clip.source.files[0]).is_file()]
        why = f"its files are not below {params.raw}" if test else f"{splits} puts no clip into it"
    except ClipcacheError as error:
        clips, why = [], str(error)
    if not clips:
        raise DatasetError(
            "There is no test split of real clips here to compare the export with "
            f"({why.rstrip('.')}): name some videos, or a folder of them, with --clips."
        )
    return clips


def evenly(clips: Sequence[NamedClip], most: int = MOST_CLIPS) -> list[NamedClip]:
    """At most so many of the clips, evenly over the list."""
    chosen = np.linspace(0, len(clips) - 1, min(len(clips), most)).round().astype(int)
    return [clips[i] for i in chosen]
