"""Several labels a clip, from a table of real videos to an answer: through all stages."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from clone import ROOT
from sample_model import ACTORS, LABELS

from pipeline.dataset.clips import read_index
from pipeline.files import write_json
from pipeline.params import Params
from pipeline.predict.contract import PredictionAnswer
from pipeline.predict.files import predict_files
from pipeline.predict.inputs import find_inputs
from pipeline.predict.predictor import Predictor

PAIRS = (("pick_up", "wave"), ("jumping_jacks", "walk"), ("walk", "wave"))
STAGES = ("index", "frames", "split", "features", "train", "evaluate")


def play_after_another(first: Path, second: Path, path: Path) -> None:
    """A video of all frames of one, then of the other."""
    writer = None
    for source in (first, second):
        video = cv2.VideoCapture(str(source))
        while (read := video.read())[0]:
            if writer is None:
                size = read[1].shape[1::-1]
                codec = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(path), codec, video.get(cv2.CAP_PROP_FPS), size)
            writer.write(read[1])
    assert writer is not None
    writer.release()


@pytest.fixture(scope="module")
def project(sample_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample videos of one action, and of two actions of the same person one after the other."""
    folder = tmp_path_factory.mktemp("several")
    sample = sample_model.parents[1]
    shutil.copytree(sample / "data/raw", folder / "raw")
    rows = []
    for actor in (f"actor{number:02d}" for number in range(1, ACTORS + 1)):
        for label in LABELS:
            rows.append((f"{label}/{actor}_take1.mp4", label, actor))
        for first, second in PAIRS:
            name = f"{actor}_{first}_{second}.mp4"
            places = [folder / f"raw/{label}/{actor}_take2.mp4" for label in (first, second)]
            play_after_another(places[0], places[1], folder / "raw" / name)
            rows += [(name, first, actor), (name, second, actor)]
    with (folder / "clips.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "label", "group"), *rows])
    params = Params.model_validate(
        {
            "dataset": {"raw": str(folder / "raw"), "layout": "csv", "multi_label": True,
                        "table": str(folder / "clips.csv")},
            "split": {"train": 0.6, "val": 0.2, "test": 0.2},
            "features": {"engine": "litert", "workers": 2},
            "train": {"head": "linear"},
        }
    )  # fmt: skip
    write_json(folder / "params.yaml", params.model_dump(mode="json"))
    shutil.copytree(sample / "models/backbone", folder / "models/backbone")
    shutil.copytree(sample / "cache", folder / "cache")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CLIPCACHE_DIR": str(folder / "cache")}
    for stage in STAGES:
        command = [sys.executable, "-m", "pipeline", stage]
        subprocess.run(command, check=True, cwd=folder, env=environment)
    return folder


def test_the_stages_tell_labels_apart_and_together(project: Path) -> None:
    index = read_index(project / "data/index.csv")
    assert len(index) == ACTORS * (len(LABELS) + len(PAIRS))
    assert index.codes("label")[1] == [
        "jumping_jacks", "jumping_jacks|walk", "pick_up", "pick_up|wave", "walk", "walk|wave",
        "wave",
    ]  # fmt: skip
    sheets = {path.stem for path in (project / "reports/frames").glob("*.jpg")}
    assert sheets == set(LABELS)
    metrics = json.loads((project / "reports/metrics.json").read_text())
    assert metrics["map"] > 0.9
    assert metrics["macro_f1"] > 0.75
    page = (project / "reports/report.html").read_text("utf-8")
    assert "Which labels come together" in page


def test_an_answer_is_the_list_of_labels_that_hold(project: Path) -> None:
    predictor = Predictor(project / "models/head")
    splits = dict(
        line.split(",") for line in (project / "data/splits.csv").read_text().splitlines()[1:]
    )
    tested = [name for name, side in splits.items() if side == "test"]
    with (project / "reports/predictions.csv").open(newline="") as stream:
        told = {row["clip_id"]: row["predicted"] for row in csv.DictReader(stream)}
    pair = next(name for name in tested if "/" not in name)
    answers = predict_files(predictor, find_inputs([project / "raw" / pair]), windows=True)
    (prediction,) = answers.predictions
    assert prediction.label == told[pair]
    assert prediction.holding is not None
    assert sorted(prediction.holding) == told[pair].split("|")
    assert (prediction.windows, prediction.spans, prediction.is_long) == ((), (), False)
    values = prediction.as_dict()
    assert PredictionAnswer.model_validate(values).action == prediction.label
    assert [one["label"] for one in values["labels"]] == list(prediction.holding)
    none = Predictor(project / "models/head", threshold=1.0).file(project / "raw" / pair)
    assert (none.holding, none.label, none.as_dict()["labels"]) == ((), "none of these", [])
    assert none.doubts()[0].startswith("No label holds: ")


REFUSED = {
    ("doubts",): "dataset.multi_label is true",
    ("relabel", "clips.csv"): "dataset.multi_label is true",
    ("next", "--list"): "dataset.multi_label is true",
    ("predict", "raw/wave/actor01_take1.mp4", "--timeline"): "what happens when",
    ("predict", "raw/wave/actor01_take1.mp4", "--set", "0.9"): "leave out the set",
    ("live", "raw/wave/actor01_take1.mp4", "--events"): "leave out the events",
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_asks_for_one_label_is_refused(project: Path, command: tuple[str, ...]) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CLIPCACHE_DIR": str(project / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *command], cwd=project, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert REFUSED[command] in " ".join(done.stderr.split())
