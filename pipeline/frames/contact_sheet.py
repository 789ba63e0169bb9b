"""Rows of small pictures and lines of text, all equally wide, from which a sheet is stacked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.lettering import opencv_font

THUMBNAIL = 160  # pixels, side of a small picture
GAP = 4  # pixels, to the right of each of them
LINE = 26  # pixels, height of a line of text
BASE = 19  # pixels, from the top of a line to the foot of its letters
LETTERS, TITLE = 0.42, 0.6  # sizes of text, as OpenCV scales its font
PIXELS, WEIGHT = 32, 400  # of letters of size 1, and of a font that is installed
PAPER, INK, FAINT = (255, 255, 255), (40, 40, 40), (110, 110, 110)  # RGB


def strip(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures side by side: (`THUMBNAIL`, columns * (`THUMBNAIL` + `GAP`), 3) uint8.

    Parameters
    ----------
    pictures : (size, size, 3) uint8 RGB, at most as many as columns
    """
    row = _paper(THUMBNAIL, columns)
    for column, picture in enumerate(pictures):
        left = column * (THUMBNAIL + GAP)
        row[:, left : left + THUMBNAIL] = cv2.resize(
            picture, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA
        )
    return row


def line(
    texts: Mapping[int, str],
    columns: int,
    colour: tuple[int, ...] = FAINT,
    letters: float = LETTERS,
) -> np.ndarray:
    """A line of text: (`LINE`, columns * (`THUMBNAIL` + `GAP`), 3) uint8.

    Parameters
    ----------
    texts : column at which a text begins -> the text
    """
    row = _paper(LINE, columns)
    for column, text in texts.items():
        place = (column * (THUMBNAIL + GAP) + 4, BASE)
        if font := opencv_font(text):
            size = round(letters * PIXELS)
            cv2.putText(row, text, place, colour, cv2.FontFace(str(font)), size, WEIGHT)
        else:
            cv2.putText(row, text, place, cv2.FONT_HERSHEY_SIMPLEX, letters, colour, 1, cv2.LINE_AA)
    return row


def gap(columns: int) -> np.ndarray:
    """An empty line as high as the pictures lie apart."""
    return _paper(GAP, columns)


def write_picture(path: Path, picture: np.ndarray, quality: int | None = None) -> None:
    """Write an RGB picture in the format of the file's name.

    Parameters
    ----------
    quality : of a JPEG, 0 to 100

    Raises
    ------
    OSError
        When it cannot be encoded or written.
    """
    settings = [] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, quality]
    encoded, data = cv2.imencode(path.suffix, picture[:, :, ::-1], settings)
    if not encoded:
        raise OSError(f"OpenCV could not encode {path.name}")
    path.write_bytes(data.tobytes())


def _paper(height: int, columns: int) -> np.ndarray:
    return np.full((height, columns * (THUMBNAIL + GAP), 3), PAPER, np.uint8)
