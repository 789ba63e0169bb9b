"""Times as people read them, and the round ones that an axis of time shows."""

import math

STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)  # seconds


def clock(seconds: float) -> str:
    """Seconds as "1:02:03.4", without hours where there are none."""
    minutes, rest = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{rest / 10:04.1f}"


def short_clock(seconds: float) -> str:
    """A round number of seconds as "0.5", "30", "1:30" or "1:00:00"."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours}:{minutes:02d}:{int(rest):02d}"
    return f"{minutes}:{int(rest):02d}" if minutes else f"{rest:g}"


def ticks(seconds: float, most: int) -> list[float]:
    """Round times from 0 to `seconds`, evenly apart, at most about `most` of them."""
    hours = 3600 * math.ceil(seconds / most / 3600)
    step = next((step for step in STEPS if seconds / step <= most), hours)
    return [round(i * step, 1) for i in range(int(seconds / step + 1e-9) + 1)]
