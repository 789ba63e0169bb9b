"""One clip in, its embeddings out: the path that training, prediction and server share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from pipeline.backbone.folder import DIMENSION
from pipeline.embedding.engines import Engine
from pipeline.errors import ClipError
from pipeline.frames.sampled import sampled_frames
from pipeline.frames.sources import Source, open_source
from pipeline.frames.video import WHOLE, FrameReader, Sampling, sample_frames
from pipeline.frames.views import apply_view
from pipeline.store.extractor_spec import ExtractorSpec

BATCH = 32  # frames embedded in one call; bounds the memory of a clip of any length


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
    source: Source,
    engine: Engine,
    extractor: ExtractorSpec,
    sampling: Sampling,
    wanted: Mapping[str, np.ndarray | None],
    segments: Sequence[tuple[float, float]] = (),
) -> ClipEmbeddings:
    """Decode a video, or ordered images, once and embed the sampled frames.

    Parameters
    ----------
    source : files on this machine
    engine : from pipeline.embedding.engines.load_engine
    extractor : its input size and resize rule are applied
    sampling : which frames; used for the views whose frames are not given
    wanted : view -> (n,) frame indices to embed, or None for all that `sampling` picks
    segments : (start, end) in seconds, as `pipeline.frames.video.sample_frames` takes them:
        `sampling` picks inside each by itself, and a frame that several of them share is embedded
        once. They may overlap; one that no frame falls into adds nothing. Empty: the whole clip,
        which among other segments is `pipeline.frames.video.WHOLE`

    Raises
    ------
    ClipError
        When the clip cannot be decoded, or has not all the frames named in `wanted`.
    """
    reader = open_source(source)
    return embed_frames(reader, engine, extractor, sampling, wanted, segments)


def embed_frames(
    reader: FrameReader,
    engine: Engine,
    extractor: ExtractorSpec,
    sampling: Sampling,
    wanted: Mapping[str, np.ndarray | None],
    segments: Sequence[tuple[float, float]] = (),
) -> ClipEmbeddings:
    """As `embed_clip`, of any reader of frames.

    A pass that picks frames by `sampling` reads to the last frame, also where the last segment
    ends long before: the timeline goes into the cache, where it tells a later segment of the same
    video which frames are its own.
    """
    clock = _Clock()
    segments = segments or (WHOLE,)
    named = {view: set(map(int, frames)) for view, frames in wanted.items() if frames is not None}
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

    for frame in sampled_frames(
        reader,
        sampling if len(named) < len(wanted) else None,
        extractor.input_size,
        extractor.resize,
        segments,
        named=set().union(*named.values()),
    ):
        clock.add("decode")
        picture = frame.picture()
        for view in wanted:  # a frame that another view names alone must not go to all
            if frame.index in named[view] if view in named else frame.picked:
                batch.append(apply_view(picture, view))
                owners.append(view)
                rows[view].append(frame.index)
        clock.add("resize")
        if len(batch) >= BATCH:
            run()
    clock.add("decode")
    run()

    timeline = np.asarray(reader.timeline, np.float64)
    embedded = sum(map(len, done.values()))
    picked = [sample_frames(timeline, sampling, *segment) for segment in segments]
    sampled = np.unique(np.concatenate(picked))
    frames: dict[str, np.ndarray] = {}
    embeddings: dict[str, np.ndarray] = {}
    for view, found in rows.items():
        have = np.asarray(found, np.int32)
        keep = np.asarray(sorted(named[view]) if view in named else sampled, np.int32)
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
