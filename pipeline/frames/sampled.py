"""The frames of a clip as the CNN sees them: decoded once in sequence, sampled, made square.

Training, prediction, explanation, export and the pictures for people all take their frames here.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.frames.neighbours import LONGEST_GAP
from pipeline.frames.video import (
    SAMPLE_TOLERANCE,
    WHOLE,
    FrameReader,
    RateSampler,
    Sampling,
    square,
)
from pipeline.frames.views import apply_view


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """One frame of a clip.

    Attributes
    ----------
    index : in the clip
    seconds : its time
    image : (height, width, 3) uint8 BGR, as it was decoded
    size : side of the square that the CNN sees, pixels
    rule : how the frame becomes that square, see `pipeline.frames.video.resize`
    picked : whether the sampling picked it; False where it was only named, or is a neighbour
    """

    index: int
    seconds: float
    image: np.ndarray
    size: int
    rule: str
    picked: bool = True

    def picture(self) -> np.ndarray:
        """What the CNN sees of it, made at each call: (size, size, 3) uint8 RGB, contiguous.

        Raises
        ------
        ClipError
            When OpenCV cannot resize it.
        """
        return square(self.image, self.size, self.rule)


def sampled_frames(
    reader: FrameReader,
    sampling: Sampling | None,
    size: int,
    rule: str,
    segments: Sequence[tuple[float, float]] = (),
    *,
    named: Collection[int] = (),
    neighbours: bool = False,
    to_the_end: bool = True,
) -> Iterator[SampledFrame]:
    """One pass over a clip: the frames that a sampling picks, and those that are named.

    While the length of the clip is not known, more frames are picked than are kept in the end:
    `pipeline.frames.video.sample_frames` of the reader's timeline says which, after the pass.

    Parameters
    ----------
    sampling : None picks no frame; the pass then ends with the last of those that are named
    segments : (start, end) in seconds; the sampling picks inside each of them by itself, and a
        frame that several share comes once. Empty: the whole clip
    named : indices of frames that are wanted whatever the sampling says
    neighbours : with the frames around them, for `pipeline.frames.neighbours`
    to_the_end : False ends the pass behind the last segment; the timeline ends there as well

    Raises
    ------
    ClipError
        When the clip cannot be decoded.
    """
    segments = segments or (WHOLE,)
    coming = sorted(segments, reverse=True)
    here: list[tuple[float, RateSampler | None]] = []  # segments that may hold the next frame
    last = max(named, default=-1) if sampling is None else None
    end = WHOLE[1] if to_the_end else max(end for _, end in segments)
    picked, time, beyond = False, 0.0, LONGEST_GAP if neighbours else 0.0
    past: float | None = None  # seconds of the last frame that is named

    def wanted(index: int, seconds: float) -> bool:
        nonlocal picked, time, past
        if seconds >= end + beyond or (past is not None and seconds > past + beyond):
            raise _PastTheEndError
        while coming and coming[-1][0] - beyond - SAMPLE_TOLERANCE <= seconds:
            segment = coming.pop()
            here.append((segment[1], RateSampler(sampling, *segment) if sampling else None))
        here[:] = [part for part in here if seconds < part[0] + beyond]
        # each has to see every frame
        picked = sum(rate(index, seconds) for _, rate in here if rate is not None) > 0
        time = seconds
        if index == last:
            past = seconds
        return picked or index in named or (neighbours and bool(named or here))

    try:
        for index, image in reader.frames(wanted):
            yield SampledFrame(index, time, image, size, rule, picked)
            if index == last and not neighbours:
                return
    except _PastTheEndError:
        pass


class _PastTheEndError(Exception):
    """The end of the last segment was passed."""


@dataclass(frozen=True)
class Pictures:
    """The sampled frames of one clip, held in memory.

    Attributes
    ----------
    indices : (n,) int32, of the frames in the clip
    times : (n,) float64, seconds
    pictures : (n, size, size, 3) uint8, RGB
    """

    indices: np.ndarray
    times: np.ndarray
    pictures: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    def seen(self, view: str, part: slice = slice(None)) -> np.ndarray:
        """The pictures, or a part of them, in a view: (n, size, size, 3) uint8, RGB."""
        return np.stack([apply_view(picture, view) for picture in self.pictures[part]])
