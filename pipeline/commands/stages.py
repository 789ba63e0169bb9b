"""The stages of dvc.yaml as commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.options import DEFAULT_PARAMS, Changes, ParamsFile, load_settings
from pipeline.terminal import say, show_table, tell
from pipeline.wording import count, some

if TYPE_CHECKING:
    from pipeline.evaluation.metrics import Interval, Scores
    from pipeline.evaluation.multi_label.scores import MeasuredLabels
    from pipeline.stages.evaluate import Evaluated


def check(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """Look whether every setting can be used, and what it names is there: before DVC begins."""
    from pipeline.stages.check import check_settings

    check_settings(load_settings(params, changes))
    say(f"{params} can be used")


def index(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """List the clips below dataset.raw, with labels and groups, in data/index.csv."""
    from pipeline.dataset.clips import NO_LABEL
    from pipeline.dataset.label_sets import members_of
    from pipeline.errors import DatasetError
    from pipeline.stages.index import index_clips
    from pipeline.stages.split import deal_clips

    settings = load_settings(params, changes)
    several = settings.dataset.multi_label
    clips = index_clips(settings.dataset)
    texts = clips.codes("label")[1]
    names = members_of(texts)[1] if several else texts
    labels = len(set(names) - {NO_LABEL})
    groups = len(clips.codes("group")[1])
    found = f"{count(len(clips), 'clip')} of {count(labels, 'class', 'classes')}"
    waiting = len(clips) - int(clips.labelled.sum())
    without = f", {waiting:,} of them without a label" if waiting else ""
    say(f"{found} in {count(groups, 'group')}{without} -> data/index.csv")
    if waiting < len(clips):  # else there is nothing to share out yet
        try:  # before hours go into features, which `split` waits for
            deal_clips(clips, settings.split, multi_label=several)
        except DatasetError as error:
            say(f"`clipcache split` will refuse that: {error}")


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
    changes: Changes = None,
) -> None:
    """Show what the CNN will see: contact sheets, or any clip's sampled frames as JPEGs.

    Without arguments: a few clips per class as contact sheets in reports/frames/.
    With clips (or --all) and --out: every sampled frame of those clips.
    """
    from pipeline.dataset.clips import read_images, read_index
    from pipeline.errors import ParamsError
    from pipeline.stages.frames import SHEETS, named_clips, write_contact_sheets, write_frames

    settings = load_settings(params, changes)
    clips = read_index()
    if not clip and not every and out is None:
        sheets = write_contact_sheets(settings, clips, images=read_images())
        say(f"{count(len(sheets), 'contact sheet')} -> {SHEETS}/")
        return
    if out is None or bool(clip) == every:
        raise ParamsError(
            "Name clips or give --all, and say where to with --out: for example "
            "`clipcache frames --all --out frames`."
        )
    chosen = clips if every else named_clips(clips, clip or [])
    written = write_frames(settings, chosen, out, images=read_images())
    say(f"{count(sum(written.values()), 'frame')} of {count(len(written), 'clip')} -> {out}/")


def split(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """Deal the clips out to train, val and test in data/splits.csv; no group is torn apart."""
    import numpy as np

    from pipeline.dataset.clips import NO_SPLIT, SPLIT_NAMES, read_index
    from pipeline.dataset.near_copies import NEAR_COPIES, read_near_copies
    from pipeline.stages.split import split_clips

    settings = load_settings(params, changes)
    clips = read_index()
    copies, several = read_near_copies(), settings.dataset.multi_label
    splits = split_clips(clips, settings.split, say=say, copies=copies, multi_label=several)
    groups = clips.codes("group")[0]
    for code, name in enumerate(SPLIT_NAMES):
        here = splits == code
        say(f"{name:5}  {here.sum():6} clips  {len(np.unique(groups[here])):6} groups")
    labelled = clips.labelled
    if left := int((labelled & (splits == NO_SPLIT)).sum()):
        say(f"none   {left:6} clips")
    if waiting := int((~labelled).sum()):
        say(f"{waiting:,} clips without a label are in none of them")
    if not NEAR_COPIES.exists():
        say("Copies of one video under other names were not looked for yet: `clipcache copies`.")
    say(f"{settings.split.method}, grouped by {settings.dataset.group} -> data/splits.csv")


def backbone(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """Fetch MobileNetV2's weights and convert them for the CPU: models/backbone/."""
    from pipeline.stages.backbone import prepare_backbone

    done = prepare_backbone(load_settings(params, changes).backbone)
    say(f"MobileNetV2, {done.source} weights ({done.digest[:12]}) -> models/backbone/")


