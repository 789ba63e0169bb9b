"""One clip in, its embeddings out: the path that training, prediction and server share."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from pipeline.backbone.folder import DIMENSION
from pipeline.embedding.engines import Engine
from pipeline.errors import ClipError
from pipeline.frames.motion import difference_of, flow_of
from pipeline.frames.neighbours import Moment, Neighbourhood
from pipeline.frames.sampled import SampledFrame, sampled_frames
from pipeline.frames.sources import Source, open_source
from pipeline.frames.streams import DIFFERENCE, FLOW, PLACE, RGB, stream_and_view
from pipeline.frames.video import WHOLE, FrameReader, Sampling, sample_frames
from pipeline.frames.views import apply_view
from pipeline.store.extractor_spec import DIMENSIONS, ExtractorSpec

BATCH = 32  # pictures embedded in one call; bounds the memory of a clip of any length

# stream -> the one whose pass of the CNN it comes from, and which columns of what that gives
PASSES = {
    RGB: (RGB, slice(DIMENSION)),
    PLACE: (RGB, slice(DIMENSION, None)),
    DIFFERENCE: (DIFFERENCE, slice(DIMENSION)),
    FLOW: (FLOW, slice(None)),
}
MOTION = (FLOW, DIFFERENCE)  # need the frames around a sampled one

Pass = tuple[str, str]  # the stream that it is for above all, and the view


@dataclass(frozen=True)
class ClipEmbeddings:
    """What came of one clip.

    Attributes
    ----------
    timeline : (F,) float64, seconds, of every frame that was read
    frames : reading -> (n,) int32, indices of the embedded frames, increasing
    embeddings : reading -> (n, D) float16, or what else the engine gave
    seconds : where the time went: "decode", "resize" (with views), "flow", "embed"
    embedded : pictures that went through the CNN, all readings together
    flows : optical flows that were computed
    missing : frames that the clip should hold and that cannot be decoded, see
        `pipeline.frames.video.VideoReader`
    """

    timeline: np.ndarray
    frames: dict[str, np.ndarray]
    embeddings: dict[str, np.ndarray]
    seconds: dict[str, float] = field(default_factory=dict)
    embedded: int = 0
    flows: int = 0
    missing: int = 0


def embed_clip(
    source: Source,
    engine: Engine,
    extractor: ExtractorSpec,
    sampling: Sampling,
    wanted: Mapping[str, np.ndarray | None],
    segments: Sequence[tuple[float, float]] = (),
    *,
    whole: bool = False,
) -> ClipEmbeddings:
    """Decode a video, or ordered images, once and embed the sampled frames.

    Parameters
    ----------
    source : files on this machine
    engine : from pipeline.embedding.engines.load_engine
    extractor : its input size and resize rule are applied
    sampling : which frames; used for the readings whose frames are not given
    wanted : reading -> (n,) frame indices to embed, or None for all that `sampling` picks; names
        as in pipeline.frames.streams
    segments : (start, end) in seconds, as `pipeline.frames.video.sample_frames` takes them:
        `sampling` picks inside each by itself, and a frame that several of them share is embedded
        once. They may overlap; one that no frame falls into adds nothing. Empty: the whole clip,
        which among other segments is `pipeline.frames.video.WHOLE`
    whole : as in `ClipEmbedder`

    Raises
    ------
    ClipError
        When the clip cannot be decoded, or has not all the frames named in `wanted`.
    """
    reader = open_source(source)
    return embed_frames(reader, engine, extractor, sampling, wanted, segments, whole=whole)


def embed_frames(
    reader: FrameReader,
    engine: Engine,
    extractor: ExtractorSpec,
    sampling: Sampling,
    wanted: Mapping[str, np.ndarray | None],
    segments: Sequence[tuple[float, float]] = (),
    *,
    whole: bool = False,
    to_the_end: bool = True,
) -> ClipEmbeddings:
    """As `embed_clip`, of any reader of frames.

    Parameters
    ----------
    to_the_end : read to the last frame, also where the last segment ends long before: the timeline
        goes into the cache, where it tells a later segment of the same video which frames are its
        own
    """
    embedder = ClipEmbedder(engine, extractor, wanted, whole=whole)
    segments = segments or (WHOLE,)
    named = [frames for frames in embedder.named.values() if frames is not None]
    for frame in sampled_frames(
        reader,
        sampling if len(named) < len(wanted) else None,
        extractor.input_size,
        extractor.resize,
        segments,
        named=set().union(*named),
        neighbours=embedder.sees_motion,
        to_the_end=to_the_end,
    ):
        embedder.add(frame)
    embedder.end()

    timeline = np.asarray(reader.timeline, np.float64)
    picked = [sample_frames(timeline, sampling, *segment) for segment in segments]
    sampled = np.unique(np.concatenate(picked))
    frames, embeddings = {}, {}
    for name, indices in embedder.named.items():
        keep = np.asarray(sampled if indices is None else sorted(indices), np.int32)
        frames[name], embeddings[name] = keep, embedder.rows(name, keep)
    return ClipEmbeddings(
        timeline,
        frames,
        embeddings,
        embedder.clock.seconds,
        embedder.embedded,
        embedder.flows,
        reader.missing,
    )


class ClipEmbedder:
    """Frames stream by; what is wanted of them is embedded, in batches.

    Readings that come from one pass of the CNN share it.

    Parameters
    ----------
    wanted : as in `embed_clip`
    whole : `rows` gives all that the engine gave for a frame, not the columns of the reading

    Attributes
    ----------
    named : reading -> the indices of `wanted` as a set, None for all frames that are picked
    embedded, flows : as in `ClipEmbeddings`
    """

    def __init__(
        self,
        engine: Engine,
        extractor: ExtractorSpec,
        wanted: Mapping[str, np.ndarray | None],
        *,
        whole: bool = False,
    ) -> None:
        self.named = {
            name: None if frames is None else set(map(int, frames))
            for name, frames in wanted.items()
        }
        self.clock = _Clock()
        self.embedded = self.flows = 0
        self._engine, self._around, self._whole = engine, Neighbourhood(extractor.resize), whole
        passes = {name: _pass_of(name) for name in wanted}
        self._readings = {key: [name for name in passes if passes[name] == key]
                          for key in passes.values()}  # fmt: skip
        self._done: dict[Pass, dict[int, np.ndarray]] = {key: {} for key in self._readings}
        self._order: deque[int] = deque()  # frames that something is wanted of
        self._waiting: dict[int, list[Pass]] = {}  # frame -> what is still to be seen of its motion
        self._batches: dict[int, list[tuple[Pass, int, np.ndarray]]] = {}  # by size, pixels

    @property
    def sees_motion(self) -> bool:
        """Whether the frames around the wanted ones are needed too."""
        return any(stream in MOTION for stream, _ in self._readings)

    def add(self, frame: SampledFrame) -> None:
        """Take the next frame.

        Raises
        ------
        ClipError
            When OpenCV cannot resize it.
        """
        self.clock.add("decode")
        wanting = [key for key in self._readings if self._wants(key, frame)]
        if wanting:
            self._order.append(frame.index)
        if still := [key for key in wanting if key[0] not in MOTION]:
            picture = frame.picture()
            for key in still:
                self._embed(key, frame.index, apply_view(picture, key[1]))
        if self.sees_motion:
            if moving := [key for key in wanting if key[0] in MOTION]:
                self._waiting[frame.index] = moving
            here = frame.index, frame.image, frame.seconds
            self._see(self._around.add(*here, sampled=bool(moving)))
        self.clock.add("resize")

    def end(self) -> None:
        """There are no more frames."""
        self.clock.add("decode")
        self._see(self._around.end())
        self.flush()

    def flush(self) -> None:
        """Embed what waits for a batch to fill."""
        for size in self._batches:
            self._run(size)

    def rows(self, name: str, frames: Sequence[int] | np.ndarray) -> np.ndarray:
        """What a reading says of these frames: (n, D) float16.

        Raises
        ------
        ClipError
            When one of them did not come by.
        """
        stream, _ = stream_and_view(name)
        done = self._done[_pass_of(name)]
        try:
            rows = [done[int(frame)] for frame in frames]
        except KeyError:
            reason = "ends earlier than when it was first read: the file or OpenCV changed"
            raise ClipError(reason) from None
        if not rows:
            return np.empty((0, DIMENSIONS[stream]), np.float16)
        return np.stack(rows) if self._whole else columns(name, np.stack(rows))

    def finished(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Frames of which all readings are there, in order, each once: index, name -> (D,).

        They are forgotten then, so that a stream may be endless. Where not all readings are wanted
        of all frames, use `rows`.
        """
        while self._order and all(self._order[0] in done for done in self._done.values()):
            index = self._order.popleft()
            yield index, {name: self.rows(name, [index])[0] for name in self.named}
            for done in self._done.values():
                del done[index]

    def _wants(self, key: Pass, frame: SampledFrame) -> bool:
        # a frame that another reading names alone must not go to all
        return any(
            frame.picked if (named := self.named[name]) is None else frame.index in named
            for name in self._readings[key]
        )

    def _see(self, moments: Iterator[Moment]) -> None:
        for moment in moments:
            for key in self._waiting.pop(moment.index):
                stream, view = key
                if stream == DIFFERENCE:
                    self._embed(key, moment.index, difference_of(moment, view))
                else:
                    self.clock.add("resize")
                    self._done[key][moment.index] = flow_of(moment).astype(np.float16)
                    self.flows += 1
                    self.clock.add("flow")

    def _embed(self, key: Pass, index: int, picture: np.ndarray) -> None:
        size = len(picture)
        batch = self._batches.setdefault(size, [])
        batch.append((key, index, picture))
        if len(batch) >= BATCH:
            self.clock.add("resize")
            self._run(size)

    def _run(self, size: int) -> None:
        batch = self._batches[size]
        if batch:
            rows = self._engine(np.stack([picture for _, _, picture in batch]))
            for (key, index, _), row in zip(batch, rows, strict=True):
                self._done[key][index] = row
            self.embedded += len(batch)
            batch.clear()
        self.clock.add("embed")


def columns(name: str, rows: np.ndarray) -> np.ndarray:
    """Of what an engine gave, (n, 2432), the columns of a reading: (n, D)."""
    return rows[:, PASSES[stream_and_view(name)[0]][1]]


def _pass_of(name: str) -> Pass:
    stream, view = stream_and_view(name)
    return PASSES[stream][0], view


class _Clock:
    """Adds the time since the last call to a named part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def add(self, part: str) -> None:
        now = perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now
