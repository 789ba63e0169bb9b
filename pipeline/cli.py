"""The command line: one command per stage, thin, heavy imports inside the commands."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import ClipcacheError

if TYPE_CHECKING:
    from pipeline.params import Params

app = typer.Typer(
    name="clipcache",
    help="Human action recognition in video on an ordinary machine.\n\n"
    "Every setting is in params.yaml; `dvc repro` runs all stages that need it, and each stage is "
    "also a command here: index, frames, split, backbone, features, train, evaluate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
cache_app = typer.Typer(
    no_args_is_help=True, help="The embedding cache: what is in it, is it sound, tidy it up."
)
app.add_typer(cache_app, name="cache", rich_help_panel="Tools")

STAGES, TOOLS = "Stages, in order", "Tools"

ParamsFile = Annotated[
    Path, typer.Option("--params", metavar="FILE", help="The settings to use.", show_default=True)
]
DEFAULT_PARAMS = Path("params.yaml")


def main() -> None:
    """Run the command line; an error that the user can mend is one sentence, not a traceback."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments)
    except ClipcacheError as error:
        if debug:
            raise
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == 130:  # what Typer makes of Ctrl-C
            print("Interrupted; what was embedded so far is in the cache.", file=sys.stderr)
        raise


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks, at any place.")] = False,
) -> None:
    if version:
        from pipeline import __version__

        print(f"clipcache {__version__}")
        raise typer.Exit


def _load(path: Path) -> "Params":
    from pipeline.params import load_params

    return load_params(path)


