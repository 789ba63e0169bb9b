"""When an action starts and when it ends, told while a camera runs.

Windows are decoded like those of a file (`pipeline.timeline.decoder`), again with every window, and
what is decoded counts once it lies `lag` back (fixed-lag decoding): by then what came after it has
had its say, and nothing that was told is taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.head.held_out import FALSE_ALARMS
from pipeline.head.model_card import Decoder
from pipeline.predict.prediction import NONE, TIME_DIGITS
from pipeline.timeline.decoder import decode
from pipeline.timeline.spans import LEAST, Window

LAG = 0.5  # of a typical stretch, that what is told lies back
EARLY = 1e-9  # seconds
RULED_OUT = -1e6  # nats
DIGITS = 4  # of a confidence
START, END = "start", "end"


@dataclass(frozen=True)
class Event:
    """An action starts or ends.

    Attributes
    ----------
    kind : "start" or "end"
    label : of the action
    seconds : from the first frame
    started : where it ends, when it began
    confidence : where it ends, the mean probability of the label while it lasted
    """

    kind: str
    label: str
    seconds: float
    started: float | None = None
    confidence: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The event as JSON-ready values."""
        values: dict[str, Any] = {
            "event": self.kind,
            "label": self.label,
            "time": round(self.seconds, TIME_DIGITS),
        }
        if self.started is not None and self.confidence is not None:
            values["started"] = round(self.started, TIME_DIGITS)
            values["confidence"] = round(self.confidence, DIGITS)
        return values


@dataclass(frozen=True)
class _Section:
    """The time for which a window speaks, and its probabilities, (K + 1,) with that of none."""

    start: float
    end: float
    chances: np.ndarray
    weight: float

    @property
    def evidence(self) -> np.ndarray:
        return self.weight * np.log(np.maximum(self.chances, LEAST))


class ActionEvents:
    """Makes events of the windows of a stream, one after the other.

    Time that looks like none of the labels, or has one of `silent`, lies between actions: it is
    decoded like a label of its own, and not told.

    Parameters
    ----------
    labels : in the order of a window's probabilities
    decoder : of the model
    false_alarms : share of windows with a known label that may look like none of them
    silent : labels that are no action, such as the background
    """

    def __init__(
        self,
        labels: Sequence[str],
        decoder: Decoder,
        false_alarms: float = FALSE_ALARMS,
        silent: Sequence[str] = (),
    ) -> None:
        self._labels = (*labels, NONE)
        self._silent = {NONE, *silent}
        self._decoder = decoder
        self._none = min(max(false_alarms, LEAST), 0.5)
        self.lag = LAG * decoder.typical
        self._begin()

    def _begin(self) -> None:
        self._sections: list[_Section] = []  # from the start of the stretch that goes on
        self._told = 0  # of them, whose label was told
        self._newest: Window | None = None
        self._edge = 0.0  # where the time of the newest window begins
        self._label, self._since = NONE, 0.0
        self._sum = 0.0  # of the label's probability over its time

    def delay(self, window: float, gap: float) -> float:
        """Seconds from what happens to the window that tells it, at most.

        Parameters
        ----------
        window, gap : seconds of a window, and between windows
        """
        return self.lag + window / 2 + 2 * gap

    def add(self, window: Window) -> list[Event]:
        """Take the next window; the events that are certain now, in order."""
        told: list[Event] = []
        before = self._newest
        if before is not None and window.start >= before.end:  # the stream was lost for long
            told, before = self.end(), None
        if before is None:
            self._edge = window.start
        else:
            self._close(before, (_middle(before) + _middle(window)) / 2)
        self._newest = window
        return [*told, *self._tell(self._edge - self.lag)]

    def end(self) -> list[Event]:
        """The events that were not certain yet, now that there is nothing more to come."""
        if self._newest is None:
            return []
        self._close(self._newest, self._newest.end)
        told = [*self._tell(self._edge, going_on=False), *self._ended(self._edge)]
        self._begin()
        return told

    def _close(self, window: Window, end: float) -> None:
        """The window speaks for the time up to `end`."""
        if end <= self._edge:
            return
        none = 1 - self._none if window.label == NONE else self._none
        chances = np.append((1 - none) * window.probabilities, none)
        weight = min((end - self._edge) / max(window.end - window.start, end - self._edge), 1)
        self._sections.append(_Section(self._edge, end, chances, weight))
        self._edge = end

    def _tell(self, until: float, *, going_on: bool = True) -> list[Event]:
        """The events of the time up to `until`; what no later decision needs is forgotten."""
        ready = sum(section.end <= until + EARLY for section in self._sections)
        told: list[Event] = []
        if ready <= self._told:
            return told
        # What goes on now is not short yet: it may go on for as long as anything does.
        after = self._edge + self._decoder.typical * going_on
        evidence = np.zeros((len(self._sections) + going_on, len(self._labels)))
        evidence[: len(self._sections)] = [section.evidence for section in self._sections]
        others = np.arange(len(self._labels)) != self._labels.index(self._label)
        evidence[: self._told, others] = RULED_OUT
        edges = [self._sections[0].start, *(one.end for one in self._sections), after]
        found = decode(evidence, np.array(edges[: len(evidence) + 1]), self._decoder)
        first = 0
        for place in range(self._told, ready):
            section, label = self._sections[place], self._labels[found[place]]
            if label != self._label:
                told += self._ended(section.start)
                self._label, self._since, first = label, section.start, place
                if label not in self._silent:
                    told.append(Event(START, label, section.start))
            self._sum += float(section.chances[found[place]]) * (section.end - section.start)
        # A stretch of the typical length is long enough: how much longer it is does not matter.
        long = until - self._decoder.typical
        first = max(first, sum(section.end <= long for section in self._sections[:ready]))
        first = min(first, ready - 1)
        self._sections, self._told = self._sections[first:], ready - first
        return told

    def _ended(self, seconds: float) -> list[Event]:
        """The end of the stretch that goes on, if it is told."""
        label, started, total = self._label, self._since, self._sum
        self._label, self._sum = NONE, 0.0
        if label in self._silent:
            return []
        confidence = total / max(seconds - started, EARLY)
        return [Event(END, label, seconds, started, confidence)]


def _middle(window: Window) -> float:
    return (window.start + window.end) / 2
