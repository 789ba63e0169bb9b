"""Pictures as data URIs, so that a page needs no file beside it."""

import base64
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import ClipError
from pipeline.frames.sources import Source
from pipeline.frames.thumbnails import thumbnails

THUMBNAIL = 112  # pixels, side of a frame in a strip
GAP = 3  # pixels between frames
STRIP_QUALITY = 78  # of JPEG, 0 to 100
SHEET_WIDTHS = (1640, 1240, 960, 720)  # pixels; the widest that fits its share of bytes is taken
SHEET_QUALITIES = (82, 55)  # of JPEG, tried at each width


def sheet_uri(path: Path, limit: int) -> str | None:
    """A contact sheet, made smaller until its JPEG has at most `limit` bytes.

    Returns
    -------
    None where there is no such picture; the smallest version where none fits
    """
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        return None
    data = b""
    for width in SHEET_WIDTHS:
        scaled = image
        if width < image.shape[1]:
            height = max(1, round(image.shape[0] * width / image.shape[1]))
            scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        for quality in SHEET_QUALITIES:
            data = _jpeg(scaled, quality)
            if len(data) <= limit:
                return _uri(data)
    return _uri(data)


def strip_uri(source: Source, seconds: np.ndarray, rule: str) -> str | None:
    """Some frames of a clip side by side, as the CNN sees them but smaller.

    Parameters
    ----------
    source, seconds, rule : see `pipeline.frames.thumbnails`

    Returns
    -------
    None where a file is not there or cannot be read
    """
    try:
        pictures = thumbnails(source, seconds, THUMBNAIL, rule)
    except (ClipError, OSError):
        return None
    if not pictures:
        return None
    gap = np.full((THUMBNAIL, GAP, 3), 128, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture[:, :, ::-1])]
    return _uri(_jpeg(np.hstack(parts[1:]), STRIP_QUALITY))


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    encoded, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not encoded:
        raise OSError("OpenCV could not encode a JPEG")
    return data.tobytes()


def _uri(data: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
