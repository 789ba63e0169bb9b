"""Animated WebP, which FFmpeg reads as no video or as one picture: decoded by Pillow."""

from pathlib import Path

import numpy as np

from pipeline.errors import ClipError
from pipeline.frames.inspection import TooLargeError

HEAD_BYTES = 64
ANIMATED = 0x02  # flag of the chunk VP8X in WebP's container specification


class AnimationDecoder:
    """Goes through an animated WebP; see `pipeline.frames.decoders.Decoder`."""

    def __init__(self, path: Path, max_pixels: int) -> None:
        from PIL import Image

        self.failed = 0
        self.seconds = 0.0
        try:
            self._image = Image.open(path, formats=("WEBP",))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            raise ClipError("is an animation that cannot be read (damaged)") from None
        width, height = self._image.size
        if width * height > max_pixels:
            raise TooLargeError(width, height, max_pixels)
        self._index = -1
        self._next = 0.0

    def advance(self) -> bool:
        """Go to the next picture; False at the end, or where the file is damaged."""
        self._index += 1
        try:
            self._image.seek(self._index)
            self._image.load()
        except EOFError:
            return False
        except (OSError, SyntaxError, ValueError) as error:
            if self._index == 0:
                raise ClipError(f"is an animation that cannot be decoded ({error})") from None
            self.failed += max(getattr(self._image, "n_frames", 0) - self._index, 1)
            return False
        self.seconds = self._next
        self._next += self._image.info.get("duration", 0) / 1000
        return True

    def picture(self) -> np.ndarray:
        """The picture, (height, width, 3) uint8 BGR; alpha is dropped."""
        return np.ascontiguousarray(np.asarray(self._image.convert("RGB"))[:, :, ::-1])

    def close(self) -> None:
        """Let go of the file."""
        self._image.close()


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP with more than one picture, by its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False  # said by who opens it
    webp = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return webp and len(head) > 20 and bool(head[20] & ANIMATED)


def is_animated_png(path: Path) -> bool:
    """Whether a file is a PNG with more than one picture: a chunk acTL before the first IDAT."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return False
    control, data = head.find(b"acTL"), head.find(b"IDAT")
    if not head.startswith(b"\x89PNG") or control < 0 or 0 <= data < control:
        return False
    return int.from_bytes(head[control + 4 : control + 8]) > 1


def is_animation(path: Path) -> bool:
    """Whether a picture file moves: an animated WebP, PNG or GIF."""
    return is_animated_webp(path) or is_animated_png(path) or is_animated_gif(path)


def is_animated_gif(path: Path) -> bool:
    """Whether a file is a GIF with more than one picture."""
    from PIL import Image

    try:
        with path.open("rb") as file:
            if file.read(4) != b"GIF8":
                return False
        with Image.open(path, formats=("GIF",)) as image:
            return bool(getattr(image, "is_animated", False))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
