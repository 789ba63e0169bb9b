"""The backbone folder: frozen MobileNetV2 as a Keras model and as one LiteRT file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import FeaturesError, WeightsError, how_to_have
from pipeline.files import replacing_folder, write_json
from pipeline.litert import litert_of_model
from pipeline.quiet import import_tensorflow

if TYPE_CHECKING:
    import keras

    from pipeline.backbone.weights import Tensors

BACKBONE = Path("models/backbone")
WEIGHTS_FILE = "backbone.h5"
LITERT_FILE = "backbone.tflite"
DESCRIPTION_FILE = "backbone.json"
DIMENSION = 1280  # channels of MobileNetV2's last convolution, averaged over the picture
PLACE_LAYER = "block_13_expand_relu"  # 576 channels of 1/16 of the picture's side
PLACE_DIMENSION = 2 * 576  # the centre of activation of each of them: x, then y


@dataclass(frozen=True)
class Backbone:
    """What backbone.json says.

    Attributes
    ----------
    digest : SHA-256 of the weight tensors (pipeline.backbone.weights.tensors_sha256)
    source : where the weights came from
    input_size : side of the square input, pixels
    dimension : length of an embedding
    """

    digest: str
    input_size: int
    source: str = ""
    dimension: int = DIMENSION


def write_backbone(folder: Path, tensors: "Tensors", *, source: str, input_size: int) -> Backbone:
    """Write the backbone folder: the weights, the LiteRT model and backbone.json.

    The LiteRT model takes one frame, (1, input_size, input_size, 3) uint8 RGB, or of another size
    after `resize_tensor_input`; scaling to [-1, 1] is inside. It gives what `build_keras_model`
    does with `place`.
    """
    import_tensorflow()
    import keras

    from pipeline.backbone.weights import tensors_sha256
    from pipeline.hdf5 import create_hdf5

    keras.backend.clear_session()  # layer names count up otherwise, and end up in the LiteRT file
    backbone = Backbone(tensors_sha256(tensors), input_size, source)
    with replacing_folder(folder) as temporary:
        with create_hdf5(temporary / WEIGHTS_FILE) as file:
            for name in sorted(tensors):
                file.create_dataset(name, data=tensors[name])
        model = build_keras_model(tensors, input_size, place=True)
        (temporary / LITERT_FILE).write_bytes(litert_of_model(model, batch=1))
        write_json(temporary / DESCRIPTION_FILE, asdict(backbone))
    return backbone


def read_backbone(folder: Path = BACKBONE) -> Backbone:
    """Read backbone.json.

    Raises
    ------
    FeaturesError
        When the folder is missing or incomplete.
    """
    path = folder / DESCRIPTION_FILE
    if not path.exists():
        raise FeaturesError(f"{path} is not there: {how_to_have(folder, 'clipcache backbone')}.")
    return Backbone(**json.loads(path.read_text()))


def load_keras_model(
    folder: Path, input_size: int | None = None, *, place: bool = False, any_size: bool = False
) -> "keras.Model":
    """MobileNetV2 in Keras, as `build_keras_model` makes it; the reference for all engines.

    Parameters
    ----------
    input_size : pixels; None: that of the folder
    """
    from pipeline.backbone.weights import read_tensors

    size = input_size or read_backbone(folder).input_size
    tensors = read_tensors(folder / WEIGHTS_FILE)
    return build_keras_model(tensors, size, place=place, any_size=any_size)


def build_keras_model(
    tensors: "Tensors", input_size: int, *, place: bool = False, any_size: bool = False
) -> "keras.Model":
    """MobileNetV2 1.0 (Sandler et al. 2018, arXiv:1801.04381) with these weights, pooled.

    Parameters
    ----------
    tensors : "<layer>/<tensor>" -> float32, as pipeline.backbone.weights reads them
    input_size : side of the square input, pixels
    place : with the means over the rows and over the columns of `PLACE_LAYER`, from which
        `pipeline.embedding.engines` makes the centres of activation
    any_size : takes pictures of other sizes too, as the LiteRT model does after
        `resize_tensor_input`

    Returns
    -------
    keras.Model, (B, input_size, input_size, 3) uint8 RGB -> (B, 1280) float32; with `place` a list
    of that, of (B, height, 576) and of (B, width, 576), both float32
    """
    import_tensorflow()
    import keras

    shape: tuple[int | None, ...] = (input_size, input_size, 3)
    network = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=shape, pooling="avg"
    )
    if any_size:
        shape = (None, None, 3)
        network = keras.models.clone_model(network, keras.Input(shape), clone_function=_unsized)
    for layer in network.layers:
        names = [f"{layer.name}/{weight.name}" for weight in layer.weights]
        missing = [name for name in names if name not in tensors]
        if missing:
            raise WeightsError(f"the weights lack {missing[0]}: they are not MobileNetV2's.")
        for name, weight in zip(names, layer.weights, strict=True):
            if tensors[name].shape != tuple(weight.shape):
                raise WeightsError(
                    f"the weights hold {name} with the shape {tensors[name].shape}, but "
                    f"MobileNetV2(alpha=1.0) needs {tuple(weight.shape)}: they are of another size."
                )
        if names:
            layer.set_weights([tensors[name] for name in names])
    network.trainable = False
    frames = keras.Input(shape, dtype="uint8")
    scaled = keras.ops.cast(frames, "float32") / 127.5 - 1.0
    if not place:
        return keras.Model(frames, network(scaled))
    both = keras.Model(network.inputs, [network.output, network.get_layer(PLACE_LAYER).output])
    embedding, activation = both(scaled)
    means = [keras.ops.mean(activation, axis=axis) for axis in (2, 1)]
    return keras.Model(frames, [embedding, *means])


def _unsized(layer: "keras.Layer") -> "keras.Layer":
    """A layer without the padding for one size that Keras puts before strides: "same" is equal."""
    import keras

    if isinstance(layer, keras.layers.ZeroPadding2D):
        return keras.layers.Identity(name=layer.name)
    config = layer.get_config()
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        config["padding"] = "same"
    return layer.__class__.from_config(config)
