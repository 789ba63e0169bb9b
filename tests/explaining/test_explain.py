"""Explanations of a real model: do they point at the person, and are they what they say?"""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sample_model import unseen_clip
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.dataset.clips import read_index
from pipeline.errors import ClipError, ModelError
from pipeline.explaining.contributions import by_kind, by_stream
from pipeline.explaining.explain import Explanation, explain
from pipeline.explaining.output import overlay, summary, with_arrows, write_explanation
from pipeline.frames.video import VideoReader
from pipeline.head.calibration import softmax
from pipeline.head.params import TrainParams
from pipeline.params import Params, load_params
from pipeline.predict.predictor import Predictor
from pipeline.stages.features import extract_features
from pipeline.stages.train import train


@pytest.fixture(scope="module")
def clip(sample_model: Path) -> Path:
    return unseen_clip(sample_model, "jumping_jacks")


@pytest.fixture(scope="module")
def explained(sample_model: Path, clip: Path) -> Explanation:
    return explain(clip, folder=sample_model)


@pytest.fixture(scope="module")
def embedded(sample_model: Path, clip: Path) -> tuple[Predictor, dict[str, np.ndarray]]:
    """The model, and what it reads of the clip."""
    predictor = Predictor(sample_model)
    return predictor, predictor.embeddings(VideoReader(clip)).embeddings


@pytest.fixture
def train_head(sample_project: Path, tmp_path: Path) -> Callable[..., Path]:
    """Trains a head of another kind on the features of the sample: ``train_head(head="linear")``"""

    def run(**settings: Any) -> Path:
        train(
            Params(train=TrainParams(**settings)),
            features_folder=sample_project / "features",
            index=sample_project / "data/index.csv",
            splits=sample_project / "data/splits.csv",
            backbone=sample_project / "models/backbone",
            model_folder=tmp_path / "head",
            curves=tmp_path / "curves",
            work=tmp_path / "work",
        )
        return tmp_path / "head"

    return run


def test_it_explains_what_predict_says(explained, sample_model: Path, clip: Path) -> None:
    prediction = Predictor(sample_model).file(clip, windows=False)
    assert explained.label == explained.predicted == prediction.label == "jumping_jacks"
    assert explained.probability == pytest.approx(prediction.confidence, abs=1e-4)
    assert len(explained.pictures) == prediction.frames
    assert explained.maps.shape == (prediction.frames, 7, 7)
    assert (explained.maps.min(), explained.maps.max()) == (0, 1)
    assert explained.activation.sum() == pytest.approx(1)
    assert explained.views == ("identity",)
    assert explained.flow is not None
    assert explained.flow.shape == (prediction.frames, 10, 10, 2)


def test_what_the_branches_add_is_the_lead_of_the_label(explained, embedded) -> None:
    predictor, clip = embedded
    logits = predictor.logits(clip)
    chosen = predictor.labels.index("jumping_jacks")
    lead = logits[chosen] - np.delete(logits, chosen).mean()
    assert sum(explained.added.values()) == pytest.approx(lead, rel=1e-3)
    assert set(by_kind(explained.added)) == {"recurrent network", "statistics", "order"}
    streams = by_stream(explained.added)
    assert list(streams) == ["appearance", "place", "motion", "change", "recurrent network"]
    named = [part.rpartition(" ")[0] for part in summary(explained).partition(";")[0].split(", ")]
    assert named[0] == max(streams, key=lambda name: streams[name])


