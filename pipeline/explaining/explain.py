"""Where a model looked: which places and which frames of a clip speak for a label.

The places are Grad-CAM's (Selvaraju et al., 2017, https://arxiv.org/abs/1610.02391): the last
feature map of the CNN, 7 x 7 places of 1280 channels at 224 pixels, each channel weighted by the
gradient of the label's logit. An embedding is the mean of that map over its places, so the gradient
by the embedding is the gradient by the map, and nothing has to go back through the CNN.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backbone.folder import LITERT_FILE, WEIGHTS_FILE, load_keras_model
from pipeline.embedding.engines import load_model_engine
from pipeline.errors import ClipError, ModelError
from pipeline.explaining.occlusion import frame_effects
from pipeline.frames.sampled import Pictures, read_pictures
from pipeline.frames.sources import file_source
from pipeline.frames.streams import RGB
from pipeline.frames.video import Sampling
from pipeline.frames.views import MOVED
from pipeline.head.build import NETWORK_BRANCH
from pipeline.head.calibration import softmax
from pipeline.head.model_card import ModelCard
from pipeline.head.model_folder import (
    MODEL,
    NETWORK,
    checked_card,
    load_model,
    predict_logits,
    read_card,
)
from pipeline.head.network_files import load_keras
from pipeline.head.sequences import even_windows, take
from pipeline.head.streams import streams_of
from pipeline.quiet import import_tensorflow
from pipeline.store.extractor_spec import ExtractorSpec

if TYPE_CHECKING:
    import keras

FEATURE_MAP = "out_relu"  # Keras's name of MobileNetV2's last layer before the pooling
BATCH = 32  # frames whose feature maps are in memory at a time, 250 kB each


@dataclass(frozen=True)
class Explanation:
    """Why a clip was given a label.

    Attributes
    ----------
    file : as it was named
    label : the label that is explained
    predicted : the most probable label
    probability : of `label`
    pictures : the frames that the model saw
    maps : (n, places, places) float32, what speaks for the label at each place of each frame, on
        one scale for the clip, from 0 to 1
    activation : (n,) float64, each frame's share in the sum of `maps`
    effect : (n,) float64, by how much the label's log-odds fall when the mean of its neighbours
        stands in for the frame; negative where they rise
    views : the views that `maps` is the mean of
    """

    file: str
    label: str
    predicted: str
    probability: float
    pictures: Pictures
    maps: np.ndarray
    activation: np.ndarray
    effect: np.ndarray
    views: tuple[str, ...]


def explain(path: Path, label: str | None = None, folder: Path = MODEL) -> Explanation:
    """Explain what a model says of a video.

    Parameters
    ----------
    label : None takes the most probable one
    folder : the model folder

    Raises
    ------
    ClipError
        When the video cannot be decoded.
    ModelError
        When the model lacks the label, or a file that is needed.
    """
    card = read_card(folder)
    if NETWORK_BRANCH not in card.shape.branches or [*streams_of(card.readings)] != [RGB]:
        raise ModelError(
            f"{folder} has no recurrent network, or reads more than the pictures, and only the "
            "network of pictures can say where it looked: run `clipcache train` again with "
            "train.head recurrent, on features that have the stream rgb alone."
        )
    checked_card(folder, NETWORK, WEIGHTS_FILE, LITERT_FILE)
    if label is not None and label not in card.labels:
        raise ModelError(
            f"{folder} does not know the label {label}: it knows {', '.join(card.labels)}."
        )
    extractor = ExtractorSpec(**card.extractor)
    try:
        pictures = read_pictures(
            file_source(path),
            Sampling(**card.sampling),
            extractor.input_size,
            extractor.resize,
        )
    except ClipError as error:
        raise ClipError(f"{path} {error}.") from None
    engine = load_model_engine(extractor.precision, folder)
    embeddings = {view: engine(pictures.seen(view)) for view in card.views}
    import_tensorflow()
    network = load_keras(folder / NETWORK)
    model = load_model(folder)
    logits = predict_logits(model, [embeddings])[0]
    chosen = int(np.argmax(logits)) if label is None else card.labels.index(label)
    views = tuple(view for view in card.views if view not in MOVED) or card.views[:1]
    maps = _maps(folder, network, card, pictures, embeddings, views, chosen)
    total, largest = maps.sum(), maps.max()
    frames = len(maps)
    return Explanation(
        file=str(path),
        label=card.labels[chosen],
        predicted=card.labels[int(np.argmax(logits))],
        probability=float(softmax(logits, card.temperature)[chosen]),
        pictures=pictures,
        maps=maps / largest if largest > 0 else maps,
        activation=maps.sum(axis=(1, 2), dtype=np.float64) / total if total > 0
        else np.full(frames, 1 / frames),
        effect=frame_effects(embeddings, partial(predict_logits, model), chosen, card.temperature),
        views=views,
    )  # fmt: skip


def _maps(
    folder: Path,
    network: "keras.Model",
    card: ModelCard,
    pictures: Pictures,
    embeddings: dict[str, np.ndarray],
    views: tuple[str, ...],
    chosen: int,
) -> np.ndarray:
    """Grad-CAM of every frame, not scaled: (n, places, places) float32, at least 0."""
    import keras

    cnn = load_keras_model(folder).layers[-1]
    feature_map = keras.Model(cnn.input, cnn.get_layer(FEATURE_MAP).output)
    gradients = _gradients(network, card, embeddings, chosen)
    parts = []
    for first in range(0, len(pictures), BATCH):
        part = slice(first, first + BATCH)
        sums: Any = 0.0
        for view in views:
            seen = pictures.seen(view, part).astype(np.float32) / 127.5 - 1.0
            features = feature_map(seen, training=False).numpy()
            places = np.einsum("nhwc,nc->nhw", features, gradients[view][part])
            sums = sums + (places[:, :, ::-1] if view == "hflip" else places)
        parts.append(np.maximum(sums / len(views), 0))
    return np.concatenate(parts).astype(np.float32)


def _gradients(
    network: "keras.Model", card: ModelCard, embeddings: dict[str, np.ndarray], chosen: int
) -> dict[str, np.ndarray]:
    """The gradient of the clip's logit of a label by every embedding, view -> (n, D) float32."""
    import tensorflow as tf

    found = {}
    for view, values in embeddings.items():
        rows = even_windows(len(values), card.windowing)
        _, mask = take(values, rows)
        frames = tf.constant(values.astype(np.float32))
        with tf.GradientTape() as tape:
            tape.watch(frames)
            windows = tf.gather(frames, np.minimum(rows, len(values) - 1))
            logits = tf.reduce_mean(network([windows, tf.constant(mask)], training=False), axis=0)
            score = logits[chosen]
        gradient = tf.convert_to_tensor(tape.gradient(score, frames)).numpy()
        # A square root has no finite gradient at 0; there the whole map of the channel is 0.
        found[view] = np.where(values > 0, gradient, 0)
    return found
