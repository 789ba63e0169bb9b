"""Class names in pictures: which installed font has their letters, and short ones that differ.

Matplotlib's own font has Latin, Greek, Cyrillic and a few other scripts, OpenCV's those of most of
Europe, the Near East and East Asia. For the rest they draw boxes or question marks, unless they are
told which other font to look into.
"""

import functools
import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_NAME = 28  # letters, of a class name in a picture
HEAD = 10  # of them before the cut where names begin alike
ELLIPSIS = "…"
# First words of what Unicode calls a letter -> the Debian package of a font that has it.
PACKAGES = {"CJK": "fonts-noto-cjk", "HIRAGANA": "fonts-noto-cjk", "KATAKANA": "fonts-noto-cjk",
            "HANGUL": "fonts-noto-cjk", "FULLWIDTH": "fonts-noto-cjk"}  # fmt: skip
OTHERS, SYMBOLS = "fonts-noto-core", "fonts-symbola"
# First words of what Unicode calls the letters that OpenCV's built-in font has.
BUILT_IN = frozenset(
    ("LATIN", "GREEK", "CYRILLIC", "HEBREW", "ARABIC", "CJK", "HIRAGANA", "KATAKANA", "HANGUL")
)
MOST_NAMED = 12  # letters that no font has

logger = logging.getLogger("clipcache.plots")


def shorten(labels: Sequence[str]) -> list[str]:
    """Class names as short as a picture wants them; different ones stay different.

    Names that would look alike are cut in the middle, and numbered where that is not enough.
    """
    shown = {label: _cut(label, LONGEST_NAME, LONGEST_NAME - 1) for label in labels}
    for head in (HEAD, HEAD // 3):
        for label in _alike(shown):
            shown[label] = _cut(label, LONGEST_NAME, head)
    for number, label in enumerate(_alike(shown), 1):
        mark = f" {number}"
        shown[label] = _cut(label, LONGEST_NAME - len(mark), HEAD) + mark
    return [shown[label] for label in labels]


def _cut(label: str, length: int, head: int) -> str:
    """The first letters, and as many of the last as there is room for."""
    if len(label) <= length:
        return label
    tail = length - 1 - head
    return label[:head].rstrip() + ELLIPSIS + (label[-tail:].lstrip() if tail > 0 else "")


def _alike(shown: dict[str, str]) -> list[str]:
    """The names that are shown as another one is."""
    times: dict[str, int] = {}
    for text in shown.values():
        times[text] = times.get(text, 0) + 1
    return [label for label, text in shown.items() if times[text] > 1]


def choose_fonts(figure: "Figure") -> None:
    """Let a figure's texts fall back on installed fonts, where its own lacks letters of theirs.

    Letters that no font has are told once, with what to install.
    """
    from matplotlib.text import Text

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_ticklabels()  # the names of ticks are not there before somebody asks
    own = _letters_of(_own_font())
    for text in figure.findobj(Text):
        lacking = frozenset(
            letter for letter in text.get_text() if ord(letter) not in own and _is_drawn(letter)
        )
        if lacking:
            text.set_fontfamily([*text.get_fontfamily(), *_families(lacking)])


def opencv_font(text: str) -> Path | None:
    """The file of an installed font for a text that OpenCV's own cannot write; else None.

    Letters that no font has are told once, with what to install.
    """
    lacking = {letter for letter in text if letter.isalpha() and _script(letter) not in BUILT_IN}
    lacking |= {letter for letter in text if unicodedata.category(letter) == "So"}
    if not lacking:
        return None
    needed = {ord(letter) for letter in text if _is_drawn(letter)}
    for path in _font_files():
        if needed <= _letters_of(path):
            return path
    _tell_missing("".join(sorted(lacking)))
    return None


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _is_drawn(letter: str) -> bool:
    return unicodedata.category(letter)[0] != "C" and not letter.isspace()


@functools.cache
def _families(letters: frozenset[str]) -> tuple[str, ...]:
    """Names of the fonts that have these letters together, the one with most of them first."""
    from matplotlib import font_manager

    # It would say of every fallback in which weights the font does not come.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    wanted, chosen = {ord(letter) for letter in letters}, []
    files = {path: _letters_of(path) for path in _font_files()}
    while wanted and files:
        best = max(files, key=lambda path: len(files[path] & wanted))
        if not files[best] & wanted:
            break
        wanted -= files.pop(best)
        font_manager.fontManager.addfont(best)
        chosen.append(font_manager.get_font(best).family_name)
    if wanted:
        _tell_missing("".join(map(chr, sorted(wanted))))
    return tuple(chosen)


@functools.cache
def _tell_missing(letters: str) -> None:
    named = letters[:MOST_NAMED] + (ELLIPSIS if len(letters) > MOST_NAMED else "")
    packages = " and ".join(sorted({_package(letter) for letter in letters}))
    logger.warning(
        "No font on this machine has the letters %s, so pictures show boxes in their place: "
        "install one that has them, on Debian and Ubuntu by `apt install %s`.",
        named, packages,
    )  # fmt: skip


def _package(letter: str) -> str:
    if unicodedata.category(letter).startswith("S"):
        return SYMBOLS
    return PACKAGES.get(_script(letter), OTHERS)


@functools.cache
def _font_files() -> tuple[Path, ...]:
    """Installed fonts; asked for anew in each process, unlike matplotlib's own list."""
    from matplotlib import font_manager

    return tuple(Path(path) for path in sorted(font_manager.findSystemFonts()))


@functools.cache
def _own_font() -> Path:
    from matplotlib import font_manager

    return Path(font_manager.findfont("DejaVu Sans"))


@functools.cache
def _letters_of(path: Path) -> frozenset[int]:
    """The code points that a font has; none of one that matplotlib cannot draw with."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):  # bitmaps in colour, broken files
        return frozenset()
