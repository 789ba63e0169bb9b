"""Where the frames of a clip are: in a video file, or in image files in order."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pipeline.errors import ClipError
from pipeline.files import sha256
from pipeline.frames.animations import is_animation
from pipeline.frames.images import IMAGE_EXTENSIONS, IMAGE_FPS, ImageReader
from pipeline.frames.storage import is_url, local_copies
from pipeline.frames.video import VIDEO_EXTENSIONS, VideoReader

FAR = 30.0  # seconds into a video, up to which it is read from its beginning
LEAD = 1.0  # seconds before the time that is asked for


@dataclass(frozen=True)
class Source:
    """The file or files of a clip; one of `path` and `images` is given.

    Attributes
    ----------
    path : of a video, absolute, or a URL such as s3://bucket/clip.mp4
    images : of the image files, in order
    fps : images a second; means nothing for a video, which says so itself
    since : seconds of a video; see `pipeline.frames.video.VideoReader`
    """

    path: str = ""
    images: tuple[str, ...] = ()
    fps: float = IMAGE_FPS
    since: float = 0.0

    @property
    def files(self) -> tuple[str, ...]:
        """All files, in order."""
        return self.images or (self.path,)

    @property
    def name(self) -> str:
        """For messages: the name of the file, or of the folder of several images."""
        first = PurePosixPath(self.files[0])
        return first.name if len(self.files) == 1 else first.parent.name


def file_source(path: Path) -> Source:
    """A file as it is named on the command line: a video, or one still image.

    A GIF may move, so it is read as a video; one that stands still is a video of one frame.
    """
    suffix = path.suffix.lower()
    if suffix in IMAGE_EXTENSIONS and suffix not in VIDEO_EXTENSIONS:
        return Source(images=(str(path.absolute()),))
    return Source(path=str(path.absolute()))


def open_source(source: Source) -> VideoReader | ImageReader:
    """A reader of the frames of a source whose files are on this machine.

    One image that moves, an animated WebP, PNG or GIF, is read like a video.
    """
    if len(source.images) == 1 and is_animation(Path(source.images[0])):
        return VideoReader(Path(source.images[0]))
    if source.images:
        return ImageReader([Path(image) for image in source.images], source.fps)
    return VideoReader(Path(source.path), since=source.since)


def entered(source: Source, seconds: float) -> Source:
    """The source, to be read from about a time on where that is far into a video.

    For people to look at, and where not one frame more or less matters: see `since`.
    """
    return replace(source, since=seconds - LEAD) if seconds > FAR else source


def source_digest(source: Source) -> str:
    """SHA-256 of what a source holds, as 64 hexadecimal digits.

    Of a video: of its bytes. Of images: `images_digest` of the SHA-256 of each file's bytes.

    Raises
    ------
    OSError
        When a file cannot be read.
    """
    if not source.images:
        return sha256(Path(source.path))
    return images_digest((sha256(Path(image)) for image in source.images), source.fps)


def images_digest(digests: Iterable[str], fps: float = IMAGE_FPS) -> str:
    """Digest of an image clip: SHA-256 of a line with `fps` and one line per file's digest.

    The times of the frames are part of what a clip is, and they follow from `fps`. The first line
    also keeps a clip of one image apart from a video with the same bytes (an animated GIF).
    """
    text = "".join(f"{digest}\n" for digest in digests)
    return hashlib.sha256(f"images, {float(fps)!r} a second\n{text}".encode()).hexdigest()


@contextlib.contextmanager
def local_source(source: Source, digest: str) -> Iterator[Source]:
    """The source with all its files on this machine, once they are known to be unchanged.

    Files behind URLs are fetched into a temporary folder that is gone afterwards.

    Raises
    ------
    ClipError
        When its digest is another one, or a file cannot be read.
    StorageError
        When this machine cannot read that kind of URL at all.
    """
    if not any(map(is_url, source.files)):
        try:
            _check(source_digest(source), digest)
        except OSError as error:
            file = f"{Path(error.filename).name}: " if source.images and error.filename else ""
            raise ClipError(f"cannot be read ({file}{error.strerror})") from None
        yield source
        return
    with local_copies([_as_url(file) for file in source.files]) as copies:
        if source.images:
            _check(images_digest((found for _, found in copies), source.fps), digest)
            yield replace(source, images=tuple(str(path) for path, _ in copies))
        else:
            ((path, found),) = copies
            _check(found, digest)
            yield replace(source, path=str(path))


@contextlib.contextmanager
def fetched_source(source: Source, digest: str) -> Iterator[Source]:
    """As `local_source`, but files that are on this machine are not compared with their digest."""
    if any(map(is_url, source.files)):
        with local_source(source, digest) as local:
            yield local
    else:
        yield source


def _check(found: str, digest: str) -> None:
    if found != digest:
        raise ClipError("has changed since it was indexed: run `clipcache index` again")


def _as_url(file: str) -> str:
    return file if is_url(file) else f"file://{file}"  # fsspec takes it as it is, without %20
