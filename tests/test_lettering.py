"""Names in pictures: in the letters that they have, short, and different where they differ."""

import functools
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline import lettering
from pipeline.evaluation.plots import new_figure, save_png, style
from pipeline.frames.contact_sheet import line
from pipeline.lettering import LONGEST_NAME, opencv_font, shorten
from pipeline.predict import overlay
from pipeline.predict.overlay import draw_answer

LONG = [
    "Moving something and something away from each other",
    "Moving something and something closer to each other",
    "Moving something and something so they collide with each other",
    "Moving something and something so they pass each other",
    "Moving something up",
]


def make_font(path: Path, name: str, letters: str) -> None:
    """A font in which every letter is a filled square of its own size."""
    builder = FontBuilder(1000, isTTF=True)
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for number in range(len(letters)):
        pen, side = TTGlyphPen(None), 300 + 100 * (number % 6)
        pen.moveTo((0, 0))
        for corner in ((0, side), (side, side), (side, 0)):
            pen.lineTo(corner)
        pen.closePath()
        glyphs[f"letter{number}"] = pen.glyph()
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({ord(letter): f"letter{i}" for i, letter in enumerate(letters)})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800)
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def fonts(tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """A folder of fonts that stands for all that are installed."""
    folder = tmp_path / "fonts"
    folder.mkdir()
    forget()
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(map(str, folder.iterdir())))
    known = list(font_manager.fontManager.ttflist)
    yield folder
    font_manager.fontManager.ttflist = known
    forget()


def forget() -> None:
    for value in vars(lettering).values():
        if isinstance(value, functools._lru_cache_wrapper):
            value.cache_clear()


def drawn(labels: list[str], path: Path) -> Figure:
    """A picture with the labels at its ticks and in its title."""
    with style():
        figure, axes = new_figure(3, 2)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_title(labels[0])
    save_png(figure, path)
    return figure


def families(figure: Figure, label: str) -> list[str]:
    (family,) = {
        tuple(text.get_fontfamily()) for text in figure.findobj(Text) if text.get_text() == label
    }
    return list(family)


def test_letters_come_from_whichever_installed_font_has_them(fonts, tmp_path, caplog) -> None:
    make_font(fonts / "one.ttf", "One", "走る跳ぶ")
    make_font(fonts / "two.ttf", "Two", "दौड़ना")
    (fonts / "broken.ttf").write_bytes(b"no font")
    figure = drawn(["走る", "跳ぶ", "दौड़ना", "run"], tmp_path / "picture.png")
    assert families(figure, "走る")[1:] == families(figure, "跳ぶ")[1:] == ["One"]
    assert families(figure, "दौड़ना")[1:] == ["Two"]
    assert families(figure, "run") == ["sans-serif"]
    assert not caplog.records
    other = drawn(["走る", "跳び", "दौड़ना", "run"], tmp_path / "other.png")
    assert families(other, "跳び")[1:] == ["One"]
    assert (tmp_path / "other.png").read_bytes() != (tmp_path / "picture.png").read_bytes()


def test_letters_that_no_font_has_are_told_once(fonts, tmp_path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        for name in ("a.png", "b.png"):
            drawn(["走る", "วิ่ง", "🦖"], tmp_path / name)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(set(said)) == 3
    text = " ".join(said)
    assert "走" in text
    assert all(f"apt install {name}" in text
               for name in ("fonts-noto-cjk", "fonts-noto-core", "fonts-symbola"))  # fmt: skip


def test_opencv_gets_a_font_for_what_its_own_lacks(fonts, caplog) -> None:
    make_font(fonts / "one.ttf", "One", "दौड़ना abc…%0123456789")
    assert opencv_font("दौड़ना  12%") == fonts / "one.ttf"
    for text in ("walk  12%", "走る", "Ходьба", "naïve", "مشي", "", "¯\\_"):
        assert opencv_font(text) is None
    assert not caplog.records
    assert opencv_font("วิ่ง  12%") is None
    assert "fonts-noto-core" in caplog.text


def test_rendered_labels_and_contact_sheets_use_it(fonts) -> None:
    label = "दौड़ना"

    def pictures() -> tuple[np.ndarray, np.ndarray]:
        picture = np.full((240, 320, 3), 128, np.uint8)
        draw_answer(picture, label, 0.9)
        return picture, line({0: label}, 4)

    before = pictures()
    forget()
    make_font(fonts / "one.ttf", "One", f"{label} …%0123456789")
    overlay._font.cache_clear()
    for one, other in zip(before, pictures(), strict=True):
        assert (one != other).any()


def test_short_names_stay_as_they_are() -> None:
    assert shorten(["walk", "run", "walk"]) == ["walk", "run", "walk"]


def test_long_names_stay_different_and_fit() -> None:
    shown = shorten(LONG)
    assert len(set(shown)) == len(LONG)
    assert max(map(len, shown)) <= LONGEST_NAME
    assert shown[-1] == "Moving something up"
    assert shorten([LONG[0]]) == ["Moving something and someth…"]
    alike = [f"{'a' * 40}{middle}{'b' * 40}" for middle in "xyz"]
    assert len(set(shorten(alike))) == 3
    assert max(map(len, shorten(alike))) <= LONGEST_NAME
