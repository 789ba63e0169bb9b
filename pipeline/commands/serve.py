"""The command that runs the server."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DEFAULT_MODEL, ModelFolder
from pipeline.serve.settings import Limits, Settings


def serve(
    model: ModelFolder = DEFAULT_MODEL,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = Settings.host,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 takes any that is free.")
    ] = Settings.port,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes with the model.", show_default="one per core"),
    ] = None,
    queue: Annotated[
        int, typer.Option(min=0, help="Files that may wait; one more is answered with 503.")
    ] = Settings.queue,
    max_bytes: Annotated[int, typer.Option(min=1, help="Of one file.")] = Limits.bytes,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Of one video.")] = Limits.seconds,
    max_frames: Annotated[int, typer.Option(min=1, help="Of one video.")] = Limits.frames,
    max_pixels: Annotated[
        int, typer.Option(min=1, max=Limits.pixels, help="Of a picture, or of one frame.")
    ] = Limits.pixels,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that a worker may spend on one file.")
    ] = Limits.work_seconds,
    upload_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds in which a file must arrive.")
    ] = Limits.upload_seconds,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Whose pages may call the API; may be repeated."),
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Clips to click on the page."),
    ] = None,
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="Whether there is a page.")] = True,
) -> None:
    """Answer over HTTP what happens in an image or a video: an API, and a page at /ui.

    `curl -F file=@clip.mp4 http://127.0.0.1:8000/predict` asks it. /docs describes the API,
    /metrics is for Prometheus. Ctrl-C or SIGTERM ends it, once every request is answered.
    """
    from pipeline.serve.run import check_installed

    check_installed(ui)
    from pipeline.processes import available_cores
    from pipeline.serve.run import serve as run

    limits = Limits(
        bytes=max_bytes,
        seconds=max_seconds,
        frames=max_frames,
        pixels=max_pixels,
        upload_seconds=upload_timeout,
        work_seconds=timeout,
    )
    run(
        Settings(
            model=model,
            host=host,
            port=port,
            workers=workers or available_cores(),
            queue=queue,
            limits=limits,
            cors=tuple(cors or ()),
            ui=ui,
            examples=examples,
        ),
        say=partial(print, flush=True),
    )
