"""The batches of an epoch: which clips, which window of each, and what training varies about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.params import TrainParams
from pipeline.head.sequences import Features, random_window, read_window
from pipeline.head.streams import network_streams

CLASS_WEIGHT_LIMIT = 10.0  # the rarest class counts at most this much more than the average
# Where `train.batch_size` is null: small sets want small batches, for the sake of more steps.
STEPS_PER_EPOCH = 24
SMALLEST_BATCH, LARGEST_BATCH = 8, 32  # clips


@dataclass(frozen=True)
class Batch:
    """Windows ready for a head.

    Attributes
    ----------
    embeddings : (B, steps, D) float32
    mask : (B, steps) bool, True at valid steps; the first step is always valid
    targets : (B, K) float32, rows sum to 1 where one label holds
    weights : (B,) float32
    """

    embeddings: np.ndarray
    mask: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def training_batches(
    features: Features,
    clips: LabelledClips,
    params: TrainParams,
    views: Sequence[str],
    epoch: int,
) -> Iterator[Batch]:
    """The batches of one epoch: a pure function of the arguments, seed and epoch above all.

    Only the rows of the batch at hand are read.

    Parameters
    ----------
    views : of which one is drawn for every clip
    """
    rng = np.random.default_rng([params.seed, epoch])
    streams = tuple(network_streams(features.readings))
    classes = len(clips.classes)
    weights = np.ones(len(clips), np.float32)
    if params.imbalance == "class_weights":
        weights = clip_weights(clips.labels, classes)
    order = epoch_order(
        clips.strata, batch_size(params, len(clips)), params.imbalance == "balanced", rng
    )  # fmt: skip
    for members in order:
        windows = []
        for clip in clips.positions[members]:
            rows = random_window(int(features.lengths[clip]), params.windowing, rng)
            view = views[int(rng.integers(len(views)))]
            windows.append(read_window(features.clip(clip), streams, rows, view))
        values, masks = zip(*windows, strict=True)
        targets = targets_of(clips.labels[members], classes, params.label_smoothing)
        yield augment(Batch(np.stack(values), np.stack(masks), targets, weights[members]),
                      params, rng)  # fmt: skip


def batch_size(params: TrainParams, clips: int) -> int:
    """How many of the training clips make a batch."""
    usual = min(max(clips // STEPS_PER_EPOCH, SMALLEST_BATCH), LARGEST_BATCH)
    return params.batch_size or usual


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights that give every class the same total: (K,) float32, 1 where classes are equal.

    Parameters
    ----------
    labels : (C,) int, the class of every training clip; or (C, K) of 0 and 1
    """
    several = labels.ndim == 2
    counts = labels.sum(axis=0) if several else np.bincount(labels, minlength=classes)
    present = max(int((counts > 0).sum()), 1)
    weights = (counts.sum() if several else len(labels)) / (present * np.maximum(counts, 1))
    return np.minimum(weights, CLASS_WEIGHT_LIMIT).astype(np.float32)


def clip_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """What each clip weighs by its class, (C,) float32: the mean over its classes where several may
    hold, and 1 where none does.
    """
    weights = class_weights(labels, classes)
    if labels.ndim == 1:
        return weights[labels]
    held = labels.sum(axis=1)
    return np.where(held > 0, labels @ weights / np.maximum(held, 1), 1).astype(np.float32)


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


def augment(batch: Batch, params: TrainParams, rng: np.random.Generator) -> Batch:
    """The batch with the frame dropout, noise and mixup of the settings applied.

    Mixup: Zhang et al., 2018, https://arxiv.org/abs/1710.09412
    """
    values, targets = batch.embeddings, batch.targets
    if params.frame_dropout:
        kept = rng.uniform(size=values.shape[:2]) >= params.frame_dropout
        source = np.where(kept, np.arange(values.shape[1]), 0)
        source = np.maximum.accumulate(source, axis=1)
        values = np.take_along_axis(values, source[..., None], axis=1)
    if params.noise:
        spread = values.std(axis=-1, keepdims=True)
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        values = values + params.noise * spread * noise
    if params.mixup:
        share = rng.beta(params.mixup, params.mixup, len(values)).astype(np.float32)
        share = np.maximum(share, 1 - share)  # the clip whose mask is kept has the larger share
        partner = rng.permutation(len(values))
        blend = share[:, None, None]
        values = blend * values + (1 - blend) * values[partner]
        targets = share[:, None] * targets + (1 - share[:, None]) * targets[partner]
    return replace(batch, embeddings=values, targets=targets)


def targets_of(labels: np.ndarray, classes: int, smoothing: float = 0.0) -> np.ndarray:
    """(B,) int -> (B, K) float32; `smoothing` is spread evenly over all classes.

    Of (B, K) of 0 and 1, where several may hold, over yes and no.
    """
    if labels.ndim == 2:
        return labels.astype(np.float32) * np.float32(1 - smoothing) + np.float32(smoothing / 2)
    sharp = np.eye(classes, dtype=np.float32)[labels]
    return sharp * np.float32(1 - smoothing) + np.float32(smoothing / classes)


def _fill(items: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of `items`: whole shuffles one after the other, the last one cut."""
    rounds = [rng.permutation(items) for _ in range(-(-count // len(items)))]
    return np.concatenate(rounds)[:count]
