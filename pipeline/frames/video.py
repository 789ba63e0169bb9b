"""Decode, sample, resize. All videos are read here, but for live ones: see frames.capture.

Frame counts and seeks are unreliable, so a video is read once in sequence: frames that are not
wanted are decoded and skipped, frames are counted here, and times come from the stream. Only for
people to look at is it entered in its middle (`since`). Which of two decoders reads a file follows
from the file: `pipeline.frames.inspection`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from pipeline.errors import ClipError
from pipeline.frames.animations import AnimationDecoder, is_animated_webp
from pipeline.frames.decoders import Decoder, OpenCVDecoder, PyAVDecoder
from pipeline.frames.inspection import Inspection, inspect
from pipeline.frames.loss import missing_frames
from pipeline.frames.memory import bounded_memory

# Who changes the pixels that come out raises DECODE_VERSION in pipeline.store.extractor_spec.
MAX_PIXELS = 8192 * 4320  # pixels in a frame; more is refused before it is decoded
MAX_FRAMES = 5_000_000  # frames in one video; 55 hours at 25 frames/s
FALLBACK_FPS = 25.0  # frames/s, where the container names none
SAMPLE_TOLERANCE = 1e-5  # seconds; absorbs the rounding of container time bases
MAX_SECONDS = 1e9  # of a believable time stamp; beyond, a frame's length is lost in the rounding
RESIZE_RULES = ("stretch", "crop", "pad")
WHOLE = (0.0, math.inf)  # seconds: the segment that is the whole clip

VIDEO_EXTENSIONS = frozenset(
    """
    .3g2 .3gp .apng .asf .avi .avif .avifs .divx .dv .flv .gif .h264 .h265 .ivf .m1v .m2ts .m2v
    .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpeg .mpg .mts .mxf .nut .ogm .ogv .qt .rm .ts .vob .webm
    .wmv .y4m
    """.split()  # noqa: SIM905 - thirty quoted strings would read worse
)


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip are embedded.

    Attributes
    ----------
    fps : samples a second; None takes every frame
    max_frames : most samples of one clip; a clip with more is sampled at a half, a quarter, ...
        of the rate, the largest that fits, so that its whole length stays covered. None: no limit
    """

    fps: float | None = None
    max_frames: int | None = None


class FrameReader(Protocol):
    """One pass over the frames of a clip, whatever they are stored in.

    `timeline` holds the seconds of every frame passed so far, strictly increasing; `frames` yields
    index and (height, width, 3) uint8 BGR picture of those for which ``wanted(index, seconds)``.
    `missing` counts frames that should be there and cannot be decoded.
    """

    @property
    def timeline(self) -> Sequence[float]: ...

    @property
    def missing(self) -> int: ...

    def frames(
        self, wanted: Callable[[int, float], bool]
    ) -> Iterator[tuple[int, np.ndarray]]: ...  # fmt: skip


