import csv
import json
from collections import Counter

import numpy as np
import pytest
from small_features import LABELS, SmallProject, write_small_project

from pipeline.errors import DatasetError
from pipeline.evaluation.crossval import crossval
from pipeline.evaluation.folds import calibrated, deal_folds
from pipeline.evaluation.params import CrossvalParams
from pipeline.head.params import TrainParams


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> SmallProject:
    return write_small_project(tmp_path_factory.mktemp("project"), actors=3, takes=2)


@pytest.fixture(scope="module")
def outcome(project, tmp_path_factory):
    reports = tmp_path_factory.mktemp("reports")
    result = crossval(
        CrossvalParams(folds=2, seeds=2, workers=2),
        TrainParams(units=16, projection=16, steps=8, batch_size=8, epochs=20, seed=5),
        features_folder=project.features_folder,
        index=project.index,
        reports=reports,
    )
    return result.scores, reports


def test_every_clip_is_tested_once_per_seed(outcome, project) -> None:
    _, reports = outcome
    with (reports / "crossval_predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    times = Counter((row["seed"], row["clip_id"]) for row in rows)
    assert set(times.values()) == {1}
    assert {seed for seed, _ in times} == {"5", "6"}
    assert len(times) == 2 * len(project.features())
    actors: dict[str, set[str]] = {}
    for row in rows:
        actors.setdefault(row["fold"], set()).add(row["clip_id"].split("/")[1].split("_")[0])
    assert sorted(len(names) for names in actors.values()) == [1, 2]
    assert len(set.union(*actors.values())) == 3


def test_the_numbers_are_those_of_the_predictions(outcome) -> None:
    result, reports = outcome
    assert json.loads((reports / "crossval.json").read_text()) == result
    with (reports / "crossval_predictions.csv").open(newline="") as stream:
        right = [row["actual"] == row["predicted"] for row in csv.DictReader(stream)]
    assert result["accuracy"] == pytest.approx(np.mean(right), abs=1e-4)
    assert (result["folds"], result["seeds"], result["groups"]) == (2, [5, 6], 3)
    assert min(result["accuracy"], result["baseline_accuracy"]) >= 0.5  # chance is 0.25
    assert result["ordered_baseline_accuracy"] > result["baseline_accuracy"]  # it knows order
    assert 0 <= result["ece"] < 0.3
    with (reports / "crossval_confusion.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["actual", *LABELS]
    counts = np.array([[int(value) for value in row[1:]] for row in rows])
    assert counts.sum() == len(right)
    assert np.trace(counts) == sum(right)
    assert (reports / "crossval_confusion.png").read_bytes().startswith(b"\x89PNG")


def test_few_groups_are_left_out_one_by_one_and_many_share_folds() -> None:
    labels = np.tile([0, 1], 30)
    nine, thirty = np.repeat(np.arange(10), 6).astype(str), np.repeat(np.arange(30), 2).astype(str)
    assert deal_folds(labels, nine, None).max() == 9
    dealt = deal_folds(labels, thirty, None)
    assert dealt.max() == 4
    for group in np.unique(thirty):
        assert len(np.unique(dealt[thirty == group])) == 1
    assert deal_folds(labels, thirty, 3).max() == 2


def test_folds_that_cannot_be_dealt_are_refused() -> None:
    labels, groups = np.array([0, 1, 0, 1]), np.array(["a", "a", "b", "b"])
    with pytest.raises(DatasetError, match="only 2 groups"):
        deal_folds(labels, groups, 5)
    with pytest.raises(DatasetError, match="two groups"):
        deal_folds(labels, np.array(["a"] * 4), None)


def test_the_temperature_of_a_fold_ignores_its_own_labels_and_heeds_the_others() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (40, 4))
    right, wrong = logits.argmax(axis=1), logits.argmin(axis=1)
    fold_of = np.repeat([0, 1], 20)
    first_wrong = calibrated(logits, np.where(fold_of == 0, wrong, right), fold_of)
    all_right = calibrated(logits, right, fold_of)
    np.testing.assert_array_equal(first_wrong[:20], all_right[:20])
    assert (first_wrong[20:].max(axis=1) < all_right[20:].max(axis=1)).all()
