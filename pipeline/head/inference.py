"""A head over clips of any length: what each branch says of them, and the sum of that.

The network says of a clip the mean of its logits over windows and views, a linear branch its scores
of the whole clip.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import ModelError
from pipeline.head.linear import LinearBranch, linear_scores
from pipeline.head.sequences import Windowing, even_windows, take
from pipeline.head.streams import Clip, network_streams, side_by_side
from pipeline.wording import some

if TYPE_CHECKING:
    import keras

WINDOWS_PER_CALL = 64

Forward = Callable[[np.ndarray, np.ndarray], np.ndarray]
Views = Mapping[str, np.ndarray]  # view -> (T, sum of D), the rows of one clip


@dataclass(frozen=True)
class Head:
    """All that scores a clip.

    Attributes
    ----------
    classes : K
    readings : what it reads of a clip, with the D of each
    shares : of each branch by name, the network first where there is one
    linear : the branches that are no network, in the order of the shares
    forward : the network: (values (B, steps, sum of D) float32, mask (B, steps) bool) -> logits
        (B, K) float32; None where there is none
    views : over which the network's logits are averaged
    mirror : whether the linear branches see clips mirrored too
    windowing : how the network's windows are cut
    """

    classes: int
    readings: Mapping[str, int]
    shares: Mapping[str, float]
    linear: tuple[LinearBranch, ...]
    forward: Forward | None
    views: tuple[str, ...]
    mirror: bool
    windowing: Windowing

    def scores(self, clips: Iterable[Clip]) -> np.ndarray:
        """What each branch says of whole clips, before its share: (B, n, K) float32.

        Reads one clip at a time.

        Raises
        ------
        ModelError
            When a clip lacks a reading.
        """
        streams = tuple(network_streams(self.readings))
        linear: list[list[np.ndarray]] = []

        def watched() -> Iterator[Views]:
            for clip in clips:
                read = read_of(clip, self.readings)
                linear.append(linear_scores(self.linear, self.mirror, read))
                views = self.views if self.forward else ()
                yield {view: side_by_side(read, streams, view) for view in views}

        rows, network = watched(), []
        if self.forward:
            network = [clip_logits(self.forward, rows, self.windowing, self.classes)]
        deque(rows, maxlen=0)  # without a network nobody has looked at the clips yet
        shape = (len(linear), len(self.linear), self.classes)
        return np.stack([*network, *np.array(linear, np.float32).reshape(shape).swapaxes(0, 1)])

    def contributions(self, clips: Iterable[Clip]) -> np.ndarray:
        """What each branch adds to the logits, share x score: (n, B, K) float32; see `scores`."""
        shares = np.array(list(self.shares.values()), np.float32)
        return (shares[:, None, None] * self.scores(clips)).swapaxes(0, 1)

    def logits(self, clips: Iterable[Clip]) -> np.ndarray:
        """The sum over branches of share x score: (n, K) float32; see `scores`."""
        return self.contributions(clips).sum(axis=1)

    def score(self, clip: Clip) -> dict[str, np.ndarray]:
        """What each branch says of a clip, before its share: name -> (K,) float32."""
        return dict(zip(self.shares, self.scores([clip])[:, 0], strict=True))


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
    clips : per clip, its rows by view; all views that are there are averaged
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


def read_of(clip: Clip, readings: Mapping[str, int]) -> Clip:
    """What a head reads of a clip; refuses one that lacks it, or has it in another size."""
    if missing := [name for name in readings if name not in clip]:
        raise ModelError(
            f"The model reads {some(missing)}, but a clip has only {', '.join(clip)}: embed it "
            "with the streams and views of the model, or train again on these features."
        )
    for name, size in readings.items():
        if clip[name].shape[1] != size:
            raise ModelError(
                f"The model reads {size} numbers of {name} in every row, but a clip has "
                f"{clip[name].shape[1]}: train again on these features."
            )
    return {name: clip[name] for name in readings}
