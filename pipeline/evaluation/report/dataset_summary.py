"""What a data set is made of: clips, groups, frames and seconds per class and per split."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.dataset.clips import NO_LABEL, SPLIT_NAMES, Clip
from pipeline.dataset.label_sets import labels_of
from pipeline.store.feature_files import FeatureSet

FEW_CLIPS = 10  # of a class; below, neither its training nor its score means much
FEW_GROUPS = 3  # of a class; train, val and test need one each


@dataclass(frozen=True)
class ClipFacts:
    """One clip as the summary counts it.

    Attributes
    ----------
    frames : sampled frames, or all frames by the container's header; None where unknown
    seconds : length; None where unknown
    split : "train", "val" or "test"; "" before there is a split
    """

    label: str
    group: str
    frames: int | None
    seconds: float | None
    split: str = ""


@dataclass
class Tally:
    """Counts over some clips."""

    clips: int = 0
    frames: int = 0
    seconds: float = 0.0
    groups: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)

    def add(self, clip: ClipFacts) -> None:
        """Count one more clip."""
        self.clips += 1
        self.frames += clip.frames or 0
        self.seconds += clip.seconds or 0.0
        self.groups.add(clip.group)


@dataclass(frozen=True)
class DatasetSummary:
    """A data set in numbers.

    Attributes
    ----------
    total : over all clips
    unlabelled : how many of them have no label
    classes : label -> its counts, sorted by label
    splits : split -> its counts, those that have clips, train first; empty before the split
    clips_in_split : label -> split -> clips
    """

    total: Tally
    unlabelled: int
    classes: dict[str, Tally]
    splits: dict[str, Tally]
    clips_in_split: dict[str, dict[str, int]]

    @property
    def torn_groups(self) -> int:
        """Groups that stand in more than one split; 0 unless something is wrong."""
        places = defaultdict(set)
        for name, tally in self.splits.items():
            for group in tally.groups:
                places[group].add(name)
        return sum(len(names) > 1 for names in places.values())

    @property
    def small_classes(self) -> list[str]:
        """Classes with fewer than `FEW_CLIPS` clips or `FEW_GROUPS` groups."""
        return [
            label
            for label, tally in self.classes.items()
            if tally.clips < FEW_CLIPS or len(tally.groups) < FEW_GROUPS
        ]


def summarise(clips: Iterable[ClipFacts], *, multi_label: bool = False) -> DatasetSummary:
    """Count clips by class and by split; with `multi_label` a clip may be of several classes."""
    total = Tally()
    unlabelled = 0
    classes: dict[str, Tally] = defaultdict(Tally)
    splits: dict[str, Tally] = defaultdict(Tally)
    clips_in_split: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for clip in clips:
        total.add(clip)
        if clip.label == NO_LABEL:
            unlabelled += 1
            continue
        labels = labels_of(clip.label, multi_label=multi_label)
        for label in labels:
            classes[label].add(clip)
            clips_in_split[label][clip.split] += 1
        if clip.split:
            splits[clip.split].add(clip)
            splits[clip.split].labels.update(labels)
    return DatasetSummary(
        total,
        unlabelled,
        dict(sorted(classes.items())),
        {name: splits[name] for name in SPLIT_NAMES if name in splits},
        {label: dict(counts) for label, counts in sorted(clips_in_split.items())},
    )


def facts_from_features(
    clips: Sequence[Clip], splits: Mapping[str, str], features: FeatureSet
) -> list[ClipFacts]:
    """The clips of an index with the sampled frames of their features.

    The length is known up to the last sampled frame. Clips without features count with no frames.
    """
    facts = []
    for clip in clips:
        frames = seconds = None
        if clip.clip_id in features:
            times = features.times(features.position(clip.clip_id))
            frames = len(times)
            seconds = float(times[-1] - times[0])
        split = splits.get(clip.clip_id, "")
        facts.append(ClipFacts(clip.label, clip.group, frames, seconds, split))
    return facts
