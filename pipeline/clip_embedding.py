"""One clip in, its embeddings out: the path that training, prediction and server share."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Protocol

import cv2
import numpy as np

from pipeline.embed import Engine
from pipeline.errors import ClipError
from pipeline.extractor import DIMENSION, Extractor
from pipeline.video import RateSampler, Sampling, VideoReader, resize, sample_frames
from pipeline.views import apply_view

BATCH = 32  # frames embedded in one call; bounds the memory of a clip of any length


class FrameReader(Protocol):
    """One pass over the frames of a clip; `pipeline.video.VideoReader` is one.

    Attributes
    ----------
    timeline : seconds of every frame passed so far, strictly increasing
    """

    timeline: list[float]

    def frames(self, wanted: Callable[[int, float], bool]) -> Iterator[tuple[int, np.ndarray]]:
        """Index and picture, (height, width, 3) uint8 BGR, of the frames that are wanted."""


@dataclass(frozen=True)
class ClipEmbeddings:
    """What came of one clip.

    Attributes
    ----------
    timeline : (F,) float64, seconds, of every frame that was read
    frames : view -> (n,) int32, indices of the embedded frames, increasing
    embeddings : view -> (n, 1280) float16, or what else the engine gave
    seconds : where the time went: "decode", "resize" (with views), "embed"
    embedded : frames that went through the CNN, all views together
    """

    timeline: np.ndarray
    frames: dict[str, np.ndarray]
    embeddings: dict[str, np.ndarray]
    seconds: dict[str, float] = field(default_factory=dict)
    embedded: int = 0


def embed_clip(
    path: Path,
    engine: Engine,
    extractor: Extractor,
    sampling: Sampling,
    wanted: Mapping[str, np.ndarray | None],
) -> ClipEmbeddings:
    """Decode a video once and embed its sampled frames.

    Parameters
    ----------
    path : the video
    engine : from pipeline.embed.load_engine
    extractor : its input size and resize rule are applied
    sampling : which frames; used for the views whose frames are not given
    wanted : view -> (n,) frame indices to embed, or None for all that `sampling` picks

    Raises
    ------
    ClipError
        When the video cannot be decoded, or has not all the frames named in `wanted`.
    """
    return embed_frames(VideoReader(path), engine, extractor, sampling, wanted)


def embed_frames(
    reader: FrameReader,
    engine: Engine,
    extractor: Extractor,
    sampling: Sampling,
    wanted: Mapping[str, np.ndarray | None],
) -> ClipEmbeddings:
    """As `embed_clip`, for any kind of clip that is read frame by frame."""
    clock = _Clock()
    named = {view: set(map(int, frames)) for view, frames in wanted.items() if frames is not None}
    rate = RateSampler(sampling) if len(named) < len(wanted) else None
    last = max((max(frames) for frames in named.values()), default=-1)
    any_named = set().union(*named.values())
    taken: set[int] = set()  # what the rate picked; a named frame alone must not go to its views

    def choose(index: int, seconds: float) -> bool:
        if rate is not None and rate(index, seconds):
            taken.add(index)
        return index in taken or index in any_named

    rows: dict[str, list[int]] = {view: [] for view in wanted}
    done: dict[str, list[np.ndarray]] = {view: [] for view in wanted}
    batch: list[np.ndarray] = []
    owners: list[str] = []

    def run() -> None:
        if batch:
            for view, embedding in zip(owners, engine(np.stack(batch)), strict=True):
                done[view].append(embedding)
            batch.clear()
            owners.clear()
        clock.add("embed")

    try:
        for index, image in reader.frames(choose):
            clock.add("decode")
            picture = resize(image, extractor.input_size, extractor.resize)
            for view in wanted:
                if index in named[view] if view in named else index in taken:
                    batch.append(apply_view(picture, view))
                    owners.append(view)
                    rows[view].append(index)
            clock.add("resize")
            if len(batch) >= BATCH:
                run()
            if rate is None and index == last:
                break
        clock.add("decode")
        run()
    except cv2.error as error:
        raise ClipError(f"OpenCV failed on it: {str(error).strip().splitlines()[-1]}") from None

    timeline = np.asarray(reader.timeline, np.float64)
    embedded = sum(map(len, done.values()))
    frames: dict[str, np.ndarray] = {}
    embeddings: dict[str, np.ndarray] = {}
    for view, found in rows.items():
        have = np.asarray(found, np.int32)
        keep = np.asarray(sorted(named[view]) if view in named else
                          sample_frames(timeline, sampling), np.int32)  # fmt: skip
        if not np.isin(keep, have).all():
            raise ClipError("ends earlier than when it was first read: the file or OpenCV changed")
        stacked = np.stack(done[view]) if done[view] else np.empty((0, DIMENSION), np.float16)
        frames[view], embeddings[view] = keep, stacked[np.searchsorted(have, keep)]
    return ClipEmbeddings(timeline, frames, embeddings, clock.seconds, embedded)


class _Clock:
    """Adds the time since the last call to a named part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def add(self, part: str) -> None:
        now = perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now
