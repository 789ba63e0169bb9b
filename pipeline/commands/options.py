"""What several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.params import Params

ParamsFile = Annotated[
    Path, typer.Option("--params", metavar="FILE", help="The settings to use.", show_default=True)
]
DEFAULT_PARAMS = Path("params.yaml")


def load_settings(path: Path) -> "Params":
    """The settings of a command; reads them when the command runs, not when it is defined."""
    from pipeline.params import load_params

    return load_params(path)
