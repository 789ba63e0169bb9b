"""Commands that use a trained head on clips."""

import os
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.options import DEFAULT_FALSE_ALARMS, DEFAULT_MODEL, FalseAlarms, ModelFolder
from pipeline.errors import ClipcacheError, ClipError
from pipeline.terminal import cells, say, say_json, show_table, tell

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
    false_alarms: FalseAlarms = DEFAULT_FALSE_ALARMS,
    level: Annotated[
        float | None,
        typer.Option(
            "--set",
            min=0.01,
            max=0.9999,
            metavar="SHARE",
            rich_help_panel=OUTPUT,
            help="Also name the labels that hold the truth in this share of clips, such as 0.9.",
        ),
    ] = None,
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
    annotations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=TIME,
            help="Write what happens when as .csv, .vtt (subtitles), .eaf (ELAN), .boris, or .json "
            "(Label Studio).",
        ),
    ] = None,
    render: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.mp4|.webm",
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
    timeline = timeline or window is not None or stride is not None
    windows = timeline or any((plot, render, annotations))
    outputs = Outputs(csv, annotations, plot, render, windows)
    check_outputs(outputs, inputs, model)
    predictor = Predictor(model, threshold, false_alarms=false_alarms, level=level)
    predictor.window_rule(window, stride)  # said before any work is done
    if windows and predictor.card.several:
        raise ClipcacheError(
            f"Several labels may hold for a clip by {model}, and it does not tell what happens "
            "when: leave out --timeline, --window, --stride, --plot, --annotations and --render."
        )
    answers = predict_files(predictor, inputs, windows=windows, window=window, stride=stride)
    if as_json:
        _print_json(answers.predictions, top)
    elif answers.predictions and not outputs.to_stdout:
        _print_predictions(answers.predictions, top)
        if timeline or (len(inputs) == 1 and answers.predictions[0].is_long):
            _print_timelines(answers.predictions)
    for note in chain(answers.notes, write_outputs(outputs, predictor, answers, inputs, top)):
        tell(note)
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
    false_alarms: FalseAlarms = DEFAULT_FALSE_ALARMS,
    smoothing: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="Over which answers are averaged; 0: not at all."
        ),
    ] = 0.5,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON per answer, and no window.")
    ] = False,
    events: Annotated[
        bool,
        typer.Option(
            "--events", help="A line of JSON when an action starts and when it ends, no window."
        ),
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

    show = _print_line if as_json or events else None
    summary = run(source, model=model, threshold=threshold, false_alarms=false_alarms,
                  smoothing=smoothing, show=show, as_fast=as_fast, events=events,
                  say=tell)  # fmt: skip
    tell(str(summary))


def _print_predictions(predictions: "Sequence[Prediction]", top: int) -> None:
    """A table of the `top` most probable labels of each clip."""
    from rich.table import Table

    from pipeline.predict.prediction import NONE, UNANSWERED, UNSURE

    table = Table(box=None, header_style="bold")
    table.add_column("file", overflow="fold")
    table.add_column("label", overflow="fold")
    table.add_column("confidence", justify="right", no_wrap=True)
    level = next((one.level for one in predictions if one.level is not None), None)
    several = any(one.holding is not None for one in predictions)
    if several:
        table.add_column("holds")
    if level is not None:
        table.add_column(f"the truth in {100 * level:.6g} %", overflow="fold")
    for prediction in predictions:
        rows = [(label, f"{share:.1%}") for label, share in prediction.top(top)]
        if prediction.is_long:
            rows = [(label, f"{share:.1%} of the time") for label, share in prediction.shares(top)]
        elif prediction.label == UNSURE:
            rows.insert(0, (UNSURE, f"< {100 * prediction.threshold:.6g}%"))
        elif prediction.label == NONE and not several:
            rows.insert(0, (NONE, ""))
        held = "" if prediction.level is None else ", ".join(prediction.possible) or "no label"
        for number, row in enumerate(rows):
            first = ("", "") if number else (prediction.file, held)
            holds = "yes" if row[0] in (prediction.holding or ()) else ""
            more = [*([holds] if several else []), *([] if level is None else [first[1]])]
            table.add_row(*cells([first[0], *row, *more]))
    show_table(table)
    for prediction in predictions:
        if prediction.label in UNANSWERED:
            say(f"{prediction.file}: {prediction.doubts()[0]}")


def _print_timelines(predictions: "Iterable[Prediction]") -> None:
    """A table for each clip: start and end in minutes and seconds, label, confidence."""
    from rich.table import Table

    from pipeline.predict.clock import clock
    from pipeline.predict.prediction import NONE

    for prediction in predictions:
        say(f"\n{prediction.file}: {clock(prediction.seconds)} long")
        table = Table(box=None, header_style="bold")
        for column in ("start", "end"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("label", overflow="fold")
        table.add_column("confidence", justify="right", no_wrap=True)
        for span in prediction.timeline():
            share = "" if span.label == NONE else f"{span.confidence:.1%}"
            table.add_row(*cells([clock(span.start), clock(span.end), span.label, share]))
        show_table(table)


def _print_json(predictions: "Iterable[Prediction]", top: int) -> None:
    objects = [prediction.as_dict(top) for prediction in predictions]
    say_json(objects, indent=2)


def _judge(answers: "Answers") -> None:
    """Raise a sentence where not all clips were answered."""
    done, failed = len(answers.predictions), answers.failed
    if answers.stopped:
        raise StoppedError(f"Stopped after {done} of {answers.total} clips.")
    if len(failed) > NAMED_AT_ONCE:
        for one in failed:
            tell(f"{one}.")
        raise ClipError(
            f"{len(failed)} of {answers.total} clips could not be read; they are named above."
        )
    if failed:
        raise ClipError("; ".join(failed) + ".")


def _print_line(line: dict[str, object]) -> bool:
    """Print a line of JSON; False when nobody reads on."""
    try:
        say_json(line)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
