"""Stages `train` and `evaluate` on long videos: scores, tables and the strips of the report."""

import csv
import json

import pytest
from timeline_project import write_timeline_project

from pipeline.dataset.clips import BACKGROUND, read_index, write_rejected
from pipeline.evaluation.report.timelines import timelines_in_words
from pipeline.evaluation.timelines import measure_timelines
from pipeline.head.labelled_clips import labelled_splits
from pipeline.head.model_folder import load_model, read_card
from pipeline.params import Params
from pipeline.stages.evaluate import evaluate
from pipeline.stages.train import train
from pipeline.store.feature_files import FeatureSet


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = write_timeline_project(tmp_path_factory.mktemp("timelines"))
    paths = {"index": project.index, "splits": project.splits}
    params = Params.model_validate({"train": {"head": "linear"}, "dataset": {"layout": "timeline"}})
    train(
        params, features_folder=project.features_folder, backbone=project.backbone,
        model_folder=project.folder / "models/head", curves=project.folder / "reports/train",
        work=project.folder / "work", **paths,
    )  # fmt: skip
    rejected = project.folder / "reports/rejected.csv"
    write_rejected([], rejected)
    done = evaluate(
        params, features=project.features_folder, model=project.folder / "models/head",
        rejected=rejected, reports=project.folder / "reports", **paths,
    )  # fmt: skip
    return project.folder, done


def test_the_card_says_how_windows_become_stretches(project) -> None:
    folder, _ = project
    card = read_card(folder / "models/head")
    assert card.decoder is not None
    assert card.decoder.window > 0
    assert 0 < card.longest < 10  # seconds


def test_the_scores_stand_beside_those_of_two_baselines(project) -> None:
    folder, done = project
    numbers = json.loads((folder / "reports/metrics.json").read_text())["timeline"]
    assert (numbers["videos"], numbers["segments"]) == (2, done.timelines.class_segments.sum())
    assert numbers["decoded"]["f1_50"] > 0.9
    assert numbers["decoded"]["f1_50"] >= numbers["windows"]["f1_50"] > 0
    assert numbers["majority"]["f1_50"] == 0  # the background, which has no segments
    assert set(numbers["decoded"]) == {
        "accuracy", "edit", "f1_10", "f1_25", "f1_50", "map", "map_30", "map_40", "map_50",
        "map_60", "map_70",
    }  # fmt: skip
    assert 0 <= numbers["none_of_these"] < 2 / numbers["segments"]  # of nine one at most
    low, high = numbers["intervals"]["f1_50"]
    assert low <= numbers["decoded"]["f1_50"] <= high
    assert "2 test videos" in timelines_in_words(done.timelines)


def test_of_videos_in_which_nothing_happens_nothing_is_none_of_these(project) -> None:
    folder, _ = project
    features, clips = FeatureSet.open(folder / "features"), read_index(folder / "data/index.csv")
    sides = labelled_splits(features, clips, folder / "data/splits.csv")
    empty = sides.test.take(sides.test.labels == sides.test.classes.index(BACKGROUND))
    model = load_model(folder / "models/head", runtime="litert")
    found = measure_timelines(model, features, clips, sides.train, empty, samples=100)
    assert found is not None
    assert (found.none, found.class_segments.sum()) == (0, 0)


def test_the_tables_name_every_video_and_class(project) -> None:
    folder, _ = project
    with (folder / "reports/timeline.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["video"], row["by"]) for row in rows} == {
        (f"person{person}.mp4", way)
        for person in (5, 6) for way in ("decoded", "windows", "majority")
    }  # fmt: skip
    with (folder / "reports/timeline_per_class.csv").open() as stream:
        assert [row["label"] for row in csv.DictReader(stream)] == ["sit", "turn", "walk"]


def test_the_report_shows_truth_above_prediction(project) -> None:
    folder, _ = project
    page = (folder / "reports/report.html").read_text()
    for person in (5, 6):
        for way in ("annotated", "predicted"):
            assert f'aria-label="{way} of person{person}.mp4"' in page
    assert "annotated: walk, " in page
