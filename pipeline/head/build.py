"""The heads: small Keras models from a window of embeddings to class scores.

One builder, many shapes: input normalisation, difference channels, projection, recurrent layers,
pooling over time, dense layers, and a linear shortcut over the window's statistics. A preset is a
named `HeadShape`; `train.head` picks one and other settings under `train` change parts of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

MEASURED_AT_ONCE = 64  # windows
SCALE_FLOOR = 0.3  # of the mean deviation: keeps near-constant statistics from being blown up


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
    normalisation : of every embedding: "layer" (mean 0, deviation 1 over its numbers), "root"
        (square roots, then "layer"), "unit" (length 1) or "none"
    input_dropout : on the numbers of an embedding, the same ones at all steps of a window; before
        the recurrent branch only
    differences : lags of the difference channels beside the embeddings, in steps
    projection : units of the linear layer before the recurrent one, 0 for none
    recurrent : "lstm", "bilstm", "gru" or "none"
    units : of the recurrent layer, in each direction
    pooling : over time: "last", "mean" or "attention"
    dropout : after pooling
    dense : dense layers after that
    shortcut : statistics of the window that a linear classifier sees beside the recurrent branch:
        "mean", "change", "std"; empty for no shortcut
    shortcut_dropout : on those statistics
    shortcut_share : weight of the shortcut's logits in the final ones, the rest is the recurrent
        branch's
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
    shortcut: tuple[str, ...] = ("mean", "change", "std")
    shortcut_dropout: float = 0.7
    shortcut_share: float = 2 / 3

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
    shortcut=(),
)

PRESETS: dict[str, HeadShape] = {
    "default": HeadShape(),
    "recurrent": HeadShape(shortcut=()),
    "linear": HeadShape(differences=(), projection=0, recurrent="none"),
    "lstm64": replace(_BARE, units=64, dropout=0.5, dense=(Dense(128),)),
    "lstm128": replace(_BARE, units=128, dense=(Dense(256, dropout=0.5),)),
    "lstm128_deep": replace(
        _BARE,
        units=128,
        dropout=0.3,
        dense=(Dense(256, batch_norm=True, dropout=0.3), Dense(128, batch_norm=True, dropout=0.3)),
    ),
}


@dataclass(frozen=True)
class Head:
    """A head as it trains and as it is used; both share their weights.

    Attributes
    ----------
    model : (embeddings (B, T, D) float32, mask (B, T) bool) -> logits (B, K) float32
    branches : the same inputs -> a list of logits, the final ones first, then those of each
        branch where there are two
    """

    model: "keras.Model"
    branches: "keras.Model"


def build_head(shape: HeadShape, steps: int, dimension: int, classes: int, seed: int = 0) -> Head:
    """Build a head with fresh weights.

    The logits of a head with a shortcut are a weighted mean of the two branches' logits.

    Parameters
    ----------
    steps : T, time steps in a window
    dimension : D, numbers in an embedding
    classes : K
    seed : of the initial weights and of dropout; the same seed gives the same weights
    """
    import keras

    from pipeline.head import layers

    keras.utils.set_random_seed(seed)
    keras.backend.clear_session()  # layer names must not depend on what was built before
    frames = keras.Input((steps, dimension), name="embeddings", dtype="float32")
    mask = keras.Input((steps,), name="mask", dtype="bool")
    x = _normalised(frames, shape)
    branches = []
    if shape.recurrent != "none" or not shape.shortcut:
        pooled = _over_time(x, mask, shape, seed)
        branches.append(keras.layers.Dense(classes, name="scores")(_dense(pooled, shape, seed)))
    if shape.shortcut:
        statistics = layers.WindowStatistics(shape.shortcut, name="statistics")(x, mask)
        statistics = layers.Standardisation(name="standardisation")(statistics)
        if shape.shortcut_dropout:
            statistics = keras.layers.Dropout(
                shape.shortcut_dropout, seed=seed + 90, name="shortcut_dropout"
            )(statistics)
        linear = keras.layers.Dense(classes, kernel_initializer="zeros", name="shortcut_scores")
        branches.append(linear(statistics))
    if len(branches) == 1:
        logits = keras.layers.Identity(name="logits")(branches[0])
        outputs = [logits]
    else:
        shares = (1 - shape.shortcut_share, shape.shortcut_share)
        weighted = [
            keras.layers.Rescaling(share, name=f"share_{number}")(branch)
            for number, (share, branch) in enumerate(zip(shares, branches, strict=True), 1)
        ]
        logits = keras.layers.Add(name="logits")(weighted)
        outputs = [logits, *branches]
    inputs = [frames, mask]
    return Head(
        keras.Model(inputs, logits, name="head"), keras.Model(inputs, outputs, name="branches")
    )


def measure_statistics(
    model: "keras.Model",
    clips: Sequence[int],
    windows: Callable[[Sequence[int]], tuple[np.ndarray, np.ndarray]],
) -> None:
    """Set the shortcut's standardisation from training clips; nothing without a shortcut.

    Parameters
    ----------
    clips : positions of the clips to measure
    windows : reads clips as values (N, T, D) float32 and mask (N, T) bool
    """
    import keras

    names = [layer.name for layer in model.layers]
    if "standardisation" not in names:
        return
    layer = model.get_layer("statistics")
    statistics = keras.Model(model.inputs, layer.output)
    measured = np.concatenate(
        [
            np.asarray(statistics(list(windows(clips[i : i + MEASURED_AT_ONCE]))))
            for i in range(0, len(clips), MEASURED_AT_ONCE)
        ]
    )
    kinds = len(layer.statistics)
    deviation = measured.std(axis=0).reshape(kinds, -1)
    deviation += SCALE_FLOOR * deviation.mean(axis=1, keepdims=True) + 1e-6
    standardisation = model.get_layer("standardisation")
    standardisation.mean.assign(measured.mean(axis=0))
    # each kind of statistic is as wide as the embedding: keep the length of the whole vector
    standardisation.scale.assign(deviation.reshape(-1) * np.sqrt(kinds))


def shape_from_dict(values: Mapping[str, Any]) -> HeadShape:
    """The reverse of `HeadShape.to_dict`."""
    dense = tuple(Dense(**layer) for layer in values["dense"])
    tuples = {name: tuple(values[name]) for name in ("differences", "shortcut")}
    return HeadShape(**{**values, **tuples, "dense": dense})


def _normalised(frames: Any, shape: HeadShape) -> Any:
    import keras

    from pipeline.head import layers

    if shape.normalisation == "root":
        frames = layers.SquareRoot(name="square_root")(frames)
    if shape.normalisation in ("root", "layer"):
        return keras.layers.LayerNormalization(
            center=False, scale=False, epsilon=1e-6, name="normalisation"
        )(frames)
    if shape.normalisation == "unit":
        return keras.layers.UnitNormalization(name="normalisation")(frames)
    return frames


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
