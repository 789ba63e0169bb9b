"""The answer drawn on a picture: a dark band with the label, its confidence and a note."""

import functools

import cv2
import numpy as np

from pipeline.lettering import opencv_font
from pipeline.predict.prediction import UNANSWERED

TEXT = 0.065  # height of the label's letters over the height of the picture
SMALLEST, LARGEST = 12, 72  # pixels, of the label's letters
NOTE = 0.6  # size of the note over that of the label
DARKNESS = 0.25  # what the band leaves of the picture's light: white text stays readable on snow
WHITE, GREY = (255, 255, 255), (190, 190, 190)  # BGR
WEIGHT = 600  # of the letters; 400 is regular, 700 bold
ELLIPSIS = "…"


def draw_answer(picture: np.ndarray, label: str, confidence: float, note: str = "") -> None:
    """Draw on `picture` itself, in its upper left corner.

    Labels may be in any script that OpenCV's built-in font or an installed one has. What is wider
    than the picture is drawn smaller, down to `SMALLEST` pixels, and then cut.

    Parameters
    ----------
    picture : (height, width, 3) uint8, BGR
    note : a second line, smaller
    """
    height, width = picture.shape[:2]
    font = _font(label)
    wanted = int(np.clip(round(TEXT * min(height, width)), SMALLEST, LARGEST))
    share = f"  {confidence:.0%}"
    size = wanted
    while size > SMALLEST and _width(font, label + share, size) > width - 2 * size:
        size -= 1
    while len(label) > 1 and _width(font, label + share, size) > width - 2 * size:
        label = label.removesuffix(ELLIPSIS)[:-1] + ELLIPSIS
    small = max(round(NOTE * size), SMALLEST - 2)
    lines = [(label + share, size, GREY if label in UNANSWERED else WHITE)]
    lines += [(note, small, GREY)] if note else []
    pad = max(size // 2, 4)
    box_height = pad + sum(round(1.4 * letters) for _, letters, _ in lines) + pad // 2
    box_width = max(_width(font, text, letters) for text, letters, _ in lines) + 2 * pad
    band = picture[:box_height, : min(box_width, width)]
    band[:] = (band * DARKNESS).astype(np.uint8)
    base = pad
    for text, letters, colour in lines:
        base += letters
        cv2.putText(picture, text, (pad, base), colour, font, letters, WEIGHT)
        base += round(0.4 * letters)


@functools.cache
def _font(label: str) -> "cv2.FontFace":
    return cv2.FontFace(str(opencv_font(label) or "sans"))


def _width(font: "cv2.FontFace", text: str, size: int) -> int:
    """Pixels from the first letter to the end of the last."""
    return int(cv2.getTextSize((0, 0), text, (0, 0), font, size, WEIGHT)[2])
