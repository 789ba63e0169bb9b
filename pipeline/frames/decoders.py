"""Two readers of a video, OpenCV and PyAV, that go from frame to frame and past what is damaged."""

import math
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from pipeline.errors import ClipError
from pipeline.frames.conversion import Converter
from pipeline.frames.inspection import (
    OPTIONS,
    Inspection,
    TooLargeError,
    choose_stream,
    open_container,
    prepare,
    refuse_too_large,
)

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

MAX_FAILED = 256  # frames in a row that cannot be decoded, after which a clip has ended
CAPTURE_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"  # the variable that OpenCV hands to FFmpeg
DIFFERENT = 12.0  # grey levels on average; two decoders of one frame differ by less than 3
STILL_PICTURES = (1, 8, 64, 512)  # equal pictures in a row after which the second reader is asked

_opening = threading.Lock()  # a variable of the environment is everybody's


class Decoder(Protocol):
    """Goes through a video once, frame by frame.

    `failed` counts the frames so far that could not be decoded, with another one after them;
    `seconds` is the time of the frame, nan where the stream has none.
    """

    failed: int
    seconds: float

    def advance(self) -> bool:
        """Go to the next frame; False at the end."""

    def picture(self) -> np.ndarray:
        """The frame as (height, width, 3) uint8 BGR, upright; may be called once."""

    def close(self) -> None:
        """Let go of the file."""


class OpenCVDecoder:
    """OpenCV, held against the second reader; see `Decoder`."""

    def __init__(self, path: Path, inspection: Inspection, max_pixels: int) -> None:
        self.failed = 0
        self.seconds = math.nan
        self._path, self._inspection, self._max_pixels = path, inspection, max_pixels
        self._index = -1
        self._known = inspection.first  # what the first picture must be like
        self._last: np.ndarray | None = None
        self._equal = 0  # pictures in a row that are the same as the one before
        with capture_options(OPTIONS):
            # One thread: the worker processes already share out the cores between clips.
            limits = [cv2.CAP_PROP_N_THREADS, 1]
            self._capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG, limits)
        if not self._capture.isOpened():
            raise ClipError("is not a video that OpenCV can open (damaged, or another format)")

    def advance(self) -> bool:
        """Go to the next frame; False at the end, or after `MAX_FAILED` frames without one."""
        for failed in range(MAX_FAILED):
            if self._capture.grab():
                self.failed += failed
                self._index += 1
                self.seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
                return True
            read = self._index + 1 + self.failed + failed
            if self._inspection.frames is not None and read >= self._inspection.frames:
                break
        return False

    def picture(self) -> np.ndarray:
        """The frame, once it is sure that OpenCV filled it.

        Raises
        ------
        ClipError
            When it did not: a conversion that fails leaves what was in the memory before.
        """
        try:
            decoded, image = self._capture.retrieve()
        except cv2.error as error:
            raise ClipError(f"made OpenCV fail: {str(error).strip().splitlines()[-1]}") from None
        if not decoded or image is None or image.size == 0:
            raise ClipError(f"has a frame, {self._index}, that cannot be decoded")
        image = _as_bgr(image)
        height, width = image.shape[:2]
        if height * width > self._max_pixels:
            raise TooLargeError(width, height, self._max_pixels)
        self._check(image)
        return image

    def close(self) -> None:
        """Let go of the file."""
        self._capture.release()

    def _check(self, image: np.ndarray) -> None:
        """What is never filled is either not the first picture, or the same as the one before."""
        if self._index == 0 and self._known is not None:
            self._compare(image, [self._known])
        last, self._last = self._last, image
        if last is None or not _equal(image, last):
            resized = last is not None and image.shape != last.shape
            self._equal = 0
            if resized:
                self._compare(image, self._near())
            return
        self._equal += 1
        if self._equal in STILL_PICTURES:
            self._compare(image, self._near())

    def _compare(self, image: np.ndarray, others: list[np.ndarray]) -> None:
        differences = [
            float(cv2.norm(image, other, cv2.NORM_L1)) / image.size if image.shape == other.shape
            else math.inf
            for other in others
        ]  # fmt: skip
        if differences and min(differences) > DIFFERENT:
            raise ClipError(
                f"has a frame, {self._index}, for which OpenCV {cv2.__version__} gives a picture "
                "that is not in the file: report it, with the file's format and this version"
            )

    def _near(self) -> list[np.ndarray]:
        """The frame as the second reader sees it, and those beside it."""
        decoder = PyAVDecoder(self._path, self._inspection, self._max_pixels)
        try:
            pictures = []
            for index in range(self._index + 2):
                if not decoder.advance():
                    break
                if index >= self._index - 1:
                    pictures.append(decoder.picture())
            return pictures
        finally:
            decoder.close()


