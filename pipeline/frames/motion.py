"""What the streams `flow` and `difference` see of a moment: two frames, one before and one after.

Between two takes there is no motion: where the frame before lies behind a cut, the frame itself
stands for it, and the same after.
"""

import cv2
import numpy as np

from pipeline.frames.flow import DIMENSION, flow_field, flow_statistics
from pipeline.frames.neighbours import SIZE, Moment, SmallPicture
from pipeline.frames.views import apply_view

FLOW_DISTANCE = 0.05  # seconds before and after
DIFFERENCE_DISTANCE = 0.1
DIFFERENCE_GAIN = 2  # few things move by half the range of grey
# A cut: the frames on either side of it differ by this many grey levels on average, and by this
# many times more than the frame does from its neighbour on the other side.
CUT_LEVELS = 30.0
CUT_RATIO = 3.0


def flow_of(moment: Moment) -> np.ndarray:
    """Flow statistics of a moment: (384,) float32; zeros where there is no other frame."""
    compared = _compared(moment)
    return flow_statistics(*compared) if compared else np.zeros(DIMENSION, np.float32)


def flow_field_of(moment: Moment) -> np.ndarray:
    """The dense flow behind `flow_of`, to be drawn: (160, 160, 2) float32, widths a second."""
    compared = _compared(moment)
    return flow_field(*compared) if compared else np.zeros((SIZE, SIZE, 2), np.float32)


def difference_of(moment: Moment, view: str) -> np.ndarray:
    """By how much each pixel changes: (160, 160, 3) uint8, RGB; black where nothing does."""
    before, after = _same_take(*moment.around(DIFFERENCE_DISTANCE), moment.here)
    change = cv2.absdiff(apply_view(after.picture, view), apply_view(before.picture, view))
    return cv2.convertScaleAbs(change, alpha=DIFFERENCE_GAIN)


def _compared(moment: Moment) -> tuple[np.ndarray, np.ndarray, float] | None:
    """What flow is computed from: two grey pictures, and the seconds between them."""
    before, after = _same_take(*moment.around(FLOW_DISTANCE), moment.here)
    if before is after:
        return None
    return _grey(before.picture), _grey(after.picture), after.seconds - before.seconds


def _same_take(
    before: SmallPicture, after: SmallPicture, here: SmallPicture
) -> tuple[SmallPicture, SmallPicture]:
    """The two frames, with the one in the middle for one that lies behind a cut."""
    if before is here or after is here:
        return before, after
    back, forth = _change(before, here), _change(here, after)
    if back > CUT_LEVELS and back > CUT_RATIO * forth:
        before = here
    if forth > CUT_LEVELS and forth > CUT_RATIO * back:
        after = here
    return before, after


def _change(one: SmallPicture, other: SmallPicture) -> float:
    """Mean absolute difference, in grey levels."""
    return float(cv2.norm(one.picture, other.picture, cv2.NORM_L1)) / one.picture.size


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
