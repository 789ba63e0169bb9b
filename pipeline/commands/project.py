"""Commands that make a project, and know which code it runs."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DEFAULT_PARAMS, load_settings
from pipeline.terminal import say


def init(
    folder: Annotated[Path, typer.Argument(help="Made where it is missing.")] = Path(),
    config: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Settings of a public data set, such as weizmann."),
    ] = None,
    git: Annotated[
        bool, typer.Option("--git/--no-git", help="Without git DVC has no experiments.")
    ] = True,
) -> None:
    """Make a project: dvc.yaml, params.yaml, lists/, a git and a DVC repository.

    In a project or clone that is there, --config changes params.yaml to the settings of another
    data set, as long as it has none of your own. Nothing that you wrote is overwritten.
    """
    from pipeline.project.settings import config_text
    from pipeline.project.start import start_project

    params = folder / DEFAULT_PARAMS
    if config is None and params.exists():
        load_settings(params, None)  # it stays, so it must be ours
    written = start_project(folder, config, git=git)
    say(f"{', '.join(written) or 'nothing new'} -> {folder}/")
    if config is not None:
        for line in config_text(config).splitlines():
            if line.startswith("# "):
                say(line.removeprefix("# "))
    say(f"Put the clips into {load_settings(params, None).dataset.raw}, then run `dvc repro`.")


def installed() -> None:
    """Write down which code is installed, for the stages of dvc.yaml that depend on it."""
    from pipeline.project.stand_ins import write_stand_ins

    write_stand_ins(Path())
