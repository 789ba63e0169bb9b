"""A clip in, labels with probabilities out: the one path of command, server, page and webcam.

Everything goes through the same functions as in training: decode, sample, resize, embed, cut into
windows, head, mean of the logits over windows and views, temperature, softmax. Frames that a
program already holds only skip the decoder.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from pipeline.backbone.folder import DIMENSION
from pipeline.embedding.clip_embedding import ClipEmbedder, ClipEmbeddings, embed_frames
from pipeline.embedding.engines import load_model_engine
from pipeline.errors import ClipError
from pipeline.frames.images import IMAGE_FPS, ImageReader
from pipeline.frames.sampled import SampledFrame
from pipeline.frames.sources import file_source, open_source
from pipeline.frames.video import (
    FALLBACK_FPS,
    WHOLE,
    FrameReader,
    RateSampler,
    Sampling,
    resize,
    sample_frames,
)
from pipeline.frames.views import apply_view
from pipeline.head.calibration import softmax
from pipeline.head.inference import Views as Clip
from pipeline.head.model_folder import MODEL, check_embedding, load_model, predict_logits
from pipeline.predict.arrays import ArrayReader, as_bgr
from pipeline.predict.prediction import UNSURE, Prediction, Window
from pipeline.predict.windows import check_windows, place_windows, shown_stretches
from pipeline.store.extractor_spec import ExtractorSpec

__all__ = ["Prediction", "Predictor", "Stream", "Window"]


class Predictor:
    """A trained model, loaded once, ready for clips of any kind.

    Pictures that are passed as arrays are RGB. Several threads may use one at the same time: they
    decode side by side, and take turns frame by frame with the CNN, whose own threads share out the
    cores. A copy, and one that was pickled, loads the model folder again.

    Parameters
    ----------
    model : the model folder
    threshold : probability below which the answer is "unsure"
    threads : of the CNN; None takes one for each core

    Raises
    ------
    ModelError
        When the model is missing, damaged, or was trained on another backbone.
    """

    def __init__(
        self, model: str | Path = MODEL, threshold: float = 0.0, *, threads: int | None = None
    ) -> None:
        model = Path(model)
        self._model = load_model(model, runtime="litert")
        self.card = self._model.card
        self._threads = threads
        check_embedding(self.card, model)
        self.threshold = threshold
        self._extractor = ExtractorSpec(**self.card.extractor)
        self._sampling = Sampling(**self.card.sampling)
        self._engine = load_model_engine(self._extractor.precision, model, threads)

    def __reduce__(self) -> tuple[Callable[[], "Predictor"], tuple[()]]:
        folder = self._model.folder.absolute()
        return partial(Predictor, folder, self.threshold, threads=self._threads), ()

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

        The answer for the whole clip is that of `clipcache evaluate`. Windows are cut from frames
        at the full rate of the model's sampling, also where a clip is so long that the answer for
        the whole of it rests on a part of them.

        Parameters
        ----------
        window : seconds of each window; None takes the length that the model was trained on
        stride : seconds from one window to the next; None takes half a window
        windows : False leaves them out, and embeds only what the whole clip's answer needs

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
        return self._embed(reader, sampling, ((start, end),), to_the_end=False)

    def _embed(
        self,
        reader: FrameReader,
        sampling: Sampling,
        segments: Sequence[tuple[float, float]] = (WHOLE,),
        *,
        to_the_end: bool = True,
    ) -> ClipEmbeddings:
        wanted = dict.fromkeys(self.card.readings)
        return embed_frames(
            reader, self._engine, self._extractor, sampling, wanted, segments, to_the_end=to_the_end
        )

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

    def judge(self, start: float, end: float, logits: np.ndarray) -> Window:
        """The logits (K,) of a stretch of a clip as a window."""
        probabilities = softmax(logits, self.card.temperature)
        best = int(np.argmax(probabilities))
        confidence = float(probabilities[best])
        label = self.labels[best] if confidence >= self.threshold else UNSURE
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
        # Windows need frames at the full rate; max_frames thins those of the whole clip later.
        sampling = replace(self._sampling, max_frames=None) if windows else self._sampling
        clip = self._embed(reader, sampling)
        started = perf_counter()
        whole = np.isin(_rows(clip), sample_frames(clip.timeline, self._sampling))
        logits = self.logits({name: rows[whole] for name, rows in clip.embeddings.items()})
        probabilities = softmax(logits, self.card.temperature)
        order = np.argsort(-probabilities, kind="stable")
        length = clip_length(clip.timeline)
        parts = tuple(self._windows(clip, length, window, stride)) if windows else ()
        return Prediction(
            name,
            tuple(self.labels[i] for i in order),
            probabilities[order],
            len(whole),
            length,
            parts,
            self.threshold,
            clip.seconds | {"head": perf_counter() - started},
        )

    def _windows(
        self, clip: ClipEmbeddings, length: float, window: float | None, stride: float | None
    ) -> Iterator[Window]:
        """Each window is classified as a clip of that length would be."""
        times = clip.timeline[_rows(clip)] - clip.timeline[0]
        rule = self.window_rule(window, stride, clip.timeline)
        stretches = shown_stretches(clip.timeline - clip.timeline[0], rule[0])
        stretches = stretches if len(stretches) > 1 else [(0.0, length)]
        places = [
            (begin + start, begin + end)
            for begin, stop in stretches
            for start, end in place_windows(stop - begin, *rule)
        ]
        parts = []
        for start, end in places:
            first, last = np.searchsorted(times + 1e-6, (start, end))
            first = min(first, last - 1)  # a stretch without a frame shows the frame before it
            parts.append({name: rows[first:last] for name, rows in clip.embeddings.items()})
        for (start, end), logits in zip(places, self.logits_of(parts), strict=True):
            yield self.judge(start, end, logits)

    def window_rule(
        self, window: float | None, stride: float | None, times: np.ndarray | None = None
    ) -> tuple[float, float]:
        """Window and stride in seconds, with what is None filled in.

        Raises
        ------
        ClipcacheError
            When they make no sense.
        """
        window = self.window_seconds(times) if window is None else window
        stride = window / 2 if stride is None else stride
        check_windows(window, stride)
        return window, stride

    def window_seconds(self, times: np.ndarray | None = None) -> float:
        """Seconds of a window of the model: as many frames as most clips that it learnt from had.

        Where every frame is sampled, the rate is that of the clip with frames at `times`.
        """
        fps = self._sampling.fps
        if fps is None:
            gaps = np.diff(times) if times is not None else np.empty(0)
            fps = 1 / float(np.median(gaps)) if len(gaps) else FALLBACK_FPS
        return self.card.window / fps


class Stream:
    """The newest frames of an endless clip.

    A frame is embedded when its time comes by the model's sampling; then the window of the newest
    embeddings is classified. A model that sees motion answers for a frame once the frame 0.1 s
    after it has come. The logits of successive windows are smoothed exponentially: a window's
    logits count for 1 - exp(-t / `smoothing`) when it comes t seconds after the one before; without
    smoothing each window stands alone. After a gap longer than a window the stream begins anew.

    Parameters
    ----------
    smoothing : seconds, 0 for none

    Attributes
    ----------
    embedded : frames that were embedded, each counted once
    """

    def __init__(self, predictor: Predictor, smoothing: float = 0.0) -> None:
        self.embedded = 0
        self._predictor = predictor
        self._smoothing = smoothing
        self._begin()

    def _begin(self) -> None:
        predictor = self._predictor
        self._sampler = RateSampler(Sampling(predictor.card.sampling["fps"]))
        self._embedder = predictor.embedder()
        self._seen = 0
        self._last: float | None = None  # seconds of the newest sampled frame
        self._times: dict[int, float] = {}  # of sampled frames that are not embedded yet
        self._rows: deque[tuple[float, dict[str, np.ndarray]]] = deque(maxlen=predictor.card.window)
        self._logits: np.ndarray | None = None

    def add(self, picture: np.ndarray, seconds: float, *, bgr: bool = False) -> Window | None:
        """Take the next frame; the answer for the newest window, None where there is no new one.

        Parameters
        ----------
        picture : (height, width, 3) uint8 RGB; BGR, as OpenCV gives it, with `bgr`
        seconds : its time, later than that of the frame before
        """
        if self._last is not None and seconds - self._last > self._predictor.window_seconds():
            self._begin()
        index, self._seen = self._seen, self._seen + 1
        picked = self._sampler(index, seconds)
        if picked:
            self._last = self._times[index] = seconds
        self._embedder.add(
            self._predictor.frame(index, seconds, picture if bgr else as_bgr(picture), picked)
        )
        return self._answer()

    def end(self) -> Window | None:
        """The answer for what still waited for frames that do not come."""
        self._embedder.end()
        return self._answer()

    def _answer(self) -> Window | None:
        self._embedder.flush()
        window = None
        for index, row in self._embedder.finished():
            seconds = self._times.pop(index)
            before = self._rows[-1][0] if self._rows else seconds
            self._rows.append((seconds, row))
            self.embedded += 1
            logits = self._predictor.logits(
                {name: np.stack([row[name] for _, row in self._rows]) for name in row}
            )
            if self._logits is not None and self._smoothing > 0:
                kept = float(np.exp(-(seconds - before) / self._smoothing))
                logits = kept * self._logits + (1 - kept) * logits
            self._logits = logits
            window = self._predictor.judge(self._rows[0][0], seconds, logits)
        return window


def clip_length(timeline: np.ndarray) -> float:
    """Seconds from the first frame to the end of the last, which lasts as long as most others."""
    gaps = np.diff(timeline)
    last = float(np.median(gaps)) if len(gaps) else 1 / FALLBACK_FPS
    return float(timeline[-1] - timeline[0]) + last


def _rows(clip: ClipEmbeddings) -> np.ndarray:
    """Indices of the embedded frames, the same in every view."""
    return next(iter(clip.frames.values()))


@contextmanager
def _said_of(name: str) -> Iterator[None]:
    """Make a full sentence of what is wrong with a clip."""
    try:
        yield
    except ClipError as error:
        raise ClipError(f"{name} {error}.") from None
