"""Stage `index`: the data set -> data/index.csv and data/images.csv."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.dataset.clips import IMAGES, INDEX, Clip, ClipTable, write_images, write_index
from pipeline.dataset.layouts import find_clips
from pipeline.dataset.layouts.found_clip import FoundClip
from pipeline.dataset.params import DatasetParams
from pipeline.errors import ClipError, DatasetError
from pipeline.files import sha256
from pipeline.frames.sources import images_digest
from pipeline.frames.storage import is_url, url_digest
from pipeline.progress import Progress

HASH_THREADS = 4  # hashing waits for the disk about as long as it computes
WAITING = 64  # files given to the threads ahead of the one whose turn it is


def index_clips(params: DatasetParams, path: Path = INDEX) -> ClipTable:
    """List the clips with label, group, digest and size; decodes no video.

    A video is read once for all of its segments, and not at all where the table of the layout csv
    gives its digest. images.csv, which lists the files of image clips, is written beside the index.

    Raises
    ------
    DatasetError
        When the data set cannot be used; see pipeline.dataset.layouts.
    """
    findings = find_clips(params)
    with (
        Progress("index", len(findings.clips), "clips") as progress,
        ThreadPoolExecutor(HASH_THREADS) as pool,
    ):
        for note in findings.notes:
            progress.say(note)
        images: dict[str, tuple[str, ...]] = {}
        clips = _clips(findings.clips, params, pool, progress, images)
        table = write_index(clips, path)
    write_images(images, path.with_name(IMAGES.name))
    return table


@dataclass(frozen=True, slots=True)
class _Content:
    digest: str
    bytes: int


def _clips(
    found: Iterable[FoundClip],
    params: DatasetParams,
    pool: ThreadPoolExecutor,
    progress: Progress,
    images: dict[str, tuple[str, ...]],
) -> Iterator[Clip]:
    """The clips with their digests, in the order in which they were found; fills `images`."""
    for content, clips in _ahead(found, params, pool):
        known = content if isinstance(content, _Content) else content.result()
        for clip in clips:
            if clip.images:
                images[clip.clip_id] = clip.images
            yield Clip(
                clip.clip_id, clip.label, clip.group, known.digest, known.bytes,
                "images" if clip.images else "video", clip.path, clip.start, clip.end, clip.split,
            )  # fmt: skip
            progress.advance()


def _ahead(
    found: Iterable[FoundClip], params: DatasetParams, pool: ThreadPoolExecutor
) -> Iterator[tuple["_Content | Future[_Content]", list[FoundClip]]]:
    """The clips of each file, with the content that a thread is reading; a few files ahead."""
    waiting: deque[tuple[_Content | Future[_Content], list[FoundClip]]] = deque()
    for _, group in groupby(found, key=lambda clip: clip.path or clip.clip_id):
        clips = list(group)
        first = clips[0]
        known = _Content(first.digest, first.bytes) if first.digest else None
        waiting.append((known or pool.submit(_read, first, params), clips))
        if len(waiting) == WAITING:
            yield waiting.popleft()
    yield from waiting


def _read(clip: FoundClip, params: DatasetParams) -> _Content:
    """Hash the file or the images of a clip."""
    try:
        files = [_read_file(file, params) for file in clip.images or (clip.path,)]
    except OSError as error:
        raise DatasetError(
            f"{error.filename or clip.path} cannot be read ({error.strerror}): mend its "
            "permissions, or remove it."
        ) from None
    except ClipError as error:
        raise DatasetError(
            f"{clip.path or clip.clip_id} {error}: mend the URL, or take it out of dataset.table."
        ) from None
    if not clip.images:
        return files[0]
    digest = images_digest((file.digest for file in files), params.frames_fps)
    return _Content(digest, sum(file.bytes for file in files))


def _read_file(name: str, params: DatasetParams) -> _Content:
    if is_url(name):
        return _Content(*url_digest(name))
    path = params.folder / name
    return _Content(sha256(path), path.stat().st_size)
