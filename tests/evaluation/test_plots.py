"""Pictures: that they are written, say what they should, and are the same every time."""

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from dvclive import Live

from pipeline.evaluation.metrics import class_scores, confusion_counts, reliability
from pipeline.evaluation.plots import (
    Curve,
    class_bars,
    class_distribution,
    confusion_matrix,
    read_curves,
    reliability_diagram,
    save_png,
    to_svg,
    training_curves,
)

RANDOM = np.random.default_rng(0)
ACTUAL = RANDOM.integers(3, size=60)
PREDICTED = np.where(RANDOM.random(60) < 0.8, ACTUAL, 2)
LABELS = ["walk", "run & jump", "a_$b$ <wave>"]


def words(svg: str) -> str:
    return " ".join(ElementTree.fromstring(svg).itertext())


def test_curves_are_read_as_dvclive_writes_them(tmp_path: Path):
    live = Live(
        dir=str(tmp_path), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False
    )
    for epoch in range(3):
        live.log_metric("train/loss", 3.0 - epoch)
        live.log_metric("val/loss", 3.5 - epoch)
        live.log_metric("learning_rate", 0.1)
        live.next_step()
    live.end()
    curves = read_curves(tmp_path)
    assert list(curves) == ["loss", "learning_rate"]
    train, val = curves["loss"]
    assert (train.name, val.name) == ("train", "val")
    assert train.steps.tolist() == [1, 2, 3]
    assert val.values.tolist() == [3.5, 2.5, 1.5]
    assert read_curves(tmp_path / "missing") == {}


def test_equal_figures_give_equal_files(tmp_path: Path):
    counts = confusion_counts(ACTUAL, PREDICTED, 3)
    svgs = set()
    for name in ("first.png", "second.png"):
        save_png(confusion_matrix(counts, LABELS), tmp_path / name)
        svgs.add(to_svg(confusion_matrix(counts, LABELS), "confusion"))
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    assert len(svgs) == 1


def test_a_confusion_matrix_shows_counts_and_names_as_they_are():
    counts = confusion_counts(ACTUAL, PREDICTED, 3)
    svg = to_svg(confusion_matrix(counts, LABELS), 'the "matrix"')
    text = words(svg)
    assert all(label in text for label in LABELS)
    assert str(counts[0, 0]) in text.split()
    assert 'aria-label="the &quot;matrix&quot;"' in svg
    assert "var(--ink)" in svg
    assert "DejaVu" not in svg


@pytest.mark.parametrize("classes", [2, 12, 101])
def test_a_confusion_matrix_of_any_size_is_square_and_small(tmp_path: Path, classes: int):
    path = tmp_path / "confusion.png"
    save_png(confusion_matrix(np.eye(classes, dtype=int), [f"Class{i}" for i in range(classes)]),
             path)  # fmt: skip
    height, width = cv2.imread(str(path)).shape[:2]
    assert 0.7 < width / height < 1.4
    assert 200 < height < 3000


def test_every_class_has_a_bar_with_its_score():
    text = words(to_svg(class_bars(class_scores(ACTUAL, PREDICTED, LABELS)), "scores"))
    assert all(label in text for label in LABELS)
    assert f"n = {(ACTUAL == 0).sum()}" in text


def test_class_distribution_sums_the_splits():
    clips = {"walk": {"train": 5, "val": 1, "test": 2}, "run": {"train": 3}}
    text = words(to_svg(class_distribution(clips), "clips")).split()
    assert "8" in text
    assert {"train", "val", "test"} <= set(text)
    assert "train" not in words(to_svg(class_distribution({"walk": {"": 3}}), "clips"))


def test_plots_without_data_or_with_one_epoch_are_drawn(tmp_path: Path):
    one = Curve("train", np.array([1.0]), np.array([0.5]))
    save_png(training_curves({}), tmp_path / "none.png")
    save_png(training_curves({"loss": [one]}, best=1), tmp_path / "one.png")
    save_png(reliability_diagram(reliability(np.ones(2), np.ones(2)), 0.0), tmp_path / "sure.png")
    assert all(cv2.imread(str(path)) is not None for path in tmp_path.glob("*.png"))
