"""Commands that use a trained head on clips."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DEFAULT_MODEL, ModelFolder

Threshold = Annotated[
    float, typer.Option(min=0, max=1, help="Confidence below which the answer is 'unsure'.")
]
OUTPUT, TIME, FRAMES = "What comes out", "What happens when", "Frames in place of videos"


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
    from pipeline.predict.files import predict_files

    predict_files(
        file, model=model, threshold=threshold, top=top, as_json=as_json, csv=csv,
        timeline=timeline, plot=plot, render=render, window=window, stride=stride, frames=frames,
        fps=frame_rate,
    )  # fmt: skip


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

    run(source, model=model, threshold=threshold, smoothing=smoothing, as_json=as_json,
        as_fast=as_fast)  # fmt: skip
