"""The part of a page about the data set: classes, groups, and how they were split."""

from dataclasses import dataclass

from pipeline.dataset.params import DatasetParams
from pipeline.evaluation.report.dataset_summary import FEW_CLIPS, FEW_GROUPS, DatasetSummary
from pipeline.wording import count, some

GROUP_RULES = {
    "ucf": "Clips cut from one source video (_gNN_ in the name, within a class) form a group",
    "hmdb": "Clips cut from one source video (the first part of the name) form a group",
    "person_first": "Clips of one person (the first word of the file name) form a group",
    "none": "Each clip is its own group",
}
OWN_RULE = "Clips in whose path this regular expression finds the same text form a group"
# What else decides in some layouts.
BESIDE_THE_RULE = {
    "csv": " where dataset.table names no group; segments of one video always belong together",
    "images": "; images that look alike belong together, unless dataset.near_duplicates is null",
}
PLAIN_NAMES = ("raw", "data", "videos")  # folders whose name says nothing about the data
FEW_TEST_GROUPS = 5  # below, an interval over groups is only a rough guide


@dataclass(frozen=True)
class DatasetSection:
    """What the template shows of a data set.

    Attributes
    ----------
    name : of the folder of videos; "" where that says nothing
    frames_are, seconds_are : what the two columns count, in words
    rule, rule_in_words : dataset.group
    warnings : sentences on what makes the numbers doubtful
    notes : sentences on what deserves a look
    """

    name: str
    summary: DatasetSummary
    frames_are: str
    seconds_are: str
    rule: str
    rule_in_words: str
    warnings: list[str]
    notes: list[str]


def dataset_section(
    params: DatasetParams,
    summary: DatasetSummary,
    frames_are: str,
    seconds_are: str,
) -> DatasetSection:
    """Gather what a page says about a data set."""
    rule = params.group
    return DatasetSection(
        name=name if (name := params.folder.resolve().name) not in PLAIN_NAMES else "",
        summary=summary,
        frames_are=frames_are,
        seconds_are=seconds_are,
        rule=rule,
        rule_in_words=GROUP_RULES.get(rule, OWN_RULE) + BESIDE_THE_RULE.get(params.layout, ""),
        warnings=_warnings(params, summary),
        notes=_notes(summary),
    )


def _warnings(params: DatasetParams, summary: DatasetSummary) -> list[str]:
    warnings = []
    if params.group == "none":
        where = ", where the table names no group" if params.layout == "csv" else ""
        warnings.append(
            f"dataset.group is none{where}: clips of the same person or source video may stand in "
            "train and test at once, and the accuracy is then higher than it would be on new "
            "people or videos. Name a grouping rule where the file names allow one."
        )
    if summary.torn_groups:
        warnings.append(
            f"{count(summary.torn_groups, 'group stands', 'groups stand')} in more than one split, "
            "so the score may flatter: with split.method official, folders or column the lists, "
            "folders or table say so; else run `clipcache split` again."
        )
    test = summary.splits.get("test")
    if test and len(test.groups) < FEW_TEST_GROUPS:
        warnings.append(
            f"The test split has {count(len(test.groups), 'group')} only, so an interval over "
            "groups is a rough guide; `clipcache crossval` tests on every group in turn."
        )
    return warnings


def _notes(summary: DatasetSummary) -> list[str]:
    notes = []
    test = summary.splits.get("test")
    if test and len(test.labels) < len(summary.classes):
        missing = sorted(summary.classes.keys() - test.labels)
        notes.append(f"The test split has no clip of {some(missing)}.")
    left = summary.total.clips - sum(tally.clips for tally in summary.splits.values())
    if summary.splits and left:
        notes.append(
            f"{count(left, 'clip stands', 'clips stand')} in no split: what decides the split does "
            "not name them."
        )
    if small := summary.small_classes:
        notes.append(
            f"{count(len(small), 'class has', 'classes have')} fewer than {FEW_CLIPS} clips or "
            f"fewer than {FEW_GROUPS} groups: {some(small)}."
        )
    return notes
