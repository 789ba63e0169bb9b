"""A small project of sample videos, run by the stages themselves; fixture `sample_project`."""

import shutil
from pathlib import Path

import pytest

from pipeline.dataset.clips import read_images
from pipeline.dataset.params import DatasetParams, SplitParams
from pipeline.embedding.params import FeaturesParams
from pipeline.head.params import TrainParams
from pipeline.params import Params
from pipeline.sample import write_sample
from pipeline.stages.features import extract_features
from pipeline.stages.index import index_clips
from pipeline.stages.split import split_clips
from pipeline.stages.train import train

ACTIONS = ("jumping_jacks", "walk", "wave")


def train_sample_project(folder: Path, backbone: Path) -> None:
    """data/, features/ and models/ as the stages leave them, of 3 actions by 4 actors: 12 clips.

    The embedding cache is the folder cache/ in it.
    """
    shutil.copytree(backbone, folder / "models/backbone", dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CLIPCACHE_DIR", str(folder / "cache"))
        write_sample(Path("data/raw"), actions=ACTIONS, actors=4, takes=1, workers=1)
        params = Params(
            dataset=DatasetParams(group="person_first"),
            split=SplitParams(train=0.5, val=0.25, test=0.25),
            features=FeaturesParams(engine="litert", workers=2),
            train=TrainParams(head="linear", epochs=8),
        )
        clips = index_clips(params.dataset)
        split_clips(clips, params.split)
        extract_features(params, clips, images=read_images())
        train(params)
