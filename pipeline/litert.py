"""A Keras model as one LiteRT file."""

from typing import TYPE_CHECKING

from pipeline.quiet import import_tensorflow, quiet_native_output

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def litert_bytes(model: "keras.Model", batch: int | None = None) -> bytes:
    """The file: built-in operations, and the weights as constants. Equal weights give equal bytes.

    Inputs are called as those of the model, outputs `output_0` and so on. Keras's own way, which
    goes by a SavedModel with all its variables, takes up to four times as long.

    Parameters
    ----------
    batch : size of the first axis; None: any
    """
    import_tensorflow()
    import tensorflow as tf

    weights = [
        [variable.numpy() for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]
    signature = [
        tf.TensorSpec((batch, *taken.shape[1:]), taken.dtype, name=taken.name)
        for taken in model.inputs
    ]

    def run(*inputs: "tf.Tensor") -> "list[tf.Tensor]":
        taken = inputs[0] if len(inputs) == 1 else list(inputs)
        return model.stateless_call(*weights, taken, training=False)[0]

    module = tf.Module()  # without it, inputs and outputs have no names
    module.run = tf.function(run, input_signature=signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.run.get_concrete_function()], module
    )
    with quiet_native_output():
        return converter.convert()