class PyAVDecoder:
    """PyAV, whose wheel carries a newer FFmpeg of its own; see `Decoder`."""

    def __init__(self, path: Path, inspection: Inspection, max_pixels: int) -> None:
        self.failed = 0
        self.seconds = math.nan
        self._max_pixels = max_pixels
        self._converter = Converter()
        self._container = open_container(path, max_pixels)
        self._stream = choose_stream(self._container)
        prepare(self._stream, max_pixels)
        self._begin = self._stream.start_time or 0
        self._packets = self._demux()
        self._frames: deque[VideoFrame] = deque()
        self._frame: VideoFrame | None = None

    def advance(self) -> bool:
        """Go to the next frame; False at the end, or after `MAX_FAILED` frames without one."""
        import av

        failed = 0
        while not self._frames and failed < MAX_FAILED:
            packet = next(self._packets, None)
            if packet is None:
                return False
            try:
                self._frames.extend(packet.decode())
            except EOFError:
                return False
            except av.FFmpegError as error:
                refuse_too_large(error, self._max_pixels)
                failed += 1
        if not self._frames:
            return False
        self.failed += failed
        self._frame = frame = self._frames.popleft()
        if frame.width * frame.height > self._max_pixels:
            raise TooLargeError(frame.width, frame.height, self._max_pixels)
        self.seconds = math.nan
        if frame.pts is not None and frame.time_base is not None:
            self.seconds = float((frame.pts - self._begin) * frame.time_base)
        return True

    def seek(self, seconds: float) -> None:
        """Go to the last key frame before a time, if the file allows it; before all frames."""
        import av

        if self._stream.time_base is not None:
            place = self._begin + int(seconds / self._stream.time_base)
            with suppress(av.FFmpegError):
                self._container.seek(place, stream=self._stream)

    def picture(self) -> np.ndarray:
        """The frame; see `Decoder`.

        Raises
        ------
        ClipError
            When FFmpeg cannot convert it.
        """
        import av

        assert self._frame is not None
        try:
            return self._converter.picture(self._frame)
        except (av.FFmpegError, ValueError) as error:
            raise ClipError(f"has frames that FFmpeg cannot convert ({error})") from None

    def close(self) -> None:
        """Let go of the file."""
        self._frames.clear()
        self._container.close()

    def _demux(self) -> Iterator["Packet"]:
        """The packets of the stream, also behind a place that cannot be read."""
        import av

        for _ in range(MAX_FAILED):
            try:
                yield from self._container.demux(self._stream)
                return
            except EOFError:
                return
            except av.FFmpegError:
                continue


@contextmanager
def capture_options(options: Mapping[str, str]) -> Iterator[None]:
    """Have OpenCV hand these options to FFmpeg when it opens something meanwhile."""
    with _opening:
        before = os.environ.get(CAPTURE_OPTIONS)
        os.environ[CAPTURE_OPTIONS] = "|".join(f"{key};{value}" for key, value in options.items())
        try:
            yield
        finally:
            if before is None:
                del os.environ[CAPTURE_OPTIONS]
            else:
                os.environ[CAPTURE_OPTIONS] = before


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two pictures are the same; different ones mostly show it in a few lines."""
    if one.shape != other.shape or not np.array_equal(one[::16], other[::16]):
        return False
    return np.array_equal(one, other)


def _as_bgr(image: np.ndarray) -> np.ndarray:
    if image.ndim == 2 or image.shape[2] == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return image if image.shape[2] == 3 else cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)
