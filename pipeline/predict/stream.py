"""An endless clip, of which the newest window is classified."""

from collections import deque
from typing import Protocol

import numpy as np

from pipeline.embedding.clip_embedding import ClipEmbedder
from pipeline.frames.sampled import SampledFrame
from pipeline.frames.video import RateSampler, Sampling
from pipeline.head.inference import Views as Clip
from pipeline.head.model_card import ModelCard
from pipeline.predict.arrays import as_bgr
from pipeline.timeline.spans import Window


class Model(Protocol):
    """What a stream needs of `pipeline.predict.predictor.Predictor`."""

    card: ModelCard

    def embedder(self) -> ClipEmbedder: ...
    def frame(
        self, index: int, seconds: float, picture: np.ndarray, picked: bool
    ) -> SampledFrame: ...  # fmt: skip
    def contributions(self, clip: Clip) -> np.ndarray: ...
    def familiarity(self, contributions: np.ndarray) -> float | None: ...
    def judge(
        self, start: float, end: float, logits: np.ndarray, familiarity: float | None = None
    ) -> Window: ...  # fmt: skip
    def window_seconds(self, times: np.ndarray | None = None) -> float: ...


class Stream:
    """The newest frames of an endless clip.

    A frame is embedded when its time comes by the model's sampling; then the window of the newest
    embeddings is classified. A model that sees motion answers for a frame once the frame 0.1 s
    after it has come. What is said of successive windows is smoothed exponentially: a window counts
    for 1 - exp(-t / `smoothing`) when it comes t seconds after the one before; without smoothing
    each window stands alone. After a gap longer than a window the stream begins anew.

    Parameters
    ----------
    smoothing : seconds, 0 for none

    Attributes
    ----------
    embedded : frames that were embedded, each counted once
    """

    def __init__(self, predictor: Model, smoothing: float = 0.0) -> None:
        self.embedded = 0
        self._predictor = predictor
        self._smoothing = smoothing
        self._begin()

    def _begin(self) -> None:
        predictor = self._predictor
        self._sampler = RateSampler(Sampling(predictor.card.sampling["fps"]))
        self._embedder = predictor.embedder()
        self._seen = 0
        self._last: float | None = None  # seconds of the newest sampled frame
        self._times: dict[int, float] = {}  # of sampled frames that are not embedded yet
        self._rows: deque[tuple[float, dict[str, np.ndarray]]] = deque(maxlen=predictor.card.window)
        self._contributions: np.ndarray | None = None

    def add(self, picture: np.ndarray, seconds: float, *, bgr: bool = False) -> Window | None:
        """Take the next frame; the answer for the newest window, None where there is no new one.

        Parameters
        ----------
        picture : (height, width, 3) uint8 RGB; BGR, as OpenCV gives it, with `bgr`
        seconds : its time, later than that of the frame before
        """
        if self._last is not None and seconds - self._last > self._predictor.window_seconds():
            self._begin()
        index, self._seen = self._seen, self._seen + 1
        picked = self._sampler(index, seconds)
        if picked:
            self._last = self._times[index] = seconds
        self._embedder.add(
            self._predictor.frame(index, seconds, picture if bgr else as_bgr(picture), picked)
        )
        return self._answer()

    def end(self) -> Window | None:
        """The answer for what still waited for frames that do not come."""
        self._embedder.end()
        return self._answer()

    def _answer(self) -> Window | None:
        self._embedder.flush()
        window = None
        for index, row in self._embedder.finished():
            seconds = self._times.pop(index)
            before = self._rows[-1][0] if self._rows else seconds
            self._rows.append((seconds, row))
            self.embedded += 1
            added = self._predictor.contributions(
                {name: np.stack([row[name] for _, row in self._rows]) for name in row}
            )
            if self._contributions is not None and self._smoothing > 0:
                kept = float(np.exp(-(seconds - before) / self._smoothing))
                added = kept * self._contributions + (1 - kept) * added
            self._contributions = added
            full = len(self._rows) * 2 > self._predictor.card.window  # what is less is odd anyway
            familiarity = self._predictor.familiarity(added) if full else None
            start = self._rows[0][0]
            window = self._predictor.judge(start, seconds, added.sum(axis=0), familiarity)
        return window
