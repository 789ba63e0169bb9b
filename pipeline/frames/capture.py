"""Live pictures: a camera, a network stream or a file played at its pace, newest frame first.

A thread of its own reads as fast as frames come and keeps only the newest one. Whoever is slower
than the source misses frames, and never falls behind. With `pipeline.frames.video`, the only
module that opens a video.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import ClipError
from pipeline.frames.decoders import CAPTURE_OPTIONS, capture_options
from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.sources import file_source
from pipeline.frames.video import MAX_SECONDS

OPEN_SECONDS = 10.0  # that a network source may take to answer, and a frame of it to come
BACK_OFF = (0.5, 30.0)  # seconds before the first try to connect again, doubled up to the second
STEADY_SECONDS = 10.0  # that a source has to last before the next loss of it counts as the first
CUT_SHORT = 0.95  # of the frames that a file behind an address claims; with fewer it was cut off
GIVE_UP_SECONDS = 300.0  # without a frame, after which a lost source is given up
LATE_SECONDS = 0.5  # that a file's frames may be late before its clock is set back
LEAVE_SECONDS = 2.0  # that the end waits for the thread, which may sit in a network read
# An address may lead to other addresses, as playlists of live streams do, and never to a file here.
NETWORK_OPTIONS = {
    "rtsp_flags": "prefer_tcp",
    "protocol_whitelist": "crypto,http,httpproxy,https,rtmp,rtmps,rtp,srt,srtp,tcp,tls,udp",
}
WAIT_SECONDS = 0.2  # between looks at whether somebody asked to stop


@dataclass(frozen=True)
class Frame:
    """One picture of a live source.

    Attributes
    ----------
    picture : (height, width, 3) uint8, BGR
    seconds : since the first frame of the source; of a file, its time in the file
    due : `time.monotonic` when it came from the camera, or should be seen by the file's times
    """

    picture: np.ndarray
    seconds: float
    due: float


class LiveCapture:
    """A live source as an iterator of its newest frames. Use as a context manager.

    Attributes
    ----------
    seen : frames that came
    dropped : frames that nobody took before the next one came
    reconnected : times that a lost network source was found again

    Parameters
    ----------
    source : number of a camera, a file, or an address such as rtsp://... or http://...
    as_fast : a file is not played at its pace, and no frame of it is dropped
    say : told in words when a source is lost and found again

    Raises
    ------
    ClipError
        On entering, when the source cannot be opened; while iterating, when it is lost for good.
    """

    def __init__(
        self, source: str, *, as_fast: bool = False, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.seen = 0
        self.dropped = 0
        self.reconnected = 0
        self._source = source
        self._as_fast = as_fast
        self._say = say
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._stop = threading.Event()
        self._ended = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._opened: cv2.VideoCapture | None = None

    def __enter__(self) -> "LiveCapture":
        if is_camera(self._source) or is_address(self._source):
            self._opened = _open(self._source)
        elif not Path(self._source).is_file():
            raise ClipError(
                f"{self._source}: no such file, and neither a camera's number nor an address."
            )
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(LEAVE_SECONDS)

    def __iter__(self) -> Iterator[Frame]:
        """Wait for a frame newer than the last one, until the source ends."""
        while True:
            with self._changed:
                # Never waits for long: a wait without end would not let Ctrl-C through.
                while self._newest is None and not self._ended:
                    self._changed.wait(WAIT_SECONDS)
                frame, self._newest = self._newest, None
                self._changed.notify_all()
            if frame is None:
                if self._error is not None:
                    raise self._error
                return
            yield frame

    def _run(self) -> None:
        try:
            if self._opened is None:
                self._play_file()
            else:
                self._follow(self._opened)
        except ClipError as error:
            self._error = ClipError(f"{shown(self._source)} {error}.")
        except Exception as error:  # the thread has nobody to tell but the one who iterates
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> None:
        with self._changed:
            while self._as_fast and self._newest is not None and not self._stop.is_set():
                self._changed.wait(WAIT_SECONDS)
            self.seen += 1
            self.dropped += self._newest is not None
            self._newest = frame
            self._changed.notify_all()

    def _play_file(self) -> None:
        """The frames of a file, each when it is due."""
        pace = _Pace(as_fast=self._as_fast)
        reader = IsolatedReader(file_source(Path(self._source)))
        for index, picture in reader.frames(lambda index, seconds: True):
            seconds = reader.timeline[index] - reader.timeline[0]
            due = pace.due(seconds)
            if self._stop.wait(max(due - time.monotonic(), 0.0)):
                return
            self._put(Frame(picture, seconds, due))

    def _follow(self, capture: cv2.VideoCapture) -> None:
        """A camera or an address, connected again when it is lost."""
        first = time.monotonic()
        wait = BACK_OFF[0]
        while True:
            connected = time.monotonic()
            claimed = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            finite = is_address(self._source) and claimed > 0
            pace = _Pace() if finite else None
            try:
                while not self._stop.is_set():
                    read, picture = capture.read()
                    if not read:
                        break
                    seconds = due = time.monotonic()
                    if pace is not None:  # a file behind an address comes faster than it plays
                        position = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                        due = pace.due(position if 0 <= position < MAX_SECONDS else seconds)
                        self._stop.wait(max(due - time.monotonic(), 0.0))
                    self._put(Frame(picture, due - first, due))
            finally:
                capture.release()
            if self._stop.is_set():
                return
            if finite:
                if self.seen < CUT_SHORT * claimed:
                    self._say(
                        f"{shown(self._source)} ended after {self.seen} of its {claimed} frames: "
                        "the connection was cut."
                    )
                return
            if is_camera(self._source):
                raise ClipError(
                    "is a camera that stopped giving frames: see whether it is plugged in"
                )
            if time.monotonic() - connected > STEADY_SECONDS:
                wait = BACK_OFF[0]
            found, wait = self._connect_again(wait)
            if found is None:
                return
            capture = found

    def _connect_again(self, wait: float) -> "tuple[cv2.VideoCapture | None, float]":
        """The source, found again, or None when somebody asked to stop; and how long to wait
        before the next try, where it is lost again at once.

        Parameters
        ----------
        wait : seconds before the first try
        """
        lost = time.monotonic()
        self._say(f"{shown(self._source)} is lost; connecting again.")
        while time.monotonic() - lost < GIVE_UP_SECONDS:
            if self._stop.wait(wait):
                return None, wait
            wait = min(2 * wait, BACK_OFF[1])
            try:
                capture = _open(self._source)
            except ClipError:
                continue
            self.reconnected += 1
            self._say(f"{shown(self._source)} is back after {time.monotonic() - lost:.0f} s.")
            return capture, wait
        raise ClipError(f"was lost, and did not come back in {GIVE_UP_SECONDS:.0f} s")


class _Pace:
    """When the frames of a file are due, so that it plays at its own speed."""

    def __init__(self, *, as_fast: bool = False) -> None:
        self._as_fast = as_fast
        self._begin: float | None = None

    def due(self, seconds: float) -> float:
        """`time.monotonic` at which the frame at `seconds` should be seen.

        A file that decodes too slowly falls behind its clock; then the clock is set back, and it
        plays more slowly than it should, but what is seen is never old.
        """
        now = time.monotonic()
        if self._begin is None or self._as_fast or now - (self._begin + seconds) > LATE_SECONDS:
            self._begin = now - seconds
        return self._begin + seconds


def is_camera(source: str) -> bool:
    """Whether the source is the number of a camera, or its device such as /dev/video0."""
    return source.isdecimal() or (source.startswith("/dev/") and Path(source).is_char_device())


def is_address(source: str) -> bool:
    """Whether the source is an address on the network."""
    return "://" in source


def shown(source: str) -> str:
    """The source without a user name and a password in it."""
    scheme, separator, rest = source.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else source


def _open(source: str) -> cv2.VideoCapture:
    """An open camera or address.

    Raises
    ------
    ClipError
        When it does not answer.
    """
    from pipeline.quiet import quiet_native_output

    if is_camera(source):
        with quiet_native_output():
            capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
        if not capture.isOpened():
            raise ClipError(
                f"Camera {source} cannot be opened: is it plugged in, free, and may this user read "
                "it? Cameras count from 0."
            )
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # no queue of old frames in the driver
        return capture
    milliseconds = int(1000 * OPEN_SECONDS)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds,
              cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]  # fmt: skip
    options = {} if CAPTURE_OPTIONS in os.environ else NETWORK_OPTIONS  # the user's own go first
    with capture_options(options) if options else nullcontext():
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        raise ClipError(
            f"{shown(source)} cannot be opened: it does not answer within {OPEN_SECONDS:.0f} s, or "
            "sends no video that OpenCV can read."
        )
    return capture
