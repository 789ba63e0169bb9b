"""What is shown on a terminal: file names and labels come from anybody, and may hold anything.

Whatever is printed goes through here, so that a name is seen as it is: never as markup of Rich,
never as an order to the terminal, never as letters that turn the rest of the line around.
"""

import contextlib
import io
import json
import logging
import os
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

# Control characters, those that order letters anew, unpaired surrogates, other ends of a line.
UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
JOINERS = frozenset("\u200c\u200d")  # parts of words in many scripts, and of emoji


def open_streams() -> None:
    """See to it that all may be printed, before anything else is done.

    A standard stream that is closed, as programs with windows, services and `>&-` leave it, leads
    nowhere: else the next file that is opened would take its number. A letter that the encoding of
    a stream lacks is printed as an escape.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest free number
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str, keep: str = "") -> str:
    """The text with what a terminal would obey, or nobody would see, as escapes such as \\x1b.

    Parameters
    ----------
    keep : control characters that are meant
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character in keep
        or character in JOINERS
        or unicodedata.category(character) not in UNSEEN
        else ascii(character)[1:-1]
        for character in text
    )


def say(text: object = "") -> None:
    """Print lines of text to standard output."""
    print(printable(str(text), keep="\n\t"), flush=True)


def tell(text: object) -> None:
    """Print lines of text to standard error, where results are not; nothing where it is lost."""
    with contextlib.suppress(OSError):  # full or closed: there is nobody to tell
        if sys.stderr is not None:
            print(printable(str(text), keep="\n\t"), file=sys.stderr, flush=True)


def say_json(value: Any, indent: int | None = None) -> None:
    """Print JSON in ASCII, which every terminal and every program reads."""
    print(json.dumps(value, indent=indent).replace("\x7f", "\\u007f"), flush=True)


def plain_console(*, stderr: bool = False) -> "Console":
    """A console of Rich that shows texts as they are: no markup, no names of emoji, no colours of
    its own, and nothing that the terminal would obey."""
    from rich.console import Console

    class PlainConsole(Console):
        def render_str(self, text: str, **settings: Any) -> "Text":
            """All texts that are no `Text` come by here: lines, titles, cells."""
            return super().render_str(printable(text, keep="\n\t"), **settings)

    return PlainConsole(stderr=stderr, markup=False, emoji=False, highlight=False)


def show_table(table: "Table") -> None:
    """Print a table to standard output."""
    plain_console().print(table)


def cells(values: Sequence[object]) -> list[str]:
    """Values as the cells of one row, in which a name stays on its line."""
    return [printable(str(value)) for value in values]


class TerminalHandler(logging.Handler):
    """Says on standard error what the code below the commands logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        tell(record.getMessage())
