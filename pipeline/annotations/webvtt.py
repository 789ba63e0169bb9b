"""WebVTT: subtitles for a video in a browser or player. Written only: it names no video.

https://www.w3.org/TR/webvtt1/
"""

import html
from collections.abc import Sequence
from pathlib import Path

from pipeline.annotations.elan import MILLISECONDS, printable
from pipeline.annotations.stretch import Recording


def write(recordings: Sequence[Recording], path: Path) -> None:
    """One video, with a cue for each stretch; what is shorter lasts a millisecond."""
    (recording,) = recordings
    cues = ["WEBVTT"]
    for stretch in recording.stretches:
        start, end = round(stretch.start * MILLISECONDS), round(stretch.end * MILLISECONDS)
        label = html.escape(printable(stretch.label), quote=False)
        cues.append(f"{_time(start)} --> {_time(max(end, start + 1))}\n{label}")
    path.write_text("\n\n".join(cues) + "\n", "utf-8")


def _time(milliseconds: int) -> str:
    """hh:mm:ss.ttt"""
    seconds, rest = divmod(milliseconds, MILLISECONDS)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{rest:03d}"
