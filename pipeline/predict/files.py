"""Many clips, one after the other, and the files that are written of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.annotations.formats import check_annotations_path, write_annotations
from pipeline.errors import ClipError
from pipeline.files import check_apart, check_writable, leads_to_stdout
from pipeline.frames.images import IMAGE_EXTENSIONS
from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.sources import Source
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.predict.inputs import Input
from pipeline.predict.output import recordings, write_csv
from pipeline.predict.prediction import Prediction
from pipeline.predict.predictor import Predictor
from pipeline.progress import Progress

LONG_FRAMES = 1000  # of a video read, before it is shown how far it is


class _Watched:
    """A reader that shows how far a long video has been read."""

    def __init__(self, clip: Input, task: str) -> None:
        self._reader = IsolatedReader(clip.source)
        self._task = task

    @property
    def fps(self) -> float:
        return self._reader.fps

    @property
    def timeline(self) -> Sequence[float]:
        return self._reader.timeline

    @property
    def missing(self) -> int:
        return self._reader.missing

    def frames(self, wanted: Callable[[int, float], bool]) -> Iterator[tuple[int, np.ndarray]]:
        with ExitStack() as stack:
            progress: Progress | None = None

            def seen(index: int, seconds: float) -> bool:
                nonlocal progress
                if index == LONG_FRAMES:
                    total = getattr(self._reader, "claimed_frames", None) or index
                    progress = stack.enter_context(Progress(self._task, total, "frames"))
                    progress.advance(index)
                elif progress is not None:
                    progress.advance()
                return wanted(index, seconds)

            yield from self._reader.frames(seen)


def frame_rate(source: Source) -> float:
    """Frames a second of a clip, as its container says."""
    reader = IsolatedReader(source)
    next(iter(reader.frames(lambda index, seconds: True)))  # opens it
    return reader.fps


@dataclass(frozen=True)
class Answers:
    """What came of many clips.

    Attributes
    ----------
    predictions : of the clips that could be read, in order
    failed : a sentence without its full stop for each of the others
    notes : a sentence on each clip of which frames are missing
    total : clips that were named
    stopped : whether the user pressed Ctrl-C before all were done
    """

    predictions: list[Prediction]
    failed: list[str]
    notes: list[str]
    total: int
    stopped: bool


@dataclass(frozen=True)
class Outputs:
    """Files to write: a table and annotations of all clips; of a single clip its timeline as PNG,
    and a video; with `spans` the table has a row for each span.
    """

    csv: Path | None = None
    annotations: Path | None = None
    plot: Path | None = None
    render: Path | None = None
    spans: bool = False

    @property
    def to_stdout(self) -> bool:
        """Whether the table is what standard output is for."""
        return self.csv is not None and leads_to_stdout(self.csv)


def predict_files(
    predictor: Predictor,
    inputs: Sequence[Input],
    *,
    windows: bool = False,
    window: float | None = None,
    stride: float | None = None,
) -> Answers:
    """Predict every clip, and show how far it is; one that cannot be read costs that clip.

    Parameters
    ----------
    windows, window, stride : see `Predictor.file`
    """
    done: list[Prediction] = []
    failed: list[str] = []
    notes: list[str] = []
    stopped = False
    alone = len(inputs) == 1
    with nullcontext() if alone else Progress("predict", len(inputs), "clips") as progress:
        try:
            for one in inputs:
                embedded = 0
                try:
                    reader = _Watched(one, "predict") if alone else IsolatedReader(one.source)
                    done.append(predictor.read(reader, one.name, window, stride, windows))
                    embedded = done[-1].frames
                    if reader.missing:
                        decoded = len(reader.timeline)
                        notes.append(
                            f"{one.name} is damaged: {decoded} of its {decoded + reader.missing} "
                            "frames could be decoded; the answer rests on those."
                        )
                except ClipError as error:
                    failed.append(f"{one.name} {error}")
                if progress:
                    progress.advance(frames=embedded)
        except KeyboardInterrupt:
            stopped = True
    return Answers(done, failed, notes, len(inputs), stopped)


def check_outputs(outputs: Outputs, inputs: Sequence[Input], model: Path) -> None:
    """Refuse what cannot be written, or would overwrite what is read, before any work is done.

    Parameters
    ----------
    model : the model folder

    Raises
    ------
    ClipError
        When a place has another ending than it needs, or shows one clip of several.
    DiskError
        When a place cannot be written to.
    ClipcacheError
        When an output is one of the inputs, a file of the model, or another output.
    """
    csv, plot, render = outputs.csv, outputs.plot, outputs.render
    files = (csv, outputs.annotations, plot, render)
    for path in files:
        if path and path.is_dir():
            raise ClipError(f"{path} is a folder: name the file to write.")
    if (plot or render) and len(inputs) > 1:
        raise ClipError(
            f"A plot and a rendered video show one clip, but {len(inputs)} are named: name one."
        )
    if plot and plot.suffix.lower() != ".png":
        raise ClipError(f"{plot} should end with .png, which is what the timeline is drawn as.")
    if render:
        from pipeline.predict.render import check_render_path

        check_render_path(render)
    if outputs.annotations:
        check_annotations_path(outputs.annotations, len(inputs))
    if csv and csv.suffix.lower() in VIDEO_EXTENSIONS | IMAGE_EXTENSIONS:
        raise ClipError(f"{csv} is named like a video or an image: name the table to write.")
    named = [path for path in files if path]
    read = [Path(file) for clip in inputs for file in clip.source.files]
    check_apart(named, [*read, *model.glob("*")])
    for path in named:
        check_writable(path)


def write_outputs(
    outputs: Outputs, predictor: Predictor, answers: Answers, inputs: Sequence[Input], top: int
) -> Iterator[str]:
    """Write the files, one after the other; gives a note on each of the pictures.

    A run that was stopped gets its table and annotations, and no picture.
    """
    if outputs.csv is not None:
        write_csv(answers.predictions, outputs.csv, top, spans=outputs.spans)
    if outputs.annotations is not None and answers.predictions:
        sources = {clip.name: clip.source for clip in inputs}
        found = recordings(answers.predictions, lambda name: frame_rate(sources[name]))
        write_annotations(found, outputs.annotations)
        yield f"annotations -> {outputs.annotations}"
    if answers.stopped or not answers.predictions:
        return
    prediction, clip = answers.predictions[0], inputs[0]
    if outputs.plot:
        from pipeline.evaluation.plots import save_png
        from pipeline.predict.plot import timeline_figure

        save_png(timeline_figure(prediction, predictor.labels), outputs.plot)
        yield f"timeline -> {outputs.plot}"
    if outputs.render:
        from pipeline.predict.render import render_video

        codec = render_video(_Watched(clip, "render"), prediction.spans, outputs.render)
        yield f"video with labels, {codec} -> {outputs.render}"
