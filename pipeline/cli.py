"""The command line: which commands there are, and how an error is told."""

import errno
import logging
import os
import resource
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pipeline.commands import cache, data, export, labels, model, predict, project, serve, stages
from pipeline.errors import ClipcacheError
from pipeline.terminal import TerminalHandler, open_streams, say, tell

COMMANDS: dict[str, list[Callable[..., Any]]] = {
    "A project": [project.init],
    "Stages, in order": [
        stages.check,
        stages.index,
        stages.frames,
        stages.backbone,
        stages.features,
        stages.copies,
        stages.split,
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
    "also a command here: check, index, frames, backbone, features, copies, split, train, "
    "evaluate.",
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
    open_streams()
    _name_files_in_utf8()
    debug = "--debug" in sys.argv
    if not debug:
        _hide_warnings()
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
        tell(f"Error: {error}")
        if os.environ.get("DVC_STAGE", "check") != "check":
            tell(
                "DVC removed what this stage had written before; once the reason is mended, `dvc "
                "repro` makes it anew, and `dvc checkout` brings back what the last run left."
            )
        sys.exit(error.exit_code)
    except OSError as error:
        if debug or error.filename is not None or error.errno not in OUTPUT_LOST:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        if error.errno != errno.EPIPE:  # `| head` has seen enough
            reason = os.strerror(error.errno)
            tell(f"Error: The output cannot be written ({reason}): make room.")
        sys.exit(1)
    except Exception as error:
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        limited = limit != resource.RLIM_INFINITY
        if debug or not (limited or isinstance(error, MemoryError)):
            raise
        allowed = f", and this process may map {limit >> 20:,} MiB (`ulimit -v`)" if limited else ""
        reason = " ".join(str(error).split()) or type(error).__name__
        tell(f"Error: There is not enough memory ({reason}){allowed}: allow more, or free some.")
        sys.exit(1)
    except SystemExit as end:
        if end.code == 130:  # what Typer makes of Ctrl-C
            tell("Interrupted; what was embedded so far is in the cache.")
        raise


def _hide_warnings() -> None:
    """Warnings of libraries are for their developers; here and in processes started from here.

    Else `PYTHONWARNINGS=error`, which is meant for the user's own code, would end our commands.
    """
    os.environ["PYTHONWARNINGS"] = "ignore"
    sys.warnoptions[:] = ["ignore"]
    warnings.simplefilter("ignore")


def _name_files_in_utf8() -> None:
    """Begin anew in Python's UTF-8 mode where the locale would read file names otherwise.

    Names in tables and outputs are UTF-8, whatever the machine; the terminal keeps its letters.
    https://docs.python.org/3/library/os.html#python-utf-8-mode
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks, at any place.")] = False,
) -> None:
    if version:
        from pipeline import __version__

        say(f"clipcache {__version__}")
        raise typer.Exit
