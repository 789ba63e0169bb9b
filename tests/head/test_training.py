import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips_in_memory import make_clips
from clone import ROOT
from pydantic import ValidationError
from small_features import EXTRACTOR, LABELS, SmallProject, write_small_project, write_splits

from pipeline.dataset.clips import read_splits
from pipeline.errors import DatasetError, DiskError, TrainingError
from pipeline.head.batches import batch_size
from pipeline.head.calibration import cross_entropy, fit_temperature, softmax
from pipeline.head.fit import fit
from pipeline.head.loop import new_loop
from pipeline.head.model_folder import load_model, predict_probabilities, read_card
from pipeline.head.params import DenseParams, TrainParams
from pipeline.head.training import train_head
from pipeline.params import Params
from pipeline.stages.train import train

QUICK = {"units": 16, "projection": 16, "steps": 8, "batch_size": 8}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> SmallProject:
    return write_small_project(tmp_path_factory.mktemp("project"), actors=5, takes=2)


def run(project: SmallProject, folder: Path, **changes):
    """Train with the settings `QUICK` and `changes` into `folder`."""
    params = Params(train=TrainParams(**{**QUICK, "epochs": 4, **changes}))
    return train(
        params, features_folder=project.features_folder, index=project.index,
        splits=project.splits, backbone=project.backbone, model_folder=folder / "head",
        curves=folder / "curves", work=folder / "work",
    )  # fmt: skip


def network_bytes(folder: Path) -> bytes:
    return (folder / "head" / "head.keras").read_bytes()


def test_the_default_head_learns_order_on_unseen_actors(tmp_path) -> None:
    project = write_small_project(tmp_path, actors=5, takes=4)
    preset = {"units": None, "projection": None, "steps": 16}
    trained = run(project, tmp_path, **preset, epochs=30, patience=None)
    assert trained.card.labels == LABELS
    assert trained.card.extractor == json.loads(EXTRACTOR)
    model, features = load_model(tmp_path / "head"), project.features()
    names = [str(clip) for clip in features.clip_ids if "actor4" in clip]
    seen = [features.clip(features.position(name)) for name in names]
    predicted = predict_probabilities(model, seen).argmax(axis=1)
    actual = np.array([LABELS.index(name.split("/")[0]) for name in names])
    assert (predicted == actual).mean() > 0.9  # 0.75 without order


def test_two_trainings_give_the_same_bytes_and_another_seed_does_not(project, tmp_path) -> None:
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        run(project, tmp_path / name, seed=seed)
    one, two, three = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "head").iterdir()}
        for name in ("one", "two", "three")
    )
    assert one == two
    assert {name for name in one if one[name] != three[name]} == {
        "head.keras", "head.tflite", "held_out.npz", "model.json"  # what is solved is alike
    }  # fmt: skip


@pytest.mark.parametrize("place", ["curves", "model_folder"])
def test_a_place_that_cannot_be_written_is_told_before_training(project, tmp_path, place) -> None:
    (tmp_path / "file").touch()
    said: list[str] = []
    folders = {"curves": tmp_path / "curves", "model_folder": tmp_path / "head"}
    with pytest.raises(DiskError, match=r"Not a directory"):
        train(
            Params(train=TrainParams(**QUICK)), features_folder=project.features_folder,
            index=project.index, splits=project.splits, backbone=project.backbone,
            work=tmp_path / "work", say=said.append,
            **folders | {place: tmp_path / "file" / place},
        )  # fmt: skip
    assert said == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_curves_are_logged(project, tmp_path) -> None:
    run(project, tmp_path, branches=("network",))
    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "learning_rate"):
        path = tmp_path / "curves" / "plots" / "metrics" / f"{name}.tsv"
        with path.open(newline="") as stream:
            assert len(list(csv.DictReader(stream, delimiter="\t"))) == 4


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(project, tmp_path) -> None:
    """The process is killed for real, in the middle of the run."""
    run(project, tmp_path / "whole", epochs=8)
    script = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "import pipeline.stages.train as stage\n"
        "from test_training import SmallProject, run\n"
        "write = stage._Reporter.epoch\n"
        "def epoch(self, epoch):\n"
        "    write(self, epoch)\n"
        "    if epoch.epoch == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "stage._Reporter.epoch = epoch\n"
        f"run(SmallProject(Path({str(project.folder)!r})), Path({str(tmp_path / 'torn')!r}), "
        "epochs=8)\n"
    )
    here = ROOT / "tests"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (here / "head", here, ROOT))),
    }
    killed = subprocess.run([sys.executable, "-c", script], env=environment, check=False,
                            capture_output=True)  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (tmp_path / "torn" / "head").exists()
    trained = run(project, tmp_path / "torn", epochs=8)
    assert trained.fit.resumed == 4
    assert network_bytes(tmp_path / "torn") == network_bytes(tmp_path / "whole")
    assert not list((tmp_path / "torn" / "work").glob("*.npz"))
    curves = [
        (tmp_path / name / "curves" / "plots" / "metrics" / "val" / "loss.tsv").read_text()
        for name in ("torn", "whole")
    ]
    steps = [[row.split("\t")[-1] for row in text.splitlines()] for text in curves]
    assert steps[0] == steps[1]


