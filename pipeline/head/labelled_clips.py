"""The clips to learn from or to judge by: where their features are, and what each shows.

Training, cross-validation, evaluation and the baseline all take their clips from here, so that
they number the classes alike and leave out the same clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.dataset.clips import SPLIT_NAMES, ClipTable, read_split_codes
from pipeline.errors import ModelError
from pipeline.store.feature_files import ABSENT, FeatureSet
from pipeline.wording import some


@dataclass(frozen=True)
class LabelledClips:
    """Clips of a feature set, which itself stays outside: this is small, and goes to any process.

    Attributes
    ----------
    positions : (C,) int64, where each clip is in the feature set
    labels : (C,) int64, which of `classes` it shows
    groups : (C,) int64, which of `group_names` it belongs to
    classes, group_names : sorted; a part of some clips has those of the whole
    """

    positions: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]
    group_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)

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
        if unknown := sorted({self.classes[i] for i in np.unique(self.labels)} - set(number)):
            raise ModelError(
                f"The model was trained without the labels {some(unknown)}: run `clipcache train` "
                "again (or `dvc repro`)."
            )
        numbers = np.array([number.get(label, -1) for label in self.classes], np.int64)
        return replace(self, labels=numbers[self.labels], classes=tuple(classes))


def labelled_clips(features: FeatureSet, clips: ClipTable) -> LabelledClips:
    """The clips of an index that have features, in its order; rejected ones are left out."""
    positions = features.positions(clips.column("clip_id"))
    clips, positions = clips.take(positions != ABSENT), positions[positions != ABSENT]
    labels, classes = clips.codes("label")
    groups, names = clips.codes("group")
    return LabelledClips(
        positions, labels.astype(np.int64), groups.astype(np.int64), tuple(classes), tuple(names)
    )


def labelled_splits(
    features: FeatureSet, clips: ClipTable, splits: Path
) -> dict[str, LabelledClips]:  # fmt: skip
    """The clips of "train", "val" and "test" that have features; the classes are those of all.

    Parameters
    ----------
    splits : splits.csv; clips that it does not name are in none of the three
    """
    embedded = features.positions(clips.column("clip_id")) != ABSENT
    everything, side = labelled_clips(features, clips), read_split_codes(clips, splits)[embedded]
    return {name: everything.take(side == code) for code, name in enumerate(SPLIT_NAMES)}
