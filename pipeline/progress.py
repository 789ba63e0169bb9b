"""Progress of long work: a bar where there is a terminal, a line now and then where not."""

import sys
import time

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from pipeline.terminal import plain_console, tell

LINE_SECONDS = 15.0  # between lines where there is no terminal


class Progress:
    """Counts what is done of a known total, and frames a second where there are frames.

    Use as a context manager. Writes to standard error, so that standard output stays for results.
    """

    def __init__(self, name: str, total: int, unit: str) -> None:
        self._name, self._total, self._unit = name, total, unit
        self._done = 0
        self._frames = 0
        self._started = self._said = time.monotonic()
        self._bar: Bar | None = None
        if sys.stderr is not None and sys.stderr.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(unit + "{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=plain_console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(name, total=total, rate="")

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, done: int = 1, frames: int = 0) -> None:
        """Count `done` more units, which took `frames` frames."""
        self._done += done
        self._frames += frames
        seconds = max(time.monotonic() - self._started, 1e-3)
        rate = f", {self._frames / seconds:.0f} frames/s" if self._frames else ""
        if self._bar:
            self._bar.update(self._task, advance=done, rate=rate)
        elif time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            left = seconds / max(self._done, 1) * (self._total - self._done)
            tell(f"{self._name}: {self._done}/{self._total} {self._unit}{rate}, {left:.0f} s left")

    def say(self, text: str) -> None:
        """Print a line without breaking the bar."""
        if self._bar:
            self._bar.console.print(text)
        else:
            tell(text)
