"""A long clip as windows: where they are, and what happens when."""

import numpy as np

from pipeline.errors import ClipcacheError
from pipeline.predict.prediction import Prediction
from pipeline.predict.spans import Span

MOST_WINDOWS = 200_000  # of one clip: more than two days at the usual second between windows


def check_windows(window: float, stride: float) -> None:
    """Refuse windows that make no sense.

    Raises
    ------
    ClipcacheError
        When window or stride is not above 0, or the stride would leave gaps.
    """
    if not (np.isfinite([window, stride]).all() and window > 0 and stride > 0):
        raise ClipcacheError(
            f"Windows of {window:g} s every {stride:g} s make no sense: both must be above 0."
        )
    if stride > window:
        raise ClipcacheError(
            f"Windows of {window:g} s every {stride:g} s would leave gaps: take a stride of at "
            "most the window."
        )


def place_windows(length: float, window: float, stride: float) -> list[tuple[float, float]]:
    """Start and end of the windows that cover a clip, in seconds.

    One begins every `stride` seconds; the last ends with the clip. A clip no longer than a window
    is one window, which ends with the clip.

    Parameters
    ----------
    length, window, stride : seconds

    Raises
    ------
    ClipcacheError
        When window or stride is not above 0, when the stride would leave gaps, or when there would
        be absurdly many windows.
    """
    check_windows(window, stride)
    if length / stride > MOST_WINDOWS:
        raise ClipcacheError(
            f"Windows every {stride:g} s over {length:.0f} s are more than {MOST_WINDOWS:,}: take "
            "a longer stride."
        )
    if length <= window:
        return [(0.0, length)]
    count = int(np.ceil((length - window) / stride - 1e-9))  # before the last one
    places = [(i * stride, i * stride + window) for i in range(count)]
    return [*places, (length - window, length)]


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


def timeline(prediction: Prediction) -> list[Span]:
    """The clip as spans, each of one label; where no frame is shown for long, there is none.

    Where windows overlap, each speaks for the time that is nearest to its middle.
    """
    return prediction.timeline()
