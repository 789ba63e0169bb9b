"""A small data set of long videos: embeddings on disk, in segments that tile each video."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from small_features import (
    EXTRACTOR,
    SAMPLING,
    SmallProject,
    write_backbone_stand_in,
    write_splits,
)

from pipeline.backbone.folder import DIMENSION
from pipeline.dataset.clips import BACKGROUND, NO_LABEL, Clip, write_images, write_index
from pipeline.dataset.segments import segment_id
from pipeline.store.clip_rows import Row
from pipeline.store.feature_files import write_feature_file

FPS = 8
ACTIONS = ("sit", "turn", "walk")
SIDES = ("train", "train", "train", "val", "val", "test", "test")


def write_timeline_project(folder: Path) -> SmallProject:
    """Seven people's videos of twelve stretches each, one of them without a label."""
    rng = np.random.default_rng(3)
    looks = dict(zip((*ACTIONS, BACKGROUND), rng.uniform(0, 2, (4, DIMENSION)), strict=True))
    clips: list[Clip] = []
    rows: list[Row] = []
    values: dict[str, np.ndarray] = {}
    splits: dict[str, str] = {}
    for person, side in enumerate(SIDES):
        path, digest = f"person{person}.mp4", f"{person:064d}"
        body = rng.uniform(0, 0.6, DIMENSION)
        labels = [*rng.permutation((*ACTIONS, *ACTIONS, *[BACKGROUND] * 5)).tolist(), NO_LABEL]
        starts = np.concatenate([[0], np.cumsum(rng.integers(12, 30, 12))])
        for number, (label, (first, stop)) in enumerate(zip(labels, pairwise(starts), strict=True)):
            start = first / FPS
            end = stop / FPS if number + 1 < len(labels) else None
            clip_id = segment_id(path, start, end)
            clips.append(
                Clip(clip_id, label, f"person{person}", digest, 1, path=path, start=start, end=end)
            )
            frames = np.arange(first, stop, dtype=np.int32)
            rows.append(Row(clip_id, digest, frames, ((frames - first) / FPS).astype(np.float32)))
            look = looks[label or "walk"]
            values[clip_id] = np.maximum(
                look + body + rng.normal(0, 1, (len(frames), DIMENSION)), 0
            )
            splits[clip_id] = side if label else "unlabelled"
    project = SmallProject(folder)
    write_feature_file(
        project.features_folder / "features.h5",
        sorted(rows, key=lambda row: row.clip_id),
        ("identity",),
        lambda row, view: values[row.clip_id].astype(np.float16),
        extractor=EXTRACTOR,
        sampling=SAMPLING,
    )
    write_backbone_stand_in(project.backbone, "0123")
    write_index(clips, project.index)
    write_images({}, project.index.with_name("images.csv"))
    write_splits(splits, project.splits)
    return project
