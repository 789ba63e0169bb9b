"""The frames of a video without which its answer would have been less sure."""

from pathlib import Path

import numpy as np

from pipeline.explaining.occlusion import frame_effects
from pipeline.frames.sampled import sampled_frames
from pipeline.frames.video import Sampling, VideoReader
from pipeline.head.model_folder import ModelCard
from pipeline.predict.prediction import Window
from pipeline.predict.predictor import Predictor
from pipeline.serve.answers import DecidingPicture
from pipeline.serve.pictures import thumbnail
from pipeline.store.extractor_spec import ExtractorSpec

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
    times, images = _sampled(predictor.card, path, window)
    losses = _losses(predictor, images, index)
    best = np.sort(np.argsort(-losses, kind="stable")[:SHOWN])
    share = float(np.clip(window.probabilities[index], TINY, 1 - TINY))
    without = 1 / (1 + np.exp(losses - np.log(share / (1 - share))))
    return tuple(
        DecidingPicture(times[i], thumbnail(images[i]), share, float(without[i]))
        for i in best
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
