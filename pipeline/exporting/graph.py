"""One window of frames in, probabilities out: CNN, views, head and temperature as one graph."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backbone.folder import DIMENSION, WEIGHTS_FILE, load_keras_model
from pipeline.errors import ModelError
from pipeline.frames.streams import RGB
from pipeline.frames.views import MOVED, VIEWS
from pipeline.head.build import NETWORK_BRANCH
from pipeline.head.model_card import ModelCard
from pipeline.head.model_folder import MODEL, NETWORK, checked_card, read_card
from pipeline.head.network_files import load_keras
from pipeline.head.streams import streams_of
from pipeline.store.extractor_spec import ExtractorSpec
from pipeline.wording import some

if TYPE_CHECKING:
    import keras

Tensor = Any


@dataclass(frozen=True)
class ClipGraph:
    """A model as a function of TensorFlow, ready to be written in any format.

    Attributes
    ----------
    run : (frames (T, size, size, 3) uint8 RGB, valid () int32) -> {"probabilities": (K,) float32}.
        Only the first `valid` frames count.
    signature : tf.TensorSpec of the two inputs
    networks : the Keras models inside, whose weights are saved with the function
    """

    card: ModelCard
    run: Callable[[Tensor, Tensor], dict[str, Tensor]]
    signature: list[Any]
    networks: tuple["keras.Model", ...]


def build_graph(folder: Path = MODEL) -> ClipGraph:
    """The graph of a model folder.

    All views of the model are inside, and embeddings are rounded to float16 as everywhere else, so
    that the probabilities are those of `clipcache predict` for the same window.

    Raises
    ------
    ModelError
        When the folder is damaged, or the model averages a view that a graph cannot repeat.
    """
    card = read_card(folder)
    if card.shape.branches != (NETWORK_BRANCH,) or [*streams_of(card.readings)] != [RGB]:
        raise ModelError(
            f"{folder} has linear branches or reads more than pictures, and an export holds the "
            "network of pictures alone: run `clipcache train` again with train.head recurrent, on "
            "features that have the stream rgb alone."
        )
    checked_card(folder, NETWORK, WEIGHTS_FILE)
    moved = [view for view in card.views if view in MOVED]
    if moved:
        raise ModelError(
            f"{folder} averages the view {some(moved)}, which an export cannot repeat exactly: set "
            "features.views to [identity, hflip] and run `dvc repro`."
        )
    head = load_keras(folder / NETWORK)
    cnn = load_keras_model(folder)
    import tensorflow as tf

    extractor, steps, views = ExtractorSpec(**card.extractor), card.windowing.steps, len(card.views)

    def run(frames: Tensor, valid: Tensor) -> dict[str, Tensor]:
        seen = tf.concat([_view(frames, name) for name in card.views], axis=0)
        embeddings = tf.cast(tf.cast(cnn(seen, training=False), tf.float16), tf.float32)
        embeddings = tf.reshape(embeddings, (views, steps, DIMENSION))
        mask = tf.broadcast_to(tf.range(steps)[tf.newaxis] < valid, (views, steps))
        logits = tf.reduce_mean(head([embeddings, mask], training=False), axis=0)
        return {"probabilities": tf.nn.softmax(logits / card.temperature)}

    size = extractor.input_size
    signature = [
        tf.TensorSpec((steps, size, size, 3), tf.uint8, name="frames"),
        tf.TensorSpec((), tf.int32, name="valid"),
    ]
    return ClipGraph(card, run, signature, (cnn, head))


def _view(frames: Tensor, name: str) -> Tensor:
    """`pipeline.frames.views` in TensorFlow; a change of brightness is a table of 256 levels."""
    import tensorflow as tf

    if name == "identity":
        return frames
    if name == "hflip":
        return tf.reverse(frames, axis=[2])
    levels = np.arange(256, dtype=np.uint8)[:, np.newaxis, np.newaxis].repeat(3, axis=2)
    table = tf.constant(VIEWS[name](levels)[:, 0, 0])
    return tf.gather(table, tf.cast(frames, tf.int32))
