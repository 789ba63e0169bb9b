"""A head as a function of TensorFlow: what an export holds, and what gradients are taken of.

The same as `pipeline.head.inference.Head`, of one clip, and in operations that every format has.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.frames.flow import mirrored
from pipeline.frames.streams import FLOW, reading
from pipeline.head.descriptors import LAGS, PARTS
from pipeline.head.inference import Head
from pipeline.head.linear import LinearBranch
from pipeline.head.streams import (
    EMBEDDED,
    IDENTITY,
    MIRROR,
    VARIANCE_FLOOR,
    mirrored_streams,
    network_streams,
)

if TYPE_CHECKING:
    import keras

Tensor = Any
Graph = Callable[[Mapping[str, Tensor], Tensor], Tensor]


def head_graph(head: Head, network: "keras.Model | None", windows: int) -> Graph:
    """The logits of a clip: (reading -> (T, D) float32, valid () int32) -> (K,) float32.

    Only the first `valid` rows count, at least one.

    Parameters
    ----------
    network : that of the head, as a Keras model
    windows : of the network, at even distances; as many as `even_windows` places
    """
    import tensorflow as tf

    shares = list(head.shares.values())
    linear_shares = shares[len(shares) - len(head.linear) :]

    def logits(clip: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        parts = [
            share * _linear(branch, clip, valid, mirror=head.mirror)
            for share, branch in zip(linear_shares, head.linear, strict=True)
        ]
        if network is not None:
            streams = tuple(network_streams(head.readings))
            rows, mask = _windows(valid, windows, head.windowing.steps)
            said = []
            for view in head.views:
                values = tf.concat([_seen(clip, stream, view) for stream in streams], axis=1)
                said.append(network([tf.gather(values, rows), mask], training=False))
            parts.append(shares[0] * tf.reduce_mean(tf.concat(said, axis=0), axis=0))
        return tf.add_n(parts)

    return logits


def _windows(valid: Tensor, count: int, steps: int) -> tuple[Tensor, Tensor]:
    """As `pipeline.head.sequences.even_windows` and `take`: rows and mask, (W, steps)."""
    import tensorflow as tf

    slack = tf.cast(tf.maximum(valid - steps, 0), tf.float32)
    places = (
        np.linspace(0, 1, count, dtype=np.float32) if count > 1 else np.full(1, 0.5, np.float32)
    )
    starts = slack * tf.constant(places)[:, tf.newaxis]
    rows = tf.cast(tf.floor(starts + np.arange(steps, dtype=np.float32) + 0.5), tf.int32)
    return tf.minimum(rows, valid - 1), rows < valid


def _seen(clip: Mapping[str, Tensor], stream: str, view: str) -> Tensor:
    """As `pipeline.head.streams.seen`."""
    import tensorflow as tf

    if (stream, view) == (FLOW, MIRROR):
        order = mirrored(np.arange(clip[reading(FLOW)].shape[1]))
        return tf.gather(clip[reading(FLOW)], order.astype(np.int32), axis=1)
    name = reading(stream, view)
    return clip[name if name in clip else reading(stream)]


def _linear(
    branch: LinearBranch, clip: Mapping[str, Tensor], valid: Tensor, *, mirror: bool
) -> Tensor:
    """The scores of a linear branch: (K,) float32."""
    import tensorflow as tf

    views = [IDENTITY]
    if mirror and branch.stream in mirrored_streams(clip):
        views.append(MIRROR)
    describe = {"statistics": _statistics, "order": _order}[branch.descriptor]
    described = [
        describe(_prepared(_seen(clip, branch.stream, view), branch.stream), valid)
        for view in views
    ]
    values = tf.reshape(tf.add_n(described) / len(views), (1, -1))
    return tf.matmul(values, tf.constant(branch.weights))[0] + branch.bias


def _prepared(rows: Tensor, stream: str) -> Tensor:
    """As `pipeline.head.streams.prepared`."""
    import tensorflow as tf

    if stream in (*EMBEDDED, FLOW):
        rows = tf.sqrt(tf.maximum(rows, 0.0))
    if stream in EMBEDDED:
        rows -= tf.reduce_mean(rows, axis=1, keepdims=True)
        variance = tf.reduce_mean(tf.square(rows), axis=1, keepdims=True)
        rows /= tf.sqrt(variance + VARIANCE_FLOOR)
    return rows


def _statistics(rows: Tensor, valid: Tensor) -> Tensor:
    """As `pipeline.head.descriptors.statistics`: (4, D)."""
    import tensorflow as tf

    count = tf.cast(valid, tf.float32)
    inside = tf.cast(tf.range(rows.shape[0])[:, tf.newaxis] < valid, tf.float32)
    described = [tf.reduce_sum(rows * inside, axis=0) / count]
    for lag in LAGS:
        if lag >= rows.shape[0]:
            described.append(tf.zeros_like(rows[0]))
            continue
        change = tf.abs(rows[lag:] - rows[:-lag]) * inside[lag:]
        described.append(tf.reduce_sum(change, axis=0) / tf.maximum(count - lag, 1.0))
    return tf.stack(described)


def _order(rows: Tensor, valid: Tensor) -> Tensor:
    """As `pipeline.head.descriptors.order`: (8, D), by a matrix that averages the parts."""
    import tensorflow as tf

    edges = tf.range(PARTS + 1) * valid // PARTS
    first = edges[:-1, tf.newaxis]
    last = tf.maximum(edges[1:, tf.newaxis], first + 1)
    row = tf.range(rows.shape[0])[tf.newaxis]
    inside = tf.cast((row >= first) & (row < last), tf.float32)
    means = tf.matmul(inside / tf.cast(last - first, tf.float32), rows)
    return means - tf.reduce_mean(means, axis=0)
