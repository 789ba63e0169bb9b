"""One window of a clip in, probabilities out: CNN, views, head and temperature as one graph."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backbone.folder import WEIGHTS_FILE, load_keras_model
from pipeline.embedding.engines import SMALLEST_MASS
from pipeline.errors import ModelError
from pipeline.exporting.inputs import FRAMES, VALID, exported_windows, input_shapes
from pipeline.frames.streams import DIFFERENCE, FLOW, PLACE, RGB, reading, stream_and_view
from pipeline.frames.views import MOVED, VIEWS
from pipeline.head.graph import head_graph
from pipeline.head.model_card import ModelCard
from pipeline.head.model_folder import NETWORK, Model, checked_card
from pipeline.head.network_files import load_keras
from pipeline.head.streams import IDENTITY, MIRROR
from pipeline.wording import some

if TYPE_CHECKING:
    import keras

Tensor = Any


@dataclass(frozen=True)
class ClipGraph:
    """A model as a function of TensorFlow, ready to be written in any format.

    Attributes
    ----------
    run : (an argument for each input) -> {"probabilities": (K,) float32}. Only the first `valid`
        rows count.
    signature : tf.TensorSpec of the inputs, those of `pipeline.exporting.inputs.input_shapes`
    networks : the Keras models inside, whose weights are saved with the function
    """

    card: ModelCard
    run: Callable[..., dict[str, Tensor]]
    signature: list[Any]
    networks: tuple["keras.Model", ...]


def build_graph(model: Model) -> ClipGraph:
    """The graph of a model.

    All streams and views of the model are inside, and what the CNN gives is rounded to float16 as
    everywhere else, so that the probabilities are those of `clipcache predict` for the same window.

    Raises
    ------
    ModelError
        When the folder is damaged, or the model reads a view that a graph cannot repeat.
    """
    card, folder = model.card, model.folder
    _check_views(card)
    has_network = model.head.forward is not None
    checked_card(folder, WEIGHTS_FILE, *([NETWORK] if has_network else []))
    network = load_keras(folder / NETWORK) if has_network else None
    # one set of weights for the two sizes of pictures
    place = any(stream_and_view(name)[0] == PLACE for name in card.readings)
    cnn = load_keras_model(folder, place=place, any_size=True)
    import tensorflow as tf

    shapes = input_shapes(card)
    steps, own = exported_windows(card).steps, card.windowing
    logits = head_graph(model.head, network, own.count if steps > own.steps else 1)

    def run(*tensors: Tensor) -> dict[str, Tensor]:
        inputs = dict(zip(shapes, tensors, strict=True))
        clip = _embedded(cnn, inputs[FRAMES], card, (RGB, PLACE))
        if DIFFERENCE in inputs:
            clip |= _embedded(cnn, inputs[DIFFERENCE], card, (DIFFERENCE,))
        if FLOW in inputs:
            clip[reading(FLOW)] = _rounded(inputs[FLOW])
        valid = tf.clip_by_value(inputs[VALID], 1, steps)  # there is no clip without a row
        chance = tf.sigmoid if card.several else tf.nn.softmax
        return {"probabilities": chance(logits(clip, valid) / card.temperature)}

    signature = [
        tf.TensorSpec(shape, tf.as_dtype(dtype), name=name)
        for name, (shape, dtype) in shapes.items()
    ]
    networks = (cnn,) if network is None else (cnn, network)
    return ClipGraph(card, run, signature, networks)


def _check_views(card: ModelCard) -> None:
    named = list(map(stream_and_view, card.readings))
    moved = {view: None for _, view in named if view in MOVED}
    # the change between two brighter frames is not a brighter change
    altered = {view: None for stream, view in named
               if stream == DIFFERENCE and view not in (IDENTITY, MIRROR)}  # fmt: skip
    if refused := list(moved | altered):
        raise ModelError(
            f"The model reads the view {some(refused)}, which an export cannot repeat exactly: set "
            "features.views to [identity, hflip] and run `dvc repro`."
        )


def _embedded(
    cnn: "keras.Model", pictures: Tensor, card: ModelCard, streams: tuple[str, ...]
) -> dict[str, Tensor]:
    """Of (T, size, size, 3) uint8 pictures those of the readings that are of these streams."""
    import tensorflow as tf

    named = {name: stream_and_view(name) for name in card.readings}
    named = {name: both for name, both in named.items() if both[0] in streams}
    views = list(dict.fromkeys(view for _, view in named.values()))
    seen = tf.concat([_view(pictures, view) for view in views], axis=0)
    given = cnn(seen, training=False)
    embedding, *means = given if isinstance(given, list) else [given]
    by_stream = dict.fromkeys((RGB, DIFFERENCE), embedding)
    if means:
        by_stream[PLACE] = _centres_of_activation(*means)
    parts = {
        stream: tf.split(_rounded(by_stream[stream]), len(views))
        for stream in {stream for stream, _ in named.values()}
    }
    return {name: parts[stream][views.index(view)] for name, (stream, view) in named.items()}


def _rounded(values: Tensor) -> Tensor:
    """As everything is that the cache and the feature files hold."""
    import tensorflow as tf

    return tf.cast(tf.cast(values, tf.float16), tf.float32)


def _centres_of_activation(rows: Tensor, columns: Tensor) -> Tensor:
    """As `pipeline.embedding.engines.centres_of_activation`, of several pictures: (B, 1152)."""
    import tensorflow as tf

    centres = []
    for means in (columns, rows):
        size = means.shape[1]
        offset = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5)[:, np.newaxis]
        mass = tf.reduce_mean(means, axis=1) + SMALLEST_MASS
        centres.append(tf.reduce_mean(means * offset, axis=1) / mass)
    return tf.concat(centres, axis=1)


def _view(pictures: Tensor, name: str) -> Tensor:
    """`pipeline.frames.views` in TensorFlow; a change of brightness is a table of 256 levels."""
    import tensorflow as tf

    if name == IDENTITY:
        return pictures
    if name == MIRROR:
        return tf.reverse(pictures, axis=[2])
    levels = np.arange(256, dtype=np.uint8)[:, np.newaxis, np.newaxis].repeat(3, axis=2)
    table = tf.constant(VIEWS[name](levels)[:, 0, 0])
    return tf.gather(table, tf.cast(pictures, tf.int32))
