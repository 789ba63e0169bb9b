"""A head by which several labels may hold: what it is trained, weighed and judged by."""

from pathlib import Path

import numpy as np
import pytest
from clips_in_memory import ClipsInMemory, noise
from several_labels import NAMES, write_several_project
from small_features import SmallProject

from pipeline.dataset.clips import read_index
from pipeline.errors import ModelError
from pipeline.head.batches import class_weights, clip_weights, targets_of
from pipeline.head.calibration import (
    cross_entropy,
    fit_offsets,
    fit_temperature,
    share_right,
    sigmoid,
)
from pipeline.head.labelled_clips import LabelledClips, labelled_splits
from pipeline.head.linear import fit_linear
from pipeline.head.model_folder import load_model, predict_probabilities, read_card
from pipeline.head.params import TrainParams
from pipeline.head.shares import learn_shares, scorable
from pipeline.head.thresholds import choose_thresholds
from pipeline.head.training import train_head
from pipeline.params import Params
from pipeline.stages.train import train

HELD = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 0, 0]], np.float32)


def test_weights_give_every_label_the_same_total() -> None:
    weights = class_weights(HELD, 3)
    np.testing.assert_allclose(weights * HELD.sum(axis=0), 5 / 3, rtol=1e-6)
    np.testing.assert_allclose(
        clip_weights(HELD, 3), [weights[0], (weights[0] + weights[1]) / 2,
                                (weights[0] + weights[2]) / 2, 1], rtol=1e-6,
    )  # fmt: skip
    assert targets_of(HELD, 3, 0.2)[1].tolist() == pytest.approx([0.9, 0.9, 0.1])


def test_the_strata_are_the_rarest_labels() -> None:
    clips = LabelledClips(np.arange(4), HELD, np.arange(4), ("a", "b", "c"))
    assert clips.strata.tolist() == [0, 1, 2, 3]
    assert [clips.names(i) for i in range(4)] == ["a", "a|b", "a|c", "|"]
    other = clips.numbered_by(["c", "b", "a"])
    assert other.labels[1].tolist() == [0, 1, 1]
    with pytest.raises(ModelError, match="without the labels c"):
        clips.numbered_by(["a", "b"])
    folds = [(np.array([0, 1]), np.array([2, 3])), (np.array([2, 3]), np.array([0, 1]))]
    assert scorable(HELD, folds).tolist() == [True, False, False, True]


def test_the_likelihood_is_that_of_each_label_by_itself() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 3))
    chances = sigmoid(logits, 2.0)
    expected = -np.log(np.where(HELD > 0, chances, 1 - chances)).sum(axis=1).mean()
    assert cross_entropy(logits, HELD, 2.0) == pytest.approx(expected)
    assert share_right(logits, HELD) == ((logits > 0) == (HELD > 0)).mean()
    held = (rng.uniform(size=(500, 3)) < sigmoid(4 * (x := rng.normal(size=(500, 3))))).astype(
        np.float32
    )
    assert fit_temperature(x, held) == pytest.approx(1 / 4, rel=0.15)
    shares = learn_shares(np.stack([x, rng.normal(size=x.shape)]), held, np.ones(500))
    assert shares[0] == pytest.approx(4, rel=0.2)
    assert shares[1] < 0.4


def test_the_loss_of_the_network_is_the_same_likelihood() -> None:
    import tensorflow as tf

    from pipeline.head.optimisation import losses_of

    logits = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    losses = losses_of(tf.constant(logits), tf.constant(HELD), TrainParams(), several=True)
    assert float(np.mean(losses)) == pytest.approx(cross_entropy(logits, HELD), rel=1e-5)
    focal = losses_of(
        tf.constant(logits), tf.constant(HELD), TrainParams(loss="focal"), several=True
    )
    assert (np.array(focal) < np.array(losses)).all()


def test_thresholds_find_the_best_f1_and_few_clips_follow_the_others() -> None:
    rng = np.random.default_rng(2)
    held = np.zeros((400, 6), np.float32)
    held[:100, :5], held[:2, 5] = 1, 1
    logits = np.where(held > 0, 1.0, -1.0) + np.array([1.0] * 5 + [-3.0])
    logits += rng.uniform(-0.1, 0.1, logits.shape)
    *many, few = choose_thresholds(logits, held)
    assert ((logits[:, :5] >= many) == held[:, :5]).all()
    assert few > -1.5  # its own is near -3
    assert choose_thresholds(logits[:0], held[:0]).tolist() == [0] * 6
    tied = choose_thresholds(np.array([[1.0], [1.0], [0.0]]), np.array([[1.0], [0.0], [0.0]]))
    assert 0 < tied[0] <= 1


