"""A clip in, labels with probabilities out: the one path of command, server, page and webcam.

Everything goes through the same functions as in training: decode, sample, resize, embed, cut into
windows, head, mean of the logits over windows and views, temperature, softmax. Frames that a
program already holds only skip the decoder.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from pipeline.backbone.folder import DIMENSION
from pipeline.csv_tables import listed
from pipeline.dataset.clips import BACKGROUND
from pipeline.embedding.clip_embedding import ClipEmbedder, ClipEmbeddings, embed_frames
from pipeline.embedding.engines import load_model_engine
from pipeline.errors import ClipError, ModelError
from pipeline.frames.images import IMAGE_FPS, ImageReader
from pipeline.frames.neighbours import REACH
from pipeline.frames.sampled import SampledFrame, sampled_frames
from pipeline.frames.sources import file_source, open_source
from pipeline.frames.video import (
    FrameReader,
    Sampling,
    resize,
    sample_frames,
)
from pipeline.frames.views import apply_view
from pipeline.head.calibration import softmax
from pipeline.head.held_out import FALSE_ALARMS
from pipeline.head.inference import Views as Clip
from pipeline.head.model_folder import MODEL, check_embedding, load_model, predict_logits
from pipeline.predict.arrays import ArrayReader, as_bgr
from pipeline.predict.events import ActionEvents
from pipeline.predict.prediction import NONE, UNSURE, Prediction, Window
from pipeline.predict.seconds import (
    clip_length,
    decoder_of,
    longest_whole,
    seconds_between,
    windows_by,
)
from pipeline.predict.stream import Stream
from pipeline.predict.watched import WatchedClip, watch
from pipeline.store.extractor_spec import ExtractorSpec
from pipeline.timeline.spans import decoded, doubted, none_of_these, time_shares
from pipeline.timeline.windows import WindowedHead

__all__ = ["Prediction", "Predictor", "Stream", "Window"]


class Predictor:
    """A trained model, loaded once, ready for clips of any kind.

    Pictures that are passed as arrays are RGB. Several threads may use one at the same time: they
    decode side by side, and take turns frame by frame with the CNN, whose own threads share out the
    cores. A copy, and one that was pickled, loads the model folder again.

    Parameters
    ----------
    model : the model folder
    threshold : probability below which the answer is "unsure"; where several labels may hold, below
        which none does
    threads : of the CNN; None takes one for each core
    false_alarms : share of clips of known labels that may be answered with "none of these", which
        is the price for finding others; 0 never answers so, nor do models of earlier releases
    level : share of clips whose set of labels must hold the true one; None for no sets

    Raises
    ------
    ModelError
        When the model is missing, damaged, or was trained on another backbone; or knows no sets.
    ClipcacheError
        When too few clips were held out in training for sets of that level.
    """

    def __init__(
        self, model: str | Path = MODEL, threshold: float = 0.0, *, threads: int | None = None,
        false_alarms: float = FALSE_ALARMS, level: float | None = None,
    ) -> None:  # fmt: skip
        model = Path(model)
        self._model = load_model(model, runtime="litert")
        self.card = self._model.card
        self._threads = threads
        check_embedding(self.card, model)
        self.threshold = threshold
        self.false_alarms = false_alarms
        self.level = level
        self._possible(np.zeros((1, len(self.labels))))  # said before any work is done
        self._extractor = ExtractorSpec(**self.card.extractor)
        self._sampling = Sampling(**self.card.sampling)
        self._engine = load_model_engine(self._extractor.precision, model, threads)

    def __reduce__(self) -> tuple[Callable[[], "Predictor"], tuple[()]]:
        folder = self._model.folder.absolute()
        return partial(
            Predictor, folder, self.threshold, threads=self._threads,
            false_alarms=self.false_alarms, level=self.level,
        ), ()  # fmt: skip

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of a window's probabilities."""
        return self.card.labels

    def file(
        self,
        path: str | Path,
        *,
        window: float | None = None,
        stride: float | None = None,
        windows: bool = True,
    ) -> Prediction:
        """What happens in a video, or in one still image.

        The answer for a clip less than twice as long as those that the model learnt from is that of
        `clipcache evaluate`. In a longer one several things may happen: its labels have their
        shares of the time, as the spans say. Windows are cut from frames at the full rate of the
        model's sampling, also where a clip has so many that the answer for the whole rests on a
        part.

        Parameters
        ----------
        window : seconds of each window; None takes the length that training found best
        stride : seconds from one window to the next; None takes a quarter of a window
        windows : False leaves them out where the answer for the whole clip needs none; where
            several labels may hold there are none, and a clip of any length is scored as a whole

        Raises
        ------
        ClipError
            When the file cannot be read or decoded.
        """
        reader = open_source(file_source(Path(path)))
        with _said_of(str(path)):
            return self.read(reader, str(path), window, stride, windows)

    def images(
        self,
        images: Sequence[Path | str | np.ndarray],
        *,
        fps: float = IMAGE_FPS,
        window: float | None = None,
        stride: float | None = None,
        windows: bool = True,
    ) -> Prediction:
        """What happens in a clip that is a list of pictures, in order; one is a clip as well.

        Parameters
        ----------
        images : files, or (height, width, 3) uint8 RGB arrays
        fps : pictures a second

        Raises
        ------
        ClipError
            When there is no picture, or one cannot be read.
        """
        if not len(images):
            raise ClipError("There is no image to recognise.")
        if not fps > 0:
            raise ClipError(f"There cannot be {fps} images a second: fps must be more than 0.")
        paths = [Path(image) for image in images if not isinstance(image, np.ndarray)]
        arrays = [image for image in images if isinstance(image, np.ndarray)]
        if paths and arrays:
            raise ClipError("The images are both files and arrays: make all of them the same.")
        if arrays:
            return self.read(ArrayReader(arrays, fps), "", window, stride, windows)
        name = str(paths[0])
        with _said_of(name if len(paths) == 1 else f"The clip of {len(paths)} images"):
            return self.read(ImageReader(paths, fps), name, window, stride, windows)

    def array(
        self,
        frames: np.ndarray,
        fps: float,
        *,
        window: float | None = None,
        stride: float | None = None,
        windows: bool = True,
    ) -> Prediction:
        """What happens in frames from memory, (T, height, width, 3) uint8 RGB, `fps` a second."""
        return self.images(list(frames), fps=fps, window=window, stride=stride, windows=windows)

    def stream(self, *, smoothing: float = 0.0) -> "Stream":
        """An endless clip, of which the newest window is classified; see `Stream`."""
        return Stream(self, smoothing)

    def events(self) -> ActionEvents:
        """What makes events of the windows of a stream: when actions start, and when they end.

        Raises
        ------
        ModelError
            When several labels may hold.
        """
        if self.card.several:
            raise ModelError(
                f"Several labels may hold at a time by {self._model.folder}, and starts and ends "
                "are told of one: leave out the events."
            )
        decoder = decoder_of(self.card)
        return ActionEvents(self.labels, decoder, self.false_alarms, (BACKGROUND,))

    def embed(self, picture: np.ndarray, *, bgr: bool = False) -> dict[str, np.ndarray]:
        """One frame, (height, width, 3) uint8, as view -> (1280,) float16 embedding.

        Parameters
        ----------
        picture : RGB; BGR, as OpenCV gives it, with `bgr`
        """
        picture = picture if bgr else as_bgr(picture)
        picture = resize(picture, self._extractor.input_size, self._extractor.resize)
        views = np.stack([apply_view(picture, view) for view in self.card.views])
        return dict(zip(self.card.views, self._engine(views)[:, :DIMENSION], strict=True))

    def embeddings(
        self, reader: FrameReader, start: float = 0.0, end: float = math.inf
    ) -> ClipEmbeddings:  # fmt: skip
        """What the model reads of a stretch of a clip, at the full rate of its sampling.

        Parameters
        ----------
        start, end : seconds, as the reader's timeline counts them
        """
        sampling = replace(self._sampling, max_frames=None)
        wanted = dict.fromkeys(self.card.readings)
        return embed_frames(
            reader, self._engine, self._extractor, sampling, wanted, ((start, end),),
            to_the_end=False,
        )  # fmt: skip

    def frame(self, index: int, seconds: float, picture: np.ndarray, picked: bool) -> SampledFrame:
        """A frame, (height, width, 3) uint8 BGR, as `embedder` takes it."""
        size, rule = self._extractor.input_size, self._extractor.resize
        return SampledFrame(index, seconds, picture, size, rule, picked)

    def embedder(self) -> ClipEmbedder:
        """What takes frames one by one, as they come, and makes of them what the model reads."""
        return ClipEmbedder(self._engine, self._extractor, dict.fromkeys(self.card.readings))

    def logits(self, clip: Clip) -> np.ndarray:
        """Logits (K,) float32 of a clip given as reading -> (T, D) embeddings."""
        return self.logits_of([clip])[0]

    def logits_of(self, clips: Iterable[Clip]) -> np.ndarray:
        """Logits (n, K) float32 of clips, each given as reading -> (T, D) embeddings."""
        return predict_logits(self._model, clips)

    def contributions(self, clip: Clip) -> np.ndarray:
        """What each branch adds to the logits of a clip: (B, K) float32."""
        return self._model.head.contributions([clip])[0]

    def familiarity(self, contributions: np.ndarray) -> float | None:
        """The share of clips of known labels that are as odd or odder than one with these
        contributions (B, K); None where the model cannot tell.
        """
        reference = self._model.reference
        return None if reference is None else float(reference.familiarity(contributions[None])[0])

    def _possible(self, logits: np.ndarray) -> np.ndarray:
        """Which labels are in the sets of the level that was asked for: (n, K) bool."""
        if self.level is None:
            return np.zeros(logits.shape, bool)
        return self._model.sets(logits, self.level)

    def holding(self, probabilities: np.ndarray) -> tuple[str, ...]:
        """The labels that hold where several may, by probabilities (K,), most probable first."""
        holds = self.card.hold(probabilities) & (probabilities >= self.threshold)
        order = np.argsort(-probabilities, kind="stable")
        return tuple(self.labels[i] for i in order if holds[i])

    def judge(
        self, start: float, end: float, logits: np.ndarray, familiarity: float | None = None
    ) -> Window:
        """The logits (K,) of a stretch of a clip as a window, if it is familiar enough."""
        if self.card.several:
            probabilities = self.card.probabilities(logits)
            label = listed(sorted(self.holding(probabilities))) or NONE
            return Window(start, end, probabilities, label, float(probabilities.max()))
        decoder = self.card.decoder
        probabilities = softmax(logits, (decoder or self.card).temperature)
        best = int(np.argmax(probabilities))
        confidence = float(probabilities[best])
        label = self.labels[best] if confidence >= self.threshold else UNSURE
        if familiarity is not None and familiarity <= self.false_alarms:
            label = NONE
        return Window(start, end, probabilities, label, confidence)

    def read(
        self,
        reader: FrameReader,
        name: str = "",
        window: float | None = None,
        stride: float | None = None,
        windows: bool = True,
    ) -> Prediction:
        """What happens in any kind of clip that is read frame by frame; see `file`."""
        sampling, several = self._sampling, self.card.several
        windows = windows and not several
        rate, most, longest = sampling.fps, sampling.max_frames, longest_whole(self.card)
        if windows or most is None or (rate is not None and longest * rate <= most):
            # Windows need frames at the full rate; max_frames thins those of the whole clip later.
            sampling = replace(sampling, max_frames=None)
        embedder = self.embedder()
        size, rule = self._extractor.input_size, self._extractor.resize
        motion = embedder.sees_motion
        frames = sampled_frames(reader, sampling, size, rule, neighbours=motion)
        watched = partial(self._watched, window, stride, windows, sampling)
        clip, head_seconds = watch(reader, frames, embedder, watched)
        timeline = np.asarray(reader.timeline, np.float64)
        started = perf_counter()
        length = clip_length(timeline)
        parts = clip.end(length)
        decoder, reference = decoder_of(self.card, timeline, window), self._model.reference
        spans = decoded(parts, decoder, self.labels, reference)
        familiarity, possible = None, np.zeros(len(self.labels), bool)
        if clip.is_long:
            spans = none_of_these(spans, self.false_alarms)
            count, probabilities = clip.rows, time_shares(spans, self.labels)
        else:
            count, contributions = clip.whole(sample_frames(timeline, self._sampling))
            logits = contributions.sum(axis=0)
            probabilities = self.card.probabilities(logits)
            familiarity, possible = self.familiarity(contributions), self._possible(logits[None])[0]
        order = np.argsort(-probabilities, kind="stable")
        clock = embedder.clock.seconds
        return Prediction(
            name,
            tuple(self.labels[i] for i in order),
            probabilities[order],
            count,
            length,
            tuple(
                self.judge(start, end, logits)
                for part in parts
                for (start, end), logits in zip(part.places.tolist(), part.logits, strict=True)
            ),
            self.threshold,
            clock | {"head": head_seconds + perf_counter() - started},
            tuple(doubted(spans, self.threshold)),
            clip.is_long,
            familiarity,
            self.false_alarms,
            None if clip.is_long else self.level,
            tuple(self.labels[i] for i in order if possible[i]),
            self.holding(probabilities) if several else None,
        )

    def _watched(
        self, window: float | None, stride: float | None, windows: bool, sampling: Sampling,
        times: np.ndarray,
    ) -> WatchedClip:  # fmt: skip
        """What takes the rows of a clip of which the first ones come at `times`."""
        head = WindowedHead(self._model.head, *self.window_rule(window, stride, times))
        # Where frames are thinned out as they become too many, windows would see them too rarely.
        longest = math.inf if sampling.max_frames and not windows else longest_whole(self.card)
        return WatchedClip(self._model.head, head, longest, windows)

    def window_rule(
        self, window: float | None, stride: float | None, times: np.ndarray | None = None
    ) -> tuple[float, float]:
        """Window and stride in seconds, with what is None filled in; see `windows_by`."""
        return windows_by(decoder_of(self.card, times), window, stride)

    def window_seconds(self, times: np.ndarray | None = None) -> float:
        """Seconds that a live stream looks back: as many frames as most clips that were learnt from
        had; where every frame is sampled, at the rate of frames at `times`.
        """
        return self.card.window * seconds_between(self.card, times)

    def frame_seconds(self) -> float:
        """Seconds from one frame that a live stream looks at until the answer for the next, with
        what comes after that."""
        return seconds_between(self.card) + (REACH if self.embedder().sees_motion else 0.0)


@contextmanager
def _said_of(name: str) -> Iterator[None]:
    """Make a full sentence of what is wrong with a clip."""
    try:
        yield
    except ClipError as error:
        raise ClipError(f"{name} {error}.") from None
