"""Commands that use a trained head on clips."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.options import DEFAULT_MODEL, ModelFolder
from pipeline.errors import ClipcacheError, ClipError

if TYPE_CHECKING:
    from pipeline.predict.files import Answers
    from pipeline.predict.prediction import Prediction

Threshold = Annotated[
    float, typer.Option(min=0, max=1, help="Confidence below which the answer is 'unsure'.")
]
OUTPUT, TIME, FRAMES = "What comes out", "What happens when", "Frames in place of videos"
NAMED_AT_ONCE = 3  # bad files in the closing sentence; more are named one per line


class StoppedError(ClipcacheError):
    """The user pressed Ctrl-C."""

    exit_code = 130


def predict(
    file: Annotated[
        list[Path],
        typer.Argument(
            help="Videos and images, and folders to search for them.", show_default=False
        ),
    ],
    model: ModelFolder = DEFAULT_MODEL,
    threshold: Threshold = 0.0,
    top: Annotated[
        int, typer.Option(min=1, help="Labels to show of each clip.", rich_help_panel=OUTPUT)
    ] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON list, for programs.", rich_help_panel=OUTPUT)
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a table: a row a clip, with windows a row a span.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    timeline: Annotated[
        bool,
        typer.Option("--timeline", help="Also print what happens when.", rich_help_panel=TIME),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            "--timeline-png",
            metavar="FILE.png",
            rich_help_panel=TIME,
            help="Draw what happens when, of one clip.",
        ),
    ] = None,
    render: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.mp4",
            rich_help_panel=TIME,
            help="Write the video with label and confidence on it, of one clip.",
        ),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            rich_help_panel=TIME,
            show_default="what the model learned",
            help="Length of the windows.",
        ),
    ] = None,
    stride: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            rich_help_panel=TIME,
            show_default="half a window",
            help="From one window to the next.",
        ),
    ] = None,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            rich_help_panel=FRAMES,
            help="The images of a folder, or those named, are the frames of one clip.",
        ),
    ] = False,
    frame_rate: Annotated[
        float,
        typer.Option(min=0.01, help="Frames a second of such a clip.", rich_help_panel=FRAMES),
    ] = 25.0,
) -> None:
    """Say what happens in videos and images: the most probable labels with their confidence.

    `clipcache predict clip.mp4 more_clips/` prints a table. For a long video, `--timeline` tells
    what happens when, `--plot` draws it, and `--render` writes it on the picture.
    """
    from pipeline.predict.files import Outputs, check_outputs, predict_files, write_outputs
    from pipeline.predict.inputs import find_frames, find_inputs
    from pipeline.predict.predictor import Predictor

    inputs = find_frames(file, frame_rate) if frames else find_inputs(file)
    outputs = Outputs(csv, plot, render)
    check_outputs(outputs, inputs)
    timeline = timeline or window is not None or stride is not None
    windows = timeline or plot is not None or render is not None
    predictor = Predictor(model, threshold)
    predictor.window_rule(window, stride)  # said before any work is done
    answers = predict_files(predictor, inputs, windows=windows, window=window, stride=stride)
    if as_json:
        _print_json(answers.predictions, top)
    elif answers.predictions:
        _print_predictions(answers.predictions, top)
        if timeline:
            _print_timelines(answers.predictions)
    for note in answers.notes:
        print(note, file=sys.stderr)
    for note in write_outputs(outputs, predictor, answers, inputs, top):
        print(note, file=sys.stderr)
    _judge(answers)


def live(
    source: Annotated[
        str,
        typer.Argument(
            help="Number of a camera (0 is the first), a file, or an address such as rtsp://...",
            show_default=False,
        ),
    ],
    model: ModelFolder = DEFAULT_MODEL,
    threshold: Threshold = 0.0,
    smoothing: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="Over which answers are averaged; 0: not at all."
        ),
    ] = 0.5,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON per answer, and no window.")
    ] = False,
    as_fast: Annotated[
        bool, typer.Option("--as-fast", help="Every frame of a file, not at its own pace.")
    ] = False,
) -> None:
    """Say what happens in front of a camera, now, until you press q or Ctrl-C.

    `clipcache live 0` opens a window with the label on the picture; `clipcache live 0 --json`
    prints lines for programs. Frames are dropped rather than shown late.
    """
    from pipeline.predict.live import live as run

    say = partial(print, file=sys.stderr, flush=True)
    show = _print_line if as_json else None
    summary = run(source, model=model, threshold=threshold, smoothing=smoothing, show=show,
                  as_fast=as_fast, say=say)  # fmt: skip
    say(str(summary))


def _print_predictions(predictions: "Sequence[Prediction]", top: int) -> None:
    """A table of the `top` most probable labels of each clip."""
    from rich.console import Console
    from rich.table import Table

    from pipeline.predict.prediction import UNSURE

    table = Table(box=None, header_style="bold")
    table.add_column("file", overflow="fold")
    table.add_column("label", overflow="fold")
    table.add_column("confidence", justify="right", no_wrap=True)
    for prediction in predictions:
        rows = [(label, f"{share:.1%}") for label, share in prediction.top(top)]
        if prediction.label == UNSURE:
            rows.insert(0, (UNSURE, f"< {100 * prediction.threshold:.6g}%"))
        for number, row in enumerate(rows):
            table.add_row("" if number else prediction.file, *row)
    Console().print(table)


def _print_timelines(predictions: "Iterable[Prediction]") -> None:
    """A table for each clip: start and end in minutes and seconds, label, confidence."""
    from rich.console import Console
    from rich.table import Table

    from pipeline.predict.clock import clock
    from pipeline.predict.windows import timeline

    console = Console()
    for prediction in predictions:
        print(f"\n{prediction.file}: {clock(prediction.seconds)} long")
        table = Table(box=None, header_style="bold")
        for column in ("start", "end"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("label", overflow="fold")
        table.add_column("confidence", justify="right", no_wrap=True)
        for span in timeline(prediction):
            share = f"{span.confidence:.1%}"
            table.add_row(clock(span.start), clock(span.end), span.label, share)
        console.print(table)


def _print_json(predictions: "Iterable[Prediction]", top: int) -> None:
    from pipeline.predict.output import as_json

    objects = [as_json(prediction, top) for prediction in predictions]
    print(json.dumps(objects, indent=2, ensure_ascii=False))


def _judge(answers: "Answers") -> None:
    """Raise a sentence where not all clips were answered."""
    done, failed = len(answers.predictions), answers.failed
    if answers.stopped:
        raise StoppedError(f"Stopped after {done} of {answers.total} clips.")
    if len(failed) > NAMED_AT_ONCE:
        for one in failed:
            print(f"{one}.", file=sys.stderr)
        raise ClipError(
            f"{len(failed)} of {answers.total} clips could not be read; they are named above."
        )
    if failed:
        raise ClipError("; ".join(failed) + ".")


def _print_line(line: dict[str, object]) -> bool:
    """Print a line of JSON; False when nobody reads on."""
    try:
        print(json.dumps(line, ensure_ascii=False), flush=True)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
