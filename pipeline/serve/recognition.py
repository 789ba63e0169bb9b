"""What a worker process does with one file: within the limits, through the one `Predictor`."""

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
from pipeline.serve.answers import DecidingFrame, Recognised, Task
from pipeline.serve.deciding import deciding_frames, thumbnail
from pipeline.serve.settings import Limits


class Recogniser:
    """The function of the workers; picklable, loads the model at its first call.

    Parameters
    ----------
    model : the model folder
    limits : of one file
    workers : how many there are, to share out the cores
    """

    def __init__(self, model: Path, limits: Limits, workers: int) -> None:
        self._model = model
        self._limits = limits
        self._threads = max(1, available_cores() // workers)

    def __call__(self, task: Task | None) -> Recognised | None:
        """Recognise a file, or with None only load the model.

        Raises
        ------
        Refusal
            When the file is over a limit or cannot be decoded.
        ModelError
            When there is no usable model.
        """
        predictor = _predictor(self._model, self._threads)
        if task is None:
            from PIL import Image

            cv2.setNumThreads(1)  # the workers already share out the cores
            Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and named in the answer
            return None
        try:
            if task.kind == "image" and not is_animation(task.path):
                return self._image(predictor, task)
            return self._video(predictor, task)
        except TooLargeError as error:
            limit = self._limits.pixels
            raise refusals.too_many_pixels(error.width, error.height, limit) from None
        except ClipError as error:
            raise refusals.undecodable(_reason(error, task.path)) from None
        except MemoryError:
            raise refusals.undecodable("it needs more memory than there is") from None

    def _image(self, predictor: Predictor, task: Task) -> Recognised:
        width, height = image_size(task.path.read_bytes())
        if width * height > self._limits.pixels:
            raise refusals.too_many_pixels(width, height, self._limits.pixels)
        prediction = predictor.read(ImageReader([task.path]), windows=False)
        frames: tuple[DecidingFrame, ...] = ()
        if task.deciding:
            frames = (DecidingFrame(0.0, 0.0, thumbnail(read_image(task.path))),)
        return Recognised("image", prediction, frames)

    def _video(self, predictor: Predictor, task: Task) -> Recognised:
        prediction = predictor.read(LimitedVideo(task.path, self._limits))
        if not task.deciding:
            return Recognised("video", prediction)
        frames = deciding_frames(predictor, prediction.windows, prediction.labels[0], task.path)
        return Recognised("video", prediction, frames)


@functools.cache
def _predictor(model: Path, threads: int) -> Predictor:
    return Predictor(model, threads=threads)


class LimitedVideo(VideoReader):
    """A video that ends in a refusal where it goes over a limit.

    What the container claims counts as well as what is there: a claim of ten hours is refused at
    the first frame.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(path, max_pixels=limits.pixels)
        self._limits = limits

    def frames(self, wanted: Callable[[int, float], bool]) -> Iterator[tuple[int, np.ndarray]]:
        """As `VideoReader.frames`; raises `Refusal` over a limit."""

        def choose(index: int, seconds: float) -> bool:
            if index == 0:
                self._check_claims()
            if index >= self._limits.frames:
                raise refusals.too_many_frames(self._limits.frames)
            if seconds - self.timeline[0] > self._limits.seconds:
                raise refusals.too_long(self._limits.seconds)
            return wanted(index, seconds)

        return super().frames(choose)

    def _check_claims(self) -> None:
        limits = self._limits
        if self.width * self.height > limits.pixels:
            raise refusals.too_many_pixels(self.width, self.height, limits.pixels)
        if (self.claimed_seconds or 0) > limits.seconds:
            raise refusals.too_long(limits.seconds)
        if (self.claimed_frames or 0) > limits.frames:
            raise refusals.too_many_frames(limits.frames)


def _reason(error: ClipError, path: Path) -> str:
    """The reason as part of a sentence, without the server's own names."""
    return "it " + str(error).replace(str(path), "the file").rstrip(".")