def in_memory() -> tuple[ClipsInMemory, LabelledClips]:
    rng = np.random.default_rng(0)
    looks = rng.uniform(0, 1, (2, 24))
    rows, labels, groups = [], [], []
    for group in range(6):
        for held in ((0, 0), (0, 1), (1, 0), (1, 1)) * 2:
            clip = noise(rng, int(rng.integers(10, 30)))
            clip["identity"] += held[0] * looks[0] + held[1] * looks[1]
            rows.append({name: values.astype(np.float16) for name, values in clip.items()})
            labels.append(held)
            groups.append(group)
    held, people = np.array(labels, np.float32), np.array(groups)
    names = tuple(f"person {group}" for group in range(6))
    clips = LabelledClips(np.arange(len(rows)), held, people, ("left", "right"), names)
    return ClipsInMemory(rows, held, people), clips


@pytest.mark.parametrize("head", ["linear", "recurrent"])
def test_a_head_learns_what_comes_together(head: str) -> None:
    features, clips = in_memory()
    train_clips, others = clips.take(clips.groups < 4), clips.take(clips.groups >= 4)
    trained = train_head(features, train_clips, others, TrainParams(head=head, epochs=30))
    logits = trained.head.logits(features.clip(i) for i in others.positions)
    assert trained.reference is None
    assert trained.thresholds is not None
    right = (logits >= trained.thresholds) == (others.labels > 0)
    assert right.mean() > 0.9


def test_the_offsets_of_rare_labels_are_in_the_branch_that_counts_most() -> None:
    rng = np.random.default_rng(4)
    held = (rng.uniform(size=(400, 2)) < (0.5, 0.1)).astype(np.float32)
    logits = np.where(held > 0, -1.0, -5.0) + rng.normal(0, 1, held.shape)  # says too little
    offsets = fit_offsets(logits, held)
    assert (offsets > 1).all()
    assert cross_entropy(logits + offsets, held) < cross_entropy(logits, held)
    features, clips = in_memory()
    trained = train_head(features, clips, clips.take(np.zeros(0, int)), TrainParams(head="linear"))
    plain = fit_linear(features, clips)
    changed = [
        name for one, other, name in zip(plain.branches, trained.head.linear, trained.head.shares,
                                         strict=True) if (one.bias != other.bias).any()
    ]  # fmt: skip
    assert changed == [max(trained.head.shares, key=trained.head.shares.get)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    return write_several_project(tmp_path_factory.mktemp("several"))


def test_a_model_folder_says_from_when_on_labels_hold(project: SmallProject) -> None:
    params = Params.model_validate(
        {"dataset": {"layout": "csv", "multi_label": True}, "train": {"head": "linear"}}
    )
    said: list[str] = []
    folder = project.folder / "models/head"
    train(
        params, features_folder=project.features_folder, index=project.index,
        splits=project.splits, backbone=project.backbone, model_folder=folder,
        curves=project.folder / "reports/train", work=project.folder / "work", say=said.append,
    )  # fmt: skip
    card = read_card(folder)
    assert card.to_dict()["schema"] == 4  # which earlier releases refuse
    assert card.thresholds is not None
    assert (card.labels, len(card.thresholds), card.decoder) == (NAMES, 3, None)
    assert said[-1].startswith("a label holds from ")
    sides = labelled_splits(
        project.features(), read_index(project.index), project.splits, multi_label=True
    )
    model = load_model(folder)
    features = project.features()
    chances = predict_probabilities(model, (features.clip(i) for i in sides.test.positions))
    assert ((chances >= 0) & (chances <= 1)).all()
    assert (card.hold(chances) == (sides.test.labels > 0)).mean() > 0.9
    with pytest.raises(ModelError, match="Several labels may hold"):
        model.sets(chances, 0.9)


def test_a_clip_with_a_label_that_no_train_clip_has_is_left_out(
    project: SmallProject, tmp_path: Path
) -> None:
    from dataclasses import replace

    from pipeline.dataset.clips import write_index

    clips = [
        replace(clip, label="rise|spin") if clip.clip_id == "actor5_010.mp4" else clip
        for clip in read_index(project.index)
    ]
    index = write_index(clips, tmp_path / "index.csv")
    sides = labelled_splits(project.features(), index, project.splits, multi_label=True)
    assert sides.unlearnt == {"actor5_010.mp4": "rise|spin"}
    assert sides.test.classes == NAMES
    assert len(sides.test) == 7
