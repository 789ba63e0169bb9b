"""A few frames of a clip for people to look at; of a long video without all that comes before."""

from collections.abc import Sequence

import numpy as np

from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.sampled import sampled_frames
from pipeline.frames.sources import Source, entered
from pipeline.frames.video import Sampling

EXACT = 3e-3  # seconds by which the times of a frame may differ, as they were rounded


def thumbnails(
    source: Source, seconds: Sequence[float] | np.ndarray, size: int, rule: str
) -> list[np.ndarray]:
    """The frames at some times, as the CNN sees them but in another size.

    Parameters
    ----------
    source : files on this machine
    seconds : times of frames in the file, increasing
    size, rule : how a frame becomes a square, see `pipeline.frames.video.resize`

    Returns
    -------
    (size, size, 3) uint8 RGB each; none of a time at which no frame is found, as in a long file
    that cannot be entered in its middle

    Raises
    ------
    ClipError, OSError
        When the file cannot be read.
    """
    moments = [(at - EXACT, at + EXACT) for at in seconds]
    reader = IsolatedReader(entered(source, seconds[0]))
    frames = sampled_frames(reader, Sampling(), size, rule, moments, to_the_end=False)
    return [frame.picture() for frame in frames]
