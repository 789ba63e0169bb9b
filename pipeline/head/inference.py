"""A head over clips of any length: windows, views, and the mean of their logits."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.head.sequences import Embeddings, Windowing, even_windows, take

if TYPE_CHECKING:
    import keras

WINDOWS_PER_CALL = 64

Forward = Callable[[np.ndarray, np.ndarray], np.ndarray]
Views = Mapping[str, np.ndarray]  # view -> (T, D) embeddings of one clip


def forward_function(model: "keras.Model") -> Forward:
    """A compiled function (values (B, T, D), mask (B, T)) -> logits (B, K) of the model as it is.

    Weights that change later are seen by the function.
    """
    import tensorflow as tf

    def logits_of(values: Any, mask: Any) -> Any:
        return model([values, mask], training=False)

    run = tf.function(logits_of, autograph=False, reduce_retracing=True)

    def forward(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        # one shape for all calls: one compilation, and no dependence on the batch's size
        count, missing = len(values), WINDOWS_PER_CALL - len(values)
        if missing > 0:
            values = np.concatenate([values, np.repeat(values[:1], missing, axis=0)])
            mask = np.concatenate([mask, np.repeat(mask[:1], missing, axis=0)])
        return run(tf.constant(values), tf.constant(mask)).numpy()[:count]

    return forward


def clip_logits(
    forward: Forward, clips: Iterable[Views], windowing: Windowing, classes: int
) -> np.ndarray:
    """The logits of clips, averaged over windows and views: (n, K) float32.

    Reads one batch of windows at a time, so clips may be memory-mapped and of any length.

    Parameters
    ----------
    clips : per clip, its embeddings by view; all views that are there are averaged
    """
    sums: list[np.ndarray] = []
    counts: list[int] = []
    values: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    owners: list[int] = []

    def flush() -> None:
        if owners:
            logits = forward(np.stack(values), np.stack(masks))
            for owner, row in zip(owners, logits, strict=True):
                sums[owner] += row
            for buffer in (values, masks, owners):
                buffer.clear()

    for clip, views in enumerate(clips):
        sums.append(np.zeros(classes, np.float64))
        windows = even_windows(len(next(iter(views.values()))), windowing)
        counts.append(len(windows) * len(views))
        for embeddings in views.values():
            for rows in windows:
                window, mask = take(embeddings, rows)
                values.append(window)
                masks.append(mask)
                owners.append(clip)
                if len(owners) == WINDOWS_PER_CALL:
                    flush()
    flush()
    if not sums:
        return np.zeros((0, classes), np.float32)
    return (np.stack(sums) / np.array(counts)[:, None]).astype(np.float32)


def views_of(
    features: Embeddings, clips: Sequence[int] | np.ndarray, views: Sequence[str]
) -> Iterator[Views]:
    """The clips at the positions `clips`, one after the other, as `clip_logits` reads them."""
    for clip in clips:
        yield {view: features.embeddings(clip, view) for view in views}
