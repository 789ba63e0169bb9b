"""What an annotation is, whatever tool it comes from or goes to."""

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stretch:
    """One label over one part of a video.

    Attributes
    ----------
    video : the file as the annotation names it: a name, a path of any machine, or a URL
    label : what happens
    start, end : seconds from the video's first frame; equal for a point event, which has no length
    annotator : who says so, or the tier or subject under which the tool keeps it; "" where it
        names none
    confidence : 0 to 1, of a model; None where a person says so

    Raises
    ------
    ValueError
        When there is no video or no label, or the times make no sense.
    """

    video: str
    label: str
    start: float
    end: float
    annotator: str = ""
    confidence: float | None = None

    def __post_init__(self) -> None:
        for what, text in (("video", self.video), ("label", self.label)):
            if not isinstance(text, str) or not text:
                raise ValueError(f"there is no {what}")
        if not 0 <= self.start < math.inf:
            raise ValueError(f"the start is {self.start:g} s, which no video has")
        if not self.start <= self.end < math.inf:
            raise ValueError(f"the end, {self.end:g} s, is before the start, {self.start:g} s")

    @property
    def is_point(self) -> bool:
        """Whether it is a moment without a length."""
        return self.start == self.end


@dataclass(frozen=True)
class Recording:
    """A video with what is said of it.

    Attributes
    ----------
    video : its name
    seconds : its length
    rate : its frames a second
    stretches : of this video, in order of their start
    """

    video: str
    seconds: float
    rate: float
    stretches: tuple[Stretch, ...]


def first_overlap(
    stretches: Iterable[Stretch], lane: Callable[[Stretch], Hashable]
) -> Stretch | None:  # fmt: skip
    """The first stretch that begins before another one of its lane ends, if there is any."""
    ends: dict[Hashable, float] = {}
    for stretch in sorted(stretches, key=lambda one: (one.start, one.end)):
        if stretch.start < ends.get(lane(stretch), 0.0):
            return stretch
        ends[lane(stretch)] = stretch.end
    return None
