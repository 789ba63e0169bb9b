"""How long clips, windows and the time between frames are, by what a model's card says."""

import math
from dataclasses import replace

import numpy as np

from pipeline.frames.video import FALLBACK_FPS
from pipeline.head.model_card import Decoder, ModelCard
from pipeline.timeline.fit import COSTS, LEAST_SPREAD, WINDOWS
from pipeline.timeline.windows import STRIDES, check_windows

LONGER = 2.0  # times the longest training clip: the longest clip that is scored as a whole
LONGEST = 20.0  # seconds of a clip that a model of an earlier release scores as a whole


def longest_whole(card: ModelCard) -> float:
    """Seconds of the longest clip that is scored as a whole."""
    if card.several:
        return math.inf
    return LONGEST if card.longest is None else LONGER * card.longest


def decoder_of(
    card: ModelCard, times: np.ndarray | None = None, window: float | None = None
) -> Decoder:
    """How windows become spans, also by a model of an earlier release.

    Parameters
    ----------
    times : seconds of frames, which count where every frame is sampled
    window : seconds, instead of what training found best
    """
    decoder = card.decoder
    if decoder is None:
        typical = card.window * seconds_between(card, times)
        decoder = Decoder(WINDOWS[0] * typical, COSTS[0], typical, LEAST_SPREAD, card.temperature)
    return decoder if window is None else replace(decoder, window=window)


def windows_by(
    decoder: Decoder, window: float | None, stride: float | None
) -> tuple[float, float]:  # fmt: skip
    """Window and stride in seconds, with what is None filled in.

    Raises
    ------
    ClipcacheError
        When they make no sense.
    """
    window = decoder.window if window is None else window
    stride = window / STRIDES if stride is None else stride
    check_windows(window, stride)
    return window, stride


def seconds_between(card: ModelCard, times: np.ndarray | None = None) -> float:
    """Seconds between sampled frames; where every frame is sampled, between those at `times`."""
    if card.sampling["fps"]:
        return 1 / float(card.sampling["fps"])
    gaps = np.diff(times) if times is not None else np.empty(0)
    return float(np.median(gaps)) if len(gaps) else 1 / FALLBACK_FPS


def clip_length(timeline: np.ndarray) -> float:
    """Seconds from the first frame to the end of the last, which lasts as long as most others."""
    gaps = np.diff(timeline)
    last = float(np.median(gaps)) if len(gaps) else 1 / FALLBACK_FPS
    return float(timeline[-1] - timeline[0]) + last
