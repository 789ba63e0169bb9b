"""What is shown on a terminal: file names and labels come from anybody, and may hold anything.

Whatever is printed goes through here, so that a name is seen as it is: never as markup of Rich,
never as an order to the terminal, never as letters that turn the rest of the line around.
"""

import json
import logging
import sys
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

# Control characters, those that order letters anew, unpaired surrogates, other ends of a line.
UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
JOINERS = frozenset("\u200c\u200d")  # parts of words in many scripts, and of emoji


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


def say(text: object = "", file: TextIO | None = None) -> None:
    """Print lines of text, to standard output unless another stream is named."""
    print(printable(str(text), keep="\n\t"), file=file or sys.stdout, flush=True)


def say_json(value: Any, indent: int | None = None) -> None:
    """Print JSON; what `printable` would escape is escaped as JSON does."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(
            json.dumps(character)[1:-1]
            if character not in "\n" and printable(character) != character
            else character
            for character in text
        )
    print(text, flush=True)


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
        say(record.getMessage(), sys.stderr)
