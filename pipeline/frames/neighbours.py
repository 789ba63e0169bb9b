"""The pictures just before and just after a sampled frame, from the same pass over the video.

How things move is seen between frames that lie closer together than samples do. Which frames are a
sample's neighbours follows from the frames' times alone, so that the numbers made of them are the
same whatever else was sampled in the same pass.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.frames.video import SAMPLE_TOLERANCE, square

SIZE = 160  # pixels, side of the pictures that are compared
LONGEST_GAP = 0.25  # seconds; a frame further away than this is nobody's neighbour
REACH = 0.1  # seconds, the largest distance that is asked for
TIE_DIGITS = 3  # of seconds: as exact as the times in many containers


@dataclass(frozen=True, slots=True)
class SmallPicture:
    """A frame in the size in which frames are compared.

    Attributes
    ----------
    seconds : its time
    picture : (160, 160, 3) uint8, RGB
    """

    seconds: float
    picture: np.ndarray


@dataclass(frozen=True, slots=True)
class Moment:
    """A sampled frame with what was shown around it.

    Attributes
    ----------
    index : of the frame in the clip
    here : the frame itself
    others : frames within `REACH` of it, or the next one on either side where that is further
        away; in the order of time
    """

    index: int
    here: SmallPicture
    others: tuple[SmallPicture, ...]

    def around(self, distance: float) -> tuple[SmallPicture, SmallPicture]:
        """A frame about `distance` seconds before, and one twice that after it.

        At 30 frames a second there are none 0.05 s away on both sides; those two before and one
        after span 0.1 s. `here` stands for a frame that is not there: before the first one, after
        the last, and across a gap longer than `LONGEST_GAP`.

        Parameters
        ----------
        distance : at most `REACH`
        """
        before = self._nearest(-distance, -1)
        span = (
            distance if before is self.here else before.seconds - self.here.seconds + 2 * distance
        )
        after = self._nearest(span, 1)
        return before, after

    def _nearest(self, offset: float, side: int) -> SmallPicture:
        """The frame on a side that is nearest to `offset` seconds from here, of two the earlier."""
        start = self.here.seconds
        there = [one for one in self.others if 0 < side * (one.seconds - start) <= LONGEST_GAP]
        return min(
            there,
            key=lambda one: (round(abs(one.seconds - start - offset), TIE_DIGITS), one.seconds),
            default=self.here,
        )


class Neighbourhood:
    """Frames stream by; a sample comes out again, with its neighbours, once they have passed.

    Holds the small pictures of the last `REACH` seconds, and of one frame before.
    """

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._recent: deque[SmallPicture] = deque()
        self._waiting: deque[tuple[int, SmallPicture]] = deque()

    def add(
        self, index: int, image: np.ndarray, seconds: float, sampled: bool
    ) -> Iterator[Moment]:  # fmt: skip
        """Take the next frame; the samples whose neighbourhood it completes.

        Parameters
        ----------
        image : (height, width, 3) uint8 BGR

        Raises
        ------
        ClipError
            When OpenCV cannot resize it.
        """
        here = SmallPicture(seconds, square(image, SIZE, self._rule))
        self._recent.append(here)
        if sampled:
            self._waiting.append((index, here))
        while self._waiting and seconds - self._waiting[0][1].seconds >= REACH - SAMPLE_TOLERANCE:
            yield self._moment()
        oldest = self._waiting[0][1].seconds if self._waiting else seconds
        while len(self._recent) > 1 and self._recent[1].seconds <= oldest - REACH:
            self._recent.popleft()

    def end(self) -> Iterator[Moment]:
        """The samples that still wait: there are no more frames."""
        while self._waiting:
            yield self._moment()

    def _moment(self) -> Moment:
        index, here = self._waiting.popleft()
        return Moment(index, here, tuple(one for one in self._recent if one is not here))
