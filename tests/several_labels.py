"""A small data set of embeddings on disk of which several labels may hold, or none.

`warm` is in the mean embedding, `flash` in every second row, and `rise` in the order of the rows.
"""

from itertools import product
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
from pipeline.dataset.clips import Clip, write_images, write_index
from pipeline.dataset.label_sets import join_labels
from pipeline.store.clip_rows import Row
from pipeline.store.feature_files import write_feature_file

NAMES = ("flash", "rise", "warm")
ACTORS = 6


def write_several_project(folder: Path) -> SmallProject:
    """Of each actor a clip of every set of the labels; the last actor is tested."""
    rng = np.random.default_rng(5)
    base, heat, light, left, right = rng.uniform(0, 2, (5, DIMENSION))
    clips, values = [], {}
    for actor in range(ACTORS):
        body = base + 0.3 * rng.uniform(0, 1, DIMENSION)
        for held in product((False, True), repeat=len(NAMES)):
            flash, rise, warm = held
            clip_id = f"actor{actor}_{''.join('01'[one] for one in held)}.mp4"
            time = np.linspace(0, 1, int(rng.integers(12, 26)))[:, None]
            time = time if rise else time[::-1]
            rows = body + (1 - time) * left + time * right + warm * heat
            rows[::2] += flash * light
            rows += rng.normal(0, 0.1, rows.shape)
            values[clip_id] = np.maximum(rows, 0).astype(np.float16)
            label = join_labels(name for name, one in zip(NAMES, held, strict=True) if one)
            clips.append(
                Clip(clip_id, label, f"actor{actor}", f"{len(clips):064d}", 1, path=clip_id)
            )
    rows = [
        Row(
            clip.clip_id,
            clip.digest,
            np.arange(len(values[clip.clip_id]), dtype=np.int32),
            np.arange(len(values[clip.clip_id]), dtype=np.float32) / 8,
        )
        for clip in sorted(clips, key=lambda clip: clip.clip_id)
    ]
    project = SmallProject(folder)
    write_feature_file(
        project.features_folder / "features.h5", rows, ("identity",),
        lambda row, view: values[row.clip_id], extractor=EXTRACTOR, sampling=SAMPLING,
    )  # fmt: skip
    write_backbone_stand_in(project.backbone, "0123")
    write_index(clips, project.index)
    write_images({}, project.index.with_name("images.csv"))
    side = {f"actor{i}": "train" for i in range(ACTORS)}
    side |= {f"actor{ACTORS - 1}": "test", f"actor{ACTORS - 2}": "val"}
    write_splits({clip.clip_id: side[clip.group] for clip in clips}, project.splits)
    return project
