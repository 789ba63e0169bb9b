"""Views: the same pixel transform over every frame of a clip, embedded and cached beside it.

A cache rules out fresh pixel augmentation in training; a handful of fixed views brings most of it
back at a known price: each view costs one more pass of the CNN, once.
"""

from collections.abc import Callable

import cv2
import numpy as np

Transform = Callable[[np.ndarray], np.ndarray]

ROTATION = 8.0  # degrees
ZOOM = 0.8  # side of the crop over the side of the picture
BRIGHTNESS = 1.35  # factor on every pixel, and its inverse
CONTRAST = 1.4  # factor on the distance from mid grey, and its inverse
MID_GREY = 127.5
MOVED = ("rotate_left", "rotate_right", "zoom")  # views in which OpenCV interpolates pixels


def _affine(image: np.ndarray, degrees: float, scale: float) -> np.ndarray:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def _linear(image: np.ndarray, factor: float, pivot: float) -> np.ndarray:
    levels = (np.arange(256) - pivot) * factor + pivot
    return cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8))


VIEWS: dict[str, Transform] = {
    "identity": lambda image: image,
    "hflip": lambda image: cv2.flip(image, 1),
    "rotate_left": lambda image: _affine(image, ROTATION, 1.0),
    "rotate_right": lambda image: _affine(image, -ROTATION, 1.0),
    "zoom": lambda image: _affine(image, 0.0, 1 / ZOOM),
    "bright": lambda image: _linear(image, BRIGHTNESS, 0.0),
    "dark": lambda image: _linear(image, 1 / BRIGHTNESS, 0.0),
    "contrast_up": lambda image: _linear(image, CONTRAST, MID_GREY),
    "contrast_down": lambda image: _linear(image, 1 / CONTRAST, MID_GREY),
}


def apply_view(image: np.ndarray, view: str) -> np.ndarray:
    """The picture as `view` sees it.

    Parameters
    ----------
    image : (size, size, 3) uint8
    view : a name in `VIEWS`

    Returns
    -------
    (size, size, 3) uint8, contiguous
    """
    return VIEWS[view](image)
