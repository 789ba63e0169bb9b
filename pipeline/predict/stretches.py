"""The parts of a clip that frames show: between them is nothing, and nothing is said of it."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.predict.prediction import Window

TOUCHING = 1e-6  # seconds; what lies closer together adjoins


def shown_stretches(times: np.ndarray, window: float) -> list[tuple[float, float]]:
    """Start and end of the stretches of a clip between which no frame comes for a whole window.

    The last frame of each is shown for as long as most others.

    Parameters
    ----------
    times : (T,) float64, seconds of all frames of the clip, increasing
    window : seconds
    """
    gaps = np.diff(times)
    usual = float(np.median(gaps)) if len(gaps) else 0.0
    ends = np.flatnonzero(gaps > max(window, 2 * usual))
    starts = [0, *(int(end) + 1 for end in ends)]
    return [
        (float(times[start]), float(times[end]) + usual)
        for start, end in zip(starts, [*map(int, ends), len(times) - 1], strict=True)
    ]


def unbroken(windows: Sequence[Window]) -> Iterator[list[Window]]:
    """Windows in order, in runs without a gap between one and the next."""
    run: list[Window] = []
    for window in windows:
        if run and window.start > run[-1].end + TOUCHING:
            yield run
            run = []
        run.append(window)
    if run:
        yield run
