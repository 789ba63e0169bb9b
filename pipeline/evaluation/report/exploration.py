"""The page about a data set before anything is computed: reports/explore/explore.html."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline import __version__
from pipeline.dataset.layouts.contents import READS
from pipeline.dataset.near_copies import NearCopy, told
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.survey import Survey
from pipeline.evaluation.report.clip_map import ClipMap
from pipeline.evaluation.report.dataset import DatasetSection
from pipeline.evaluation.report.dataset_summary import ClipFacts, DatasetSummary, summarise
from pipeline.evaluation.report.page import duration, write_page
from pipeline.wording import count

SHOWN = 200  # unreadable files or copies listed
# What the two columns count, by what the layout reads.
FRAMES = {
    "video": (
        "by the containers' headers, which are often off by one or two",
        "frames by the header over the frame rate",
    ),
    "image": ("image files", "image files over dataset.frames_fps"),
}


def summarise_survey(survey: Survey, *, multi_label: bool = False) -> DatasetSummary:
    """Count a survey's clips by class; unreadable ones count with no frames."""
    found = (ClipFacts(clip.label, clip.group, *survey.length(clip)) for clip in survey.found)
    return summarise(found, multi_label=multi_label)


def describe(
    params: DatasetParams, survey: Survey, copies: Sequence[NearCopy] = ()
) -> DatasetSection:
    """What the page and the text say about the data set."""
    frames, seconds = FRAMES[READS[params.layout]]
    summary = summarise_survey(survey, multi_label=params.multi_label)
    there = {clip.path or clip.clip_id for clip in survey.found}
    known = [pair for pair in copies if {pair.video.name, pair.copy.name} <= there]
    note = told(known) if known else ""
    return DatasetSection(params, summary, frames, seconds, (note, ""))


def write_exploration(
    params: DatasetParams,
    survey: Survey,
    path: Path,
    drawn: ClipMap | None = None,
    copies: Sequence[NearCopy] = (),
) -> None:
    """Write the page; with a map where there are features already."""
    dataset = describe(params, survey, copies)
    values = {
        "version": __version__,
        "dataset": dataset,
        "layout": params.layout,
        "map": drawn,
        "hints": [*survey.hints, *survey.notes],
        "resolutions": survey.resolutions.most_common(),
        "rates": survey.rates.most_common(),
        "unreadable": survey.unreadable[:SHOWN],
        "unreadable_total": len(survey.unreadable),
        "copies": survey.copies[:SHOWN],
        "copies_total": len(survey.copies),
    }
    write_page(path, "explore.html", values)


def exploration_text(params: DatasetParams, survey: Survey, copies: Sequence[NearCopy] = ()) -> str:
    """The same as plain text."""
    dataset = describe(params, survey, copies)
    total, classes = dataset.summary.total, dataset.summary.classes
    waiting = dataset.summary.unlabelled
    lines = [
        f"{params.raw}: {count(total.clips, 'clip')} of {count(len(classes), 'class', 'classes')} "
        f"in {count(len(total.groups), 'group')}"
        + (f", {waiting:,} of them without a label" if waiting else ""),
        f"{duration(total.seconds)}, {count(total.frames, 'frame')} ({dataset.frames_are})",
        f"{dataset.rule_in_words} (dataset.group: {params.group}); layout {params.layout}",
        f"resolutions: {_counts(survey.resolutions)}",
        f"frame rates: {_counts(survey.rates)}",
        "",
        *_table(dataset),
    ]
    for title, rows in (
        ("unreadable", [f"{row.clip_id}: {row.reason}" for row in survey.unreadable]),
        ("same bytes under several names", [" = ".join(names) for names in survey.copies]),
        ("to look at", [*survey.hints, *survey.notes, *dataset.warnings, *dataset.notes]),
    ):
        lines += ["", f"{title}: {len(rows) or 'none'}", *(f"  {row}" for row in rows)]
    return "\n".join(lines) + "\n"


def _table(dataset: DatasetSection) -> list[str]:
    classes = dataset.summary.classes
    width = max([5, *(len(label) for label in classes)])
    rows = [("class", "clips", "groups", "frames", "seconds")]
    rows += [
        (label, f"{tally.clips:,}", f"{len(tally.groups):,}", f"{tally.frames:,}",
         f"{tally.seconds:,.1f}")
        for label, tally in classes.items()
    ]  # fmt: skip
    return [f"{label:{width}}" + "".join(f"{cell:>10}" for cell in rest) for label, *rest in rows]


def _counts(counter: Mapping[str, int]) -> str:
    ranked = sorted(counter.items(), key=lambda item: -item[1])
    return ", ".join(f"{value} ({clips:,})" for value, clips in ranked[:8]) or "unknown"
