"""A small model of the sample videos, trained by the stages themselves; fixture `sample_model`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from clone import ROOT

from pipeline.dataset.params import DatasetParams, SplitParams
from pipeline.embedding.params import FeaturesParams
from pipeline.files import write_json
from pipeline.head.params import TrainParams
from pipeline.params import Params

LABELS = ("jumping_jacks", "pick_up", "walk", "wave")
ACTORS, TAKES = 5, 2
UNSEEN = "actor05"  # in no split but the test split
STAGES = ("index", "split", "features", "train")


def unseen_clip(model: Path, label: str, take: int = 1) -> Path:
    """A clip of somebody who was not in the training set of the fixture's model."""
    return model.parents[1] / f"data/raw/{label}/{UNSEEN}_take{take}.mp4"


def train_sample_model(folder: Path, videos: Path, backbone: Path) -> Path:
    """Run the stages up to `train` in `folder`, on 4 actions of 5 people.

    Parameters
    ----------
    videos : <label>/actor<NN>_take<N>.mp4, copied to data/raw/ below `folder`
    backbone : the backbone folder

    Returns
    -------
    Path
        The model folder, models/head below `folder`; data/, features/ and cache/ are there too.
    """
    shutil.copytree(videos, folder / "data/raw", dirs_exist_ok=True)
    params = Params(
        dataset=DatasetParams(raw=str(folder / "data/raw")),
        split=SplitParams(train=0.6, val=0.2, test=0.2),
        features=FeaturesParams(engine="litert", workers=2),
        train=TrainParams(epochs=12),
    )
    write_json(folder / "params.yaml", params.model_dump(mode="json"))
    shutil.copytree(backbone, folder / "models/backbone", dirs_exist_ok=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CLIPCACHE_DIR": str(folder / "cache")}
    for stage in STAGES:
        command = [sys.executable, "-m", "pipeline", stage]
        subprocess.run(command, check=True, cwd=folder, env=environment)
    return folder / "models/head"
