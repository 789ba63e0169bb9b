"""The shipped settings on real videos of people unseen in training; what a wrong input gets."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clone import ROOT
from sample_model import unseen_clip

STAGES = ("index", "frames", "split", "features", "train", "evaluate")
ONE_CHANGE = "raw: data/weizmann"


@pytest.fixture(scope="module")
def weizmann(
    shared_data: Path, backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder in which every stage ran with configs/weizmann.yaml."""
    folder = tmp_path_factory.mktemp("weizmann")
    settings = (ROOT / "configs/weizmann.yaml").read_text()
    assert ONE_CHANGE in settings
    settings = settings.replace(ONE_CHANGE, f"raw: {shared_data / 'weizmann'}")
    (folder / "params.yaml").write_text(settings)
    (folder / "models").mkdir()
    (folder / "models/backbone").symlink_to(backbone_folder)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CLIPCACHE_DIR": str(folder / "cache")}
    for stage in STAGES:
        subprocess.run(
            [sys.executable, "-m", "pipeline", stage], check=True, cwd=folder, env=environment
        )
    return folder


def test_unseen_people_are_recognised(weizmann: Path) -> None:
    metrics = json.loads((weizmann / "reports/metrics.json").read_text())
    assert metrics["classes"] == 10
    assert metrics["test_clips"] >= 20
    assert metrics["accuracy"] >= 0.85
    assert metrics["accuracy"] >= metrics["baseline_accuracy"]


@pytest.fixture
def project(sample_model: Path, tmp_path: Path) -> Path:
    """A copy of a folder in which the stages ran on sample videos."""
    return shutil.copytree(sample_model.parents[1], tmp_path / "project")


def test_a_video_is_recognised_and_a_wrong_one_is_one_sentence(project: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    video = unseen_clip(project / "models/head", "wave")
    command = [sys.executable, "-m", "pipeline", "predict", str(video)]
    shown = subprocess.run(
        command, check=True, cwd=project, env=environment, capture_output=True, text=True
    )
    assert "wave" in shown.stdout
    broken = project / "broken.mp4"
    broken.write_bytes(video.read_bytes()[:900])
    done = subprocess.run(
        [*command[:-1], str(broken), str(video), "--json"],
        check=False, cwd=project, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert "broken.mp4" in done.stderr
    assert [answer["action"] for answer in json.loads(done.stdout)] == ["wave"]


def test_a_model_of_other_features_is_refused_with_both_sides_named(project: Path) -> None:
    card = project / "models/head/model.json"
    text = card.read_text()
    assert '"resize": "stretch"' in text
    card.write_text(text.replace('"resize": "stretch"', '"resize": "crop"'))
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "evaluate"],
        check=False, cwd=project, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "crop" in done.stderr
    assert "stretch" in done.stderr
    assert "Traceback" not in done.stderr
