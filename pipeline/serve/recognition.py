"""What a worker process does with one clip: within the limits, through the one `Predictor`."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import ClipError
from pipeline.frames.animations import is_animation
from pipeline.frames.images import ImageReader, image_size, read_image
from pipeline.frames.inspection import TooLargeError
from pipeline.frames.video import VideoReader
from pipeline.predict.predictor import Predictor
from pipeline.processes import available_cores
from pipeline.serve import refusals
from pipeline.serve.answers import DecidingPicture, Picture, Recognised, Report, Task
from pipeline.serve.deciding import deciding_frames
from pipeline.serve.pictures import Preview, thumbnail
from pipeline.serve.settings import FALSE_ALARMS, Limits

REPORT_EVERY = 5  # frames


class Recogniser:
    """The function of the workers; picklable, loads the model at its first call.

    Parameters
    ----------
    model : the model folder
    limits : of one file
    workers : how many there are, to share out the cores
    threshold : probability below which the answer is "unsure"
    false_alarms : share of clips of known labels that may be answered with "none of these"
    """

    def __init__(
        self, model: Path, limits: Limits, workers: int, threshold: float = 0.0,
        false_alarms: float = FALSE_ALARMS,
    ) -> None:  # fmt: skip
        self._model = model
        self._limits = limits
        self._threads = max(1, available_cores() // workers)
        self._rule = threshold, false_alarms

    def __call__(self, task: Task | None, report: Report) -> Recognised | None:
        """Recognise a clip, or with None only load the model.

        Raises
        ------
        Refusal
            When the file is over a limit or cannot be decoded.
        ModelError
            When there is no usable model.
        """
        predictor = _predictor(self._model, *self._rule, self._threads)
        if task is None:
            from PIL import Image

            cv2.setNumThreads(1)  # the workers already share out the cores
            Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and named in the answer
            return None
        try:
            if task.kind == "video" or (len(task.paths) == 1 and is_animation(task.paths[0])):
                return self._video(predictor, task, report)
            return self._images(predictor, task)
        except TooLargeError as error:
            limit = self._limits.pixels
            raise refusals.too_many_pixels(error.width, error.height, limit) from None
        except ClipError as error:
            raise refusals.undecodable(_reason(error, task.paths)) from None
        except MemoryError:
            raise refusals.undecodable("it needs more memory than there is") from None

    def _images(self, predictor: Predictor, task: Task) -> Recognised:
        """A picture, or pictures that are the frames of a clip."""
        for path in task.paths:
            width, height = image_size(path.read_bytes())
            if width * height > self._limits.pixels:
                raise refusals.too_many_pixels(width, height, self._limits.pixels)
        reader = ImageReader(task.paths, task.frame_rate)
        prediction = predictor.read(reader, task.name, windows=task.kind == "frames")
        preview = None
        if task.preview:
            preview = (Picture(0.0, thumbnail(read_image(task.paths[0]))),)
        return Recognised(prediction, preview=preview)

    def _video(self, predictor: Predictor, task: Task, report: Report) -> Recognised:
        (path,) = task.paths
        preview = Preview() if task.preview else None
        prediction = predictor.read(
            LimitedVideo(path, self._limits, report, preview), task.name
        )  # fmt: skip
        deciding: tuple[DecidingPicture, ...] | None = None
        if task.deciding and not prediction.windows:
            deciding = ()  # several labels may hold
        elif task.deciding:
            deciding = deciding_frames(predictor, prediction.windows, prediction.labels[0], path)
        return Recognised(prediction, deciding, preview.pictures() if preview else None)


@functools.cache
def _predictor(model: Path, threshold: float, false_alarms: float, threads: int) -> Predictor:
    return Predictor(model, threshold, threads=threads, false_alarms=false_alarms)


class LimitedVideo(VideoReader):
    """A video that ends in a refusal where it goes over a limit.

    What the container claims counts as well as what is there: a claim of ten hours is refused at
    the first frame.

    Parameters
    ----------
    report : told how far it is
    preview : shown the frames that are wanted
    """

    def __init__(
        self,
        path: Path,
        limits: Limits,
        report: Report = lambda done, total, seconds: None,
        preview: Preview | None = None,
    ) -> None:
        super().__init__(path, max_pixels=limits.pixels)
        self._limits = limits
        self._report = report
        self._preview = preview

    def frames(self, wanted: Callable[[int, float], bool]) -> Iterator[tuple[int, np.ndarray]]:
        """As `VideoReader.frames`; raises `Refusal` over a limit."""

        def choose(index: int, seconds: float) -> bool:
            if index == 0:
                self._check_claims()
            if index >= self._limits.frames:
                raise refusals.too_many_frames(self._limits.frames)
            elapsed = seconds - self.timeline[0]
            if elapsed > self._limits.seconds:
                raise refusals.too_long(self._limits.seconds)
            if index % REPORT_EVERY == 0:
                self._report(index, self.claimed_frames or 0, elapsed)
            return wanted(index, seconds)

        for index, image in super().frames(choose):
            if self._preview is not None:
                self._preview.note(self.timeline[index] - self.timeline[0], image)
            yield index, image

    def _check_claims(self) -> None:
        limits = self._limits
        if self.width * self.height > limits.pixels:
            raise refusals.too_many_pixels(self.width, self.height, limits.pixels)
        if (self.claimed_seconds or 0) > limits.seconds:
            raise refusals.too_long(limits.seconds)
        if (self.claimed_frames or 0) > limits.frames:
            raise refusals.too_many_frames(limits.frames)


def _reason(error: ClipError, paths: tuple[Path, ...]) -> str:
    """The reason as part of a sentence, without the server's own names."""
    text = str(error)
    for place, path in enumerate(paths):
        shown = "the file" if len(paths) == 1 else f"number {place + 1}"
        text = text.replace(str(path), shown).replace(path.name, shown)
    return "it " + text.rstrip(".")
