"""The command `predict`: many clips, one after the other, and what is shown and written of them."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path

import numpy as np

from pipeline.errors import ClipcacheError, ClipError
from pipeline.files import check_writable
from pipeline.frames.images import IMAGE_FPS
from pipeline.frames.sources import open_source
from pipeline.head.model_folder import MODEL
from pipeline.predict.inputs import Input, find_frames, find_inputs
from pipeline.predict.output import print_json, print_predictions, print_timelines, write_csv
from pipeline.predict.prediction import Prediction
from pipeline.predict.predictor import Predictor
from pipeline.progress import Progress

LONG_FRAMES = 1000  # of a video read, before it is shown how far it is
NAMED_AT_ONCE = 3  # bad files in the closing sentence; more are named one per line as they come up


class _Watched:
    """A reader that shows how far a long video has been read."""

    def __init__(self, clip: Input, task: str) -> None:
        self._reader = open_source(clip.source)
        self._task = task

    @property
    def fps(self) -> float:
        return self._reader.fps

    @property
    def timeline(self) -> Sequence[float]:
        return self._reader.timeline

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


class StoppedError(ClipcacheError):
    """The user pressed Ctrl-C."""

    exit_code = 130


def predict_files(
    paths: Sequence[Path],
    *,
    model: Path = MODEL,
    threshold: float = 0.0,
    top: int = 5,
    as_json: bool = False,
    csv: Path | None = None,
    timeline: bool = False,
    plot: Path | None = None,
    render: Path | None = None,
    window: float | None = None,
    stride: float | None = None,
    frames: bool = False,
    fps: float = IMAGE_FPS,
) -> None:
    """Predict every clip, print the answers, and write what is asked for.

    A clip that cannot be read costs that clip.

    Parameters
    ----------
    timeline : print windows, merged, as a table; `plot`, `render`, `window` and `stride` need
        windows too
    plot, render : of a single clip: the timeline as PNG, and the video with its labels as MP4
    frames : images are the frames of clips, `fps` a second

    Raises
    ------
    ClipError
        After everything is printed, when some clips could not be read; names them and why.
    StoppedError
        After Ctrl-C; the answers that were there have been printed.
    """
    inputs = find_frames(paths, fps) if frames else find_inputs(paths)
    _check_outputs(inputs, csv, plot, render)
    timeline = timeline or window is not None or stride is not None
    windows = timeline or plot is not None or render is not None
    done: list[Prediction] = []
    failed: list[str] = []
    stopped = False
    predictor = Predictor(model, threshold)
    predictor.window_rule(window, stride)  # said before any work is done
    alone = len(inputs) == 1
    with nullcontext() if alone else Progress("predict", len(inputs), "clips") as progress:
        try:
            for one in inputs:
                embedded = 0
                try:
                    reader = _Watched(one, "predict") if alone else open_source(one.source)
                    done.append(predictor.read(reader, one.name, window, stride, windows))
                    embedded = done[-1].frames
                except ClipError as error:
                    failed.append(f"{one.name} {error}")
                if progress:
                    progress.advance(frames=embedded)
        except KeyboardInterrupt:
            stopped = True
    if as_json:
        print_json(done, top)
    elif done:
        print_predictions(done, top)
        if timeline:
            print_timelines(done)
    if csv is not None:
        write_csv(done, csv, top)
    if done and not stopped:
        _draw(predictor, done[0], inputs[0], plot, render)
    if stopped:
        raise StoppedError(f"Stopped after {len(done)} of {len(inputs)} clips.")
    _judge(failed, len(inputs))


def _check_outputs(
    inputs: Sequence[Input], csv: Path | None, plot: Path | None, render: Path | None
) -> None:
    for path in (csv, plot, render):
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
    for path in (csv, plot, render):
        if path:
            check_writable(path)


def _draw(
    predictor: Predictor,
    prediction: Prediction,
    clip: Input,
    plot: Path | None,
    render: Path | None,
) -> None:
    if plot:
        from pipeline.evaluation.plots import save_png
        from pipeline.predict.plot import timeline_figure

        save_png(timeline_figure(prediction, predictor.labels), plot)
        print(f"timeline -> {plot}", file=sys.stderr)
    if render:
        from pipeline.predict.render import render_video

        codec = render_video(_Watched(clip, "render"), prediction.windows, render)
        print(f"video with labels, {codec} -> {render}", file=sys.stderr)


def _judge(failed: Sequence[str], total: int) -> None:
    if len(failed) > NAMED_AT_ONCE:
        for one in failed:
            print(f"{one}.", file=sys.stderr)
        raise ClipError(f"{len(failed)} of {total} clips could not be read; they are named above.")
    if failed:
        raise ClipError("; ".join(failed) + ".")
