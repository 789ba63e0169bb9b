"""The frames of a video without which its answer would have been less sure."""

from pathlib import Path

import cv2
import numpy as np

from pipeline.explaining.occlusion import frame_effects
from pipeline.frames.sampled import sampled_frames
from pipeline.frames.video import Sampling, VideoReader
from pipeline.head.model_card import ModelCard
from pipeline.predict.prediction import Window
from pipeline.predict.predictor import Predictor
from pipeline.serve.answers import DecidingFrame
from pipeline.store.extractor_spec import ExtractorSpec

SHOWN = 6  # frames
MOST_WEIGHED = 64  # frames of the window; more would not fit into memory at any size
SIDE = 320  # pixels, the longer side of a shown frame
TINY = 1e-9  # log-odds; below, no frame matters
QUALITY = 85  # of JPEG, 0 to 100


def deciding_frames(
    predictor: Predictor, windows: tuple[Window, ...], label: str, path: Path
) -> tuple[DecidingFrame, ...]:
    """The frames that mattered most, in order of time.

    They are of the window that is surest of the answer.

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
    best = np.sort(np.argsort(-losses, kind="stable")[:SHOWN])
    weights = np.maximum(losses, 0) / max(losses.max(), TINY)
    return tuple(DecidingFrame(times[i], float(weights[i]), thumbnail(images[i])) for i in best)


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
    if len(images) == 1:
        return np.ones(1)
    embedded = [predictor.embed(image, bgr=True) for image in images]
    views = {view: np.stack([row[view] for row in embedded]) for view in embedded[0]}
    return frame_effects(views, predictor.logits_of, label)


def thumbnail(picture: np.ndarray) -> bytes:
    """A BGR picture as a JPEG of at most `SIDE` pixels."""
    scale = min(1.0, SIDE / max(picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
