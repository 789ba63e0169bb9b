"""A small data set of embeddings on disk, made by the project's own writers.

Four classes: `cold` and `warm` differ in their mean embedding; `rise` and `fall` are each other's
time reversal, so that only a head that knows order tells them apart.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.backbone.folder import DESCRIPTION_FILE, DIMENSION, LITERT_FILE, WEIGHTS_FILE
from pipeline.csv_tables import write_rows
from pipeline.dataset.clips import Clip, read_index, write_images, write_index
from pipeline.files import write_json
from pipeline.head.labelled_clips import LabelledClips, labelled_clips
from pipeline.store.clip_rows import Row
from pipeline.store.feature_files import FeatureSet, write_feature_file

LABELS = ("cold", "fall", "rise", "warm")
VIEWS = ("identity", "hflip")
EXTRACTOR = '{"backbone": "0123", "resize": "stretch"}'
SAMPLING = {"fps": 8.0, "max_frames": 512}


def write_splits(splits: dict[str, str], path: Path) -> None:
    """Write splits.csv."""
    write_rows(path, ("clip_id", "split"), sorted(splits.items()))


@dataclass(frozen=True)
class SmallProject:
    """A folder with features/, data/ and models/backbone/, as the stages leave them."""

    folder: Path

    @property
    def features_folder(self) -> Path:
        return self.folder / "features"

    @property
    def backbone(self) -> Path:
        return self.folder / "models" / "backbone"

    @property
    def index(self) -> Path:
        return self.folder / "data" / "index.csv"

    @property
    def splits(self) -> Path:
        return self.folder / "data" / "splits.csv"

    def features(self) -> FeatureSet:
        return FeatureSet.open(self.features_folder)

    def clips(self, *actors: int) -> LabelledClips:
        """All clips, or those of some actors."""
        clips = labelled_clips(self.features(), read_index(self.index))
        names = [f"actor{actor}" for actor in actors] or clips.group_names
        return clips.take(np.isin(np.array(clips.group_names)[clips.groups], names))


def write_small_project(
    folder: Path, actors: int = 4, takes: int = 2, lengths: tuple[int, int] = (10, 26)
) -> SmallProject:
    """Write features and index of `actors` x `takes` clips of every class; actor = group."""
    rng = np.random.default_rng(7)
    base, heat, left, right = rng.uniform(0, 2, (4, DIMENSION))
    clips, embeddings = [], {}
    for label in LABELS:
        for actor in range(actors):
            for take in range(takes):
                clip_id = f"{label}/actor{actor}_take{take}.mp4"
                time = np.linspace(0, 1, int(rng.integers(*lengths)))[:, None]
                if label == "fall":
                    time = time[::-1]
                body = base + 0.3 * np.random.default_rng(actor).uniform(0, 1, DIMENSION)
                if label in ("rise", "fall"):
                    values = body + (1 - time) * left + time * right
                else:
                    values = body + (heat if label == "warm" else 0) + 0 * time
                noise = rng.normal(0, 0.1, (2, *values.shape))
                for view, offset in zip(VIEWS, noise, strict=True):
                    embeddings[clip_id, view] = np.maximum(values + offset, 0)
                clips.append(
                    Clip(clip_id, label, f"actor{actor}", f"{len(clips):064d}", 1, path=clip_id)
                )
    clips.sort(key=lambda clip: clip.clip_id)
    rows = [
        Row(
            clip.clip_id,
            clip.digest,
            np.arange(len(embeddings[clip.clip_id, "identity"]), dtype=np.int32),
            np.arange(len(embeddings[clip.clip_id, "identity"]), dtype=np.float32) / 8,
        )
        for clip in clips
    ]
    project = SmallProject(folder)
    write_feature_file(
        project.features_folder / "features.h5",
        rows,
        VIEWS,
        lambda row, view: embeddings[row.clip_id, view],
        extractor=EXTRACTOR,
        sampling=SAMPLING,
    )
    write_backbone_stand_in(project.backbone, "0123")
    write_index(clips, project.index)
    write_images({}, project.index.with_name("images.csv"))
    side = {f"actor{i}": "train" for i in range(actors)}
    side |= {f"actor{actors - 1}": "test", f"actor{actors - 2}": "val"}
    write_splits({clip.clip_id: side[clip.group] for clip in clips}, project.splits)
    return project


def write_backbone_stand_in(folder: Path, digest: str) -> None:
    """A backbone folder to copy; nothing can be embedded with it."""
    folder.mkdir(parents=True)
    for name in (LITERT_FILE, WEIGHTS_FILE):
        (folder / name).write_bytes(name.encode())
    write_json(folder / DESCRIPTION_FILE, {"digest": digest, "input_size": 224})
