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
    frames_are, seconds_are : what the two columns count, in words
    copies : sentences on videos that are copies of each other: what is well, and what is not
    """

    params: DatasetParams
    summary: DatasetSummary
    frames_are: str
    seconds_are: str
    copies: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        """Of the folder of videos; "" where that says nothing."""
        return name if (name := self.params.folder.resolve().name) not in PLAIN_NAMES else ""

    @property
    def rule_in_words(self) -> str:
        """What dataset.group puts together."""
        beside = BESIDE_THE_RULE.get(self.params.layout, "")
        return GROUP_RULES.get(self.params.group, OWN_RULE) + beside

    @property
    def warnings(self) -> list[str]:
        """Sentences on what makes the numbers doubtful."""
        warnings = []
        if self.params.group == "none":
            where = ", where the table names no group" if self.params.layout == "csv" else ""
            warnings.append(
                f"dataset.group is none{where}: clips of the same person or source video may "
                "stand in train and test at once, and the accuracy is then higher than it would be "
                "on new people or videos. Name a grouping rule where the file names allow one."
            )
        if torn := self.summary.torn_groups:
            warnings.append(
                f"{count(torn, 'group stands', 'groups stand')} in more than one split, "
                "so the score may flatter: with split.method official, folders or column the "
                "lists, folders or table say so; else run `clipcache split` again."
            )
        if self.copies[1]:
            warnings.append(self.copies[1])
        test = self.summary.splits.get("test")
        if test and len(test.groups) < FEW_TEST_GROUPS:
            warnings.append(
                f"The test split has {count(len(test.groups), 'group')} only, so an interval over "
                "groups is a rough guide; `clipcache crossval` tests on every group in turn."
            )
        return warnings

    @property
    def notes(self) -> list[str]:
        """Sentences on what deserves a look."""
        notes = []
        test = self.summary.splits.get("test")
        if test and len(test.labels) < len(self.summary.classes):
            missing = sorted(self.summary.classes.keys() - test.labels)
            notes.append(f"The test split has no clip of {some(missing)}.")
        if self.copies[0]:
            notes.append(self.copies[0])
        waiting = self.summary.unlabelled
        left = self.summary.total.clips - waiting
        left -= sum(tally.clips for tally in self.summary.splits.values())
        if self.summary.splits and left:
            notes.append(
                f"{count(left, 'clip stands', 'clips stand')} in no split: what decides the split "
                "does not name them."
            )
        if waiting:
            notes.append(
                f"{count(waiting, 'clip has', 'clips have')} no label: embedded, but neither "
                "trained nor scored on."
            )
        if small := self.summary.small_classes:
            notes.append(
                f"{count(len(small), 'class has', 'classes have')} fewer than {FEW_CLIPS} clips or "
                f"fewer than {FEW_GROUPS} groups: {some(small)}."
            )
        return notes
