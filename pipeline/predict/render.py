"""A video with the answer of each moment drawn on its frames, in a file that browsers play."""

import bisect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2

from pipeline.errors import ClipError
from pipeline.files import replacing
from pipeline.frames.video import FrameReader, VideoReader
from pipeline.predict.overlay import draw_answer
from pipeline.timeline.spans import Span

# By the ending of the file, in the order in which they are tried. H.264 plays everywhere, but few
# builds of OpenCV may encode it; most encode VP9 and VP8, which browsers play; all have MPEG-4 part
# 2, which VLC, mpv and the players of desktops show, and browsers do not.
CODECS = {
    ".mp4": {"avc1": "H.264", "vp09": "VP9", "mp4v": "MPEG-4 part 2"},
    ".webm": {"VP90": "VP9", "VP80": "VP8"},
}
# For VP9, which costs several times as much without; OpenCV takes such options from here only.
OPTIONS = ("OPENCV_FFMPEG_WRITER_OPTIONS", "deadline;realtime|cpu-used;8")
MOST_REPEATS = 250  # of a frame that stands for a long time, so that no gap fills the disk


class RatedReader(FrameReader, Protocol):
    """A reader that knows its clip's rate once the first frame is there."""

    @property
    def fps(self) -> float: ...


def render_video(reader: RatedReader, spans: Sequence[Span], path: Path) -> str:
    """Write the clip with label and confidence drawn on every frame, whole or not at all.

    Size and rate are the clip's own, and so are the times: where its frames come unevenly, some are
    shown twice or left out. There is no sound.

    Parameters
    ----------
    spans : of the clip, in order; between them nothing is drawn
    path : ends with .mp4 or .webm

    Returns
    -------
    str
        The codec, for people.

    Raises
    ------
    ClipError
        When the name ends otherwise, or when the clip or the disk fails.
    """
    check_render_path(path)
    starts = [span.start for span in spans]
    with replacing(path) as temporary:
        writer: cv2.VideoWriter | None = None
        codec, written = "", 0
        try:
            for index, frame in reader.frames(lambda index, seconds: True):
                seconds = reader.timeline[index] - reader.timeline[0]
                if writer is None:
                    height, width = frame.shape[:2]
                    writer, codec = _open_writer(temporary, reader.fps, (width, height))
                due = round(seconds * reader.fps) + 1
                if due <= written:
                    continue
                picture = frame
                if frame.shape[:2] != (height, width):  # image files of several sizes
                    picture = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
                span = spans[max(bisect.bisect_right(starts, seconds) - 1, 0)]
                if seconds < span.end:
                    draw_answer(picture, span.label, span.confidence)
                for _ in range(min(due - written, MOST_REPEATS)):
                    writer.write(picture)
                written = due
        finally:
            if writer is not None:
                writer.release()
        _check_written(temporary, path)
    return codec


def check_render_path(path: Path) -> None:
    """Refuse, before any work is done, a name that is not that of an MP4 or WebM."""
    if path.suffix.lower() not in CODECS:
        raise ClipError(f"{path} should end with .mp4 or .webm, which a rendered video can be.")


def _open_writer(
    path: Path, fps: float, size: tuple[int, int]
) -> tuple[cv2.VideoWriter, str]:  # fmt: skip
    from pipeline.quiet import quiet_native_output

    variable, options = OPTIONS
    for codec, name in CODECS[path.suffix.lower()].items():
        chosen = os.environ.get(variable)
        os.environ.setdefault(variable, options)
        try:
            with quiet_native_output():  # FFmpeg's words about encoders that are not there
                writer = cv2.VideoWriter(
                    str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, size
                )
        finally:
            if chosen is None:
                os.environ.pop(variable, None)
        if writer.isOpened():
            return writer, name
    raise ClipError(
        f"{path.name} of {size[0]} x {size[1]} pixels at {fps:g} frames/s cannot be encoded by "
        "this build of OpenCV."
    )


def _check_written(temporary: Path, path: Path) -> None:
    """OpenCV does not say when the disk was full: look at what came of it."""
    try:
        next(iter(VideoReader(temporary).frames(lambda index, seconds: True)))
    except ClipError as error:
        raise ClipError(f"{path} could not be written (the file {error}).") from None
