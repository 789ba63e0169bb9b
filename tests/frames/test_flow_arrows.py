"""Arrows stand where something moves, and point where it goes."""

import numpy as np
import pytest

from pipeline.frames.flow_arrows import GRID, LIGHT, SLOWEST, draw_arrows, fast_speed, flow_grid

SIZE = 160
CELL = SIZE // GRID


def field(x: float, y: float, rows: slice, columns: slice) -> np.ndarray:
    """Flow (x, y) in some pixels, none in the others."""
    flow = np.zeros((SIZE, SIZE, 2), np.float32)
    flow[rows, columns] = x, y
    return flow


def arrows(grid: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE) bool: pixels in the colour of an arrow, on a blue picture."""
    picture = np.full((SIZE, SIZE, 3), (0, 0, 200), np.uint8)
    drawn = draw_arrows(picture, grid, fast_speed(grid[None]))
    assert (picture == (0, 0, 200)).all()  # a copy
    return np.abs(drawn.astype(int) - LIGHT).max(axis=2) < 40


def test_where_nothing_moves_the_picture_stays() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    slow = np.full((GRID, GRID, 2), SLOWEST / 2, np.float32)
    for grid in (np.zeros_like(slow), slow):
        assert np.array_equal(draw_arrows(picture, grid, fast_speed(grid[None])), picture)


def test_a_hand_counts_for_what_it_does_where_it_fills_a_corner_of_a_cell() -> None:
    grid = flow_grid(field(0.5, -0.2, slice(0, CELL // 2), slice(0, CELL // 2)))
    assert grid[0, 0] == pytest.approx([0.5, -0.2])
    assert not grid[1:].any()
    assert not grid[0, 1:].any()


@pytest.mark.parametrize(("x", "y"), [(1, 0), (-1, 0), (0, 1), (0, -1), (2, 1)])
def test_arrows_lie_where_it_moves_and_their_heads_point_there(x: float, y: float) -> None:
    rows, columns = slice(4 * CELL, 5 * CELL), slice(6 * CELL, 7 * CELL)
    lit = np.argwhere(arrows(flow_grid(field(x, y, rows, columns))))
    middle = np.array([4.5 * CELL, 6.5 * CELL]) - 0.5
    along = (lit - middle) @ np.array([y, x]) / np.hypot(x, y)
    across = (lit - middle) @ np.array([x, -y]) / np.hypot(x, y)
    assert len(lit) > 10
    assert np.abs(along).max() < CELL
    wide = np.abs(across) > 1.5  # the two strokes of the head
    assert wide.any()
    assert along[wide].min() > 0


def test_one_scale_holds_for_all_frames_of_a_clip() -> None:
    """Arrows as long as the square root of their speed; of one cell each, side by side."""
    cell = slice(5 * CELL, 6 * CELL)
    frames = [flow_grid(field(speed, 0, cell, cell)) for speed in (0.8, 0.8, 0.2)]
    blue = np.full((SIZE, SIZE, 3), (0, 0, 200), np.uint8)
    fast = fast_speed(np.stack(frames))
    drawn = [(draw_arrows(blue, grid, fast) != blue).any(axis=(0, 2)).sum() for grid in frames]
    assert drawn[0] == drawn[1]
    assert drawn[2] == pytest.approx(drawn[0] / 2, abs=4)  # the outline is as wide in both
