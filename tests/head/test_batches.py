import tracemalloc

import numpy as np
import pytest
from small_features import write_small_project

from pipeline.head.batches import (
    Batch,
    augment,
    class_weights,
    epoch_order,
    targets_of,
    training_batches,
)
from pipeline.head.params import TrainParams


def test_an_epoch_shows_every_clip_in_full_batches() -> None:
    order = epoch_order(np.zeros(10, int), 4, False, np.random.default_rng(0))
    assert order.shape == (3, 4)
    assert set(order.ravel().tolist()) == set(range(10))
    assert sorted(order.ravel()[:10].tolist()) == list(range(10))


def test_balanced_sampling_shows_every_class_equally_often() -> None:
    labels = np.array([0] * 90 + [1] * 6 + [2] * 4)
    order = epoch_order(labels, 20, True, np.random.default_rng(0))
    shown = np.bincount(labels[order.ravel()], minlength=3)
    assert shown.max() - shown.min() <= 2


def test_class_weights_give_every_class_the_same_total() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    weights = class_weights(labels, 3)
    assert weights[0] * 30 == pytest.approx(weights[1] * 10)
    assert weights[labels].mean() == pytest.approx(1.0)


def test_smoothed_targets_sum_to_one() -> None:
    targets = targets_of(np.array([0, 2]), 4, 0.1)
    np.testing.assert_allclose(targets.sum(axis=1), 1.0, rtol=1e-6)
    assert targets[0, 0] == pytest.approx(0.925)


def test_frame_dropout_repeats_the_step_before() -> None:
    values = np.arange(16, dtype=np.float32).reshape(1, 16, 1)
    batch = Batch(values, np.ones((1, 16), bool), np.ones((1, 1), np.float32), np.ones(1))
    dropped = augment(batch, TrainParams(frame_dropout=0.5), np.random.default_rng(0))
    steps = dropped.embeddings[0, :, 0]
    assert steps[0] == 0
    assert (np.diff(steps) >= 0).all()
    assert len(np.unique(steps)) < 16


def test_mixup_mixes_embeddings_and_targets_by_the_same_share() -> None:
    values = np.stack([np.zeros((4, 3)), np.ones((4, 3))]).astype(np.float32)
    batch = Batch(values, np.ones((2, 4), bool), np.eye(2, dtype=np.float32), np.ones(2))
    for seed in range(8):
        mixed = augment(batch, TrainParams(mixup=0.4), np.random.default_rng(seed))
        np.testing.assert_allclose(mixed.embeddings[:, 0, 0], mixed.targets[:, 1], rtol=1e-6)
        assert (mixed.targets[[0, 1], [0, 1]] >= 0.5).all()


def test_batches_depend_on_seed_and_epoch_alone(tmp_path) -> None:
    project = write_small_project(tmp_path)
    views = ("identity", "hflip")
    changes = {"batch_size": 8, "frame_dropout": 0.1, "noise": 0.1, "mixup": 0.2}

    def batches(seed: int, epoch: int) -> np.ndarray:
        params = TrainParams(**changes, seed=seed)
        drawn = training_batches(project.features(), project.clips(), params, views, epoch)
        return np.stack([batch.embeddings for batch in drawn])

    np.testing.assert_array_equal(batches(1, 3), batches(1, 3))
    assert not np.array_equal(batches(1, 3), batches(1, 4))
    assert not np.array_equal(batches(1, 3), batches(2, 3))


def test_batches_do_not_read_the_whole_set(tmp_path) -> None:
    project = write_small_project(tmp_path, actors=6, takes=6, lengths=(60, 90))
    features, clips = project.features(), project.clips()
    size = int(features.lengths.sum()) * 1280 * 4  # bytes as float32
    tracemalloc.start()
    for _ in training_batches(features, clips, TrainParams(batch_size=4), ("identity",), 0):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 10
