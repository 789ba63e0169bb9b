"""Frames without names: where one video ends and the next begins, told from the pictures.

A new video changes the picture everywhere at once; a moving person changes a part of it. So the
change from one frame to the next is the *median* over the cells of a small copy of the picture,
which what moves in less than half of it does not touch. Where the camera moves, all of the picture
changes, but it does so in the frames before and after as well. So a change counts for what it is
beside its neighbours: a cut is a change that is `CUT` times what is usual in the 8 frames before
and the 8 after (after B. Yeo and B. Liu, "Rapid Scene Analysis on Compressed Video", IEEE
Transactions on Circuits and Systems for Video Technology 5(6), 1995, who ask for a multiple of the
second largest change in a sliding window). Frames that repeat the one before are passed over:
where 10 frames a second were stored as 30, two of three would tell nothing about the third.

What it cannot see: that two recordings follow each other without a change of picture (clips cut
from one long take), and what is a cut inside one edited video. Figures are in docs/benchmarks.md,
advice in docs/frames.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.frames.images import look_at_images
from pipeline.progress import Progress

CUT = 4.0  # times the usual change around it
CUT_AT_GAP = 2.0  # the same, where the running number of the files skips a few as well
RARE_GAPS = 0.1  # share of frames up to which a skipped number means something
CELLS = (24, 18)  # cells across and down; a frame is 4:3 or wider
NEIGHBOURS = 8  # changes looked at on either side
USUAL = 0.85  # quantile of them that is called usual: above it there is room for two other cuts
NOISE = 0.25  # grey levels that change in a picture that stands still
FEW = 4  # with fewer neighbours, nothing can be said of what is usual, ...
UNKNOWN = 5.0  # ... and this is taken for it, grey levels
REPEATED = 0.02  # grey levels of mean difference below which a frame repeats the one before


@dataclass(frozen=True)
class Changes:
    """What happens between consecutive frames; all arrays are (F - 1,), of F frames.

    Attributes
    ----------
    change : float64, grey levels by which the middle cell changes
    over : float64, the same from the frame before to the frame after the next; NaN at the end
    repeated : bool, where the second frame repeats the first
    sure : bool, where the pictures differ in size
    gap : bool, where the running number skips
    """

    change: np.ndarray
    over: np.ndarray
    repeated: np.ndarray
    sure: np.ndarray
    gap: np.ndarray


def find_cuts(paths: Sequence[Path]) -> np.ndarray:
    """Where videos begin among the frames of many that lie together.

    Parameters
    ----------
    paths : image files in the order of their numbers. One that cannot be read belongs to the video
        before it

    Returns
    -------
    (V,) int64, increasing: the position of the first frame of each video; the first is 0
    """
    if not len(paths):
        return np.arange(0)
    return np.concatenate([[0], 1 + np.flatnonzero(is_cut(measure_changes(paths)))])


def is_cut(changes: Changes) -> np.ndarray:
    """Which changes are cuts, (F - 1,) bool."""
    usual = usual_change(changes)
    cut = changes.change >= np.where(changes.gap, CUT_AT_GAP, CUT) * usual
    # One frame that is unlike both neighbours, which are alike: a flash, or a damaged picture.
    flash = cut[:-1] & cut[1:] & (changes.over[:-1] < CUT * usual[:-1])
    cut[:-1] &= ~flash
    cut[1:] &= ~flash
    return cut | changes.sure


def usual_change(changes: Changes) -> np.ndarray:
    """What is usual around each change, noise included, (F - 1,) float64, grey levels."""
    moved = np.flatnonzero(~changes.repeated)
    usual = np.full(len(changes.change), UNKNOWN)
    if len(moved):
        padding = np.full(NEIGHBOURS, np.nan)
        padded = np.concatenate([padding, changes.change[moved], padding])
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1)
        around = np.delete(windows, NEIGHBOURS, axis=1)
        enough = np.isfinite(around).sum(axis=1) >= FEW
        usual[moved[enough]] = np.nanquantile(around[enough], USUAL, axis=1)
    return usual + NOISE


def measure_changes(paths: Sequence[Path]) -> Changes:
    """Look at all frames, in threads; holds three small pictures at a time."""
    steps = max(len(paths) - 1, 0)
    change, over = np.zeros(steps), np.full(steps, np.nan)
    repeated, sure = np.ones(steps, bool), np.zeros(steps, bool)
    seen: list[tuple[np.ndarray, tuple[int, int]]] = []
    with Progress("cuts", len(paths), "frames") as progress:
        for i, made in enumerate(look_at_images(paths, 2 * max(CELLS), _cells)):
            current = made or (seen[-1] if seen else None)
            if current is not None:
                if seen:
                    change[i - 1] = _difference(seen[-1][0], current[0])
                    repeated[i - 1] = np.abs(seen[-1][0] - current[0]).mean() < REPEATED
                    sure[i - 1] = seen[-1][1] != current[1]
                if len(seen) > 1:
                    over[i - 2] = _difference(seen[-2][0], current[0])
                seen = [*seen[-1:], current]
            progress.advance()
    return Changes(change, over, repeated, sure, _gaps(paths))


def _cells(image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """The mean colours of the cells, (18, 24, 3) float32, and the size of the picture."""
    return cv2.resize(image.astype(np.float32), CELLS, interpolation=cv2.INTER_AREA), size


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """Median over the cells of the largest difference of a colour channel."""
    return float(np.median(np.abs(one - other).max(axis=-1)))


def _gaps(paths: Sequence[Path]) -> np.ndarray:
    """Where the last number in the names skips, if it seldom does."""
    found = [re.findall(r"\d+", path.stem) for path in paths]
    if len(paths) < 2 or not all(found):
        return np.zeros(max(len(paths) - 1, 0), bool)
    steps = np.diff([float(numbers[-1]) for numbers in found])
    gaps = steps != np.median(steps)
    return gaps if gaps.mean() <= RARE_GAPS else np.zeros(len(gaps), bool)
