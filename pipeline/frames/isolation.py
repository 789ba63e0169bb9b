"""Frames decoded in a process of their own: a file that hangs or crashes the decoder costs itself.

For the commands that take a user's files one by one. The process goes frame by frame and is asked
which pictures are wanted, so only those cross over; it lives on for the next file.
"""

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.frames.sources import Source, open_source
from pipeline.processes import START_SECONDS, follow_parent

FRAME_SECONDS = 60.0  # that one frame may take, opening the file and damage before it included
LEAVE_SECONDS = 2.0  # for a process whose file is not read to the end, before it is replaced

_idle: "list[_Process]" = []
_taking = threading.Lock()


@dataclass
class IsolatedReader:
    """As `pipeline.frames.video.VideoReader`, of any source, decoded in another process.

    Parameters
    ----------
    source : files on this machine
    seconds : that one frame may take
    """

    source: Source
    seconds: float = FRAME_SECONDS
    fps: float = 0.0
    claimed_frames: int | None = None
    timeline: list[float] = field(default_factory=list)
    missing: int = 0

    def frames(self, wanted: Callable[[int, float], bool]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the index and picture of each frame for which ``wanted(index, seconds)`` is true.

        Raises
        ------
        ClipError
            When it cannot be decoded, or the process ends or does not answer in time.
        """
        process, sound = _take(), False
        try:
            process.pipe.send(self.source)
            while True:
                heard = process.hear(self.seconds)
                if isinstance(heard, _Passed):
                    self.fps, self.claimed_frames = heard.fps, heard.claimed_frames
                    self.timeline.append(heard.seconds)
                    self.missing = heard.missing
                    try:
                        asked = wanted(len(self.timeline) - 1, heard.seconds)
                    except BaseException:
                        process.pipe.send(None)
                        sound = process.rests()
                        raise
                    process.pipe.send(asked)
                elif isinstance(heard, tuple):
                    picture = np.empty(heard, np.uint8)
                    process.receive(picture, self.seconds)
                    try:
                        yield len(self.timeline) - 1, picture
                    except GeneratorExit:
                        sound = process.leaves()
                        raise
                else:
                    sound = True
                    if isinstance(heard, Exception):
                        raise heard
                    self.missing = heard
                    return
        except (EOFError, OSError):
            raise ClipError("crashed the decoder") from None
        finally:
            _give_back(process, sound)


@dataclass(frozen=True, slots=True)
class _Passed:
    """A frame that the process came by."""

    seconds: float
    missing: int
    fps: float
    claimed_frames: int | None


class _Process:
    """A decoding process and the pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that its death closes the pipe
        if not self.pipe.poll(START_SECONDS):
            raise ClipError("cannot be read: the process that decodes does not start")
        self.pipe.recv()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def hear(self, seconds: float) -> Any:
        """What it says next."""
        self._wait(seconds)
        return self.pipe.recv()

    def receive(self, picture: np.ndarray, seconds: float) -> None:
        """The pixels of a picture."""
        self._wait(seconds)
        self.pipe.recv_bytes_into(picture.data.cast("B"))

    def leaves(self) -> bool:
        """Have it leave its file at the next frame; False where that takes too long."""
        with contextlib.suppress(EOFError, OSError, ClipError):
            while isinstance(heard := self.hear(LEAVE_SECONDS), _Passed | tuple):
                if isinstance(heard, tuple):
                    return False
                self.pipe.send(None)
            return True
        return False

    def rests(self) -> bool:
        """Whether it says that it left its file."""
        with contextlib.suppress(EOFError, OSError, ClipError):
            self.hear(LEAVE_SECONDS)
            return True
        return False

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _wait(self, seconds: float) -> None:
        if not self.pipe.poll(seconds):
            raise ClipError(f"was given up: a frame took longer than {seconds:g} s to decode")


def _take() -> _Process:
    with _taking:
        while _idle:
            process = _idle.pop()
            if process.alive:
                return process
            process.kill()
    return _Process()


def _give_back(process: _Process, sound: bool) -> None:
    if not sound:
        process.kill()
        return
    with _taking:
        _idle.append(process)


class _LeftError(Exception):
    """Nobody wants more of this file."""


def _serve(pipe: Connection) -> None:
    """The life of a decoding process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process alone answers Ctrl-C
    threading.Thread(target=follow_parent, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)
    pipe.send(True)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            pipe.send(_read(pipe.recv(), pipe))


def _read(source: Source, pipe: Connection) -> int | Exception:
    """Go through a file; what is missing of it, or what is wrong with it."""
    try:
        reader = open_source(source)

        def ask(index: int, seconds: float) -> bool:
            claimed = getattr(reader, "claimed_frames", None)
            pipe.send(_Passed(seconds, reader.missing, reader.fps, claimed))
            if (answer := pipe.recv()) is None:
                raise _LeftError
            return answer

        for _, picture in reader.frames(ask):
            pipe.send(picture.shape)
            pipe.send_bytes(np.ascontiguousarray(picture).data.cast("B"))
        return reader.missing
    except _LeftError:
        return 0
    except ClipError as error:
        return error
    except MemoryError:
        return ClipError("needs more memory than there is")