def features(
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only say what would be done and how long it would take."),
    ] = False,
    params: ParamsFile = DEFAULT_PARAMS,
    changes: Changes = None,
) -> None:
    """Embed the sampled frames of every clip, through the cache, into features/.

    With --plan: what the cache covers, frames, disk, and the time on 1, 10, 100 ... workers, from
    the videos' headers and a few clips embedded for practice. Writes nothing.
    """
    from pipeline.dataset.clips import read_images, read_index
    from pipeline.dataset.sources import ClipFiles

    settings, clips, images = load_settings(params, changes), read_index(), read_images()
    if plan:
        from pipeline.embedding.forecast import forecast
        from pipeline.stages.index import changed_since

        if stale := changed_since(settings.dataset, clips, images):
            say(f"{stale} What follows is of the clips in the index.")
        say("\n".join(forecast(settings.features, clips, ClipFiles.of(settings.dataset, images))))
        return
    from pipeline.stages.features import extract_features

    done = extract_features(settings, clips, images=images)
    say(
        f"{count(done.clips, 'clip')}: {done.cached:,} from the cache, {done.decoded:,} decoded, "
        f"{count(done.embedded, 'frame')} embedded, {len(done.rejected)} rejected -> features/"
    )
    if done.damaged:
        say(
            f"{count(len(done.damaged), 'clip')} of them used though frames are missing: "
            "reports/damaged.csv"
        )


def copies(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """Find videos of different groups that are copies of each other: reports/near_copies.csv.

    Recompressed, cropped, mirrored or resized ones: embeddings name candidates, pixels decide.
    `split` and `crossval` keep them together.
    """
    from pipeline.dataset.near_copies import NEAR_COPIES
    from pipeline.stages.copies import find_copies

    done = find_copies(load_settings(params, changes))
    if done.skipped:
        say(done.skipped)
    shown = f": {some(done.pairs)}" if done.pairs else ""
    say(
        f"{count(len(done.pairs), 'pair')} of videos of different groups are copies, of "
        f"{done.compared:,} compared{shown} -> {NEAR_COPIES}"
    )


def train(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """Train the head on the cached embeddings: models/head/."""

    from pipeline.stages.train import train as run

    # standard output stays for results
    run(load_settings(params, changes), say=tell)


def evaluate(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """Measure the head on the test split, beside the baselines: reports/."""
    from pipeline.stages.evaluate import REPORTS
    from pipeline.stages.evaluate import evaluate as run

    _print_scores(run(load_settings(params, changes)), REPORTS / "report.html")


def _print_scores(done: "Evaluated", report: Path) -> None:
    from rich.table import Table

    from pipeline.evaluation.multi_label.scores import MeasuredLabels
    from pipeline.evaluation.report.evaluation import verdict
    from pipeline.evaluation.report.timelines import timelines_in_words

    def shown(interval: "Interval | None") -> str:
        return f"{interval.low:.0%} to {interval.high:.0%}" if interval else "-"

    def row(name: str, scores: "Scores", *more: str) -> None:
        table.add_row(name, f"{scores.accuracy:.1%}", shown(scores.over_clips),
                      shown(scores.over_groups), f"{scores.macro_f1:.3f}", *more)  # fmt: skip

    measured, outcome = done.measured, done.measured.outcome
    if isinstance(measured, MeasuredLabels):
        _print_label_scores(measured, done.name)
    else:
        table = Table(
            title=f"Test split: {len(outcome.actual)} clips of {len(outcome.labels)} classes, "
            "with 95 % intervals"
        )
        for column in ("", "accuracy", "over clips", "over groups", "macro F1", "ECE"):
            table.add_column(column, justify="right" if column else "left", no_wrap=True)
        row(done.name, measured.head, f"{measured.calibration_error:.3f}")
        row("frame mean", measured.baseline, "-")
        row("ordered baseline", measured.ordered_baseline, "-")
        show_table(table)
        say(verdict(measured, done.name))
    if done.timelines:
        say(timelines_in_words(done.timelines))
    if done.skipped:
        say(f"Left out, without features or not trained: {some(done.skipped)}.")
    say(f"-> {report}")


def _print_label_scores(measured: "MeasuredLabels", name: str) -> None:
    from rich.table import Table

    from pipeline.evaluation.multi_label.scores import HEAD
    from pipeline.evaluation.multi_label.tables import label_verdict

    outcome = measured.outcome
    table = Table(
        title=f"Test split: {len(outcome.actual)} clips, {len(outcome.labels)} labels, several "
        "may hold; 95 % intervals"
    )
    columns = ("", "mAP", "over groups", "macro F1", "micro F1", "all right")
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for way, scores in measured.scores.items():
        values, interval = scores.values, scores.over_groups["map"]
        between = f"{interval.low:.3f} to {interval.high:.3f}" if interval else "-"
        table.add_row(name if way == HEAD else way, f"{values['map']:.3f}", between,
                      f"{values['macro_f1']:.3f}", f"{values['micro_f1']:.3f}",
                      f"{values['exact_match']:.1%}")  # fmt: skip
    show_table(table)
    say(label_verdict(measured, name))
