"""What a model says of all of a clip, and how it is told."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.csv_tables import listed
from pipeline.timeline.spans import NONE, UNSURE, Span, Window

__all__ = ["NONE", "UNSURE", "Prediction", "Span", "Window"]

UNANSWERED = (NONE, UNSURE)

SCHEMA = 1  # of what `as_dict` gives; see pipeline.predict.contract
DIGITS = 6  # of a probability as it is told
ROUNDING = 1e-9  # of a sum of shares
TIME_DIGITS = 3  # of seconds
SURE = 0.6  # probability; below, there is a word of warning
CLOSE = 0.15  # between the two most probable labels


@dataclass(frozen=True)
class Prediction:
    """What a model says of one clip.

    Attributes
    ----------
    file : as it was named; empty for frames from memory
    labels : of all classes, most probable first
    probabilities : (K,) float64, of `labels`; they sum to 1, but where several labels may hold. Of
        a video that is longer than what the model learnt from, the shares of its time; what is
        missing from 1 is "none of these"
    frames : frames that were embedded, in each view
    seconds : length of the clip
    windows : what is said of each stretch of the clip, in order; they overlap
    threshold : below it the answer is "unsure"
    clock : where the time went, in seconds: "decode", "resize", "embed", "head"
    spans : what happens when; empty without windows
    is_long : whether it is longer than what the model learnt from
    familiarity : share of clips of known labels that are as odd or odder; None for a long video,
        and where the model cannot tell
    false_alarms : familiarity up to which the answer is "none of these"
    level : of the set of labels; None where none was asked for, and for a long video
    possible : the labels that hold the truth in this share of clips, most probable first
    holding : where several labels may hold, those that do, most probable first; None where one does
    """

    file: str
    labels: tuple[str, ...]
    probabilities: np.ndarray
    frames: int
    seconds: float
    windows: tuple[Window, ...] = ()
    threshold: float = 0.0
    clock: dict[str, float] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()
    is_long: bool = False
    familiarity: float | None = None
    false_alarms: float = 0.0
    level: float | None = None
    possible: tuple[str, ...] = ()
    holding: tuple[str, ...] | None = None

    @property
    def label(self) -> str:
        """The most probable label, or "unsure" where its probability is below the threshold.

        "none of these" where the clip is too odd to show any of them. Of a long video what takes
        most of its time. Where several labels may hold, those that do, sorted, with | between.
        """
        if self.holding is not None:
            return listed(sorted(self.holding)) or NONE
        if self.familiarity is not None and self.familiarity <= self.false_alarms:
            return NONE
        if not self.is_long:
            return self.labels[0] if self.confidence >= self.threshold else UNSURE
        held: dict[str, float] = {}
        for span in self.spans:
            held[span.label] = held.get(span.label, 0.0) + span.end - span.start
        return max(held, key=lambda label: held[label])

    @property
    def confidence(self) -> float:
        """The probability of the most probable label."""
        return float(self.probabilities[0])

    def top(self, count: int) -> list[tuple[str, float]]:
        """The `count` most probable labels, with probabilities."""
        pairs = zip(self.labels, self.probabilities.tolist(), strict=True)
        return list(pairs)[:count]

    def shares(self, count: int) -> list[tuple[str, float]]:
        """Of a long video the `count` labels that take most of its time, with their shares; among
        them "none of these" where it takes some."""
        none = 1 - float(self.probabilities.sum())
        there = [(label, share) for label, share in self.top(len(self.labels)) if share]
        there += [(NONE, none)] if none > ROUNDING else []
        return sorted(there, key=lambda one: -one[1])[:count]

    def timeline(self) -> list[Span]:
        """The clip as spans, each of one label; where no frame is shown for long, there is none."""
        return list(self.spans)

    def doubts(self) -> list[str]:
        """Sentences on why the answer may be wrong; none where nothing speaks against it."""
        said = []
        (first, share), *others = self.top(2)
        if self.holding is not None:
            if not self.holding:
                said.append(
                    f"No label holds: {first} comes nearest, with a probability of {share:.0%}."
                )
        elif self.is_long:
            said.append(
                "It is longer than the clips that the model learnt from, and several things may "
                "happen in it: the numbers are shares of its time."
            )
        elif self.label == NONE:
            said.append(
                f"It looks like none of the {len(self.labels)} labels: {first} comes nearest, but "
                f"at most {self.familiarity:.1%} of clips of known labels look as odd."
            )
        elif self.label == UNSURE:
            said.append(
                f"The model is unsure: its best guess, {first}, has {share:.0%}, below the "
                f"{self.threshold:.0%} that are asked for."
            )
        elif others and share - others[0][1] < CLOSE:
            said.append(
                f"The model wavers between {first} ({share:.0%}) and {others[0][0]} "
                f"({others[0][1]:.0%})."
            )
        elif share < SURE:
            said.append(f"The model is unsure: it gives {first} no more than {share:.0%}.")
        if self.frames == 1:
            said.append(
                "A single picture shows no motion: a video of a few seconds tells the model more."
            )
        return said

    def as_dict(self, top: int = 5) -> dict[str, Any]:
        """The answer as `clipcache predict --json` and the server tell it, JSON-ready.

        `pipeline.predict.contract` says what is in it; `timeline` and `windows` are there where it
        has windows.

        Parameters
        ----------
        top : labels in its "top"
        """
        values: dict[str, Any] = {
            "schema": SCHEMA,
            "file": self.file,
            "action": self.label,
            "confidence": round(self.confidence, DIGITS),
            "top": [{"label": label, "confidence": round(p, DIGITS)} for label, p in self.top(top)],
            "seconds": round(self.seconds, TIME_DIGITS),
            "frames": self.frames,
            "doubts": self.doubts(),
        }
        if self.holding is not None:
            chances = dict(zip(self.labels, self.probabilities.tolist(), strict=True))
            values["labels"] = [
                {"label": label, "confidence": round(chances[label], DIGITS)}
                for label in self.holding
            ]
        if self.familiarity is not None:
            values["familiarity"] = round(self.familiarity, DIGITS)
        if self.level is not None:
            values["set"] = {"level": self.level, "labels": list(self.possible)}
        if self.is_long:
            values["shares"] = {
                label: round(share, DIGITS) for label, share in self.shares(len(self.labels) + 1)
            }
        if self.windows:
            values["timeline"] = [_part(span) for span in self.timeline()]
            values["windows"] = [_part(window) for window in self.windows]
        return values


def timeline(prediction: Prediction) -> list[Span]:
    """The clip as spans, each of one label; where no frame is shown for long, there is none."""
    return prediction.timeline()


def _part(part: Span | Window) -> dict[str, Any]:
    return {
        "start": round(part.start, TIME_DIGITS),
        "end": round(part.end, TIME_DIGITS),
        "label": part.label,
        "confidence": round(part.confidence, DIGITS),
    }
