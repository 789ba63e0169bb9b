"""The options that several commands have, each defined once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.serve.settings import FALSE_ALARMS

if TYPE_CHECKING:
    from pipeline.params import Params

ParamsFile = Annotated[
    Path, typer.Option("--params", metavar="FILE", help="The settings to use.", show_default=True)
]
DEFAULT_PARAMS = Path("params.yaml")
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set-param",
        "-S",
        metavar="SECTION.KEY=VALUE",
        help="A setting to use instead of the file's, as in `dvc exp run`; may be repeated.",
    ),
]
ModelFolder = Annotated[
    Path,
    typer.Option("--model", metavar="FOLDER", help="The model folder; any copy of one will do."),
]
DEFAULT_MODEL = Path("models/head")
FalseAlarms = Annotated[
    float,
    typer.Option(
        min=0, max=1, metavar="SHARE",
        help="Of clips of known labels that may be called 'none of these'; 0: no clip is.",
    ),
]  # fmt: skip
DEFAULT_FALSE_ALARMS = FALSE_ALARMS


def load_settings(path: Path, changes: list[str] | None) -> "Params":
    """The settings of a command; reads them when the command runs, not when it is defined."""
    from pipeline.params import load_params

    return load_params(path, changes or ())
