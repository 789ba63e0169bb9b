"""The frames of a video without which its answer would have been less sure."""

from pathlib import Path

import numpy as np

from pipeline.explaining.occlusion import frame_effects
from pipeline.frames.sampled import sampled_frames
from pipeline.frames.video import VideoReader
from pipeline.predict.prediction import Window
from pipeline.predict.predictor import Predictor
from pipeline.serve.answers import DecidingPicture
from pipeline.serve.pictures import SIDE, thumbnail

SHOWN = 6  # frames
MOST_WEIGHED = 64  # frames of the window; more would not fit into memory at any size
DECIDES = 0.02  # of probability; a frame without which the answer is as sure decided nothing
TINY = 1e-12  # of probability, so that its odds are finite


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
    first = _first_time(path)
    clip = predictor.embeddings(VideoReader(path), first + window.start, first + window.end)
    frames = clip.frames["identity"][:MOST_WEIGHED]
    shown = {name: rows[:MOST_WEIGHED] for name, rows in clip.embeddings.items()}
    losses = np.ones(1)
    if len(frames) > 1:
        losses = frame_effects(shown, predictor.logits_of, index)
    best = np.sort(np.argsort(-losses, kind="stable")[:SHOWN])
    share = float(np.clip(window.probabilities[index], TINY, 1 - TINY))
    without = 1 / (1 + np.exp(losses - np.log(share / (1 - share))))
    best = best[without[best] <= share - DECIDES]
    images = (
        sampled_frames(VideoReader(path), None, SIDE, "stretch", named=set(frames[best].tolist()))
        if len(best)
        else ()
    )
    return tuple(
        DecidingPicture(frame.seconds - first, thumbnail(frame.image), share, float(without[i]))
        for i, frame in zip(best, images, strict=True)
    )


def _first_time(path: Path) -> float:
    """Seconds of the first frame, from which windows count."""
    reader = VideoReader(path)
    next(reader.frames(lambda index, seconds: True))
    return reader.timeline[0]
