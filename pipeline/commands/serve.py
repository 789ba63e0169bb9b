"""The command that runs the server."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.commands.options import DEFAULT_MODEL, FalseAlarms, ModelFolder
from pipeline.serve.settings import Limits, Settings
from pipeline.terminal import say, say_json


class Log(StrEnum):
    """How a server tells what it does."""

    TEXT = "text"
    JSON = "json"


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
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Confidence below which the answer is 'unsure'.")
    ] = Settings.threshold,
    false_alarms: FalseAlarms = Settings.false_alarms,
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
    token: Annotated[
        str | None,
        typer.Option(
            envvar="CLIPCACHE_TOKEN",
            help="A bearer token that requests must have; better in the environment than here.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name to answer to, beside localhost and the address; may be repeated.",
        ),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="A reverse proxy, whose X-Forwarded-For says who the client is."
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Whose pages may call the API; may be repeated."),
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Clips to click on the page."),
    ] = None,
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="Whether there is a page.")] = True,
    log: Annotated[
        Log, typer.Option(help="json writes a line of JSON for every request.")
    ] = Log.TEXT,
) -> None:
    """Answer over HTTP what happens in an image or a video: an API, and a page at /ui.

    `curl -F file=@clip.mp4 http://127.0.0.1:8000/v1/predict` asks it. /docs describes the API,
    /metrics is for Prometheus. Ctrl-C or SIGTERM ends it, once every request is answered.
    """
    from pipeline.serve.run import check_installed

    check_installed()
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
    json_log = log is Log.JSON
    run(
        Settings(
            model=model,
            host=host,
            port=port,
            workers=workers or available_cores(),
            queue=queue,
            threshold=threshold,
            false_alarms=false_alarms,
            limits=limits,
            hosts=tuple(allow_host or ()),
            cors=tuple(cors or ()),
            token=token or None,
            proxy=proxy,
            ui=ui,
            examples=examples,
        ),
        say=_say_line if json_log else say,
        write=_write_line if json_log else None,
    )


def _write_line(values: dict[str, Any]) -> None:
    """A line of JSON, with the time; ASCII, so that nothing that was sent can look like another."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    say_json({"time": now} | values)


def _say_line(sentence: str) -> None:
    _write_line({"event": "note", "message": sentence})
