"""The layers of the heads that Keras does not have: all mask-aware, all built from plain ops.

Every layer takes the window and its mask as two arguments, (B, T, D) and (B, T) bool, so that
nothing depends on Keras's implicit masks and a head converts to LiteRT without extra ops. The last
two are in the networks of earlier releases only, which are still read.
"""

from typing import Any

import keras
from keras import ops

Tensor = Any
Shape = Any  # of a tensor: (None, ...)

PACKAGE = "clipcache"  # the name under which the layers are registered for safe loading


class _MaskAware(keras.layers.Layer):
    """A layer that takes the mask as an argument, and so needs no warning about implicit masks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, *args: Any, **kwargs: Any) -> None:
        """Nothing after this layer has a mask."""


def _column(mask: Tensor, dtype: str) -> Tensor:
    return ops.expand_dims(ops.cast(mask, dtype), -1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SquareRoot(keras.layers.Layer):
    """The square root of every number, 0 below 0: evens out the few large numbers of an embedding.

    Known as power normalisation (Perronnin et al., 2010, https://doi.org/10.1007/978-3-642-15561-1_11).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x: Tensor) -> Tensor:
        return ops.sqrt(ops.maximum(x, 0.0))

    def compute_output_shape(self, shape: Shape) -> Shape:
        return shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class Columns(keras.layers.Layer):
    """The numbers `first` to `last` of every row: (B, T, D) -> (B, T, last - first)."""

    def __init__(self, first: int, last: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first, self.last = first, last
        self.supports_masking = True

    def call(self, x: Tensor) -> Tensor:
        return x[:, :, self.first : self.last]

    def compute_output_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.last - self.first)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "first": self.first, "last": self.last}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Differences(_MaskAware):
    """x[t] - x[t - lag]: the change over `lag` steps, 0 for the first `lag` steps and in padding.

    (B, T, D), (B, T) -> (B, T, D).
    """

    def __init__(self, lag: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lag = lag

    def call(self, x: Tensor, mask: Tensor) -> Tensor:
        steps = x.shape[1]
        if self.lag >= steps:
            return ops.zeros_like(x)
        change = (x[:, self.lag :] - x[:, : -self.lag]) * _column(mask[:, self.lag :], x.dtype)
        return ops.concatenate([ops.zeros_like(x[:, : self.lag]), change], axis=1)

    def compute_output_shape(self, x_shape: Shape, mask_shape: Shape = None) -> Shape:
        return x_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "lag": self.lag}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MaskedMean(_MaskAware):
    """The mean over valid steps: (B, T, D), (B, T) -> (B, D)."""

    def call(self, x: Tensor, mask: Tensor) -> Tensor:
        valid = _column(mask, x.dtype)
        return ops.sum(x * valid, axis=1) / ops.sum(valid, axis=1)

    def compute_output_shape(self, x_shape: Shape, mask_shape: Shape = None) -> Shape:
        return (x_shape[0], x_shape[2])


@keras.saving.register_keras_serializable(package=PACKAGE)
class AttentionPooling(_MaskAware):
    """A weighted mean over valid steps, the weights learned: (B, T, D), (B, T) -> (B, D).

    The weights are a softmax over time of one linear score per step; they start out equal.
    """

    def build(self, x_shape: Shape, mask_shape: Shape = None) -> None:
        self.score = self.add_weight(shape=(x_shape[-1], 1), initializer="zeros", name="score")

    def call(self, x: Tensor, mask: Tensor) -> Tensor:
        scores = ops.matmul(x, self.score) - 1e4 * (1.0 - _column(mask, x.dtype))
        return ops.sum(ops.softmax(scores, axis=1) * x, axis=1)

    def compute_output_shape(self, x_shape: Shape, mask_shape: Shape = None) -> Shape:
        return (x_shape[0], x_shape[2])


@keras.saving.register_keras_serializable(package=PACKAGE)
class WindowStatistics(_MaskAware):
    """Numbers that describe a window without its order: (B, T, D), (B, T) -> (B, n * D).

    Side by side, in the order of `statistics`: ``mean``; ``change``, the mean absolute difference
    of neighbouring steps; ``std``, the standard deviation over time.
    """

    def __init__(
        self, statistics: tuple[str, ...] = ("mean", "change", "std"), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.statistics = tuple(statistics)

    def call(self, x: Tensor, mask: Tensor) -> Tensor:
        valid = _column(mask, x.dtype)
        count = ops.sum(valid, axis=1)
        mean = ops.sum(x * valid, axis=1) / count
        parts = []
        for name in self.statistics:
            if name == "mean":
                parts.append(mean)
            elif name == "change":
                change = ops.abs(x[:, 1:] - x[:, :-1]) * valid[:, 1:]
                parts.append(ops.sum(change, axis=1) / ops.maximum(count - 1.0, 1.0))
            elif name == "std":
                offset = (x - ops.expand_dims(mean, 1)) * valid
                variance = ops.sum(offset * offset, axis=1) / count
                parts.append(ops.sqrt(variance + 1e-6))  # the floor keeps the gradient finite
            else:
                raise ValueError(f"{name} is not a statistic; there are mean, change and std")
        return ops.concatenate(parts, axis=-1)

    def compute_output_shape(self, x_shape: Shape, mask_shape: Shape = None) -> Shape:
        return (x_shape[0], len(self.statistics) * x_shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "statistics": list(self.statistics)}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Standardisation(keras.layers.Layer):
    """(x - mean) / scale with numbers measured on the training clips, not learned by descent.

    (B, D) -> (B, D). `measure` sets the numbers; before that the layer changes nothing.
    """

    def build(self, shape: Shape) -> None:
        size = (shape[-1],)
        self.mean = self.add_weight(shape=size, initializer="zeros", trainable=False, name="mean")
        self.scale = self.add_weight(shape=size, initializer="ones", trainable=False, name="scale")

    def call(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale

    def compute_output_shape(self, shape: Shape) -> Shape:
        return shape
