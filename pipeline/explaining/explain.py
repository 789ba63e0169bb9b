"""Where a model looked: which places, frames and streams of a clip speak for a label.

The places are Grad-CAM's (Selvaraju et al., 2017, https://arxiv.org/abs/1610.02391): the last
feature map of the CNN, 7 x 7 places of 1280 channels at 224 pixels, each channel weighted by the
gradient of the label's logit. An embedding is the mean of that map over its places, so the gradient
by the embedding is the gradient by the map, and nothing has to go back through the CNN.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backbone.folder import LITERT_FILE, WEIGHTS_FILE, load_keras_model
from pipeline.embedding.clip_embedding import embed_frames
from pipeline.embedding.engines import load_model_engine
from pipeline.errors import ClipError, ModelError
from pipeline.explaining.contributions import contributions, order_parts
from pipeline.explaining.occlusion import frame_effects
from pipeline.frames.flow_arrows import GRID, flow_grid
from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.motion import flow_field_of
from pipeline.frames.neighbours import Neighbourhood
from pipeline.frames.sampled import Pictures, sampled_frames
from pipeline.frames.sources import file_source
from pipeline.frames.streams import FLOW, RGB, reading, stream_and_view
from pipeline.frames.video import FrameReader, Sampling
from pipeline.frames.views import MOVED
from pipeline.head.build import NETWORK_BRANCH
from pipeline.head.graph import head_graph
from pipeline.head.inference import Head
from pipeline.head.model_folder import (
    MODEL,
    NETWORK,
    Model,
    check_embedding,
    checked_card,
    load_model,
    predict_logits,
    read_card,
)
from pipeline.head.network_files import load_keras
from pipeline.head.sequences import even_windows
from pipeline.head.streams import Clip
from pipeline.quiet import import_tensorflow
from pipeline.store.extractor_spec import ExtractorSpec

FEATURE_MAP = "out_relu"  # Keras's name of MobileNetV2's last layer before the pooling
BATCH = 32  # frames whose feature maps are in memory at a time, 250 kB each

logger = logging.getLogger("clipcache.explain")


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
        one scale for the clip, from 0 to 1; all 0 where the head counts nothing that it sees there
    activation : (n,) float64, each frame's share in the sum of `maps`
    effect : (n,) float64, by how much the label's log-odds fall when the mean of its neighbours
        stands in for the frame; negative where they rise
    views : the views that `maps` is the mean of
    added : branch -> what it adds for the label, see `pipeline.explaining.contributions`
    order : (8,) float64, what each eighth of the clip adds in the branches that see order
    flow : (n, 10, 10, 2) float32, how things move around each frame, picture widths a second; None
        where the model reads no flow
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
    added: dict[str, float]
    order: np.ndarray
    flow: np.ndarray | None


def explain(
    path: Path,
    label: str | None = None,
    folder: Path = MODEL,
    say: Callable[[str], None] = logger.info,
) -> Explanation:
    """Explain what a model says of a video.

    Parameters
    ----------
    label : None takes the most probable one
    folder : the model folder
    say : told what is being done

    Raises
    ------
    ClipError
        When the video cannot be decoded.
    ModelError
        When the model lacks the label, or a file that is needed.
    """
    card = read_card(folder)
    checked_card(folder, WEIGHTS_FILE, LITERT_FILE)
    check_embedding(card, folder)
    if label is not None and label not in card.labels:
        raise ModelError(
            f"{folder} does not know the label {label}: it knows {', '.join(card.labels)}."
        )
    extractor = ExtractorSpec(**card.extractor)
    engine = load_model_engine(extractor.precision, folder)
    source = file_source(path)
    say(f"Reading {path.name}.")
    try:
        clip = embed_frames(
            IsolatedReader(source), engine, extractor, Sampling(**card.sampling),
            dict.fromkeys(card.readings),
        )  # fmt: skip
        rows, flows = clip.embeddings, reading(FLOW) in card.readings
        indices = clip.frames["identity"]
        pictures, flow = _shown(IsolatedReader(source), extractor, indices, clip.timeline, flows)
    except ClipError as error:
        raise ClipError(f"{path} {error}.") from None
    say(f"Loading TensorFlow and the model, to look into {len(indices)} frames.")
    import_tensorflow()
    model = load_model(folder)
    scores = model.score(rows)
    logits = predict_logits(model, [rows])[0]
    chosen = int(np.argmax(logits)) if label is None else card.labels.index(label)
    seen = [view for stream, view in map(stream_and_view, card.readings) if stream == RGB]
    views = tuple(view for view in seen if view not in MOVED)
    say("Finding the places that count in each frame.")
    maps = _maps(model, pictures, _gradients(model, rows, views, chosen))
    total, largest = maps.sum(), maps.max()
    frames = len(maps)
    say("Leaving out each frame in turn.")
    return Explanation(
        file=str(path),
        label=card.labels[chosen],
        predicted=card.labels[int(np.argmax(logits))],
        probability=float(card.probabilities(logits)[chosen]),
        pictures=pictures,
        maps=maps / largest if largest > 0 else maps,
        activation=maps.sum(axis=(1, 2), dtype=np.float64) / total if total > 0
        else np.full(frames, 1 / frames),
        effect=frame_effects(
            rows, partial(predict_logits, model), chosen, card.temperature, several=card.several
        ),
        views=views,
        added=contributions(model.head.shares, scores, chosen, several=card.several),
        order=order_parts(model.head, rows, chosen, several=card.several),
        flow=flow if flows else None,
    )  # fmt: skip


def _shown(
    reader: FrameReader,
    extractor: ExtractorSpec,
    indices: np.ndarray,
    timeline: np.ndarray,
    moving: bool,
) -> tuple[Pictures, np.ndarray]:
    """The frames that were embedded, and how things move around them: (n, 10, 10, 2) float32.

    Parameters
    ----------
    moving : False leaves the movement at zeros
    """
    size, rule = extractor.input_size, extractor.resize
    pictures = np.empty((len(indices), size, size, 3), np.uint8)
    flow = np.zeros((len(indices), GRID, GRID, 2), np.float32)
    row = {int(index): number for number, index in enumerate(indices)}
    around = Neighbourhood(rule)
    for frame in sampled_frames(reader, None, size, rule, named=row, neighbours=moving):
        sampled = frame.index in row
        if sampled:
            pictures[row[frame.index]] = frame.picture()
        if moving:
            for moment in around.add(frame.index, frame.image, frame.seconds, sampled):
                flow[row[moment.index]] = flow_grid(flow_field_of(moment))
    for moment in around.end():
        flow[row[moment.index]] = flow_grid(flow_field_of(moment))
    return Pictures(indices, timeline[indices], pictures), flow


def _maps(model: Model, pictures: Pictures, gradients: dict[str, np.ndarray]) -> np.ndarray:
    """Grad-CAM of every frame, not scaled: (n, places, places) float32, at least 0."""
    import keras

    cnn = load_keras_model(model.folder).layers[-1]
    feature_map = keras.Model(cnn.input, cnn.get_layer(FEATURE_MAP).output)
    parts = []
    for first in range(0, len(pictures), BATCH):
        part = slice(first, first + BATCH)
        sums: Any = 0.0
        for view, gradient in gradients.items():
            seen = pictures.seen(view, part).astype(np.float32) / 127.5 - 1.0
            features = feature_map(seen, training=False).numpy()
            places = np.einsum("nhwc,nc->nhw", features, gradient[part])
            sums = sums + (places[:, :, ::-1] if view == "hflip" else places)
        parts.append(np.maximum(sums, 0))
    return np.concatenate(parts).astype(np.float32)


def _gradients(
    model: Model, clip: Clip, views: tuple[str, ...], chosen: int
) -> dict[str, np.ndarray]:
    """The gradient of the clip's logit of a label by every embedding, view -> (n, D) float32."""
    import tensorflow as tf

    head: Head = model.head
    network = load_keras(model.folder / NETWORK) if NETWORK_BRANCH in head.shares else None
    frames = len(clip[views[0]])
    graph = head_graph(head, network, len(even_windows(frames, head.windowing)))
    rows = {name: tf.constant(values.astype(np.float32)) for name, values in clip.items()}
    watched = {view: rows[view] for view in views}
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(watched)
        score = graph(rows, tf.constant(frames))[chosen]
    gradients = tape.gradient(score, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    # A square root has no finite gradient at 0; there the whole map of the channel is 0.
    return {
        view: np.where(clip[view] > 0, tf.convert_to_tensor(gradient).numpy(), 0)
        for view, gradient in gradients.items()
    }
