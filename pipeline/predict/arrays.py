"""Pictures that a program holds in memory, as a clip that is read frame by frame."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import ClipError


@dataclass
class ArrayReader:
    """Pictures from memory, (height, width, 3) uint8 RGB, as a `FrameReader`."""

    pictures: Sequence[np.ndarray]
    fps: float
    timeline: list[float] = field(default_factory=list)
    missing: int = 0

    def frames(self, wanted: Callable[[int, float], bool]) -> Iterator[tuple[int, np.ndarray]]:
        for index, picture in enumerate(self.pictures):
            self.timeline.append(index / self.fps)
            if wanted(index, self.timeline[-1]):
                yield index, as_bgr(picture)


def as_bgr(picture: np.ndarray) -> np.ndarray:
    """An RGB picture as the reader of a video would give it; refuses what is none."""
    shape, kind = np.shape(picture), getattr(picture, "dtype", type(picture).__name__)
    if kind != np.uint8 or len(shape) != 3 or shape[2] != 3 or not picture.size:
        raise ClipError(f"An image must be (height, width, 3) uint8, but is {shape} {kind}.")
    return np.ascontiguousarray(picture[..., ::-1])
