"""Commands for better labels: doubts, corrections, neighbours, and what to label next."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DEFAULT_PARAMS, Changes, ParamsFile, load_settings
from pipeline.terminal import say
from pipeline.wording import count


def doubts(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """Show clips whose label is probably wrong, by crossval's heads: reports/doubts.html."""
    from pipeline.dataset.clips import read_images, read_index
    from pipeline.dataset.sources import ClipFiles
    from pipeline.evaluation.crossval import PROBABILITIES
    from pipeline.labelling.doubts import (
        DOUBTS,
        find_doubts,
        in_words,
        read_out_of_fold,
        write_doubts,
    )
    from pipeline.labelling.doubts_page import PAGE, write_doubts_page
    from pipeline.store.feature_files import FeatureSet

    settings, clips = load_settings(params, changes), read_index()
    said, changed = read_out_of_fold(PROBABILITIES, clips)
    found = find_doubts(said)
    files = ClipFiles.of(settings.dataset, read_images())
    write_doubts_page(
        found, said, changed, clips, files, FeatureSet.open(), settings.features.resize
    )
    write_doubts(found)
    say(in_words(found, changed, (PAGE, DOUBTS)))


def relabel(
    file: Annotated[
        Path, typer.Argument(help="CSV with clip_id and label, as the page of `doubts` saves it.")
    ],
    params: ParamsFile = DEFAULT_PARAMS,
    changes: Changes = None,
) -> None:
    """Write corrected labels into dataset.table, or say which files to move."""
    from pipeline.labelling.relabel import MOVES, read_corrections
    from pipeline.labelling.relabel import relabel as run

    settings = load_settings(params, changes)
    done = run(settings.dataset, read_corrections(file))
    if done.same:
        say(f"{count(done.same, 'clip has its label', 'clips have their labels')} already.")
    if done.changed:
        say(f"{count(done.changed, 'label')} changed -> {settings.dataset.table}; `dvc repro` next")
    if done.moves:
        say(f"The labels are folders: {count(len(done.moves), 'file has', 'files have')} to move.")
        for source, target in done.moves[:10]:
            say(f"  {source} -> {target}")
        if len(done.moves) > 10:
            say(f"  and {len(done.moves) - 10:,} more")
        say(f"`sh {MOVES}` does it; then `dvc repro`")