@dataclass
class VideoReader:
    """One pass over a video.

    Attributes
    ----------
    path : the file
    max_pixels : in a frame; one with more is refused before there is memory for it
    since : seconds; where there are some, frames before may be left out, and those that come are
        numbered from 0
    width, height, fps : what the container says, after rotation by its metadata
    claimed_frames : how many frames the container says there are, often one or two too many; None
        where it says nothing believable
    claimed_seconds : how long that is, believable or not
    timeline : seconds of every frame that could be decoded so far, strictly increasing
    missing : frames that the file should hold and that could not be decoded, after a pass to the
        end; until then those that failed between others
    """

    path: Path
    max_pixels: int = MAX_PIXELS
    since: float = 0.0
    width: int = 0
    height: int = 0
    fps: float = FALLBACK_FPS
    claimed_frames: int | None = None
    claimed_seconds: float | None = None
    timeline: list[float] = field(default_factory=list)
    missing: int = 0

    def frames(self, wanted: Callable[[int, float], bool]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the index and picture of each frame for which ``wanted(index, seconds)`` is true.

        Yields
        ------
        (int, ndarray of shape (height, width, 3), uint8, BGR), upright

        Raises
        ------
        ClipError
            When the file cannot be opened, holds no frame that can be decoded, or is absurd.
        """
        if is_animated_webp(self.path):
            yield from self._passed(AnimationDecoder(self.path, self.max_pixels), wanted)
            return
        inspection = inspect(self.path, self.max_pixels)
        self.width, self.height = inspection.width, inspection.height
        self.fps = inspection.fps or FALLBACK_FPS
        self.claimed_seconds = inspection.seconds
        self.claimed_frames = inspection.frames
        if self.claimed_frames is None and inspection.seconds is not None:
            claimed = inspection.seconds * self.fps
            self.claimed_frames = round(claimed) if 0 < claimed < MAX_FRAMES else None
        with bounded_memory(self.width * self.height):
            decoder = self._decoder(inspection)
            yield from self._passed(decoder, wanted)
        if not self.timeline:
            raise ClipError(
                f"holds no frame that can be decoded (codec {inspection.codec}): it is damaged, or "
                "too much of it is missing"
            )
        if not self.since:
            self.missing = missing_frames(self.path, inspection, self.timeline, decoder.failed)

    def _decoder(self, inspection: Inspection) -> Decoder:
        """What reads the file, at its beginning or about `since`."""
        if inspection.opencv and not self.since:
            return OpenCVDecoder(self.path, inspection, self.max_pixels)
        decoder = PyAVDecoder(self.path, inspection, self.max_pixels)
        if self.since:
            decoder.seek(self.since)
        return decoder

    def _passed(
        self, decoder: Decoder, wanted: Callable[[int, float], bool]
    ) -> Iterator[tuple[int, np.ndarray]]:
        try:
            while decoder.advance():
                index = len(self.timeline)
                if index >= MAX_FRAMES:
                    raise ClipError(f"has more than {MAX_FRAMES:,} frames")
                self.missing = decoder.failed
                self.timeline.append(self._time(decoder.seconds))
                if wanted(index, self.timeline[-1]):
                    yield index, decoder.picture()
        finally:
            decoder.close()

    def _time(self, seconds: float) -> float:
        """Time of the next frame; one frame after the last where the stream has none."""
        if not self.timeline:
            return seconds if 0 <= seconds <= MAX_SECONDS else 0.0
        last = self.timeline[-1]
        return seconds if last < seconds <= MAX_SECONDS else last + 1.0 / self.fps


class RateSampler:
    """Picks frames by `Sampling` while they stream by, before the length is known.

    What it has picked is a superset of `sample_frames` of the finished timeline: when there come
    to be more than `max_frames`, every second one is forgotten and the step doubles.

    Parameters
    ----------
    start, end : seconds; frames outside of this segment are never picked
    """

    def __init__(self, sampling: Sampling, start: float = 0.0, end: float = math.inf) -> None:
        self._sampling = sampling
        self._bounds = start - SAMPLE_TOLERANCE, end - SAMPLE_TOLERANCE
        self._first: tuple[int, float] | None = None
        self._last = -1
        self._count = 0
        self._step = 1

    def __call__(self, index: int, seconds: float) -> bool:
        if not self._bounds[0] <= seconds < self._bounds[1]:
            return False
        if self._first is None:
            self._first = index, seconds
        tick = _tick(seconds - self._first[1], index - self._first[0], self._sampling.fps)
        if tick <= self._last:
            return False
        self._last = tick
        ordinal, self._count = self._count, self._count + 1
        limit = self._sampling.max_frames
        while limit is not None and -(-self._count // self._step) > limit:
            self._step *= 2
        return ordinal % self._step == 0


def sample_frames(
    timeline: np.ndarray, sampling: Sampling, start: float | None = None, end: float | None = None
) -> np.ndarray:
    """Indices of the frames to embed, a pure function of the frames' times.

    Frame i is sampled when it is the first one at or after a multiple of ``1 / fps`` seconds from
    the first frame. The samples at a rate are among those at twice the rate.

    Parameters
    ----------
    timeline : (T,) float64, seconds, strictly increasing, of the whole video
    start, end : seconds on the timeline; of the frames with start <= time < end, and counted from
        the first of them. None: no bound. Times are compared with a tolerance of 10 microseconds,
        so that segments which adjoin share no frame and lose none

    Returns
    -------
    (S,) int32, increasing, in the whole video's numbering; S is at least 1 where there is a frame
    between start and end
    """
    timeline = np.asarray(timeline, np.float64)
    bounds = (-math.inf if start is None else start, math.inf if end is None else end)
    first, stop = np.searchsorted(timeline, np.subtract(bounds, SAMPLE_TOLERANCE))
    timeline = timeline[first:stop]
    if sampling.fps is None:
        picked = np.arange(len(timeline), dtype=np.int32)
    else:
        ticks = np.floor((timeline - timeline[:1] + SAMPLE_TOLERANCE) * sampling.fps)
        picked = np.flatnonzero(np.diff(ticks, prepend=-1) > 0).astype(np.int32)
    step = 1
    while sampling.max_frames is not None and -(-len(picked) // step) > sampling.max_frames:
        step *= 2
    return picked[::step] + np.int32(first)


def resize(image: np.ndarray, size: int, rule: str) -> np.ndarray:
    """Fit a picture into the square the CNN sees, and turn BGR into RGB.

    A picture more than twice too large is halved (mean of 2 x 2 pixels) until it is not, and then
    scaled bilinearly: no aliasing, and a fifth of the time of INTER_AREA in one step.

    Parameters
    ----------
    image : (height, width, 3) uint8, BGR
    size : side of the square, pixels
    rule : "stretch" to the square, "crop" its middle, or "pad" with black

    Returns
    -------
    (size, size, 3) uint8, RGB, contiguous
    """
    height, width = image.shape[:2]
    if rule == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = image[top : top + side, left : left + side]
        height = width = side
    scale = size / max(height, width)
    inner_height = max(1, round(height * scale)) if rule == "pad" else size
    inner_width = max(1, round(width * scale)) if rule == "pad" else size
    while height >= 2 * inner_height and width >= 2 * inner_width:
        height, width = height // 2, width // 2
        image = cv2.resize(
            image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
        )
    image = cv2.resize(image, (inner_width, inner_height), interpolation=cv2.INTER_LINEAR)
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    if rule != "pad":
        return image
    canvas = np.zeros((size, size, 3), np.uint8)
    top, left = (size - inner_height) // 2, (size - inner_width) // 2
    canvas[top : top + inner_height, left : left + inner_width] = image
    return canvas


def square(image: np.ndarray, size: int, rule: str) -> np.ndarray:
    """As `resize`; a picture that OpenCV cannot resize is the clip's fault.

    Raises
    ------
    ClipError
        With OpenCV's reason.
    """
    try:
        return resize(image, size, rule)
    except cv2.error as error:
        raise ClipError(f"made OpenCV fail: {str(error).strip().splitlines()[-1]}") from None


def _tick(elapsed: float, index: int, fps: float | None) -> int:
    return index if fps is None else int(np.floor((elapsed + SAMPLE_TOLERANCE) * fps))
