"""What TensorFlow computes, as one LiteRT file of built-in operations.

The weights are constants of the graph. The usual way goes by a SavedModel with all its variables,
and takes two to four times as long.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pipeline.quiet import import_tensorflow, quiet_native_output

if TYPE_CHECKING:
    import keras

Precision = Literal["float32", "float16", "int8"]
Tensor = Any


def litert_of_model(model: "keras.Model", batch: int | None = None) -> bytes:
    """The bytes of a file that computes what a Keras model does, the same for equal weights.

    Inputs are called as those of the model, outputs `output_0` and so on.

    Parameters
    ----------
    batch : size of the first axis; None: any
    """
    import_tensorflow()
    import tensorflow as tf

    signature = [
        tf.TensorSpec((batch, *taken.shape[1:]), taken.dtype, name=taken.name)
        for taken in model.inputs
    ]

    def run(*inputs: Tensor) -> Tensor:
        return model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    return litert_of_function(run, signature, [model])


def litert_of_function(
    run: Callable[..., Tensor],
    signature: Sequence[Any],
    models: Sequence["keras.Model"],
    precision: Precision = "float32",
) -> bytes:
    """The bytes of a file that computes what a function of TensorFlow does.

    Parameters
    ----------
    signature : a tf.TensorSpec for each argument, of which the inputs have their names
    models : the Keras models that it calls
    precision : of the weights; what is computed is float32
    """
    import_tensorflow()
    import keras
    import tensorflow as tf

    weights = [(weight, weight.numpy()) for model in models for weight in model.variables]

    def with_constants(*inputs: Tensor) -> Tensor:
        held = [(weight, tf.constant(values)) for weight, values in weights]
        with keras.StatelessScope(state_mapping=held):
            return run(*inputs)

    module = tf.Module()  # without it, inputs and outputs have no names
    module.run = tf.function(with_constants, input_signature=signature, autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.run.get_concrete_function()], module
    )
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    with quiet_native_output():
        return converter.convert()
