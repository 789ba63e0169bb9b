"""The clips of a data set as points, with what is known of them: what all of this room looks at."""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.dataset.clips import INDEX, NO_LABEL, ClipTable, read_index
from pipeline.errors import DatasetError
from pipeline.files import replacing
from pipeline.head.clip_space import (
    NONE,
    Branch,
    Centred,
    ClipPoints,
    ClipSpace,
    centre,
    crossed,
    weighed,
)
from pipeline.store.feature_files import ABSENT, FEATURES, FeatureSet
from pipeline.wording import some

SPACES = Path(".clipcache/space")
SPACE_VERSION = 1  # of what is kept there; raise it where a space is made in another way


@dataclass(frozen=True)
class Collection:
    """Clips that have features.

    Attributes
    ----------
    clips : C of them, with or without a label
    positions : (C,) int64, where each is in the features
    groups : (C,) int64, positions in the sorted names of the groups
    names : (C,) labels, "" for none
    """

    features: FeatureSet
    clips: ClipTable
    positions: np.ndarray
    groups: np.ndarray
    names: tuple[str, ...]
    space: ClipSpace
    _centred: dict[bool, Centred] = field(default_factory=dict)  # however many labels change

    @classmethod
    def open(
        cls,
        folder: Path = FEATURES,
        index: Path = INDEX,
        labels: Mapping[str, str] | None = None,
        kept: Path = SPACES,
    ) -> "Collection":
        """The clips of an index that have features; every one of them is read once.

        Parameters
        ----------
        labels : clip_id -> label, where it is another than in the index
        kept : folder in which the space is kept for the next time

        Raises
        ------
        DatasetError
            When no clip has features.
        """
        features, clips = FeatureSet.open(folder), read_index(index)
        positions = features.positions(clips.column("clip_id"))
        clips, positions = clips.take(positions != ABSENT), positions[positions != ABSENT]
        if not len(clips):
            raise DatasetError(
                f"{folder} has features of no clip of {index}: run `clipcache features` again."
            )
        newer = labels or {}
        names = tuple(newer.get(clip.clip_id, clip.label) for clip in clips)
        groups = clips.codes("group")[0].astype(np.int64)
        return cls(features, clips, positions, groups, names, kept_space(features, positions, kept))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def clip_ids(self) -> list[str]:
        """(C,) names."""
        return list(self.clips.values("clip_id"))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels that there are, sorted."""
        return tuple(sorted(set(self.names) - {NO_LABEL}))

    @cached_property
    def labels(self) -> np.ndarray:
        """(C,) int64, positions in `classes`, `NONE` for a clip without a label."""
        number = {name: i for i, name in enumerate(self.classes)} | {NO_LABEL: NONE}
        return np.array([number[name] for name in self.names], np.int64)

    @cached_property
    def points(self) -> ClipPoints:
        """Where the clips are, by the labels that there are."""
        known = np.flatnonzero(self.labels != NONE)
        taken_out = crossed(self.labels[known], self.groups[known])
        if taken_out not in self._centred:
            self._centred[taken_out] = centre(self.space, self.groups, taken_out)
        return weighed(self._centred[taken_out], self.groups, self.labels)

    def with_label(self, row: int, name: str) -> "Collection":
        """The same clips after one of them got another label."""
        names = (*self.names[:row], name, *self.names[row + 1 :])
        return replace(self, names=names)

    def id_of(self, named: str, raw: Path) -> str:
        """The clip_id of a clip that is named by its file below `raw`; else what was named."""
        file = Path(named).absolute()
        inside = file.relative_to(raw).as_posix() if file.is_relative_to(raw) else named
        return inside if inside in self.clip_ids else named

    def row(self, clip_id: str) -> int:
        """Where a clip is.

        Raises
        ------
        DatasetError
            When it is not there.
        """
        if clip_id not in self.clip_ids:
            parts = [name for name in self.clip_ids if clip_id in name]
            meant = f": perhaps {some(parts)}" if parts else ""
            raise DatasetError(f"{clip_id} is neither a file nor a clip with features{meant}.")
        return self.clip_ids.index(clip_id)


def kept_space(features: FeatureSet, positions: np.ndarray, folder: Path = SPACES) -> ClipSpace:
    """The space of these clips: as it was kept, or made and kept; older ones are removed.

    To read and describe 10,000 clips takes a minute, to load what came of it a second.
    """
    key = f"{SPACE_VERSION} {features.sha256} {hashlib.sha256(positions.tobytes()).hexdigest()}"
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    try:
        return _load(path)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # there is none, or it is damaged: make it anew
    space = ClipSpace.of(features, positions)
    arrays: dict[str, np.ndarray] = {}
    for i, branch in enumerate(space.branches):
        arrays[f"{i} name"] = np.array([branch.stream, branch.descriptor])
        arrays[f"{i} mean"], arrays[f"{i} axes"] = branch.mean, branch.axes
        arrays[f"{i} coordinates"] = space.coordinates[i]
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
    for other in folder.glob("[!.]*.npz"):
        if other != path:
            other.unlink(missing_ok=True)
    return space


def _load(path: Path) -> ClipSpace:
    with np.load(path, allow_pickle=False) as arrays:
        count = sum(name.endswith(" name") for name in arrays)
        branches = [
            Branch(stream, descriptor, arrays[f"{i} mean"], arrays[f"{i} axes"])
            for i in range(count)
            for stream, descriptor in [arrays[f"{i} name"].tolist()]
        ]
        if not branches:
            raise ValueError("there is no branch in it")
        return ClipSpace(tuple(branches), tuple(arrays[f"{i} coordinates"] for i in range(count)))
