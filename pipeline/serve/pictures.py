"""Small pictures of a video: of its frames, and evenly through it for whoever cannot play it."""

import cv2
import numpy as np

from pipeline.serve.answers import Picture

SIDE = 320  # pixels, the longer side
QUALITY = 80  # of JPEG, 0 to 100
MOST_KEPT = 48  # pictures of a preview
PREVIEW_SECONDS = 0.2  # at least, from one of them to the next


class Preview:
    """Pictures evenly through a video, of which nobody knows beforehand how long it is.

    When there are too many, every other one goes, and from then on they are twice as far apart.
    """

    def __init__(self) -> None:
        self._kept: list[Picture] = []
        self._apart = PREVIEW_SECONDS

    def note(self, seconds: float, picture: np.ndarray) -> None:
        """The next frame, BGR, and its time from the first."""
        if self._kept and seconds - self._kept[-1].seconds < self._apart - 1e-6:
            return
        self._kept.append(Picture(seconds, thumbnail(picture)))
        if len(self._kept) > MOST_KEPT:
            self._kept = self._kept[::2]
            self._apart *= 2

    def pictures(self) -> tuple[Picture, ...]:
        """What there is of it."""
        return tuple(self._kept)


def thumbnail(picture: np.ndarray) -> bytes:
    """A BGR picture as a JPEG of at most `SIDE` pixels."""
    scale = min(1.0, SIDE / max(picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
