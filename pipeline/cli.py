"""The command line: which commands there are, and how an error is told."""

import errno
import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pipeline.commands import cache, data, export, labels, model, predict, project, serve, stages
from pipeline.errors import ClipcacheError
from pipeline.terminal import TerminalHandler, say

COMMANDS: dict[str, list[Callable[..., Any]]] = {
    "A project": [project.init],
    "Stages, in order": [
        stages.check,
        stages.index,
        stages.frames,
        stages.split,
        stages.backbone,
        stages.features,
        stages.train,
        stages.evaluate,
    ],
    "The data": [data.explore, data.sample],
    "The labels": [labels.doubts, labels.relabel, labels.similar, labels.next],
    "The model": [
        model.crossval,
        predict.predict,
        predict.live,
        serve.serve,
        export.export,
        export.explain,
    ],
}
OUTPUT_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE)  # of standard output
CACHE_COMMANDS: list[Callable[..., Any]] = [cache.info, cache.verify, cache.gc]

app = typer.Typer(
    name="clipcache",
    help="Human action recognition in video on an ordinary machine.\n\n"
    "Every setting is in params.yaml; `dvc repro` runs all stages that need it, and each stage is "
    "also a command here: check, index, frames, split, backbone, features, train, evaluate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
cache_app = typer.Typer(
    no_args_is_help=True, help="The embedding cache: what is in it, is it sound, tidy it up."
)
app.add_typer(cache_app, name="cache", rich_help_panel="The data")
for panel, functions in COMMANDS.items():
    for function in functions:
        app.command(rich_help_panel=panel)(function)
for function in CACHE_COMMANDS:
    cache_app.command()(function)
app.command(hidden=True)(project.installed)  # a stage runs it, see pipeline.project.stand_ins


def main() -> None:
    """Run the command line; an error that the user can mend is one sentence, not a traceback."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    logging.getLogger("clipcache").addHandler(TerminalHandler())
    try:
        try:
            app(arguments)
        finally:
            sys.stdout.flush()  # here, where a full disk can still be told
    except ClipcacheError as error:
        if debug:
            raise
        say(f"Error: {error}", sys.stderr)
        if os.environ.get("DVC_STAGE", "check") != "check":
            say(
                "DVC removed what this stage had written before; once the reason is mended, `dvc "
                "repro` makes it anew, and `dvc checkout` brings back what the last run left.",
                sys.stderr,
            )
        sys.exit(error.exit_code)
    except OSError as error:
        if debug or error.filename is not None or error.errno not in OUTPUT_LOST:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        if error.errno != errno.EPIPE:  # `| head` has seen enough
            reason = os.strerror(error.errno)
            say(f"Error: The output cannot be written ({reason}): make room.", sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == 130:  # what Typer makes of Ctrl-C
            say("Interrupted; what was embedded so far is in the cache.", sys.stderr)
        raise


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks, at any place.")] = False,
) -> None:
    if version:
        from pipeline import __version__

        say(f"clipcache {__version__}")
        raise typer.Exit
