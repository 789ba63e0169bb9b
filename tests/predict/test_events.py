"""Windows as a stream gives them, and the events that come of them."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from pipeline.head.model_card import Decoder
from pipeline.predict.events import ActionEvents, Event
from pipeline.predict.prediction import NONE
from pipeline.timeline.spans import Window

LABELS = ("walk", "wave", "background")
DECODER = Decoder(window=2.0, cost=0.5, typical=3.0, spread=0.5)
GAP, LENGTH = 0.125, 2.0
SURE = 0.9


def windows(said: Iterable[tuple[str, float]], start: float = 0.0) -> Iterator[Window]:
    """A window for every frame; its label is what happens in its middle."""
    script = [label for label, seconds in said for _ in range(round(seconds / GAP))]
    for number in range(len(script)):
        time = start + number * GAP
        begin = max(time - LENGTH, start)
        label = script[int(((begin + time) / 2 - start) / GAP)]
        chances = np.full(len(LABELS), (1 - SURE) / (len(LABELS) - 1))
        if label == NONE:
            chances[:] = 1 / len(LABELS)
        else:
            chances[LABELS.index(label)] = SURE
        yield Window(begin, time, chances, label, float(chances.max()))


def told(actions: ActionEvents, said: Iterable[Window]) -> list[tuple[Event, float]]:
    """Events with the time at which they were told."""
    found, last = [], 0.0
    for window in said:
        found += [(event, window.end) for event in actions.add(window)]
        last = window.end
    return [*found, *((event, last) for event in actions.end())]


def test_an_action_is_told_when_it_starts_and_when_it_ends_and_not_late() -> None:
    actions = ActionEvents(LABELS, DECODER, silent=("background",))
    script = [("background", 3), ("walk", 5), (NONE, 3), ("wave", 4), ("walk", 5)]
    found = told(actions, windows(script))
    assert [(event.kind, event.label) for event, _ in found] == [
        ("start", "walk"), ("end", "walk"), ("start", "wave"), ("end", "wave"),
        ("start", "walk"), ("end", "walk"),
    ]  # fmt: skip
    times = [event.seconds for event, _ in found]
    np.testing.assert_allclose(times[:5], [3, 8, 11, 15, 15], atol=2 * GAP)
    for event, when in found[:5]:
        assert when - event.seconds <= actions.delay(LENGTH, GAP) + 1e-6
    ended = found[1][0]
    assert (ended.started, ended.as_dict()["started"]) == (times[0], round(times[0], 3))
    assert ended.confidence == pytest.approx(SURE * 0.95, abs=0.03)


def test_a_moment_of_another_label_is_no_event() -> None:
    actions = ActionEvents(LABELS, DECODER)
    found = told(actions, windows([("walk", 4), ("wave", 0.4), ("walk", 4)]))
    assert [(event.kind, event.label) for event, _ in found] == [("start", "walk"), ("end", "walk")]


def test_a_stream_that_was_lost_ends_what_went_on() -> None:
    actions = ActionEvents(LABELS, DECODER)
    both = [*windows([("walk", 6)]), *windows([("walk", 6)], start=60)]
    found = told(actions, both)
    assert [event.kind for event, _ in found] == ["start", "end", "start", "end"]
    assert found[1][0].seconds < 7
    assert found[2][0].seconds == 60


def test_hours_of_one_action_take_no_more_memory_than_seconds() -> None:
    actions = ActionEvents(LABELS, DECODER)
    for window in windows([("walk", 600)]):
        actions.add(window)
        assert len(actions._sections) <= 2 * (DECODER.typical + actions.lag) / GAP
    (event,) = actions.end()
    assert (event.kind, event.started) == ("end", 0)
    assert event.confidence == pytest.approx(SURE * 0.95, abs=0.01)
