"""Times as people read them."""

import numpy as np
import pytest

from pipeline.predict.clock import clock, short_clock, ticks


@pytest.mark.parametrize("seconds", [0.04, 0.9, 6.1, 59, 95, 4000, 100_000])
def test_an_axis_of_time_has_round_and_few_marks(seconds: float) -> None:
    marks = ticks(seconds, 6)
    assert marks[0] == 0
    assert 1 <= len(marks) <= 7
    assert marks[-1] <= seconds + 0.05
    assert len(set(np.diff(marks).round(6))) <= 1


def test_times_are_said_as_people_read_them() -> None:
    assert [clock(0), clock(75.26), clock(3723.4)] == ["0:00.0", "1:15.3", "1:02:03.4"]
    assert [short_clock(time) for time in (0, 0.5, 30, 90, 3600)] == [
        "0", "0.5", "30", "1:30", "1:00:00"
    ]  # fmt: skip
