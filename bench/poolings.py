"""`python -m bench.poolings PROJECT OUT`: the same project with embeddings of other kinds.

For each of `KINDS` writes OUT/<kind>: a copy of the project's settings and index, with features
that hold what the kind says instead of the mean of the last feature map. The CNN runs once.
`python -m bench.ablation OUT/*` then tells what each is worth.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backbone.folder import BACKBONE, load_keras_model, read_backbone
from pipeline.dataset.clips import read_images, read_index
from pipeline.dataset.sources import ClipFiles
from pipeline.embedding.clip_embedding import ClipEmbeddings, embed_clip
from pipeline.params import load_params
from pipeline.progress import Progress
from pipeline.store.extractor_spec import ExtractorSpec, canonical
from pipeline.store.feature_files import Row, write_feature_file

VIEWS = ("identity", "hflip")
# kind -> the parts of what `embed` gives that it joins
KINDS = {
    "mean": ("mean",),
    "maximum": ("maximum",),
    "mean and maximum": ("mean", "maximum"),
    "mean and block 13": ("mean", "block 13"),
    "mean and block 6": ("mean", "block 6"),
}
# where each part lies in a row of `embed`; the blocks are those of Sandler et al., 2018
PARTS = {
    "mean": slice(0, 1280),
    "maximum": slice(1280, 2560),
    "block 13": slice(2560, 2560 + 576),  # 14 x 14 feature map, expanded
    "block 6": slice(3136, 3136 + 192),  # 28 x 28 feature map, expanded
}


def main() -> None:
    """Embed every clip of a project once, and write a project for each kind."""
    parser = argparse.ArgumentParser(prog="python -m bench.poolings", description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    project: Path = arguments.project
    params = load_params(project / "params.yaml")
    clips = read_index(project / "data" / "index.csv")
    images = read_images(project / "data" / "images.csv")
    files = ClipFiles(project / params.dataset.raw, images)
    backbone = project / BACKBONE
    extractor = ExtractorSpec.of(read_backbone(backbone), params.features.resize, "float32")
    engine = all_parts(backbone)
    rows: list[Row] = []
    done: dict[str, ClipEmbeddings] = {}
    with Progress("poolings", len(clips), "clips") as progress:
        for clip in clips:
            source = files.source(clip)
            result = embed_clip(
                source, engine, extractor, params.features.sampling, dict.fromkeys(VIEWS)
            )
            frame = result.frames["identity"]
            time = result.timeline[frame].astype(np.float32)
            rows.append(Row(clip.clip_id, clip.digest, frame, time))
            done[clip.clip_id] = result
            progress.advance(1, result.embedded)
    for kind, parts in KINDS.items():
        folder: Path = arguments.out / kind
        (folder / "features").mkdir(parents=True, exist_ok=True)
        shutil.copy(project / "params.yaml", folder)
        shutil.copytree(project / "data", folder / "data", dirs_exist_ok=True)

        def embeddings(row: Row, view: str, parts: tuple[str, ...] = parts) -> np.ndarray:
            whole = done[row.clip_id].embeddings[view]
            return np.concatenate([whole[:, PARTS[part]] for part in parts], axis=1)

        write_feature_file(
            folder / "features" / "features.h5", rows, VIEWS, embeddings,
            extractor=canonical(extractor.fields), sampling=vars(params.features.sampling),
        )  # fmt: skip


def all_parts(backbone: Path) -> Any:
    """An engine that gives all `PARTS` side by side: (n, 3328) float16."""
    import keras

    model = load_keras_model(backbone)
    network = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    maps = [network.get_layer(name).output
            for name in ("out_relu", "block_13_expand_relu", "block_6_expand_relu")]  # fmt: skip
    taps = keras.Model(network.inputs, maps)

    def embed(frames: np.ndarray) -> np.ndarray:
        last, late, middle = (
            np.asarray(one) for one in taps(frames.astype(np.float32) / 127.5 - 1.0)
        )
        pooled = [one.mean(axis=(1, 2)) for one in (late, middle)]
        return np.concatenate(
            [last.mean(axis=(1, 2)), last.max(axis=(1, 2)), *pooled], axis=1
        ).astype(np.float16)

    return embed


if __name__ == "__main__":
    main()
