"""Image files as frames: decoded the way a person would see them, or refused with a reason."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from pipeline.errors import ClipError
from pipeline.frames.animations import is_animation

Look = TypeVar("Look")

IMAGE_FPS = 25.0  # frames/s that a dump of frames is taken to have where nobody says otherwise
MAX_IMAGE_PIXELS = 120_000_000  # 108-megapixel photographs pass; more is refused unread
THREADS = 4  # that look at pictures: decoding and scaling leave the interpreter's lock

IMAGE_EXTENSIONS = frozenset(
    """
    .bmp .dib .gif .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp
    """.split()  # noqa: SIM905 - sixteen quoted strings would read worse
)
# What Pillow is allowed to look for in a file, whatever its name says.
FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
REDUCED = (  # scale, and the flag that has OpenCV decode at that scale
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)


def image_size(content: bytes) -> tuple[int, int]:
    """Width and height of a picture, as stored; reads the header alone.

    Raises
    ------
    ClipError
        When it is no picture of a known format.
    """
    from PIL import Image, UnidentifiedImageError

    # Pillow warns of what it would refuse to decode at twice the size; it decodes nothing here.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as header:
            return header.size
    except Image.DecompressionBombError:
        raise ClipError(
            f"has more than the {MAX_IMAGE_PIXELS / 1e6:.0f} million pixels allowed"
        ) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise ClipError(
            "is not a picture in a format that is known here (damaged, or another format)"
        ) from None


def read_image(path: Path) -> np.ndarray:
    """The picture in a file, upright.

    EXIF orientation is applied; grey, 16-bit, palette and CMYK pictures become 8-bit colour, an
    alpha channel is dropped, and of an animation the first picture is taken.

    Returns
    -------
    (height, width, 3) uint8, BGR

    Raises
    ------
    ClipError
        When it cannot be read, is damaged or cut off, or has more than `MAX_IMAGE_PIXELS`; the
        size is taken from the header, before anything is decoded.
    """
    return _decode(*_read(path), cv2.IMREAD_COLOR)


def read_small_image(path: Path, side: int) -> tuple[np.ndarray, tuple[int, int]]:
    """As `read_image`, but for looking at pictures and not at pixels: small and fast.

    Parameters
    ----------
    side : pixels that both sides shall at least have, where the picture has them

    Returns
    -------
    the picture, at a half, quarter or eighth where that is enough, and its full (width, height) as
    stored. A JPEG is decoded at the reduced size, in a fraction of the time.
    """
    content, size = _read(path)
    flags = next((flag for scale, flag in REDUCED if min(size) >= scale * side), cv2.IMREAD_COLOR)
    return _decode(content, size, flags), size


def look_at_images(
    paths: Sequence[Path], side: int, look: Callable[[np.ndarray, tuple[int, int]], Look]
) -> Iterator[Look | None]:
    """What `look` makes of each picture of `read_small_image`, in order and in threads.

    None for one that cannot be read; that is reported where its clip is embedded.
    """

    def look_at(path: Path) -> Look | None:
        try:
            return look(*read_small_image(path, side))
        except ClipError:
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(paths), 256):  # so that few results wait
            yield from pool.map(look_at, paths[start : start + 256])


def _read(path: Path) -> tuple[bytes, tuple[int, int]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ClipError(f"cannot be read ({error.strerror})") from None
    if not content:
        raise ClipError("is empty")
    return content, image_size(content)


def _decode(content: bytes, size: tuple[int, int], flags: int) -> np.ndarray:
    width, height = size
    if width * height > MAX_IMAGE_PIXELS:
        raise ClipError(
            f"is {width} x {height} pixels, more than the {MAX_IMAGE_PIXELS / 1e6:.0f} million "
            "allowed"
        )
    try:  # From memory: cv2.imread gives the grey rest of a JPEG that is cut off, and no error.
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise ClipError("is damaged or cut off: its picture cannot be decoded")
    return image


@dataclass(frozen=True)
class ImageReader:
    """Ordered image files as a clip: each is one frame, the next one `1 / fps` seconds later.

    Files whose frames are not wanted are not opened.
    """

    paths: Sequence[Path]
    fps: float = IMAGE_FPS
    missing: int = 0  # a file that cannot be decoded costs the clip

    @cached_property
    def timeline(self) -> list[float]:
        """Seconds of every frame: its place over `fps`."""
        return [i / self.fps for i in range(len(self.paths))]

    def frames(self, wanted: Callable[[int, float], bool]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the index and picture of each file for which ``wanted(index, seconds)`` is true.

        Yields
        ------
        (int, ndarray of shape (height, width, 3), uint8, BGR), upright; sizes may differ

        Raises
        ------
        ClipError
            When a file cannot be decoded; the message names it.
        """
        for index, seconds in enumerate(self.timeline):
            if wanted(index, seconds):
                path = self.paths[index]
                try:
                    if len(self.paths) > 1 and is_animation(path):
                        raise ClipError("is an animation, and no single picture")
                    image = read_image(path)
                except ClipError as error:
                    if len(self.paths) == 1:
                        raise
                    raise ClipError(f"cannot be used: its frame {path.name} {error}") from None
                yield index, image
