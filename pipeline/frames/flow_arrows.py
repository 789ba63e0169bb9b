"""Optical flow as arrows on a picture, for people to look at."""

import cv2
import numpy as np

GRID = 10  # arrows per side
SLOWEST = 0.06  # picture widths a second; what is slower is mostly noise of the camera
SLOWEST_SHARE = 0.15  # of the fast speed of the clip; flow smears slow movement over plain walls
QUANTILE = 0.95  # of the speeds in a clip: what is this fast ...
FAST_CELLS, LONGEST_CELLS = 1.2, 1.6  # ... has an arrow of so many cells, and nothing a longer one
LIGHT, DARK = (255, 222, 60), (20, 20, 20)  # RGB, of an arrow and its outline
LINE = 1 / 160  # of the picture, width of an arrow
TIP_CELLS = 0.35  # length of an arrow's head
EXACT = 4  # bits behind the point of coordinates that OpenCV draws at


def flow_grid(field: np.ndarray) -> np.ndarray:
    """How the fastest of each cell moves: (10, 10, 2) float32, picture widths a second.

    The mean of a cell's vectors, weighted by their lengths: a hand counts for what it does, also
    where it fills but a corner of the cell.

    Parameters
    ----------
    field : (size, size, 2) float32, dense flow; size a multiple of 10
    """
    side = len(field) // GRID
    cells = field.reshape(GRID, side, GRID, side, 2)
    weights = np.linalg.norm(cells, axis=-1, keepdims=True)
    total = weights.sum(axis=(1, 3))
    return (cells * weights).sum(axis=(1, 3)) / np.maximum(total, np.finfo(np.float32).tiny)


def fast_speed(grids: np.ndarray) -> float:
    """The speed that has an arrow of usual length, one for all frames of a clip: widths a second.

    Parameters
    ----------
    grids : (n, 10, 10, 2), as `flow_grid` gives them
    """
    speeds = np.linalg.norm(grids, axis=-1)
    moving = speeds[speeds >= SLOWEST]
    return float(np.quantile(moving, QUANTILE)) if len(moving) else SLOWEST


def draw_arrows(picture: np.ndarray, grid: np.ndarray, fast: float) -> np.ndarray:
    """A copy of the picture with an arrow in each cell where something moves.

    Lengths grow with the square root of the speed, so that a hand is seen beside a body that walks.

    Parameters
    ----------
    picture : (size, size, 3) uint8 RGB
    grid : (10, 10, 2), as `flow_grid` gives it
    fast : picture widths a second, see `fast_speed`

    Returns
    -------
    (size, size, 3) uint8 RGB
    """
    drawn, cell = picture.copy(), len(picture) / GRID
    width = max(1, round(LINE * len(picture)))
    speeds = np.linalg.norm(grid, axis=-1)
    for colour, thickness in ((DARK, width + 2), (LIGHT, width)):
        for row, column in np.argwhere(speeds >= max(SLOWEST, SLOWEST_SHARE * fast)):
            speed = speeds[row, column]
            cells = min(FAST_CELLS * np.sqrt(speed / fast), LONGEST_CELLS)
            middle = (np.array([column, row]) + 0.5) * cell
            half = grid[row, column] / speed * (cells * cell / 2)
            tail, head = (
                np.rint(end * 2**EXACT).astype(int).tolist()
                for end in (middle - half, middle + half)
            )
            tip = min(TIP_CELLS / cells, 0.5)
            cv2.arrowedLine(drawn, tail, head, colour, thickness, cv2.LINE_AA, EXACT, tip)
    return drawn