def test_a_damaged_state_is_not_trusted(project, tmp_path) -> None:
    train_set, val_set = project.clips(0, 1, 2), project.clips(3)
    state = tmp_path / "state.npz"
    state.write_bytes(b"PK half a file")
    settings = TrainParams(**QUICK, epochs=2)
    loop = new_loop(project.features(), train_set, settings, ("identity",))
    result = fit(loop, train_set, val_set, state=state)
    assert result.resumed == 0
    assert len(result.history) == 2


def test_early_stopping_keeps_the_best_epoch_of_the_validation_clips(project) -> None:
    train_set, val_set = project.clips(0, 1, 2), project.clips(3)
    wrong = replace(val_set, labels=(val_set.labels + 1) % 4)  # validation gets ever worse
    settings = TrainParams(**QUICK, epochs=30, patience=3)
    result = fit(new_loop(project.features(), train_set, settings, ("identity",)), train_set, wrong)
    losses = [epoch.val_loss for epoch in result.history]
    assert result.best == int(np.argmin(losses)) + 1
    assert len(result.history) == result.best + 3 < 30


@pytest.mark.parametrize(
    "changes",
    [
        {"imbalance": "balanced", "loss": "focal"},
        {"imbalance": "none", "label_smoothing": 0.1, "mixup": 0.3, "schedule": "constant"},
        {"head": "lstm128_deep", "noise": 0.1, "frame_dropout": 0.1, "averaging": 0},
        {"recurrent": "gru", "pooling": "attention", "differences": (1, 3)},
        {"dense": (DenseParams(units=8, batch_norm=True),), "calibrate": False},
    ],
)
def test_the_settings_train(project, tmp_path, changes) -> None:
    trained = run(project, tmp_path, **{"epochs": 3, "branches": ("network",), **changes})
    assert trained.fit is not None
    assert np.isfinite([epoch.loss for epoch in trained.fit.history]).all()
    assert trained.fit.history[-1].loss < trained.fit.history[0].loss * 1.2


def test_a_head_of_linear_branches_is_solved_and_not_trained(project, tmp_path) -> None:
    trained = run(project, tmp_path, head="linear")
    assert trained.fit is None
    names = [branch.name for branch in trained.card.branches]
    assert names == ["rgb statistics", "rgb order"]
    assert [branch.share for branch in trained.card.branches] == [
        branch.ordered_share for branch in trained.card.branches
    ]
    assert not (tmp_path / "head" / "head.keras").exists()
    model, features = load_model(tmp_path / "head", "litert"), project.features()
    clips = project.clips(4)
    said = predict_probabilities(model, map(features.clip, clips.positions)).argmax(axis=1)
    assert (said == clips.labels).mean() > 0.9


def test_a_network_alone_counts_for_all_and_sees_what_is_cached(project, tmp_path) -> None:
    card = run(project, tmp_path, head="recurrent", epochs=1).card
    assert [(branch.name, branch.share) for branch in card.branches] == [("network", 1.0)]
    assert card.views == ("identity", "hflip")
    assert not (tmp_path / "head" / "branches.npz").exists()


def test_branches_that_are_not_there_are_refused() -> None:
    for wrong in ((), ("statistic",)):
        with pytest.raises(ValidationError):
            TrainParams(branches=wrong)


def test_units_change_the_preset_and_nothing_else() -> None:
    plain, wider = TrainParams().shape, TrainParams(units=64).shape
    assert wider.units == 64
    assert {k: v for k, v in vars(wider).items() if k != "units"} == {
        k: v for k, v in vars(plain).items() if k != "units"
    }


@pytest.mark.parametrize(
    ("changes", "said", "validate"),
    [
        ({"learning_rate": 1e30}, r"train.learning_rate \(1e\+30\); nothing", True),
        ({"weight_decay": 1e30, "head": "recurrent"}, r"or train.weight_decay \(1e\+30\)", False),
        ({"noise": 1e38, "head": "recurrent"}, r"or train.noise \(1e\+38\); nothing", False),
    ],
)
def test_a_training_that_diverges_is_one_sentence_and_leaves_all_as_it_was(
    project, tmp_path, changes, said, validate
) -> None:
    if not validate:
        write_splits(
            {name: "train" if side == "val" else side
             for name, side in read_splits(project.splits).items()},
            tmp_path / "splits.csv",
        )  # fmt: skip
    else:
        shutil.copy(project.splits, tmp_path / "splits.csv")
    for name in ("model", "curves"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "before").touch()
    with pytest.raises(TrainingError, match=f"^Training diverged in epoch .*{said}"):
        train(
            Params(train=TrainParams(epochs=3, units=8, **changes)),
            features_folder=project.features_folder, index=project.index,
            splits=tmp_path / "splits.csv", backbone=project.backbone,
            model_folder=tmp_path / "model", curves=tmp_path / "curves", work=tmp_path / "work",
        )  # fmt: skip
    for name in ("model", "curves"):
        assert [path.name for path in (tmp_path / name).iterdir()] == ["before"]
    assert not list((tmp_path / "work").rglob("*.npz"))


