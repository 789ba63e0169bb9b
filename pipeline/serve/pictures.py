"""Small pictures of a video: those that decided its answer, and some for whoever cannot play it."""

from pathlib import Path

import cv2
import numpy as np

from pipeline.explaining.occlusion import frame_effects
from pipeline.frames.sampled import sampled_frames
from pipeline.frames.video import Sampling, VideoReader
from pipeline.head.model_folder import ModelCard
from pipeline.predict.prediction import Window
from pipeline.predict.predictor import Predictor
from pipeline.serve.answers import DecidingPicture, Picture
from pipeline.store.extractor_spec import ExtractorSpec

SHOWN = 6  # frames
MOST_WEIGHED = 64  # frames of the window; more would not fit into memory at any size
SIDE = 320  # pixels, the longer side of a shown frame
DECIDES = 0.02  # of probability; a frame without which the answer is as sure decided nothing
TINY = 1e-12  # of probability, so that its odds are finite
QUALITY = 80  # of JPEG, 0 to 100
MOST_KEPT = 48  # pictures of a preview
PREVIEW_SECONDS = 0.2  # at least, from one of them to the next


class Preview:
    """Pictures evenly through a video, of which nobody knows beforehand how long it is.

    When there are too many, every other one goes, and from then on they are twice as far apart.
    """

    def __init__(self) -> None:
        self._kept: list[Picture] = []
        self._apart = PREVIEW_SECONDS

    def note(self, seconds: float, picture: np.ndarray) -> None:
        """The next frame, BGR, and its time from the first."""
        if self._kept and seconds - self._kept[-1].seconds < self._apart - 1e-6:
            return
        self._kept.append(Picture(seconds, thumbnail(picture)))
        if len(self._kept) > MOST_KEPT:
            self._kept = self._kept[::2]
            self._apart *= 2

    def pictures(self) -> tuple[Picture, ...]:
        """What there is of it."""
        return tuple(self._kept)


def deciding_frames(
    predictor: Predictor, windows: tuple[Window, ...], label: str, path: Path
) -> tuple[DecidingPicture, ...]:
    """The frames without which the answer would have been less sure, in order of time.

    They are of the window that is surest of it; none where no single frame makes a difference,
    which is the rule for an action that lasts.

    Parameters
    ----------
    windows : of the clip
    label : the answer for the whole clip
    path : the video
    """
    index = predictor.labels.index(label)
    window = max(windows, key=lambda window: window.probabilities[index])
    times, images = _sampled(predictor.card, path, window)
    losses = _losses(predictor, images, index)
    share = float(np.clip(window.probabilities[index], TINY, 1 - TINY))
    without = 1 / (1 + np.exp(losses - np.log(share / (1 - share))))
    most = np.argsort(without, kind="stable")[:SHOWN]
    return tuple(
        DecidingPicture(times[i], thumbnail(images[i]), share, float(without[i]))
        for i in sorted(most)
        if without[i] <= share - DECIDES
    )


def _sampled(card: ModelCard, path: Path, window: Window) -> tuple[list[float], list[np.ndarray]]:
    """Times from the first frame, and BGR pictures, of what the model saw of the window."""
    reader, sampling = VideoReader(path), Sampling(card.sampling["fps"])
    extractor = ExtractorSpec(**card.extractor)
    times: list[float] = []
    images: list[np.ndarray] = []
    for frame in sampled_frames(reader, sampling, extractor.input_size, extractor.resize):
        elapsed = frame.seconds - reader.timeline[0]
        if elapsed < window.start - 1e-6:
            continue
        if elapsed >= window.end and images:
            break
        times.append(elapsed)
        images.append(frame.image)
        if len(images) == MOST_WEIGHED:
            break
    return times, images


def _losses(predictor: Predictor, images: list[np.ndarray], label: int) -> np.ndarray:
    """(T,) float64: what the log-odds of a label lose without each frame."""
    embedded = [predictor.embed(image, bgr=True) for image in images]
    views = {view: np.stack([row[view] for row in embedded]) for view in embedded[0]}
    return frame_effects(views, predictor.logits_of, label, predictor.card.temperature)


def thumbnail(picture: np.ndarray) -> bytes:
    """A BGR picture as a JPEG of at most `SIDE` pixels."""
    scale = min(1.0, SIDE / max(picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
