"""The evaluate stage on a small project whose clips exist as videos."""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_features import SmallProject, write_small_project, write_splits

from pipeline.commands.stages import _print_scores
from pipeline.dataset.clips import (
    Clip,
    Rejected,
    read_index,
    read_splits,
    write_index,
    write_rejected,
)
from pipeline.errors import DatasetError
from pipeline.params import Params
from pipeline.stages.evaluate import Evaluated, evaluate
from pipeline.stages.train import train
from pipeline.store.feature_files import FeatureSet


def write_video(path: Path, frames: int = 30) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 8, (64, 48))
    for i in range(frames):
        writer.write(np.full((48, 64, 3), 8 * i, np.uint8))
    writer.release()


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """A project with a trained head; one test clip was rejected by the features stage."""
    project = write_small_project(tmp_path_factory.mktemp("evaluate"), actors=5, takes=2)
    missing = "cold/actor4_gone.mp4"
    splits = read_splits(project.splits) | {missing: "test"}
    write_splits(splits, project.splits)
    gone = Clip(missing, "cold", "actor4", "f" * 64, 1, path=missing)
    write_index([*read_index(project.index), gone], project.index)
    write_rejected([Rejected(missing, "features", "is empty")], rejected(project))
    for clip in read_index(project.index)[::2]:
        write_video(project.folder / "raw" / clip.clip_id)
    train(
        params(project),
        features_folder=project.features_folder,
        index=project.index,
        splits=project.splits,
        backbone=project.backbone,
        model_folder=project.folder / "models/head",
        curves=project.folder / "reports/train",
        work=project.folder / "work",
    )
    return project


@pytest.fixture(scope="module")
def evaluated(project: SmallProject) -> Evaluated:
    return run(project)


def params(project: SmallProject) -> Params:
    # One epoch: a head that makes mistakes, so that the report has some to show.
    return Params.model_validate(
        {
            "dataset": {"raw": str(project.folder / "raw")},
            "train": {"head": "lstm64", "units": 8, "epochs": 1, "steps": 8},
            "evaluate": {"bootstrap": 200},
        }
    )


def rejected(project: SmallProject) -> Path:
    return project.folder / "reports/rejected.csv"


def run(project: SmallProject, reports: str = "reports", **changes: Path) -> Evaluated:
    paths = {
        "index": project.index,
        "splits": project.splits,
        "features": project.features_folder,
        "model": project.folder / "models/head",
        "rejected": rejected(project),
        "reports": project.folder / reports,
    }
    return evaluate(params(project), **(paths | changes))


def test_metrics_agree_with_the_tables(project: SmallProject, evaluated: Evaluated):
    reports = project.folder / "reports"
    metrics = json.loads((reports / "metrics.json").read_text())
    rows = table(reports / "predictions.csv")
    right = [row["label"] == row["predicted"] for row in rows]
    baseline = [row["label"] == row["baseline_predicted"] for row in rows]
    top5 = [row["label"] in row["top5"].split("|") for row in rows]
    assert metrics["test_clips"] == len(rows) == 8
    assert metrics["accuracy"] == np.mean(right)
    assert metrics["baseline_accuracy"] == np.mean(baseline)
    ordered = evaluated.measured.outcome.ordered_baseline == evaluated.measured.outcome.actual
    assert metrics["ordered_baseline_accuracy"] == ordered.mean() > metrics["baseline_accuracy"]
    assert metrics["ordered_baseline_macro_f1"] == 1.0  # two classes differ by order alone
    assert metrics["top5_accuracy"] == np.mean(top5) == 1.0
    assert (metrics["classes"], metrics["skipped_clips"], metrics["test_groups"]) == (4, 1, 1)
    assert metrics["intervals"]["accuracy"]["over_groups"] is None  # one actor only
    assert evaluated.skipped == ["cold/actor4_gone.mp4"]
    assert [(row["actual"], row["predicted"]) for row in table(reports / "confusion.csv")] == [
        (row["label"], row["predicted"]) for row in rows
    ]
    for row in rows:
        chances = [float(text) for text in row["top5_confidence"].split("|")]
        assert chances == sorted(chances, reverse=True)
        assert sum(chances) == pytest.approx(1, abs=1e-3)
        assert row["predicted"] == row["top5"].split("|")[0]
    recall = {row["label"]: float(row["recall"]) for row in table(reports / "per_class.csv")}
    of_rise = [ok for row, ok in zip(rows, right, strict=True) if row["label"] == "rise"]
    assert recall["rise"] == np.mean(of_rise)


def test_a_second_run_gives_the_same_bytes(project: SmallProject, evaluated: Evaluated):
    reports = project.folder / "reports"
    names = ["metrics.json", "predictions.csv", "per_class.csv", "report.html",
             "classification_report.txt", "plots/confusion.png", "plots/training_curves.png",
             "plots/per_class.png", "plots/reliability.png"]  # fmt: skip
    before = {name: (reports / name).read_bytes() for name in names}
    run(project)
    assert [name for name in names if (reports / name).read_bytes() != before[name]] == []


def test_the_report_is_one_file_that_tells_the_whole_story(
    project: SmallProject, evaluated: Evaluated
):
    page = (project.folder / "reports/report.html").read_text("utf-8")
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", page) == []
    assert "@import" not in page
    assert "url(http" not in page
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    metrics = json.loads((project.folder / "reports/metrics.json").read_text())
    assert f"{100 * metrics['accuracy']:.1f} % of 8 test clips recognised" in text
    assert "The test split has 1 group only" in text
    assert "no group stands in more than one split" in text
    assert "is empty" in text
    assert "1 test clip is left out" in text
    wrong = (~evaluated.measured.outcome.correct).sum()
    assert wrong > 0
    assert text.count("taken for") >= wrong
    mistakes = page[page.index('id="mistakes"') : page.index('id="calibration"')]
    assert mistakes.count("data:image/jpeg") + mistakes.count("could not be read here") == wrong


def test_the_terminal_shows_head_beside_baseline(
    project: SmallProject, capsys: pytest.CaptureFixture
):
    _print_scores(run(project), Path("reports/report.html"))
    printed = capsys.readouterr().out
    assert "LSTM head" in printed
    assert "frame mean" in printed
    assert "ordered baseline" in printed
    assert "the frame-mean baseline in" in printed


def test_an_empty_test_split_is_one_sentence(project: SmallProject, tmp_path: Path):
    splits = dict.fromkeys(FeatureSet.open(project.features_folder).clip_ids, "train")
    write_splits(splits, tmp_path / "splits.csv")
    with pytest.raises(DatasetError, match=r"has no clip to score: raise split\.test"):
        run(project, splits=tmp_path / "splits.csv")
