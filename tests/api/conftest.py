"""A project of sample videos, run through the stages once for all tests of the API."""

import shutil
from pathlib import Path

import pytest
from conftest import only_one

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


@pytest.fixture(scope="session")
def sample_project(session_folder: Path, backbone_folder: Path) -> Path:
    """data/, features/ and models/ as the stages leave them, of 3 actions by 4 actors."""
    folder = session_folder / "sample_project"
    with only_one(session_folder / "sample_project.lock"), pytest.MonkeyPatch.context() as patch:
        if not (folder / "models/head").is_dir():
            shutil.copytree(backbone_folder, folder / "models/backbone", dirs_exist_ok=True)
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
            extract_features(params, clips, files=read_images())
            train(params)
    return folder


@pytest.fixture
def in_project(sample_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder is the project's, and its embedding cache is in use."""
    monkeypatch.chdir(sample_project)
    monkeypatch.setenv("CLIPCACHE_DIR", str(sample_project / "cache"))
    return sample_project
