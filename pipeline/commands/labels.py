"""Commands for better labels: doubts, corrections, neighbours, and what to label next."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.options import DEFAULT_PARAMS, Changes, ParamsFile, load_settings
from pipeline.terminal import say
from pipeline.wording import count as counted

if TYPE_CHECKING:
    from pipeline.labelling.collection import Collection
    from pipeline.labelling.similar import Neighbour, Query
    from pipeline.params import Params


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
    from pipeline.labelling.several import refuse_several
    from pipeline.store.feature_files import FeatureSet

    settings, clips = load_settings(params, changes), read_index()
    refuse_several(settings.dataset, "`clipcache doubts` finds no doubts")
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
    from pipeline.labelling.several import refuse_several

    settings = load_settings(params, changes)
    refuse_several(settings.dataset, "`clipcache relabel` writes no corrections")
    done = run(settings.dataset, read_corrections(file))
    if done.same:
        say(f"{counted(done.same, 'clip has its label', 'clips have their labels')} already.")
    if done.changed:
        say(f"{counted(done.changed, 'label')} changed -> {settings.dataset.table}")
        say("`dvc repro` next")
    if done.moves:
        say(
            f"The labels are folders: {counted(len(done.moves), 'file has', 'files have')} to move."
        )
        for source, target in done.moves[:10]:
            say(f"  {source} -> {target}")
        if len(done.moves) > 10:
            say(f"  and {len(done.moves) - 10:,} more")
        say(f"`sh {MOVES}` does it; then `dvc repro`")


def similar(
    clip: Annotated[str, typer.Argument(help="A clip of data/index.csv, its file, or any video.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many to tell.")] = 10,
    windows: Annotated[
        bool, typer.Option("--windows", help="Look inside the clips: where else does it happen?")
    ] = False,
    start: Annotated[
        float | None, typer.Option(min=0, help="Seconds of CLIP from which to take it.")
    ] = None,
    end: Annotated[float | None, typer.Option(min=0, help="Seconds up to which.")] = None,
    others: Annotated[
        bool, typer.Option("--others", help="Only clips of other groups (people, sources).")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--in", help="Look among the videos of this folder, not the data set's."),
    ] = None,
    params: ParamsFile = DEFAULT_PARAMS,
    changes: Changes = None,
) -> None:
    """Find the clips that are most like one, by the cached features.

    For example: `clipcache similar walk/anna_1.mp4 --others`, or, inside long videos,
    `clipcache similar match.mp4 --start 62 --end 65 --windows`; with `--in FOLDER` among videos
    that no data set holds, embedded through the cache.
    """
    from rich.table import Table

    from pipeline.errors import DatasetError
    from pipeline.labelling.collection import Collection
    from pipeline.labelling.outside import embed_outside
    from pipeline.labelling.similar import (
        Query,
        between,
        query_of,
        similar_clips,
        similar_windows,
    )
    from pipeline.progress import Progress
    from pipeline.terminal import cells, show_table

    if folder is not None and others:
        raise DatasetError("The videos of --in have no groups: leave --others out.")
    settings, collection = load_settings(params, changes), Collection.open()
    clip = collection.id_of(clip, Path(settings.dataset.raw).absolute())
    if clip not in collection.clip_ids and Path(clip).is_file():
        outside = embed_outside(Path(clip), settings.features, collection.features)
        inside = between(outside.times, start, end, clip)
        query = Query({name: rows[inside] for name, rows in outside.clip.items()})
    else:
        query = query_of(collection, collection.row(clip), start, end)
    if folder is not None:
        found = _similar_in(folder, settings, collection, query, count, windows)
    elif windows:
        with Progress("similar", len(collection), "clips") as progress:
            found = similar_windows(
                collection, query, count, others=others, advance=progress.advance
            )
    else:
        found = similar_clips(collection, query, count, others=others)
    table = Table("nearness", "label", "clip", *(["seconds"] if windows else []))
    for one in found:
        span = [f"{one.start:.1f} to {one.end:.1f}"] if windows else []
        table.add_row(*cells([f"{one.nearness:.3f}", one.label or "-", one.clip_id, *span]))
    show_table(table)


def _similar_in(
    folder: Path,
    settings: "Params",
    collection: "Collection",
    query: "Query",
    count: int,
    windows: bool,
) -> "list[Neighbour]":
    """The nearest among the videos of a folder; their features lie in a file for that long."""
    from tempfile import TemporaryDirectory

    from pipeline.labelling.outside import check_readings, videos_in
    from pipeline.labelling.similar import similar_outside
    from pipeline.progress import Progress
    from pipeline.stages.features import extract_features
    from pipeline.store.feature_files import FeatureSet

    check_readings(settings.features, collection.features)
    dataset = settings.dataset.model_copy(update={"raw": str(folder.absolute())})
    some_fail = settings.features.model_copy(update={"max_rejected": 1.0, "shards": 1})
    there = settings.model_copy(update={"dataset": dataset, "features": some_fail})
    clips = videos_in(folder)
    Path(".clipcache").mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="similar-", dir=".clipcache") as temporary:
        made, rejected = Path(temporary, "features"), Path(temporary, "rejected.csv")
        done = extract_features(there, clips, folder=made, rejected=rejected)
        with Progress("similar", len(clips) - len(done.rejected), "clips") as progress:
            return similar_outside(
                collection, query, FeatureSet.open(made), count,
                windows=windows, advance=progress.advance,
            )  # fmt: skip


def next(  # noqa: A001 - it is what the command is called
    count: Annotated[int, typer.Argument(min=1, help="How many labels to ask for.")] = 20,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
    listed: Annotated[
        bool, typer.Option("--list", help="Only name the clips, all at once; asks nobody.")
    ] = False,
    params: ParamsFile = DEFAULT_PARAMS,
    changes: Changes = None,
) -> None:
    """Ask for the labels that help most, on a page in the browser, clip after clip.

    Each answer decides which clip is asked about next, and is written into dataset.table at once;
    where folders are the labels, into reports/labels.csv.
    """
    from pipeline.dataset.clips import read_images
    from pipeline.dataset.sources import ClipFiles
    from pipeline.labelling.acquisition import choose
    from pipeline.labelling.collection import Collection
    from pipeline.labelling.session import ANSWERS, Session, newest_labels
    from pipeline.labelling.several import refuse_several
    from pipeline.serve.run import check_installed

    settings = load_settings(params, changes)
    refuse_several(settings.dataset, "`clipcache next` asks for no label")
    if not listed:
        check_installed()
    collection = Collection.open(labels=newest_labels(settings.dataset))
    waiting = int((collection.labels < 0).sum())
    if not waiting:
        say("Every clip with features has a label.")
        return
    if listed:
        for row in choose(collection.points.points, collection.labels, count):
            say(collection.clip_ids[row])
        return
    from pipeline.labelling.label_server import serve_labels

    files = ClipFiles.of(settings.dataset, read_images())
    session = Session(
        collection, settings.dataset, files, settings.features.resize, min(count, waiting)
    )
    say(f"{counted(waiting, 'clip')} without a label; asking for {session.wanted}.")
    serve_labels(session, port, say)
    if not session.given:
        return
    given = counted(len(session.given), "label")
    if settings.dataset.layout == "csv":
        say(f"{given} -> {settings.dataset.table}; `dvc repro` next")
    else:
        say(f"{given} -> {ANSWERS}; `clipcache relabel {ANSWERS}` next")