@app.command(rich_help_panel=STAGES)
def index(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """List the clips below dataset.raw, with labels and groups, in data/index.csv."""
    from pipeline.stages.index import index_clips

    clips = index_clips(_load(params).dataset)
    labels = len({clip.label for clip in clips})
    groups = len({clip.group for clip in clips})
    print(f"{len(clips)} clips of {labels} classes in {groups} groups -> data/index.csv")


@app.command(rich_help_panel=STAGES)
def frames(
    clip: Annotated[
        list[str] | None,
        typer.Argument(help="Clips to write out, by their path below dataset.raw."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write every sampled frame as a JPEG.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Write out all clips.")] = False,
    params: ParamsFile = DEFAULT_PARAMS,
) -> None:
    """Show what the CNN will see: contact sheets, or any clip's sampled frames as JPEGs.

    Without arguments: a few clips per class as contact sheets in reports/frames/.
    With clips (or --all) and --out: every sampled frame of those clips.
    """
    from pipeline.clips import read_index
    from pipeline.errors import ParamsError
    from pipeline.stages.frames import SHEETS, named_clips, write_contact_sheets, write_frames

    settings = _load(params)
    clips = read_index()
    if not clip and not every and out is None:
        sheets = write_contact_sheets(settings, clips)
        print(f"{len(sheets)} contact sheets -> {SHEETS}/")
        return
    if out is None or bool(clip) == every:
        raise ParamsError(
            "Name clips or give --all, and say where to with --out: for example "
            "`clipcache frames --all --out frames`."
        )
    written = write_frames(settings, clips if every else named_clips(clips, clip or []), out)
    print(f"{sum(written.values())} frames of {len(written)} clips -> {out}/")


@app.command(rich_help_panel=STAGES)
def split(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Deal the clips out to train, val and test in data/splits.csv; no group is torn apart."""
    from pipeline.clips import SPLIT_NAMES, read_index
    from pipeline.stages.split import split_clips

    settings = _load(params)
    clips = read_index()
    splits = split_clips(clips, settings.split)
    for name in SPLIT_NAMES:
        there = [clip for clip in clips if splits[clip.clip_id] == name]
        groups = {clip.group for clip in there}
        print(f"{name:5}  {len(there):6} clips  {len(groups):6} groups")
    print(f"grouped by {settings.dataset.group} -> data/splits.csv")


@app.command(rich_help_panel=STAGES)
def backbone(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Fetch MobileNetV2's weights and convert them for the CPU: models/backbone/."""
    from pipeline.stages.backbone import prepare_backbone

    done = prepare_backbone(_load(params).backbone)
    print(f"MobileNetV2, {done.source} weights ({done.digest[:12]}) -> models/backbone/")


@app.command(rich_help_panel=STAGES)
def features(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Embed the sampled frames of every clip, through the cache, into features/."""
    from pipeline.clips import read_index
    from pipeline.stages.features import extract_features

    done = extract_features(_load(params), read_index())
    print(
        f"{done.clips} clips: {done.cached} from the cache, {done.decoded} decoded, "
        f"{done.embedded} frames embedded, {len(done.rejected)} rejected -> features/"
    )


@app.command(rich_help_panel=STAGES)
def train(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Train the head on the cached embeddings: models/head/."""
    from pipeline.stages.train import train as run

    run(_load(params))


@app.command(rich_help_panel=STAGES)
def evaluate(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Measure the head on the test split, beside the baseline: reports/."""
    from pipeline.stages.evaluate import evaluate as run

    run(_load(params))


@app.command(rich_help_panel=TOOLS)
def predict(
    file: Annotated[list[Path], typer.Argument(help="Videos of any kind that OpenCV reads.")],
    top: Annotated[int, typer.Option(min=1, help="Labels to show of each.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, for programs.")] = False,
    model: Annotated[Path, typer.Option(help="The model folder.")] = Path("models/head"),
) -> None:
    """Say what happens in a video: the most probable labels with their confidence."""
    from pipeline.predict_output import print_predictions

    print_predictions(file, top=top, as_json=as_json, model=model)


@app.command(rich_help_panel=TOOLS)
def crossval(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Cross-validate the head over groups on the cached features: reports/crossval.json."""
    from pipeline.stages.crossval import crossval as run

    run(_load(params))


@app.command(rich_help_panel=TOOLS)
def explore(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Look at a data set before anything is computed: classes, clips, groups, what is wrong."""
    from pipeline.stages.explore import explore as run

    run(_load(params))


@app.command(rich_help_panel=TOOLS)
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write <label>/<clip>.mp4.")],
    actors: Annotated[int, typer.Option(min=1, help="People.")] = 8,
    takes: Annotated[int, typer.Option(min=1, help="Clips of each action by each.")] = 4,
    seed: Annotated[int, typer.Option(help="Another seed renders other clips.")] = 0,
) -> None:
    """Render a small set of action videos to try everything with."""
    from pipeline.progress import Progress
    from pipeline.sample import write_sample

    progress: Progress | None = None

    def report(done: int, total: int) -> None:
        nonlocal progress
        if progress is None:
            progress = Progress("sample", total, "clips").__enter__()
        progress.advance()

    try:
        paths = write_sample(folder, actors=actors, takes=takes, seed=seed, progress=report)
    finally:
        if progress is not None:
            progress.__exit__(None, None, None)
    labels = len({path.parent.name for path in paths})
    print(f"{len(paths)} videos of {labels} actions -> {folder}/")


@cache_app.command("info")
def cache_info() -> None:
    """What is in the cache, by extractor and view, and how large."""
    from pipeline.cache_tools import describe

    describe()


@cache_app.command("verify")
def cache_verify() -> None:
    """Check every shard against its checksum; damaged ones are set aside."""
    from pipeline.cache_tools import verify

    verify()


@cache_app.command("gc")
def cache_gc(
    features: Annotated[
        list[Path] | None,
        typer.Argument(help="All features folders whose embeddings are to be kept."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what.")] = False,
) -> None:
    """Drop embeddings that no named features folder uses (by default: ./features).

    The cache is shared by all projects of a user: name the features folder of each that matters.
    """
    from pipeline.cache_tools import collect

    collect(features or [Path("features")], really=yes)
