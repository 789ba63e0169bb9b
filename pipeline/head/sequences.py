"""Clips of any length -> windows of a fixed number of steps, with a mask; and training batches.

A window is a list of rows of one clip: row ``start + k * rate``, rounded, for step k. Training
draws the start, the rate and the cached view anew for every clip and epoch; testing places windows
evenly from the first row to the last. A clip shorter than a window is padded on the right with
its last row and masked there, so a still image is a window with one valid step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

CLASS_WEIGHT_LIMIT = 10.0  # the rarest class counts at most this much more than the average


class Embeddings(Protocol):
    """What is read of a feature set; `pipeline.store.feature_files.FeatureSet` is one."""

    @property
    def lengths(self) -> np.ndarray:
        """(C,) int64, rows of each clip."""

    def embeddings(self, i: int, view: str = "identity") -> np.ndarray:
        """(T, D) float16, a slice of a memory map."""


@dataclass(frozen=True)
class Windowing:
    """How windows are cut out of clips.

    Attributes
    ----------
    steps : time steps in a window
    rates : slowest and fastest rate in training, rows per step; testing uses 1
    count : windows per clip that testing averages, where the clip is longer than one window
    """

    steps: int = 16
    rates: tuple[float, float] = (0.7, 1.4)
    count: int = 4


@dataclass(frozen=True)
class Augmentation:
    """What training changes about a window beside its place and rate.

    Attributes
    ----------
    views : cached views, one drawn per clip and epoch
    frame_dropout : chance that a step shows the row of the step before
    noise : standard deviation of Gaussian noise, in standard deviations of an embedding
    mixup : parameter of the beta distribution of the mixing share, 0 for none
        (Zhang et al., 2018, https://arxiv.org/abs/1710.09412)
    """

    views: tuple[str, ...] = ("identity",)
    frame_dropout: float = 0.0
    noise: float = 0.0
    mixup: float = 0.0


@dataclass(frozen=True)
class Batch:
    """Windows ready for a head.

    Attributes
    ----------
    embeddings : (B, steps, D) float32
    mask : (B, steps) bool, True at valid steps; the first step is always valid
    targets : (B, K) float32, rows sum to 1
    weights : (B,) float32
    """

    embeddings: np.ndarray
    mask: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def window_rows(length: int, steps: int, start: float = 0.0, rate: float = 1.0) -> np.ndarray:
    """The rows of one window: (steps,) int64, ascending; rows >= `length` lie past the clip's end.

    Raises
    ------
    ValueError
        When the clip has no rows.
    """
    if length < 1:
        raise ValueError("a clip needs at least one embedded frame")
    return np.floor(start + np.arange(steps) * rate + 0.5).astype(np.int64)


def even_windows(length: int, windowing: Windowing, rate: float = 1.0) -> np.ndarray:
    """Windows that cover a clip for testing: (W, steps) int64.

    The first begins at row 0, the last ends at the last row. W is `windowing.count`, more where
    that many would leave rows uncovered, and 1 where the clip fits into one window.
    """
    span = (windowing.steps - 1) * rate
    slack = length - 1 - span
    if slack <= 0:
        return window_rows(length, windowing.steps, 0.0, rate)[None]
    count = max(windowing.count, int(np.ceil(length / (windowing.steps * rate))))
    starts = np.linspace(0.0, slack, count) if count > 1 else np.array([slack / 2])
    return np.stack([window_rows(length, windowing.steps, start, rate) for start in starts])


def random_window(length: int, windowing: Windowing, rng: np.random.Generator) -> np.ndarray:
    """One window at a random place and rate: (steps,) int64. Draws two numbers from `rng`."""
    slowest, fastest = windowing.rates
    rate = float(np.exp(rng.uniform(np.log(slowest), np.log(fastest))))
    place = rng.uniform()
    slack = length - 1 - (windowing.steps - 1) * rate
    return window_rows(length, windowing.steps, place * max(slack, 0.0), rate)


def take(embeddings: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read windows of one clip.

    Parameters
    ----------
    embeddings : (T, D) float16 or float32, may be memory-mapped; only the named rows are read
    rows : (..., steps) int64

    Returns
    -------
    values : (..., steps, D) float32; past the clip's end its last row is repeated
    mask : (..., steps) bool, True inside the clip
    """
    length = len(embeddings)
    values = np.asarray(embeddings[np.minimum(rows, length - 1)], dtype=np.float32)
    return values, rows < length


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights that give every class the same total: (K,) float32, 1 where classes are equal.

    Parameters
    ----------
    labels : (C,) int, the class of every training clip
    """
    counts = np.bincount(labels, minlength=classes)
    present = max(int((counts > 0).sum()), 1)
    weights = len(labels) / (present * np.maximum(counts, 1))
    return np.minimum(weights, CLASS_WEIGHT_LIMIT).astype(np.float32)


def epoch_order(
    labels: np.ndarray, batch_size: int, balanced: bool, rng: np.random.Generator
) -> np.ndarray:
    """Which training clips each batch of an epoch holds: (batches, batch_size) int64.

    Every clip comes up once; the last batch is filled up with clips of a second shuffle, so that
    all batches have one shape. Balanced: each class comes up equally often instead, and the
    clips of small classes several times.
    """
    batches = -(-len(labels) // batch_size)
    needed = batches * batch_size
    if balanced:
        present = np.unique(labels)
        share = -(-needed // len(present))
        pools = [_fill(np.flatnonzero(labels == label), share, rng) for label in present]
        order = rng.permutation(np.concatenate(pools))[:needed]
    else:
        order = _fill(np.arange(len(labels)), needed, rng)
    return order.reshape(batches, batch_size)


def training_batches(
    features: Embeddings,
    clips: Sequence[int] | np.ndarray,
    labels: np.ndarray,
    classes: int,
    windowing: Windowing,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    epoch: int,
    balanced: bool = False,
    weights: np.ndarray | None = None,
    label_smoothing: float = 0.0,
) -> Iterator[Batch]:
    """The batches of one epoch: a pure function of the arguments, `seed` and `epoch` above all.

    Only the rows of the batch at hand are read.

    Parameters
    ----------
    clips : positions in `features`
    labels : (C,) int, the class of each of `clips`
    weights : (K,) float32 or None, the weight of each class in the loss
    """
    rng = np.random.default_rng([seed, epoch])
    labels = np.asarray(labels)
    for members in epoch_order(labels, batch_size, balanced, rng):
        values, masks = [], []
        for member in members:
            clip = clips[member]
            rows = random_window(int(features.lengths[clip]), windowing, rng)
            view = augmentation.views[rng.integers(len(augmentation.views))]
            window, mask = take(features.embeddings(clip, view), rows)
            values.append(window)
            masks.append(mask)
        targets = one_hot(labels[members], classes, label_smoothing)
        scale = weights[labels[members]] if weights is not None else np.ones(len(members))
        batch = Batch(np.stack(values), np.stack(masks), targets, scale.astype(np.float32))
        yield augment(batch, augmentation, rng)


def augment(batch: Batch, augmentation: Augmentation, rng: np.random.Generator) -> Batch:
    """The batch with frame dropout, noise and mixup applied."""
    values, targets = batch.embeddings, batch.targets
    if augmentation.frame_dropout:
        kept = rng.uniform(size=values.shape[:2]) >= augmentation.frame_dropout
        source = np.where(kept, np.arange(values.shape[1]), 0)
        source = np.maximum.accumulate(source, axis=1)
        values = np.take_along_axis(values, source[..., None], axis=1)
    if augmentation.noise:
        spread = values.std(axis=-1, keepdims=True)
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        values = values + augmentation.noise * spread * noise
    if augmentation.mixup:
        share = rng.beta(augmentation.mixup, augmentation.mixup, len(values)).astype(np.float32)
        share = np.maximum(share, 1 - share)  # the clip whose mask is kept has the larger share
        partner = rng.permutation(len(values))
        blend = share[:, None, None]
        values = blend * values + (1 - blend) * values[partner]
        targets = share[:, None] * targets + (1 - share[:, None]) * targets[partner]
    return Batch(values, batch.mask, targets, batch.weights)


def one_hot(labels: np.ndarray, classes: int, smoothing: float = 0.0) -> np.ndarray:
    """(B,) int -> (B, K) float32; `smoothing` is spread evenly over all classes."""
    sharp = np.eye(classes, dtype=np.float32)[labels]
    return sharp * np.float32(1 - smoothing) + np.float32(smoothing / classes)


def _fill(items: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of `items`: whole shuffles one after the other, the last one cut."""
    rounds = [rng.permutation(items) for _ in range(-(-count // len(items)))]
    return np.concatenate(rounds)[:count]
