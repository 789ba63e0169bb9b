"""Clips of any length -> windows of a fixed number of steps, with a mask.

A window is a list of rows of one clip: row ``start + k * rate``, rounded, for step k. Training
draws the start, the rate and the cached view anew for every clip and epoch; testing places windows
evenly from the first row to the last. A clip shorter than a window is padded on the right with
its last row and masked there, so a still image is a window with one valid step.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.head.streams import side_by_side


class Features(Protocol):
    """What is read of a feature set; `pipeline.store.feature_files.FeatureSet` is one."""

    @property
    def lengths(self) -> np.ndarray:
        """(C,) int64, rows of each clip."""

    @property
    def readings(self) -> Mapping[str, int]:
        """The readings that every clip has, "identity" first, with their D."""

    def clip(self, i: int) -> Mapping[str, np.ndarray]:
        """Reading -> (T, D) float16 or float32, slices of memory maps."""


@dataclass(frozen=True)
class Windowing:
    """How windows are cut out of clips.

    Attributes
    ----------
    steps : time steps in a window
    rates : slowest and fastest rate in training, rows per step; testing uses 1
    count : windows per clip that testing averages, where the clip is longer than one window
    """

    steps: int = 16
    rates: tuple[float, float] = (0.7, 1.4)
    count: int = 4


def window_rows(length: int, steps: int, start: float = 0.0, rate: float = 1.0) -> np.ndarray:
    """The rows of one window: (steps,) int64, ascending; rows >= `length` lie past the clip's end.

    Raises
    ------
    ValueError
        When the clip has no rows.
    """
    if length < 1:
        raise ValueError("a clip needs at least one embedded frame")
    return np.floor(start + np.arange(steps) * rate + 0.5).astype(np.int64)


def even_windows(length: int, windowing: Windowing, rate: float = 1.0) -> np.ndarray:
    """Windows that cover a clip for testing: (W, steps) int64.

    The first begins at row 0, the last ends at the last row. W is `windowing.count`, more where
    that many would leave rows uncovered, and 1 where the clip fits into one window.
    """
    span = (windowing.steps - 1) * rate
    slack = length - 1 - span
    if slack <= 0:
        return window_rows(length, windowing.steps, 0.0, rate)[None]
    count = max(windowing.count, int(np.ceil(length / (windowing.steps * rate))))
    starts = np.linspace(0.0, slack, count) if count > 1 else np.array([slack / 2])
    return np.stack([window_rows(length, windowing.steps, start, rate) for start in starts])


def random_window(length: int, windowing: Windowing, rng: np.random.Generator) -> np.ndarray:
    """One window at a random place and rate: (steps,) int64. Draws two numbers from `rng`."""
    slowest, fastest = windowing.rates
    rate = float(np.exp(rng.uniform(np.log(slowest), np.log(fastest))))
    place = rng.uniform()
    slack = length - 1 - (windowing.steps - 1) * rate
    return window_rows(length, windowing.steps, place * max(slack, 0.0), rate)


def take(embeddings: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read windows of one clip.

    Parameters
    ----------
    embeddings : (T, D) float16 or float32, may be memory-mapped; only the named rows are read
    rows : (..., steps) int64

    Returns
    -------
    values : (..., steps, D) float32; past the clip's end its last row is repeated
    mask : (..., steps) bool, True inside the clip
    """
    length = len(embeddings)
    values = np.asarray(embeddings[np.minimum(rows, length - 1)], dtype=np.float32)
    return values, rows < length


def read_window(
    clip: Mapping[str, np.ndarray], streams: Iterable[str], rows: np.ndarray, view: str
) -> tuple[np.ndarray, np.ndarray]:
    """Read a window of a clip's streams, side by side; all that a network learns from is read here.

    Returns
    -------
    (steps, sum of D) float32 and (steps,) bool, as `take` gives them
    """
    inside = np.minimum(rows, len(next(iter(clip.values()))) - 1)
    return side_by_side(clip, streams, view, inside).astype(np.float32), rows == inside
