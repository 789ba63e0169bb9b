"""The frames of a video without which its answer would have been less sure."""

from pathlib import Path

import cv2
import numpy as np

from pipeline.explaining.occlusion import frame_effects
from pipeline.frames.sampled import sampled_frames
from pipeline.frames.video import VideoReader
from pipeline.predict.prediction import Window
from pipeline.predict.predictor import Predictor
from pipeline.serve.answers import DecidingFrame

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
    first = _first_time(path)
    clip = predictor.embeddings(VideoReader(path), first + window.start, first + window.end)
    frames = clip.frames["identity"][:MOST_WEIGHED]
    shown = {name: rows[:MOST_WEIGHED] for name, rows in clip.embeddings.items()}
    losses = np.ones(1)
    if len(frames) > 1:
        losses = frame_effects(shown, predictor.logits_of, index)
    best = np.sort(np.argsort(-losses, kind="stable")[:SHOWN])
    weights = np.maximum(losses, 0) / max(losses.max(), TINY)
    chosen = set(frames[best].tolist())
    images = sampled_frames(VideoReader(path), None, SIDE, "stretch", named=chosen)
    return tuple(
        DecidingFrame(frame.seconds - first, float(weights[i]), thumbnail(frame.image))
        for i, frame in zip(best, images, strict=True)
    )


def _first_time(path: Path) -> float:
    """Seconds of the first frame, from which windows count."""
    reader = VideoReader(path)
    next(reader.frames(lambda index, seconds: True))
    return reader.timeline[0]


def thumbnail(picture: np.ndarray) -> bytes:
    """A BGR picture as a JPEG of at most `SIDE` pixels."""
    scale = min(1.0, SIDE / max(picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
