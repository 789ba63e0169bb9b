"""An endless clip: the newest window is classified, and each frame passes the CNN once."""

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from pipeline.timeline.spans import Window
from pipeline.video import RateSampler, Sampling

if TYPE_CHECKING:
    from pipeline.predict import Predictor


class Stream:
    """The newest frames of an endless clip.

    A frame is embedded when its time comes by the model's sampling; then the window of the newest
    `steps` embeddings is classified. The logits of successive windows are smoothed exponentially:
    a window's logits count for 1 - exp(-t / `smoothing`) when it comes t seconds after the one
    before; without smoothing each window stands alone. After a gap longer than a window the stream
    begins anew.

    Parameters
    ----------
    smoothing : seconds, 0 for none

    Attributes
    ----------
    embedded : frames that passed the CNN, in each view
    """

    def __init__(self, predictor: "Predictor", smoothing: float = 0.0) -> None:
        self.embedded = 0
        self._predictor = predictor
        self._smoothing = smoothing
        self._sampler = RateSampler(Sampling(predictor.card.sampling["fps"]))
        self._seen = 0
        self._rows: deque[tuple[float, dict[str, np.ndarray]]]
        self._rows = deque(maxlen=predictor.card.windowing.steps)
        self._logits: np.ndarray | None = None

    def add(self, picture: np.ndarray, seconds: float) -> Window | None:
        """Take the next frame; the answer for the newest window, None for a frame not sampled.

        Parameters
        ----------
        picture : (height, width, 3) uint8 BGR
        seconds : its time, later than that of the frame before
        """
        index, self._seen = self._seen, self._seen + 1
        if not self._sampler(index, seconds):
            return None
        last = self._rows[-1][0] if self._rows else seconds
        if seconds - last > self._predictor.window_seconds():
            self._rows.clear()
            self._logits = None
        self._rows.append((seconds, self._predictor.embed(picture)))
        self.embedded += 1
        views = self._predictor.card.views
        logits = self._predictor.logits(
            {view: np.stack([row[view] for _, row in self._rows]) for view in views}
        )
        if self._logits is not None and self._smoothing > 0:
            kept = float(np.exp(-(seconds - last) / self._smoothing))
            logits = kept * self._logits + (1 - kept) * logits
        self._logits = logits
        return self._predictor.judge(self._rows[0][0], seconds, logits)
