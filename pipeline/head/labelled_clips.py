"""The clips to learn from or to judge by: where their features are, and what each shows.

Training, cross-validation, evaluation and the baseline all take their clips from here, so that
they number the classes alike and leave out the same clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.dataset.clips import SPLIT_NAMES, ClipTable, read_split_codes
from pipeline.dataset.components import joined
from pipeline.dataset.label_sets import join_labels, members_of
from pipeline.errors import ModelError
from pipeline.store.feature_files import ABSENT, FeatureSet
from pipeline.wording import some


@dataclass(frozen=True)
class LabelledClips:
    """Clips of a feature set, which itself stays outside: this is small, and goes to any process.

    Attributes
    ----------
    positions : (C,) int64, where each clip is in the feature set
    labels : (C,) int64, which of `classes` it shows; where several may hold, (C, K) float32 of 0
        and 1
    groups : (C,) int64, which of `group_names` it belongs to
    classes, group_names : sorted; a part of some clips has those of the whole
    joined : names of the groups that share a video with another, and count as one with it
    """

    positions: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]
    group_names: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def several(self) -> bool:
        """Whether several labels may hold for a clip."""
        return self.labels.ndim == 2

    @property
    def strata(self) -> np.ndarray:
        """What is dealt out evenly, (C,) int64: the class of each clip, of several the rarest, and
        K where none holds.
        """
        if not self.several:
            return self.labels
        rarity = np.where(self.labels > 0, self.labels.sum(axis=0), np.inf)
        rarest = rarity.argmin(axis=1) if rarity.size else np.zeros(len(self), np.int64)
        return np.where(self.labels.any(axis=1), rarest, len(self.classes))

    def names(self, i: int) -> str:
        """The label of a clip; several joined as in data/index.csv."""
        if not self.several:
            return self.classes[self.labels[i]]
        return join_labels(self.classes[k] for k in np.flatnonzero(self.labels[i]))

    def take(self, chosen: np.ndarray) -> "LabelledClips":
        """The clips at these places, or where a (C,) mask is true."""
        return replace(
            self,
            positions=self.positions[chosen],
            labels=self.labels[chosen],
            groups=self.groups[chosen],
        )

    def numbered_by(self, classes: Sequence[str]) -> "LabelledClips":
        """The same clips with the classes numbered as a model does.

        Raises
        ------
        ModelError
            When a clip has a label that is not among `classes`.
        """
        number = {label: i for i, label in enumerate(classes)}
        shown = np.unique(np.nonzero(self.labels)[1] if self.several else self.labels)
        if unknown := sorted({self.classes[i] for i in shown} - set(number)):
            raise ModelError(
                f"The model was trained without the labels {some(unknown)}: run `clipcache train` "
                "again (or `dvc repro`)."
            )
        if self.several:
            labels = np.zeros((len(self), len(number)), np.float32)
            labels[:, [number[self.classes[i]] for i in shown]] = self.labels[:, shown]
            return replace(self, labels=labels, classes=tuple(classes))
        numbers = np.array([number.get(label, -1) for label in self.classes], np.int64)
        return replace(self, labels=numbers[self.labels], classes=tuple(classes))


@dataclass(frozen=True)
class LabelledSplits:
    """The clips of each split; the classes are those of the train clips.

    Attributes
    ----------
    unlearnt : clip_id -> label of the val and test clips that are left out, because no train clip
        has their label, or one of their labels
    """

    train: LabelledClips
    val: LabelledClips
    test: LabelledClips
    unlearnt: dict[str, str]


def labelled_clips(
    features: FeatureSet, clips: ClipTable, *, multi_label: bool = False
) -> LabelledClips:
    """The clips of an index with a label and features, in its order; rejected ones are left out.

    With `multi_label` (``dataset.multi_label``) several labels may hold for a clip.

    Groups that hold the same video, under two names or as segments, are one group: whoever deals
    clips out by groups never learns from a video that it is tested on.
    """
    positions = features.positions(clips.column("clip_id"))
    known = (positions != ABSENT) & clips.labelled
    clips, positions = clips.take(known), positions[known]
    codes, classes = clips.codes("label")
    labels = codes.astype(np.int64)
    if multi_label:
        members, classes = members_of(classes)
        labels = members[codes].astype(np.float32)
    groups, names = clips.codes("group")
    united = one_group_for_a_video(groups, clips.codes("digest")[0])
    torn = np.isin(united, united[united != groups])
    return LabelledClips(
        positions,
        labels,
        united,
        tuple(classes),
        tuple(names),
        tuple(names[i] for i in np.unique(groups[torn])),
    )


def one_group_for_a_video(groups: np.ndarray, videos: np.ndarray) -> np.ndarray:
    """The group of each clip, (C,) int64, where groups that share a video are one.

    Of such groups the one with the smallest code stands for all.

    Parameters
    ----------
    groups, videos : (C,) codes from 0
    """
    _, first, video_of = np.unique(videos, return_index=True, return_inverse=True)
    return joined(groups, groups[first][video_of], int(groups.max(initial=-1)) + 1)[groups]


def labelled_splits(
    features: FeatureSet, clips: ClipTable, splits: Path, *, multi_label: bool = False
) -> LabelledSplits:
    """The clips of "train", "val" and "test" that have features; none without a label.

    Parameters
    ----------
    splits : splits.csv; clips that it does not name are in none of the three
    multi_label : see `labelled_clips`
    """
    known = (features.positions(clips.column("clip_id")) != ABSENT) & clips.labelled
    everything = labelled_clips(features, clips, multi_label=multi_label)
    side = read_split_codes(clips, splits)[known]
    train, val, test = (side == code for code in range(len(SPLIT_NAMES)))
    if everything.several:
        trained = everything.labels[train].any(axis=0)
        learnt = ~everything.labels[:, ~trained].any(axis=1)
        classes = [everything.classes[i] for i in np.flatnonzero(trained)]
    else:
        learnt = np.isin(everything.labels, everything.labels[train])
        classes = [everything.classes[i] for i in np.unique(everything.labels[train])]
    left_out = everything.take((val | test) & ~learnt)
    names = features.clip_ids[left_out.positions].tolist()
    return LabelledSplits(
        train=everything.take(train).numbered_by(classes),
        val=everything.take(val & learnt).numbered_by(classes),
        test=everything.take(test & learnt).numbered_by(classes),
        unlearnt={name: left_out.names(i) for i, name in enumerate(names)},
    )
