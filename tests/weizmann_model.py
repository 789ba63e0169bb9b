"""A small model of real people, trained by the stages themselves; fixture `weizmann_model`."""

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

LABELS = ("bend", "jack", "walk", "wave2")
PEOPLE = ("daria", "denis", "eli", "ido", "ira")
STAGES = ("index", "split", "features", "train")


def train_weizmann_model(folder: Path, weizmann: Path, backbone: Path) -> Path:
    """Run the stages up to `train` in `folder`, on 4 actions of 5 people: 20 clips.

    Parameters
    ----------
    weizmann : the whole data set, <label>/<person>_<label>.avi
    backbone : the backbone folder

    Returns
    -------
    Path
        The model folder, models/head below `folder`; data/ and features/ are there too.
    """
    for label in LABELS:
        (folder / "raw" / label).mkdir(parents=True, exist_ok=True)
        for person in PEOPLE:
            name = f"{label}/{person}_{label}.avi"
            shutil.copyfile(weizmann / name, folder / "raw" / name)
    params = Params(
        dataset=DatasetParams(raw=str(folder / "raw")),
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
