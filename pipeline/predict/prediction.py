"""What a model says: of a stretch of a clip, of a span of it, of all of it."""

from dataclasses import dataclass, field

import numpy as np

UNSURE = "unsure"  # the answer where no label is probable enough


@dataclass(frozen=True)
class Window:
    """What a model says of one stretch of a clip.

    Attributes
    ----------
    start, end : seconds from the clip's first frame
    probabilities : (K,) float64, in the order of the model's labels; they sum to 1
    label : the most probable one, "unsure" where its probability is below the threshold
    confidence : the probability of the most probable label
    """

    start: float
    end: float
    probabilities: np.ndarray
    label: str
    confidence: float


@dataclass(frozen=True)
class Span:
    """Adjoining windows of one label.

    Attributes
    ----------
    start, end : seconds from the clip's first frame; the spans of a clip leave a gap
        only where no frame is shown
    label : may be "unsure"
    confidence : mean of the windows' confidence
    """

    start: float
    end: float
    label: str
    confidence: float


@dataclass(frozen=True)
class Prediction:
    """What a model says of one clip.

    Attributes
    ----------
    file : as it was named; empty for frames from memory
    labels : of all classes, most probable first
    probabilities : (K,) float64, of `labels`; they sum to 1
    frames : frames that were embedded, in each view
    seconds : length of the clip
    windows : what is said of each stretch of the clip, in order; they overlap
    threshold : below it the answer is "unsure"
    clock : where the time went, in seconds: "decode", "resize", "embed", "head"
    """

    file: str
    labels: tuple[str, ...]
    probabilities: np.ndarray
    frames: int
    seconds: float
    windows: tuple[Window, ...] = ()
    threshold: float = 0.0
    clock: dict[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The most probable label, or "unsure" where its probability is below the threshold."""
        return self.labels[0] if self.confidence >= self.threshold else UNSURE

    @property
    def confidence(self) -> float:
        """The probability of the most probable label."""
        return float(self.probabilities[0])

    def top(self, count: int) -> list[tuple[str, float]]:
        """The `count` most probable labels, with probabilities."""
        pairs = zip(self.labels, self.probabilities.tolist(), strict=True)
        return list(pairs)[:count]
