"""The network of a head: a small Keras model from a window of embeddings to class scores.

One builder, many shapes: input normalisation, difference channels, projection, recurrent layers,
pooling over time, dense layers. A preset is a named `HeadShape`, which also says which branches
there are beside the network; `train.head` picks one and other settings under `train` change parts
of it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.frames.streams import FLOW
from pipeline.head.streams import EMBEDDED, VARIANCE_FLOOR

if TYPE_CHECKING:
    import keras

NETWORK_BRANCH = "network"  # the branch that is trained


@dataclass(frozen=True)
class Dense:
    """One dense layer with ReLU, and what surrounds it: batch norm before ReLU, dropout after."""

    units: int
    batch_norm: bool = False
    dropout: float = 0.0


@dataclass(frozen=True)
class HeadShape:
    """What a head is built from.

    Attributes
    ----------
    normalisation : of every embedding of the CNN: "layer" (mean 0, deviation 1 over its numbers),
        "root" (square roots, then "layer"), "unit" (length 1) or "none"
    input_dropout : on the numbers of a row, the same ones at all steps of a window
    differences : lags of the difference channels beside the embeddings, in steps
    projection : units of the linear layer before the recurrent one, 0 for none
    recurrent : "lstm", "bilstm", "gru" or "none"
    units : of the recurrent layer, in each direction
    pooling : over time: "last", "mean" or "attention"
    dropout : after pooling
    dense : dense layers after that
    branches : what a clip's logits are summed from: "network", which is all of the above, and a
        linear branch of each stream for "statistics" and for "order"
    """

    normalisation: str = "root"
    input_dropout: float = 0.5
    differences: tuple[int, ...] = (1,)
    projection: int = 128
    recurrent: str = "bilstm"
    units: int = 128
    pooling: str = "mean"
    dropout: float = 0.5
    dense: tuple[Dense, ...] = ()
    branches: tuple[str, ...] = (NETWORK_BRANCH, "statistics", "order")

    def to_dict(self) -> dict[str, Any]:
        """The shape as JSON-ready values."""
        return asdict(self)


_BARE = HeadShape(
    normalisation="none",
    input_dropout=0.0,
    differences=(),
    projection=0,
    recurrent="lstm",
    pooling="last",
    dropout=0.0,
    branches=(NETWORK_BRANCH,),
)

PRESETS: dict[str, HeadShape] = {
    "default": HeadShape(),
    "recurrent": HeadShape(branches=(NETWORK_BRANCH,)),
    "linear": HeadShape(branches=("statistics", "order")),
    "lstm64": replace(_BARE, units=64, dropout=0.5, dense=(Dense(128),)),
    "lstm128": replace(_BARE, units=128, dense=(Dense(256, dropout=0.5),)),
    "lstm128_deep": replace(
        _BARE,
        units=128,
        dropout=0.3,
        dense=(Dense(256, batch_norm=True, dropout=0.3), Dense(128, batch_norm=True, dropout=0.3)),
    ),
}


def build_network(
    shape: HeadShape, steps: int, streams: Mapping[str, int], classes: int, seed: int = 0
) -> "keras.Model":
    """Build a network with fresh weights.

    Parameters
    ----------
    steps : T, time steps in a window
    streams : with the D of each, as they lie side by side in a row
    classes : K
    seed : of the initial weights and of dropout; the same seed gives the same weights

    Returns
    -------
    (embeddings (B, T, sum of D) float32, mask (B, T) bool) -> logits (B, K) float32
    """
    import keras

    keras.utils.set_random_seed(seed)
    keras.backend.clear_session()  # layer names must not depend on what was built before
    frames = keras.Input((steps, sum(streams.values())), name="embeddings", dtype="float32")
    mask = keras.Input((steps,), name="mask", dtype="bool")
    pooled = _over_time(_prepared(frames, streams, shape), mask, shape, seed)
    scores = keras.layers.Dense(classes, name="scores")(_dense(pooled, shape, seed))
    logits = keras.layers.Identity(name="logits")(scores)
    return keras.Model([frames, mask], logits, name="head")


def shape_from_dict(values: Mapping[str, Any]) -> HeadShape:
    """The reverse of `HeadShape.to_dict`; of earlier releases, whose network was all, as well."""
    known = {name: values[name] for name in HeadShape.__dataclass_fields__ if name in values}
    dense = tuple(Dense(**layer) for layer in values["dense"])
    tuples = {
        "differences": tuple(values["differences"]),
        "branches": tuple(values.get("branches", (NETWORK_BRANCH,))),
    }
    return HeadShape(**{**known, **tuples, "dense": dense})


def _prepared(frames: Any, streams: Mapping[str, int], shape: HeadShape) -> Any:
    """Each stream by itself, then side by side again: (B, T, sum of D)."""
    import keras

    from pipeline.head import layers

    if len(streams) == 1:
        return _normalised(frames, next(iter(streams)), shape)
    parts, first = [], 0
    for stream, dimension in streams.items():
        columns = layers.Columns(first, first + dimension, name=stream)(frames)
        parts.append(_normalised(columns, stream, shape, f"_{stream}"))
        first += dimension
    return keras.layers.Concatenate(name="streams")(parts)


def _normalised(x: Any, stream: str, shape: HeadShape, suffix: str = "") -> Any:
    import keras

    from pipeline.head import layers

    if stream == FLOW or (stream in EMBEDDED and shape.normalisation == "root"):
        x = layers.SquareRoot(name=f"square_root{suffix}")(x)
    if stream in EMBEDDED and shape.normalisation in ("root", "layer"):
        return keras.layers.LayerNormalization(
            center=False, scale=False, epsilon=VARIANCE_FLOOR, name=f"normalisation{suffix}"
        )(x)
    if stream in EMBEDDED and shape.normalisation == "unit":
        return keras.layers.UnitNormalization(name=f"normalisation{suffix}")(x)
    return x


def _over_time(x: Any, mask: Any, shape: HeadShape, seed: int) -> Any:
    import keras

    from pipeline.head import layers

    if shape.input_dropout:
        x = keras.layers.SpatialDropout1D(
            shape.input_dropout, seed=seed + 80, name="input_dropout"
        )(x)  # fmt: skip
    if shape.differences:
        changes = [
            layers.Differences(lag, name=f"difference_{lag}")(x, mask) for lag in shape.differences
        ]
        x = keras.layers.Concatenate(name="channels")([x, *changes])
    if shape.projection:
        x = keras.layers.Dense(shape.projection, name="projection")(x)
    every = shape.pooling != "last"
    if shape.recurrent == "bilstm":
        lstm = keras.layers.LSTM(shape.units, return_sequences=every, unroll=True, name="lstm")
        x = keras.layers.Bidirectional(lstm, name="recurrent")(x, mask=mask)
    elif shape.recurrent in ("lstm", "gru"):
        kind = keras.layers.LSTM if shape.recurrent == "lstm" else keras.layers.GRU
        x = kind(shape.units, return_sequences=every, unroll=True, name="recurrent")(x, mask=mask)
    if shape.pooling == "attention":
        x = layers.AttentionPooling(name="pooling")(x, mask)
    elif every or shape.recurrent == "none":
        x = layers.MaskedMean(name="pooling")(x, mask)
    if shape.dropout:
        x = keras.layers.Dropout(shape.dropout, seed=seed + 10, name="dropout")(x)
    return x


def _dense(x: Any, shape: HeadShape, seed: int) -> Any:
    import keras

    for number, layer in enumerate(shape.dense, 1):
        x = keras.layers.Dense(
            layer.units, use_bias=not layer.batch_norm, name=f"dense_{number}"
        )(x)  # fmt: skip
        if layer.batch_norm:
            x = keras.layers.BatchNormalization(name=f"batch_norm_{number}")(x)
        x = keras.layers.ReLU(name=f"relu_{number}")(x)
        if layer.dropout:
            x = keras.layers.Dropout(
                layer.dropout, seed=seed + 10 + number, name=f"dropout_{number}"
            )(x)
    return x
