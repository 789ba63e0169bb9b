"""The features of a project with their labels, for a classifier of one's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.dataset.clips import (
    INDEX,
    NO_SPLIT,
    SPLIT_NAMES,
    SPLITS,
    UNLABELLED,
    read_index,
    read_split_codes,
)
from pipeline.errors import ClipcacheError, FeaturesError
from pipeline.evaluation.baseline import frame_means
from pipeline.store.feature_files import ABSENT, FEATURES, FeatureSet

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class LabelledFeatures:
    """Clips with their features and what is known of them, all in one order: that of `clip_ids`.

    Attributes
    ----------
    X : (C, 1280) float32, the mean embedding of each clip; or a list of C sequences, (n, 1280)
        float16, read from disk when they are looked at
    y : (C,) str, labels; "" for a clip that has none
    groups : (C,) str, what must not be torn apart between train and test
    clip_ids : (C,) str, sorted
    splits : (C,) str, "train", "val" or "test", "" for a clip in none of them,
        "unlabelled" for one without a label
    """

    X: np.ndarray | list[np.ndarray]
    y: np.ndarray
    groups: np.ndarray
    clip_ids: np.ndarray
    splits: np.ndarray

    def __len__(self) -> int:
        return len(self.clip_ids)

    def of(self, split: str) -> "LabelledFeatures":
        """The clips of one split."""
        rows = np.flatnonzero(self.splits == split)
        chosen = self.X[rows] if isinstance(self.X, np.ndarray) else [self.X[i] for i in rows]
        return LabelledFeatures(
            chosen, self.y[rows], self.groups[rows], self.clip_ids[rows], self.splits[rows]
        )

    def to_pandas(self) -> "pandas.DataFrame":
        """A row for each clip: label, group, split and, of frame means, 1280 columns of numbers.

        The clip ids are the index.

        Raises
        ------
        ClipcacheError
            When pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ClipcacheError(
                "A table needs pandas, which is not installed: `pip install pandas`."
            ) from None
        known = {"label": self.y, "group": self.groups, "split": self.splits}
        table = pd.DataFrame(known, index=pd.Index(self.clip_ids, name="clip_id"))
        if isinstance(self.X, np.ndarray):
            table = table.join(pd.DataFrame(self.X, index=table.index))
        return table


def load_features(
    folder: str | Path = FEATURES,
    *,
    index: str | Path = INDEX,
    splits: str | Path | None = SPLITS,
    view: str = "identity",
    sequences: bool = False,
) -> LabelledFeatures:
    """The clips of the index that have features, with labels, groups and splits.

    Parameters
    ----------
    folder : with the feature files, as `clipcache features` writes them
    index, splits : index.csv and splits.csv; without `splits` the clips are in no split
    view : which cached view; the names are those of `features.views` in the settings. Another
        stream in a view is named with it, such as "flow/identity"
    sequences : False gives the mean embedding of each clip, which is what the baseline of every
        evaluation is trained on; True the embeddings of its frames

    Raises
    ------
    FeaturesError
        When there are no feature files, they are damaged, or lack the view or all of the clips.
    DatasetError
        When the index or the splits are missing or damaged.
    """
    features = FeatureSet.open(folder)
    if view not in features.readings:
        raise FeaturesError(
            f"{folder} has no view {view!r}, but {', '.join(features.readings)}: name one of them, "
            "or add it to features.views or features.streams in the settings and run `clipcache "
            "features`."
        )
    clips = read_index(Path(index))
    positions = features.positions(clips.column("clip_id"))
    clips, positions = clips.take(positions != ABSENT), positions[positions != ABSENT]
    if not len(clips):
        raise FeaturesError(
            f"{folder} has features of no clip of {index}: they belong to different data sets, or "
            "`clipcache features` has to be run again."
        )
    codes = np.full(len(clips), NO_SPLIT)
    if splits is not None:
        codes = read_split_codes(clips, Path(splits))
    rows = positions.tolist()
    return LabelledFeatures(
        [features.clip(row)[view] for row in rows]
        if sequences
        else frame_means(features, rows, view),
        np.array(list(clips.values("label"))),
        np.array(list(clips.values("group"))),
        np.array(list(clips.values("clip_id"))),
        # NO_SPLIT is the last
        np.where(clips.labelled, np.array([*SPLIT_NAMES, ""])[codes], UNLABELLED),
    )
