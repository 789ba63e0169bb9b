"""What a head says of a clip while its rows come by: of the whole, of its windows, or of both."""

from collections.abc import Callable, Iterable
from time import perf_counter

import numpy as np

from pipeline.embedding.clip_embedding import ClipEmbedder
from pipeline.frames.sampled import SampledFrame
from pipeline.frames.video import FrameReader
from pipeline.head.inference import Head
from pipeline.head.streams import Clip
from pipeline.timeline.windows import WindowedHead, Windows

ROWS_TOGETHER = 256  # that go to the head at once


class WatchedClip:
    """A clip whose length shows only when it is over.

    One no longer than `longest` is a clip like those that were learnt from, and is scored as a
    whole. Of a longer one only its windows are, and its rows are forgotten.

    Parameters
    ----------
    longest : seconds
    wanted : whether windows are wanted of a short clip too
    """

    def __init__(self, head: Head, windowed: WindowedHead, longest: float, wanted: bool) -> None:
        self._head, self._windowed = head, windowed
        self._longest, self._wanted = longest, wanted
        self._kept: list[tuple[np.ndarray, np.ndarray, Clip]] = []
        self.rows = 0
        self.is_long = False

    def add(self, indices: np.ndarray, times: np.ndarray, rows: Clip) -> None:
        """Take the next rows: frames (n,), their seconds (n,), and reading -> (n, D)."""
        if not len(times):
            return
        self.rows += len(times)
        if not self.is_long:
            self._kept.append((indices, times, rows))
            self.is_long = bool(times[-1] > self._longest)
            if self.is_long and not self._wanted:
                for _, known, those in self._kept:
                    self._windowed.add(known, those)
            elif self._wanted:
                self._windowed.add(times, rows)
            if self.is_long:
                self._kept.clear()
        else:
            self._windowed.add(times, rows)

    def end(self, length: float) -> list[Windows]:
        """The windows, where there are any."""
        return self._windowed.end(length) if self.is_long or self._wanted else []

    def whole(self, sampled: np.ndarray) -> tuple[int, np.ndarray]:
        """Of a short clip the number of rows that are scored, and what each branch adds to the
        logits of the whole, (B, K).

        Parameters
        ----------
        sampled : indices of the frames that the model's sampling takes
        """
        chosen = np.isin(np.concatenate([indices for indices, _, _ in self._kept]), sampled)
        rows = {
            name: np.concatenate([rows[name] for _, _, rows in self._kept])[chosen]
            for name in self._kept[0][2]
        }
        return int(chosen.sum()), self._head.contributions([rows])[0]


def watch(
    reader: FrameReader,
    frames: Iterable[SampledFrame],
    embedder: ClipEmbedder,
    begin: Callable[[np.ndarray], WatchedClip],
) -> tuple[WatchedClip, float]:
    """Embed all frames of a clip, and show their rows to the head as they come.

    Parameters
    ----------
    frames : of the reader
    begin : called once, with the seconds (n,) of the first rows

    Returns
    -------
    the clip, whose end has still to be told, and the seconds that the head took
    """
    waiting: list[tuple[int, dict[str, np.ndarray]]] = []
    clip: WatchedClip | None = None
    spent = 0.0

    def show(least: int) -> None:
        nonlocal clip, spent
        waiting.extend(embedder.finished())
        if not waiting or len(waiting) < least:
            return
        started = perf_counter()
        indices = np.array([index for index, _ in waiting])
        times = np.array([reader.timeline[i] for i in indices]) - reader.timeline[0]
        rows = {name: np.stack([row[name] for _, row in waiting]) for name in waiting[0][1]}
        waiting.clear()
        clip = clip or begin(times)
        clip.add(indices, times, rows)
        spent += perf_counter() - started

    for frame in frames:
        embedder.add(frame)
        show(ROWS_TOGETHER)
    embedder.end()
    show(1)
    assert clip is not None  # a clip without a frame was refused
    return clip, spent
