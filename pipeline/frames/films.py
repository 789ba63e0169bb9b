"""Films: the first seconds of a clip as small grey pictures, to compare clips by their pixels."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.errors import ClipError
from pipeline.frames.sources import Source, entered, open_source
from pipeline.frames.video import WHOLE

SIDE = 96  # pixels of the longer side
SECONDS = 8.0  # of a clip that are looked at, at most
STEP = 1 / 32  # seconds between pictures, at least: frames of 25 and 30 a second are all taken
JITTER = 1 / 500  # by which a frame may come early


@dataclass(frozen=True)
class Film:
    """Pictures of a clip.

    Attributes
    ----------
    pictures : (T, height, width) uint8, grey
    times : (T,) float64, seconds from the beginning of the clip
    """

    pictures: np.ndarray
    times: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """The pictures nearest to some times: (n, height, width) float32."""
        after = np.clip(np.searchsorted(self.times, times), 1, len(self.times) - 1)
        before = times - self.times[after - 1] < self.times[after] - times
        return self.pictures[after - before].astype(np.float32)

    def mirrored(self) -> "Film":
        """As it is seen in a mirror."""
        return Film(self.pictures[:, :, ::-1], self.times)


def read_film(source: Source, segment: tuple[float, float] = WHOLE) -> Film:
    """The film of a clip, or of a segment of it.

    Parameters
    ----------
    source : files on this machine
    segment : start and end, seconds

    Raises
    ------
    ClipError
        When it cannot be decoded, or holds fewer than two frames.
    """
    start, end = segment[0], min(segment[1], segment[0] + SECONDS)
    times: list[float] = []

    def wanted(index: int, seconds: float) -> bool:
        if seconds >= end:
            raise _PastTheEndError
        due = start if not times else start + times[-1] + STEP
        if seconds < due - JITTER:
            return False
        times.append(seconds - start)
        return True

    pictures: list[np.ndarray] = []
    try:
        for _, image in open_source(entered(source, start)).frames(wanted):
            pictures.append(_small(image))
    except _PastTheEndError:
        pass
    if len(pictures) < 2:
        raise ClipError("holds fewer than two frames")
    first = pictures[0].shape
    same = [picture if picture.shape == first else cv2.resize(picture, first[::-1])
            for picture in pictures]  # fmt: skip
    return Film(np.stack(same), np.array(times[: len(same)]))


class _PastTheEndError(Exception):
    """Enough was seen."""


def _small(image: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    scale = SIDE / max(grey.shape)
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    rule = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(grey, (width, height), interpolation=rule)