def test_arrows_are_drawn_where_and_when_the_person_moves(explained, embedded) -> None:
    """They are longer where pixels change from sample to sample, and in the frames of which the
    model reads more flow."""
    grids = np.linalg.norm(explained.flow, axis=-1)
    read = embedded[1]["flow/identity"][:, :128].sum(axis=1, dtype=np.float64)
    assert np.corrcoef(read, grids.mean(axis=(1, 2)))[0, 1] > 0.9
    pictures = explained.pictures.pictures.astype(np.int16)
    change = np.abs(np.diff(pictures, axis=0)).max(axis=3).mean(axis=0)
    cells = cv2.resize(change.astype(np.float32), (10, 10), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(cells.ravel(), grids.mean(axis=0).ravel())[0, 1] > 0.5
    arrows = with_arrows(explained)
    plain = [cv2.resize(picture, (320, 320)) for picture in explained.pictures.pictures]
    changed = [(one != other).any() for one, other in zip(arrows, plain, strict=True)]
    assert sum(changed) > len(changed) / 2


def test_it_points_at_the_person(
    sample_project: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pictures alone carry the label, for the colours are of what they carry.

    The person is what differs from the median of the frames, blurred as the camera shakes.
    """
    monkeypatch.chdir(sample_project)
    monkeypatch.setenv("CLIPCACHE_DIR", str(sample_project / "cache"))
    changes = ["features.streams=[rgb]", "features.pooling=[mean]", "train.head=linear"]
    params = load_params(sample_project / "params.yaml", changes)
    features, head = tmp_path / "features", tmp_path / "head"
    done = extract_features(
        params, read_index(), folder=features, rejected=tmp_path / "rejected.csv"
    )
    assert done.embedded == 0
    train(params, features_folder=features, model_folder=head, curves=tmp_path / "curves",
          work=tmp_path / "work")  # fmt: skip
    explained = explain(clip, folder=head)
    blurred = [cv2.GaussianBlur(picture, (9, 9), 0) for picture in explained.pictures.pictures]
    pictures = np.stack(blurred).astype(np.int16)
    moving = np.abs(pictures - np.median(pictures, axis=0)).max(axis=3) > 40
    around = cv2.dilate(
        moving.any(axis=0).astype(np.uint8), np.ones((49, 49))
    )  # a place and a half
    places = cv2.resize(around.astype(np.float32), (7, 7), interpolation=cv2.INTER_AREA)
    inside = float((explained.maps * places).sum() / explained.maps.sum())
    assert 1 - inside < (1 - places.mean()) / 4  # a quarter of what chance would put elsewhere


def test_the_effect_is_that_of_neighbours_in_the_place_of_a_frame(explained, embedded) -> None:
    predictor, clip = embedded
    frame = 1 + int(np.argmax(np.abs(explained.effect[1:-1])))
    odds = []
    for replaced in (False, True):
        rows = {name: values.astype(np.float32) for name, values in clip.items()}
        for values in rows.values() if replaced else ():
            values[frame] = (values[frame - 1] + values[frame + 1]) / 2
        probabilities = softmax(predictor.logits(rows), predictor.card.temperature)
        chance = probabilities[predictor.labels.index("jumping_jacks")]
        odds.append(np.log(chance / (1 - chance)))
    assert explained.effect[frame] == pytest.approx(odds[0] - odds[1], abs=1e-2)


def test_the_folder_has_pictures_and_numbers(explained, tmp_path: Path) -> None:
    folder = tmp_path / "why"
    write_explanation(explained, folder)
    frames = sorted((folder / "frames").iterdir())
    assert len(frames) == len(explained.pictures)
    assert frames[0].name == "000000_0.000s.jpg"
    assert cv2.imread(str(frames[0])).shape == (224, 224, 3)
    height, width = cv2.imread(str(folder / "overview.png")).shape[:2]
    assert (width, height > 800) == (8 * 164, True)
    with (folder / "weights.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sum(float(row["activation"]) for row in rows) == pytest.approx(1, abs=1e-4)
    numbers = json.loads((folder / "explanation.json").read_text())
    assert numbers["label"] == "jumping_jacks"
    assert [row["frame"] for row in numbers["frames"]] == [int(row["frame"]) for row in rows]
    assert np.shape(numbers["frames"][0]["map"]) == (7, 7)
    assert sum(map(abs, numbers["streams"].values())) <= 1 + 1e-4
    kinds = sum(numbers["kinds"].values())
    assert sum(numbers["streams"].values()) == pytest.approx(kinds, abs=1e-4)
    assert numbers["branches"] == pytest.approx(explained.added, abs=1e-6)
    strongest = int(np.argmax(explained.activation))
    plain = explained.pictures.pictures[strongest][:, :, ::-1]
    changed = np.abs(cv2.imread(str(frames[strongest])).astype(int) - plain).max(axis=2)
    assert (changed > 40).any()


def test_where_nothing_speaks_for_the_label_the_picture_stays() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    places = np.zeros((7, 7), np.float32)
    np.testing.assert_array_equal(overlay(picture, places), picture)


def test_the_command_explains_another_label(sample_model: Path, clip: Path, tmp_path) -> None:
    arguments = ["explain", str(clip), "--label", "walk", "--model", str(sample_model)]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "walk")])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("walk ")
    assert "predicted is jumping_jacks" in done.stdout
    assert re.search(r"^\w.* -?\d+%.*(statistics|order) -?\d+% -> ", done.stdout, re.MULTILINE)
    assert (tmp_path / "walk/overview.png").is_file()


def test_nothing_but_an_explanation_is_replaced(explained, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").touch()
    done = CliRunner().invoke(app, ["explain", str(clip), "--out", str(tmp_path / "thesis")])
    assert "is no explanation, and would be replaced" in str(done.exception)
    assert (tmp_path / "thesis/chapter.txt").is_file()
    for _ in range(2):
        write_explanation(explained, tmp_path / "why")


def test_a_clip_of_one_frame_can_be_explained(sample_model: Path, make_video, tmp_path) -> None:
    one = explain(make_video("one.avi", frames=1), folder=sample_model)
    assert one.maps.shape == (1, 7, 7)
    assert one.effect.tolist() == [0.0]
    assert np.isfinite(one.maps).all()
    write_explanation(one, tmp_path / "one")


def test_a_head_without_a_network_is_explained(train_head, clip: Path, tmp_path: Path) -> None:
    one = explain(clip, folder=train_head(head="linear"))
    assert one.label == "jumping_jacks"
    assert "network" not in one.added
    assert {"flow order", "rgb statistics"} <= set(one.added)
    assert one.maps.max() in (0, 1)
    write_explanation(one, tmp_path / "linear")
    assert "network" not in summary(one)


def test_of_order_the_parts_of_the_clip_are_told(train_head, clip: Path, tmp_path: Path) -> None:
    one = explain(clip, folder=train_head(branches=("order",)))
    assert list(by_kind(one.added)) == ["order"]
    assert one.order.any()
    write_explanation(one, tmp_path / "order")
    parts = json.loads((tmp_path / "order/explanation.json").read_text())["order"]
    assert [part["added"] for part in parts] == pytest.approx(one.order, abs=1e-6)
    assert [part["start"] for part in parts[1:]] == [part["end"] for part in parts[:-1]]
    assert parts[0]["start"] == 0
    assert parts[-1]["end"] == pytest.approx(one.pictures.times[-1] + 1 / 8, abs=0.02)


def test_a_network_alone_is_explained(train_head, clip: Path, tmp_path: Path) -> None:
    folder = train_head(head="recurrent", units=8, projection=8, epochs=1)
    one = explain(clip, "walk", folder)
    assert list(one.added) == ["network"]
    assert not one.order.any()
    assert one.maps.max() == 1
    write_explanation(one, tmp_path / "network")
    assert json.loads((tmp_path / "network/explanation.json").read_text())["order"] == []
    assert re.fullmatch(r"recurrent network -?100%", summary(one))


def test_what_cannot_be_explained_is_one_sentence(sample_model: Path, clip, tmp_path) -> None:
    with pytest.raises(
        ModelError, match="does not know the label fly: it knows jumping_jacks, pick_up"
    ):
        explain(clip, "fly", sample_model)
    (tmp_path / "broken.avi").write_bytes(b"RIFF")
    with pytest.raises(ClipError, match=r"broken\.avi is not a video"):
        explain(tmp_path / "broken.avi", folder=sample_model)
    slim = tmp_path / "slim"
    shutil.copytree(sample_model, slim)
    (slim / "backbone.h5").unlink()
    with pytest.raises(ModelError, match=r"backbone\.h5 is not there: copy the whole folder"):
        explain(clip, folder=slim)


def test_a_model_of_other_embeddings_is_refused(sample_model: Path, clip, tmp_path) -> None:
    other = tmp_path / "other"
    shutil.copytree(sample_model, other)
    card = json.loads((other / "model.json").read_text())
    card["streams"]["flow"]["version"] += 1
    (other / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"with flow version = 2, but this version has"):
        explain(clip, folder=other)
