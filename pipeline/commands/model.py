"""Commands that judge or use a trained head."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DEFAULT_PARAMS, Changes, ParamsFile, load_settings


def predict(
    file: Annotated[list[Path], typer.Argument(help="Videos of any kind that OpenCV reads.")],
    top: Annotated[int, typer.Option(min=1, help="Labels to show of each.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, for programs.")] = False,
    model: Annotated[Path, typer.Option(help="The model folder.")] = Path("models/head"),
) -> None:
    """Say what happens in a video: the most probable labels with their confidence."""
    from pipeline.predict_output import print_predictions

    print_predictions(file, top=top, as_json=as_json, model=model)


def crossval(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """Cross-validate the head over groups on the cached features: reports/crossval.json.

    For example: `clipcache crossval -S crossval.seeds=3 -S train.head=linear`
    """
    from pipeline.stages.crossval import crossval as run

    run(load_settings(params, changes or ()))
