"""What an answer loses without each frame.

Occlusion (Zeiler and Fergus, 2014, https://arxiv.org/abs/1311.2901), in time instead of in the
picture: a frame's neighbours stand in for it, so that the clip keeps its length and its windows,
and the label's log-odds are compared. Unlike probabilities they still differ where the answer is
all but certain. It needs nothing but the head's output, so it works with every runtime.
"""

from collections.abc import Callable, Iterable

import numpy as np

from pipeline.head.inference import Views


def frame_effects(
    views: Views,
    logits: Callable[[Iterable[Views]], np.ndarray],
    label: int,
    temperature: float = 1.0,
    *,
    several: bool = False,
) -> np.ndarray:
    """By how much the log-odds of a label fall without each frame: (T,) float64.

    Negative where they rise; 0 for a clip of one frame.

    Parameters
    ----------
    views : reading -> the rows of the clip, (T, D) each; of all readings alike
    logits : of clips, (n, K)
    label : position among the K
    temperature : by which logits are divided
    several : whether several labels may hold, so that others do not count
    """
    frames = len(next(iter(views.values())))
    if frames < 2:
        return np.zeros(frames)
    without = (
        {view: _without(values, frame) for view, values in views.items()} for frame in range(frames)
    )
    odds = _own_log_odds if several else _log_odds
    return odds(logits([views]), label, temperature) - odds(logits(without), label, temperature)


def _without(values: np.ndarray, frame: int) -> np.ndarray:
    """The embeddings with the mean of its neighbours, or its only one, in a frame's place."""
    neighbours = [i for i in (frame - 1, frame + 1) if 0 <= i < len(values)]
    replaced = values.copy()
    replaced[frame] = values[neighbours].mean(axis=0, dtype=np.float32)
    return replaced


def _own_log_odds(logits: np.ndarray, label: int, temperature: float) -> np.ndarray:
    """The same where each label stands by itself."""
    return np.asarray(logits, np.float64)[:, label] / temperature


def _log_odds(logits: np.ndarray, label: int, temperature: float) -> np.ndarray:
    """log(p / (1 - p)) of one label: (n, K) -> (n,); exact where p is close to 1."""
    scaled = np.asarray(logits, np.float64) / temperature
    return scaled[:, label] - np.logaddexp.reduce(np.delete(scaled, label, axis=1), axis=1)
