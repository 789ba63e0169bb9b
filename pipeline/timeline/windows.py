"""Overlapping windows over a long video, whose rows come by while it is read, and are forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.errors import ClipcacheError
from pipeline.head.inference import Head
from pipeline.head.sliding import sliding_contributions
from pipeline.head.streams import Clip

MOST_WINDOWS = 1_000_000  # of one clip: more than two days at a usual four a second
STRIDES = 4  # from one window to the next, where nobody says otherwise: a quarter of a window
ROWS_AT_ONCE = 1024  # rows that are looked at together; some 10 MB
EARLY = 1e-6  # seconds by which a frame may come before the window whose first one it is


@dataclass(frozen=True)
class Windows:
    """What a head says of a stretch of a video in which frames come one after the other.

    Attributes
    ----------
    start, end : of the stretch, in seconds from the first frame of the video
    places : (n, 2) float64, start and end of the windows, in the same seconds
    contributions : (n, B, K) float32, what each branch adds to the logits
    """

    start: float
    end: float
    places: np.ndarray
    contributions: np.ndarray

    @cached_property
    def logits(self) -> np.ndarray:
        """(n, K) float32."""
        return self.contributions.sum(axis=1)

    @property
    def edges(self) -> np.ndarray:
        """Where the time for which each window speaks begins and the last one's ends: (n + 1,).

        Where windows overlap, each speaks for the time that is nearest to its middle.
        """
        middles = self.places.mean(axis=1)
        return np.concatenate([[self.start], (middles[1:] + middles[:-1]) / 2, [self.end]])

    def mean(self, first: int, stop: int) -> np.ndarray:
        """What each branch adds to the logits in the time of some windows that follow each other:
        (B, K) float64.
        """
        seconds = np.diff(self.edges[first : stop + 1])
        return np.average(self.contributions[first:stop], axis=0, weights=seconds)


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


class WindowedHead:
    """A head that looks at windows of a video while its rows come in.

    One window begins every `stride` seconds, and the last one ends with the video; a video no
    longer than a window is one window. Where no frame comes for a whole window, the video is two
    stretches with nothing between them. No more rows are kept than the next windows need.

    Parameters
    ----------
    window, stride : seconds

    Raises
    ------
    ClipcacheError
        When they make no sense; see `check_windows`.
    """

    def __init__(self, head: Head, window: float, stride: float | None = None) -> None:
        self._window, self._stride = window, window / STRIDES if stride is None else stride
        check_windows(self._window, self._stride)
        self._head = head
        self._done: list[Windows] = []
        self._gaps: list[float] = []  # between rows, of the first ones
        self._begin(0.0)

    def _begin(self, start: float) -> None:
        self._start, self._placed = start, 0
        self._waiting: list[tuple[np.ndarray, Clip]] = []
        self._times = np.zeros(0)
        self._rows: dict[str, np.ndarray] = {}
        self._places: list[tuple[float, float]] = []
        self._contributions: list[np.ndarray] = []

    def add(self, times: np.ndarray, rows: Clip) -> None:
        """Take the next rows.

        Parameters
        ----------
        times : (n,) seconds from the video's first frame
        rows : reading -> (n, D)
        """
        if not len(times):
            return
        last = self._last()
        gaps = np.diff(times, prepend=times[0] if last is None else last)
        usual = self._usual(gaps if last is not None else gaps[1:])
        breaks = np.flatnonzero(gaps > max(self._window, 2 * usual)).tolist()
        for begin, stop in zip([0, *breaks], [*breaks, len(times)], strict=True):
            if begin in breaks:
                self._finish(float(times[begin] - gaps[begin] + usual))
                self._begin(float(times[begin]))
            if stop > begin:
                part = {name: values[begin:stop] for name, values in rows.items()}
                self._waiting.append((times[begin:stop], part))
        if sum(len(times) for times, _ in self._waiting) >= ROWS_AT_ONCE:
            self._look(float(times[-1]), last=False)

    def end(self, length: float) -> list[Windows]:
        """The windows of all stretches, now that there are no more rows.

        Parameters
        ----------
        length : seconds of the video
        """
        self._finish(length)
        return self._done

    def _usual(self, gaps: np.ndarray) -> float:
        """Seconds between most rows."""
        if len(self._gaps) < ROWS_AT_ONCE:
            self._gaps += gaps.tolist()
        return float(np.median(self._gaps)) if self._gaps else 0.0

    def _last(self) -> float | None:
        """The time of the newest row of this stretch."""
        times = self._waiting[-1][0] if self._waiting else self._times
        return float(times[-1]) if len(times) else None

    def _finish(self, end: float) -> None:
        self._look(end, last=True)
        if self._places:
            self._done.append(
                Windows(
                    self._start, end, np.array(self._places), np.concatenate(self._contributions)
                )
            )

    def _look(self, end: float, *, last: bool) -> None:
        """Look at the windows that end before `end`, and with `last` at the one that ends there."""
        waiting = [(self._times, self._rows), *self._waiting]
        self._waiting = []
        self._times = np.concatenate([times for times, _ in waiting])
        if not len(self._times):
            return
        self._rows = {
            name: np.concatenate([rows[name] for _, rows in waiting if rows])
            for name in waiting[-1][1]
        }
        length = end - self._start
        regular = max(int(np.ceil((length - self._window) / self._stride - 1e-9)), 0)
        if self._placed + regular > MOST_WINDOWS:
            raise ClipcacheError(
                f"Windows every {self._stride:g} s over {length:.0f} s are more than "
                f"{MOST_WINDOWS:,}: take a longer stride."
            )
        starts = self._start + np.arange(self._placed, regular) * self._stride
        places = [(start, start + self._window) for start in starts.tolist()]
        if last:
            places.append((max(end - self._window, self._start), end))
        self._placed = max(self._placed, regular)
        if places:
            first, stop = np.searchsorted(self._times + EARLY, np.transpose(places))
            stop = np.maximum(stop, 1)
            first = np.minimum(first, stop - 1)  # without a frame it shows the frame before it
            self._places += places
            self._contributions.append(sliding_contributions(self._head, self._rows, first, stop))
        following = self._start + self._placed * self._stride
        keep = max(min(int(np.searchsorted(self._times + EARLY, following)),
                       int(np.searchsorted(self._times, end - self._window))) - 1, 0)  # fmt: skip
        self._times = self._times[keep:]
        self._rows = {name: values[keep:].copy() for name, values in self._rows.items()}


def windows_of(
    head: Head,
    parts: Iterable[tuple[np.ndarray, Clip]],
    length: float,
    window: float,
    stride: float | None = None,
) -> list[Windows]:
    """The windows of a video whose rows are there, as times (n,) and reading -> (n, D)."""
    windowed = WindowedHead(head, window, stride)
    for times, rows in parts:
        windowed.add(times, rows)
    return windowed.end(length)
