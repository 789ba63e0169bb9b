"""What a layout finds."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FoundClip:
    """A clip before its bytes were read; the fields are those of `pipeline.dataset.clips.Clip`.

    Attributes
    ----------
    path : the video below the raw folder, or its URL; "" for images
    images : the files of an image clip below the raw folder, in order
    digest, bytes : "" and 0 where they are still to be computed
    """

    clip_id: str
    label: str
    group: str
    path: str = ""
    images: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    split: str = ""
    digest: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class Findings:
    """The clips of a data set.

    Attributes
    ----------
    clips : segments of one video stand one after the other
    notes : sentences on what was left out or put together, for people to check
    """

    clips: Sequence[FoundClip]
    notes: list[str] = field(default_factory=list)
