"""What goes into an export: of a model which arrays, and how they are made of a video.

As in training: decoded once, sampled, made square; flow and difference from the frames around each
sampled one. Needs OpenCV and NumPy, no TensorFlow.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.embedding.clip_embedding import embed_frames
from pipeline.errors import ClipError, ModelError
from pipeline.frames.neighbours import SIZE
from pipeline.frames.sources import file_source, open_source
from pipeline.frames.streams import DIFFERENCE, FLOW, RGB, reading
from pipeline.frames.video import FrameReader, Sampling
from pipeline.head.model_card import ModelCard
from pipeline.head.sequences import Windowing, even_windows
from pipeline.head.streams import streams_of
from pipeline.store.extractor_spec import ExtractorSpec

DESCRIPTION = "export.json"
FRAMES, VALID = "frames", "valid"
STREAM_OF = {FRAMES: RGB, FLOW: FLOW, DIFFERENCE: DIFFERENCE}  # of each input but `valid`

Inputs = dict[str, np.ndarray]


def exported_windows(card: ModelCard) -> Windowing:
    """How clips are cut for an export: into windows of as many rows as the median training clip.

    Never more than the network's own windows cover, so that those are always equally many.
    """
    windowing = card.windowing
    steps = max(1, min(card.window, windowing.count * windowing.steps))
    return Windowing(steps, count=windowing.count)


def input_shapes(card: ModelCard) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name -> shape and dtype of what an export of this model takes, in its order."""
    steps, size = exported_windows(card).steps, int(card.extractor["input_size"])
    streams = streams_of(card.readings)
    shapes: dict[str, tuple[tuple[int, ...], str]] = {FRAMES: ((steps, size, size, 3), "uint8")}
    if FLOW in streams:
        shapes[FLOW] = ((steps, streams[FLOW]), "float32")
    if DIFFERENCE in streams:
        shapes[DIFFERENCE] = ((steps, SIZE, SIZE, 3), "uint8")
    return {**shapes, VALID: ((), "int32")}


def graph_inputs(
    video: str | Path, export: str | Path | Mapping[str, Any]
) -> Iterator[Inputs]:  # fmt: skip
    """The inputs of an export for each window of a video, or of a still image.

    Imports no TensorFlow. The video is decoded at the call; the pictures of its sampled frames are
    held in memory, 230 kB a frame.

    Parameters
    ----------
    export : the folder that `clipcache export` wrote, or what its export.json says

    Yields
    ------
    dict
        An array for each input that export.json names, such as ``frames`` (T, 224, 224, 3) uint8
        RGB, ``flow`` (T, 384) float32, ``difference`` (T, 160, 160, 3) uint8 RGB; and ``valid``, ()
        int32, the rows of them that count. T is the ``steps`` of export.json.

    Raises
    ------
    ClipError
        When the video cannot be read or decoded.
    ModelError
        When the folder holds no export.
    """
    about = export if isinstance(export, Mapping) else _description(Path(export))
    try:
        return clip_inputs(open_source(file_source(Path(video))), about)
    except ClipError as error:
        raise ClipError(f"{video} {error}.") from None


def clip_inputs(
    reader: FrameReader, about: Mapping[str, Any], segments: Sequence[tuple[float, float]] = ()
) -> Iterator[Inputs]:
    """As `graph_inputs`, of any reader of frames.

    Parameters
    ----------
    segments : as in `pipeline.embedding.clip_embedding.embed_clip`
    """
    pictures: list[np.ndarray] = []

    def keep(frames: np.ndarray) -> np.ndarray:
        pictures.extend(frames)
        return np.arange(len(pictures) - len(frames), len(pictures))

    named = {name: reading(STREAM_OF[name]) for name in about["inputs"] if name in STREAM_OF}
    clip = embed_frames(
        reader,
        keep,
        ExtractorSpec(about["backbone"], about["input_size"], about["resize"]["rule"], "float32"),
        Sampling(about["sampling"]["fps"], about["sampling"]["max_frames"]),
        dict.fromkeys(named.values()),
        segments,
        whole=True,
        to_the_end=False,
    )
    rows = {name: clip.embeddings[one] for name, one in named.items()}

    def part(name: str, window: np.ndarray) -> np.ndarray:
        if name == FLOW:
            return rows[name][window].astype(np.float32)
        return np.stack([pictures[place] for place in rows[name][window]])

    count, steps = len(rows[FRAMES]), about["steps"]
    windows = even_windows(count, Windowing(steps, count=about["windows"]["count"]))
    valid = np.array(min(count, steps), np.int32)
    return (
        {**{name: part(name, np.minimum(window, count - 1)) for name in rows}, VALID: valid}
        for window in windows
    )


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        about = json.loads(path.read_text("utf-8"))
        if about["inputs"] and about["steps"]:
            return about
        reason = "it names no inputs"
    except OSError as error:
        reason = str(error.strerror)
    except (ValueError, KeyError, TypeError):
        reason = "it is not what clipcache writes"
    raise ModelError(
        f"{path} cannot be read ({reason}): name the folder that `clipcache export` wrote."
    )
