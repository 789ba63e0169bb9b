"""Scores where several labels may hold, and what the stages tell of them."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from several_labels import NAMES, write_several_project
from sklearn.metrics import average_precision_score, f1_score
from small_features import SmallProject

from pipeline.commands.model import _print_folds
from pipeline.commands.stages import _print_scores
from pipeline.errors import ModelError
from pipeline.evaluation.crossval import crossval
from pipeline.evaluation.multi_label.scores import (
    HEAD,
    Judgement,
    LabelOutcome,
    _f1_and_exact,
    _mean_average_precision,
    label_rows,
    measure_labels,
    resampled,
    scores_of,
)
from pipeline.evaluation.params import CrossvalParams
from pipeline.head.params import TrainParams
from pipeline.params import Params
from pipeline.stages.evaluate import evaluate
from pipeline.stages.train import train


@pytest.fixture
def said() -> tuple[np.ndarray, Judgement]:
    """Of 60 clips, with many scores alike."""
    rng = np.random.default_rng(0)
    actual = rng.uniform(size=(60, 4)) < (0.6, 0.3, 0.1, 0.0)
    scores = np.round(actual + rng.normal(0, 0.7, actual.shape), 1)
    return actual, Judgement(scores, scores > 0.5)


def test_scores_are_those_of_scikit_learn(said: tuple[np.ndarray, Judgement]) -> None:
    actual, judgement = said
    scores = scores_of(actual, judgement)
    expected = [
        average_precision_score(actual[:, k], judgement.scores[:, k]) for k in range(3)
    ]  # the last label holds for no clip
    assert scores["map"] == pytest.approx(np.mean(expected))
    for average in ("macro", "micro"):
        own = f1_score(actual, judgement.holds, average=average, zero_division=0)
        assert scores[f"{average}_f1"] == pytest.approx(own)
    assert scores["exact_match"] == (actual == judgement.holds).all(axis=1).mean()


def test_resampled_scores_are_those_of_weighted_clips(said: tuple[np.ndarray, Judgement]) -> None:
    actual, judgement = said
    weights = np.random.default_rng(1).integers(0, 3, (5, 60))
    found = _mean_average_precision(actual, judgement.scores, weights)
    f1 = _f1_and_exact(actual, judgement.holds, weights)
    for row, ours, macro in zip(weights, found, f1["macro_f1"], strict=True):
        expected = [
            average_precision_score(actual[:, k], judgement.scores[:, k], sample_weight=row)
            for k in range(4) if row @ actual[:, k]
        ]  # fmt: skip
        assert ours == pytest.approx(np.mean(expected))
        repeated = np.repeat(np.arange(60), row)
        own = f1_score(
            actual[repeated], judgement.holds[repeated], average="macro", zero_division=0,
            labels=np.flatnonzero((actual | judgement.holds)[repeated].any(axis=0)),
        )  # fmt: skip
        assert macro == pytest.approx(own)


def test_intervals_hold_the_score_and_are_wider_over_groups() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(12), 10)
    actual = rng.uniform(size=(120, 3)) < 0.4
    hard = rng.uniform(size=12)[groups][:, None]  # people differ in how well they are recognised
    scores = np.where(rng.uniform(size=actual.shape) < hard, ~actual, actual) + 0.1 * rng.uniform(
        size=actual.shape
    )
    judgement = Judgement(scores, scores > 0.5)
    outcome = LabelOutcome(
        ("a", "b", "c"), np.arange(120).astype(str), groups, actual,
        dict.fromkeys(("head", "frame mean", "ordered baseline"), judgement),
    )  # fmt: skip
    measured = measure_labels(outcome, samples=400)
    for name, value in measured.scores[HEAD].values.items():
        clips = measured.scores[HEAD].over_clips[name]
        people = measured.scores[HEAD].over_groups[name]
        assert clips.low < value < clips.high
        assert people.low < value < people.high
        assert people.high - people.low > clips.high - clips.low
    assert measured.difference == (0.0, None, None)
    assert np.diag(measured.together).tolist() == (actual & judgement.holds).sum(axis=0).tolist()
    assert resampled(actual, judgement, np.zeros(120), samples=50, seed=0) == {}


def test_a_label_that_holds_for_no_clip_has_no_average_precision(
    said: tuple[np.ndarray, Judgement],
) -> None:
    actual, judgement = said
    outcome = LabelOutcome(
        tuple("abcd"), np.arange(60).astype(str), np.arange(60), actual,
        {"head": judgement, "frame mean": judgement},
    )  # fmt: skip
    rows = label_rows(outcome)
    assert np.isnan(rows[3].average_precision)
    assert (rows[3].clips, rows[3].told) == (0, judgement.holds[:, 3].sum())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """A project with a trained linear head."""
    project = write_several_project(tmp_path_factory.mktemp("several"))
    train(
        params(), features_folder=project.features_folder, index=project.index,
        splits=project.splits, backbone=project.backbone,
        model_folder=project.folder / "models/head", curves=project.folder / "reports/train",
        work=project.folder / "work",
    )  # fmt: skip
    return project


def params(*, multi_label: bool = True) -> Params:
    return Params.model_validate(
        {
            "dataset": {"layout": "csv", "multi_label": multi_label},
            "train": {"head": "linear"},
            "evaluate": {"bootstrap": 100},
        }
    )


def paths(project: SmallProject) -> dict[str, Path]:
    return {
        "index": project.index,
        "splits": project.splits,
        "features": project.features_folder,
        "model": project.folder / "models/head",
        "rejected": project.folder / "reports/rejected.csv",
        "reports": project.folder / "reports",
    }


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_files_of_an_evaluation(project: SmallProject, capsys: pytest.CaptureFixture) -> None:
    done = evaluate(params(), **paths(project))
    reports = project.folder / "reports"
    metrics = json.loads((reports / "metrics.json").read_text())
    assert metrics["map"] > 0.9 > metrics["baseline_map"]  # which knows no order
    assert (metrics["test_clips"], metrics["classes"], metrics["labels_per_clip"]) == (8, 3, 1.5)
    assert metrics["intervals"]["map"].keys() == {"over_clips", "over_groups"}
    rows = table(reports / "predictions.csv")
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert metrics["exact_match"] == right
    assert "|" in {row["label"] for row in rows}  # of which none holds
    classes = {row["label"]: row for row in table(reports / "per_class.csv")}
    assert tuple(classes) == NAMES
    f1 = [float(row["f1"]) for row in classes.values()]
    assert np.mean(f1) == pytest.approx(metrics["macro_f1"], abs=1e-3)
    pairs = [(row["actual"], row["predicted"]) for row in table(reports / "confusion.csv")]
    assert pairs.count(("warm", "warm")) == done.measured.together[2, 2] > 0
    assert {path.name for path in (reports / "plots").iterdir()} == {
        "confusion.png", "per_class.png", "reliability.png", "training_curves.png",
    }  # fmt: skip
    page = (reports / "report.html").read_text("utf-8")
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", page) == []
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert f"mean average precision {metrics['map']:.3f} on 8 test clips" in text
    for part in ("Which labels come together", "Per label", "Of labels with a probability of 80 %"):
        assert part in text
    before = {name: (reports / name).read_bytes() for name in ("metrics.json", "report.html")}
    _print_scores(evaluate(params(), **paths(project)), reports / "report.html")
    assert {name: (reports / name).read_bytes() for name in before} == before
    printed = capsys.readouterr().out
    assert "mean average precision" in printed
    assert "frame mean" in printed


def test_a_model_of_the_other_kind_is_refused(project: SmallProject) -> None:
    with pytest.raises(ModelError, match="trained with true: run `clipcache train` again"):
        evaluate(params(multi_label=False), **paths(project))


def test_crossval_tells_the_same_numbers(
    project: SmallProject, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    done = crossval(
        CrossvalParams(workers=2), TrainParams(head="linear"),
        features_folder=project.features_folder, index=project.index, reports=tmp_path,
        multi_label=True,
    )  # fmt: skip
    numbers = json.loads((tmp_path / "crossval.json").read_text())
    assert numbers["map"] > 0.9 > numbers["baseline_map"]
    assert numbers["folds"] == 6
    assert numbers["per_label"].keys() == set(NAMES)
    rows = table(tmp_path / "crossval_predictions.csv")
    right = np.mean([row["actual"] == row["predicted"] for row in rows])
    assert numbers["exact_match"] == pytest.approx(right, abs=1e-4)
    assert len(table(tmp_path / "crossval_probabilities.csv")) == 48
    assert (tmp_path / "crossval_confusion.png").stat().st_size
    _print_folds(done)
    assert "mAP" in capsys.readouterr().out
