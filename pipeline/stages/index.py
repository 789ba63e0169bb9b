"""Stage `index`: the folder of videos -> data/index.csv and data/images.csv."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.clips import IMAGES, INDEX, Clip, ClipTable, write_images, write_index
from pipeline.dataset_params import DatasetParams
from pipeline.errors import DatasetError
from pipeline.files import sha256
from pipeline.layouts import Found, find_clips
from pipeline.progress import Progress

HASH_THREADS = 4  # hashing waits for the disk about as long as it computes


def index_clips(params: DatasetParams, path: Path = INDEX) -> ClipTable:
    """List the clips with label, group, digest and size; opens no video.

    images.csv, which lists the files of image clips, is written beside the index.

    Raises
    ------
    DatasetError
        When the folder cannot be used; see pipeline.layouts.
    """
    found = find_clips(params)
    with (
        Progress("index", len(found), "clips") as progress,
        ThreadPoolExecutor(HASH_THREADS) as pool,
    ):
        clips = []
        for clip in pool.map(_clip, found):
            clips.append(clip)
            progress.advance()
    write_images({}, path.with_name(IMAGES.name))
    return write_index(clips, path)


def _clip(found: Found) -> Clip:
    try:
        size = found.path.stat().st_size
        digest = sha256(found.path)
    except OSError as error:
        raise DatasetError(
            f"{found.path} cannot be read ({error.strerror}): mend its permissions, or remove it."
        ) from None
    return Clip(found.clip_id, found.label, found.group, digest, size, path=found.clip_id)
