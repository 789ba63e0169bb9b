"""What branches are worth: shares against a search over a grid, and folds that can be dealt."""

import itertools

import numpy as np
import pytest

from pipeline.head.shares import PENALTY, inner_folds, learn_shares, scorable


def cost(shares: np.ndarray, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    logits = np.tensordot(shares, scores, 1)
    nats = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    return float((weights * nats).sum() / weights.sum() + PENALTY * shares.sum())


def test_no_shares_on_a_grid_are_better() -> None:
    rng = np.random.default_rng(0)
    labels, weights = rng.integers(0, 3, 80), rng.uniform(0.5, 2, 80)
    true = np.eye(3)[labels]
    scores = np.stack([true + rng.normal(0, noise, true.shape) for noise in (0.6, 1.0, 30.0)])
    found = learn_shares(scores, labels, weights)
    best = cost(found, scores, labels, weights)
    for shares in itertools.product(np.arange(0, 4, 0.25), np.arange(0, 3, 0.25), (0, 0.1, 0.5)):
        assert cost(np.array(shares), scores, labels, weights) > best - 1e-6
    assert found[0] > found[1] > found[2] >= 0


def test_a_clip_counts_by_its_weight() -> None:
    rng = np.random.default_rng(1)
    labels, weights = rng.integers(0, 2, 12), np.array([1.0] * 6 + [3.0] * 6)
    scores = np.eye(2)[labels] + rng.normal(0, 1, (2, 12, 2))
    thrice = np.concatenate([np.arange(6), *[np.arange(6, 12)] * 3])
    np.testing.assert_allclose(
        learn_shares(scores, labels, weights),
        learn_shares(scores[:, thrice], labels[thrice], np.ones(24)),
        atol=1e-4,
    )


def test_where_nothing_tells_anything_all_branches_count_alike() -> None:
    labels = np.array([0, 1] * 10)
    wrong = np.stack([1 - np.eye(2)[labels]] * 4)
    assert learn_shares(wrong, labels, np.ones(20)).tolist() == [0.25] * 4
    assert learn_shares(wrong[:, :0], labels[:0], np.ones(0)).tolist() == [0.25] * 4


def test_inner_folds_keep_groups_whole_and_score_every_clip_once() -> None:
    labels, groups = np.tile([0, 1, 2], 20), np.repeat(np.arange(12), 5)
    folds = inner_folds(labels, groups, 5, 0)
    assert len(folds) == 5
    assert sorted(np.concatenate([scored for _, scored in folds])) == list(range(60))
    for learnt, scored in folds:
        assert not set(groups[learnt]) & set(groups[scored])


@pytest.mark.parametrize(
    ("labels", "groups", "count"),
    [
        ([0, 1] * 6, [0] * 6 + [1] * 6, 2),  # as many as groups
        ([0, 1] * 6, [3] * 12, 5),  # one group is torn apart
        ([0, 0, 0, 1], [0, 1, 2, 3], 3),  # a class of a single clip
        ([0, 1], [0, 1], 0),
        ([0, 1, 2], [0, 0, 0], 0),
        ([0, 0, 1, 1], [0, 0, 1, 1], 2),  # each class in a group of its own
    ],
)
def test_folds_of_few_clips(labels: list[int], groups: list[int], count: int) -> None:
    folds = inner_folds(np.array(labels), np.array(groups), 5, 0)
    assert len(folds) == count
    for learnt, scored in folds:
        assert len(learnt)
        assert len(scored)


def test_a_clip_whose_class_could_not_be_learnt_tells_nothing() -> None:
    labels = np.array([0, 0, 0, 1])
    folds = inner_folds(labels, np.arange(4), 5, 0)
    assert scorable(labels, folds).tolist() == [True, True, True, False]
    assert not scorable(labels, []).any()