def test_one_class_to_train_on_is_refused(project, tmp_path) -> None:
    lonely = tmp_path / "splits.csv"
    rows = [f"{clip},{'train' if clip.startswith('cold') else 'test'}"
            for clip in project.features().clip_ids]  # fmt: skip
    lonely.write_text("\n".join(["clip_id,split", *rows]) + "\n")
    with pytest.raises(DatasetError, match="needs two"):
        train(Params(), features_folder=project.features_folder, index=project.index,
              splits=lonely, backbone=project.backbone, model_folder=tmp_path / "head")  # fmt: skip


def test_the_temperature_makes_confidence_honest() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 4000)
    honest = np.log(softmax(rng.normal(0, 1, (4000, 5)) + 2 * np.eye(5)[labels]))
    sampled = np.array([rng.choice(5, p=softmax(row)) for row in honest])
    assert fit_temperature(honest * 4, sampled) == pytest.approx(4, rel=0.15)
    assert fit_temperature(honest[:0], labels[:0]) == 1.0
    few = fit_temperature(10 * np.eye(5)[:3], np.arange(3))
    assert 0.2 < few < 1.5  # three clips, all right, are no reason to be certain
    assert cross_entropy(honest, sampled) < cross_entropy(honest * 4, sampled)


def test_the_card_tells_what_was_calibrated(project, tmp_path) -> None:
    run(project, tmp_path, calibrate=False, head="linear")
    assert read_card(tmp_path / "head").temperature == 1.0


@pytest.mark.parametrize(("clips", "size"), [(20, 8), (96, 8), (480, 20), (10_000, 32)])
def test_small_sets_have_small_batches(clips: int, size: int) -> None:
    assert batch_size(TrainParams(), clips) == size
    assert batch_size(TrainParams(batch_size=5), clips) == 5


def test_a_head_of_all_branches_finds_what_tells_classes_apart_and_is_the_same_again() -> None:
    """Only the flow says anything: the whole clip's statistics say it best, the network helps."""
    features = make_clips("motion")
    known, nobody = features.clips(0, 1, 2, 3), features.clips().take(np.zeros(0, np.int64))
    settings = TrainParams(**QUICK, epochs=4)
    one, two = (train_head(features, known, nobody, settings) for _ in range(2))
    assert list(one.head.shares) == [
        "network", "rgb statistics", "rgb order", "place statistics", "place order",
        "flow statistics", "flow order", "difference statistics", "difference order",
    ]  # fmt: skip
    assert max(one.head.shares, key=one.head.shares.__getitem__) == "flow statistics"
    assert one.accuracies["flow statistics"] == 1.0
    unseen = features.clips(4, 5)
    logits, again = (
        trained.head.logits(map(features.clip, unseen.positions)) for trained in (one, two)
    )
    assert (logits.argmax(axis=1) == unseen.labels).all()
    assert logits.tobytes() == again.tobytes()
    assert one.head.shares == two.head.shares


def test_a_head_without_a_network_reads_no_view_that_only_a_network_would() -> None:
    features = make_clips("order")
    rows = [clip | {"zoom": clip["identity"], "hflip": clip["identity"]} for clip in features.rows]
    clips = features.clips()
    for settings, views in (
        (TrainParams(head="linear"), ()),
        (TrainParams(**QUICK, head="recurrent", epochs=1), ("hflip", "zoom")),
    ):
        head = train_head(replace(features, rows=rows), clips, clips.take(clips.labels < 0),
                          settings).head  # fmt: skip
        expected = {*features.readings, *views}
        assert set(head.readings) - {"hflip"} == expected - {"hflip"}
        assert ("hflip" in head.readings) == head.mirror


@pytest.mark.parametrize("chosen", [[0, 3], [0, 1, 2, 3]])  # two clips; one person
def test_a_head_of_a_few_clips(chosen: list[int]) -> None:
    features = make_clips("place")
    known = features.clips().take(np.array(chosen))
    trained = train_head(features, known, known, TrainParams(**QUICK, epochs=1))
    assert np.isfinite(trained.head.logits(map(features.clip, range(6)))).all()
