"""Flow statistics: how things move around a sampled frame, as 384 numbers, without a CNN.

Dense optical flow (DIS: Kroeger et al., 2016, https://arxiv.org/abs/1603.03590, as OpenCV has it,
preset fast) between the grey frames just before and just after the sampled one, counted into
histograms of flow (HOF) and of motion boundaries (MBH): Dalal et al., 2006,
https://doi.org/10.1007/11744047_33; Wang and Schmid, 2013, https://doi.org/10.1109/ICCV.2013.441.
A boundary is where the flow changes from one pixel to the next, so that a steady movement of the
camera leaves none.
"""

import threading

import cv2
import numpy as np

from pipeline.frames.neighbours import SIZE

CELLS = 4  # per side
DIRECTIONS = 8
FIELDS = 3  # histogrammed: flow, gradient of its x, gradient of its y
DIMENSION = FIELDS * CELLS * CELLS * DIRECTIONS

_of_thread = threading.local()
_CELL = np.arange(SIZE) * CELLS // SIZE
_BASE = (_CELL[:, None] * CELLS + _CELL) * DIRECTIONS
# A mirror negates x: octant -> octant. The gradient of x is negated in y instead.
_NEGATED_X = np.arange(DIRECTIONS) ^ 4
_NEGATED_Y = np.arange(DIRECTIONS) ^ 2


def flow_field(before: np.ndarray, after: np.ndarray, seconds: float) -> np.ndarray:
    """The dense flow that the statistics are of: (160, 160, 2) float32, picture widths a second.

    Parameters
    ----------
    before, after : (160, 160) uint8, grey
    seconds : from the one to the other
    """
    flow = _dis().calc(before, after, None)
    flow *= np.float32(1 / (SIZE * seconds))
    return flow


def flow_statistics(before: np.ndarray, after: np.ndarray, seconds: float) -> np.ndarray:
    """Histograms of the flow between two frames, in picture widths a second.

    Parameters
    ----------
    before, after : (160, 160) uint8, grey
    seconds : from the one to the other

    Returns
    -------
    (384,) float32, not negative: three fields (the flow; the gradient of its x; the gradient of its
    y) of 4 x 4 cells, row by row, of 8 directions. A number is the mean over a cell's pixels of the
    lengths of the vectors in that direction.
    """
    flow = flow_field(before, after, seconds)
    x, y = np.ascontiguousarray(flow[..., 0]), np.ascontiguousarray(flow[..., 1])
    fields = [(x, y), *((_slope(field, 1), _slope(field, 0)) for field in (x, y))]
    return np.concatenate([_histogram(*field) for field in fields])


def mirrored(statistics: np.ndarray) -> np.ndarray:
    """The statistics of the mirrored frames: (..., 384), the same numbers in other places."""
    cells = statistics.reshape(*statistics.shape[:-1], FIELDS, CELLS, CELLS, DIRECTIONS)
    cells = cells[..., ::-1, :]
    flow, x, y = (cells[..., field, :, :, :] for field in range(FIELDS))
    turned = [flow[..., _NEGATED_X], x[..., _NEGATED_Y], y[..., _NEGATED_X]]
    return np.stack(turned, axis=-4).reshape(statistics.shape)


def _dis() -> cv2.DISOpticalFlow:
    """One for each thread: it keeps its pyramids between calls."""
    if not hasattr(_of_thread, "dis"):
        _of_thread.dis = cv2.DISOpticalFlow_create(  # type: ignore[attr-defined]
            cv2.DISOPTICAL_FLOW_PRESET_FAST
        )
    return _of_thread.dis


def _slope(field: np.ndarray, axis: int) -> np.ndarray:
    """The change over two pixels, along the edges twice that over one; same shape."""
    field = field.swapaxes(0, axis)
    slope = np.empty_like(field)
    np.subtract(field[2:], field[:-2], out=slope[1:-1])
    slope[0], slope[-1] = 2 * (field[1] - field[0]), 2 * (field[-1] - field[-2])
    return slope.swapaxes(0, axis)


def _histogram(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(128,) float32. Directions are octants, told apart by comparisons, which all processors make
    alike, where arcus tangens differs in the last bit.
    """
    steep = (np.abs(x) < np.abs(y)).view(np.uint8)
    octant = ((x < 0).view(np.uint8) << 2) + ((y < 0).view(np.uint8) << 1) + steep
    lengths = np.sqrt(x * x + y * y)
    counts = np.bincount((_BASE + octant).ravel(), lengths.ravel(), CELLS * CELLS * DIRECTIONS)
    return (counts / (SIZE * SIZE / CELLS**2)).astype(np.float32)
