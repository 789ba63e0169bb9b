"""Commands about a data set before anything is computed."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DEFAULT_PARAMS, Changes, ParamsFile, load_settings
from pipeline.terminal import say


def explore(
    folder: Annotated[
        Path | None, typer.Argument(help="The clips.", show_default="dataset.raw")
    ] = None,
    params: ParamsFile = DEFAULT_PARAMS,
    changes: Changes = None,
) -> None:
    """Look at a data set before anything is computed: classes, clips, groups, what is wrong."""
    from pipeline.evaluation.explore import EXPLORE
    from pipeline.evaluation.explore import explore as run
    from pipeline.evaluation.report.exploration import exploration_text

    settings = load_settings(params, changes)
    if folder is not None:
        dataset = settings.dataset.model_copy(update={"raw": str(folder)})
        settings = settings.model_copy(update={"dataset": dataset})
    survey = run(settings.dataset, settings.features.workers, rule=settings.features.resize)
    say(exploration_text(settings.dataset, survey))
    say(f"-> {EXPLORE}/")


def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write LABEL/CLIP.mp4.")],
    actors: Annotated[int, typer.Option(min=1, help="People.")] = 8,
    takes: Annotated[int, typer.Option(min=1, help="Clips of each action by each.")] = 4,
    seed: Annotated[int, typer.Option(help="Another seed renders other clips.")] = 0,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs", help="Instead, actions of which only order, motion or place tells two apart."
        ),
    ] = False,
) -> None:
    """Render a small set of action videos to try everything with."""
    from pipeline.progress import Progress
    from pipeline.sample import FAMILIAR, PAIRED, write_sample

    actions = PAIRED if pairs else FAMILIAR
    with Progress("sample", len(actions) * actors * takes, "clips") as progress:
        paths = write_sample(
            folder, actions=actions, actors=actors, takes=takes, seed=seed,
            progress=lambda *_: progress.advance(),
        )  # fmt: skip
    labels = len({path.parent.name for path in paths})
    say(f"{len(paths)} videos of {labels} actions -> {folder}/")
