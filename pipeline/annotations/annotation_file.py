"""A file of annotations as it lies there, what comes of reading it, and where it is broken."""

import contextlib
import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.annotations.stretch import Stretch
from pipeline.csv_tables import SEPARATORS
from pipeline.errors import DatasetError
from pipeline.wording import count, some

RateOf = Callable[[str], float]  # a video's name -> its frames a second
Rows = list[tuple[int, list[str]]]  # the number of a line, and its cells


@dataclass(frozen=True)
class Annotations:
    """What a file says.

    Attributes
    ----------
    stretches : all of it, point events among them
    notes : sentences on what is not a stretch, and on what could not be used
    """

    stretches: tuple[Stretch, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A format that is read.

    Attributes
    ----------
    name : as people know it
    recognises : whether a file is of it, told by what is in it
    read : what the file says; the rate is asked for where it counts frames and tells none
    """

    name: str
    recognises: Callable[["AnnotationFile"], bool]
    read: Callable[["AnnotationFile", RateOf], Annotations]


@dataclass(frozen=True)
class AnnotationFile:
    """A file of annotations of any format.

    Attributes
    ----------
    path : where it lies
    text : all of it
    """

    path: Path
    text: str

    @cached_property
    def json(self) -> Any:
        """The JSON in it; None where it is none.

        Raises
        ------
        DatasetError
            When it begins like JSON and is broken.
        """
        if not self.text.lstrip().startswith(("{", "[")):
            return None
        try:
            return json.loads(self.text)
        except json.JSONDecodeError as error:
            raise self.broken(f"line {error.lineno}", f"no valid JSON ({error.msg})") from None
        except ValueError as error:  # a number of thousands of digits
            raise self.broken("a number", str(error)) from None
        except RecursionError:
            raise DatasetError(f"{self.path} is nested too deeply for an annotation.") from None

    @cached_property
    def rows(self) -> Rows:
        """The rows of a table whose cells , or ; or a tab separates; empty ones are left out."""
        first = self.text.lstrip("\r\n").partition("\n")[0]
        lines = csv.reader(
            io.StringIO(self.text, newline=""), delimiter=max(SEPARATORS, key=first.count)
        )
        rows: Rows = []
        begins = 1
        try:
            for cells in lines:
                if any(cell.strip() for cell in cells):
                    rows.append((begins, cells))
                begins = lines.line_num + 1
        except csv.Error as error:
            raise self.broken(f"line {begins}", str(error)) from None
        return rows

    @contextlib.contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Whatever is wrong in the block is said with its place in the file.

        Raises
        ------
        DatasetError
        """
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise self.broken(place, reason) from None

    def broken(self, place: str, reason: str) -> DatasetError:
        """The sentence on what is wrong at a place."""
        return DatasetError(f"{self.path}, {place}: {reason}; mend it, or export it again.")


def seconds_of(value: object) -> float:
    """Seconds of a number, or of a text such as "62.5", "62,5" or "0:01:02.500".

    Raises
    ------
    ValueError
        When it is neither.
    """
    text = str(value).strip().replace(",", ".")
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    total = sum(part * 60**place for place, part in enumerate(reversed(parts)))
    if isinstance(value, bool) or not 1 <= len(parts) <= 3 or not math.isfinite(total):
        raise ValueError(f"{value!r} is no time")
    return total


def number_of(value: object, what: str) -> float:
    """A finite number.

    Raises
    ------
    ValueError
        When it is none.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no {what}")
    return number


def rate_of(value: object) -> float:
    """Frames a second.

    Raises
    ------
    ValueError
        When it is no number above 0.
    """
    if (rate := number_of(value, "frame rate")) <= 0:
        raise ValueError(f"{value!r} is no frame rate")
    return rate


def point_notes(stretches: Iterable[Stretch]) -> list[str]:
    """A sentence on the point events among them, if there are any."""
    points = Counter(stretch.label for stretch in stretches if stretch.is_point)
    if not points:
        return []
    labels = some([f"{label} ({number:,})" for label, number in points.most_common()])
    return [f"{count(points.total(), 'point event')} without a length: {labels}."]
