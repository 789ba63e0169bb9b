"""Stage `index`: the data set -> data/index.csv and data/images.csv."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.dataset.clips import IMAGES, INDEX, Clip, ClipTable, write_images, write_index
from pipeline.dataset.layouts import find_clips
from pipeline.dataset.layouts.contents import READS, find_media
from pipeline.dataset.layouts.found_clip import FoundClip
from pipeline.dataset.params import DatasetParams
from pipeline.errors import ClipError, DatasetError
from pipeline.files import sha256
from pipeline.frames.images import IMAGE_EXTENSIONS
from pipeline.frames.sources import images_digest
from pipeline.frames.storage import is_url, url_digest
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.progress import Progress
from pipeline.wording import count, some

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


def changed_since(
    params: DatasetParams, clips: ClipTable, images: Mapping[str, Sequence[str]]
) -> str:
    """What became of the data set since it was indexed, in a sentence; "" where all is as it was.

    Names and sizes are compared; no file is read, and nothing is grouped anew.

    Raises
    ------
    DatasetError
        When the data set cannot be used any more.
    """
    known = {clip.path: clip.bytes for clip in clips if clip.kind == "video"}
    known |= dict.fromkeys((file for files in images.values() for file in files), 0)
    now = _files_of(params)
    new, gone = sorted(now.keys() - known), sorted(known.keys() - now.keys())
    both = now.keys() & known.keys()
    other = sorted(name for name in both if now[name] and known[name] not in (0, now[name]))
    parts = [
        f"{count(len(names), 'file')} {what} ({some(names)})"
        for names, what in ((new, "came"), (gone, "went"), (other, "changed"))
        if names
    ]
    if not parts:
        return ""
    return f"Since {INDEX} was written, {', '.join(parts)}: run `clipcache index` again."


def _files_of(params: DatasetParams) -> dict[str, int]:
    """The files that the layout finds now, with their bytes; 0 where they do not tell."""
    if params.layout in ("csv", "timeline"):
        clips = find_clips(params).clips
        return {file: clip.bytes for clip in clips for file in clip.images or (clip.path,)}
    if READS[params.layout] == "image":
        return dict.fromkeys(find_media(params, IMAGE_EXTENSIONS, []), 0)
    names = find_media(params, VIDEO_EXTENSIONS, [])
    return {name: (params.folder / name).stat().st_size for name in names}


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
