"""What `next` asks about: what stands for many, then what the labels leave open."""

import numpy as np

from pipeline.head.clip_space import NONE, unit
from pipeline.labelling.acquisition import MOST_OPEN, chances, choose, openness


def blobs(sizes: list[int], spread: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Points around orthogonal directions, and which of them each is around."""
    random = np.random.default_rng(0)
    kinds = np.repeat(np.arange(len(sizes)), sizes)
    values = np.eye(16)[kinds] + spread * random.normal(size=(len(kinds), 16))
    return unit(values.astype(np.float32)), kinds


def test_without_labels_the_largest_kinds_come_first() -> None:
    points, kinds = blobs([5, 40, 20])
    chosen = choose(points, np.full(len(points), NONE), 3)
    assert kinds[chosen].tolist() == [1, 2, 0]


def test_every_kind_is_found_with_as_many_answers() -> None:
    points, kinds = blobs([30, 20, 10, 5, 4, 3])
    labels = np.full(len(points), NONE)
    for _ in range(6):
        (row,) = choose(points, labels)
        labels[row] = kinds[row]
    assert set(labels) == {NONE, 0, 1, 2, 3, 4, 5}


def test_what_has_a_label_or_was_passed_is_not_asked_again() -> None:
    points, kinds = blobs([3, 3])
    labels = np.where(np.arange(6) < 5, kinds, NONE)
    assert choose(points, labels, 4) == [5]
    assert choose(points, labels, passed=frozenset([5])) == []
    assert choose(points, kinds) == []


def test_chances_know_only_the_labels_that_there_are() -> None:
    points, kinds = blobs([10, 10])
    labels = np.where(np.arange(20) % 10 == 0, kinds, NONE)
    shares = chances(points, labels)
    assert (shares.argmax(axis=1) == kinds).all()
    assert np.allclose(shares.sum(axis=1), 1)
    assert chances(points, np.full(20, NONE)).shape == (20, 0)
    assert (openness(chances(points, np.where(labels == 0, 0, NONE))) == 1).all()


def test_a_large_set_is_asked_about_too() -> None:
    points, kinds = blobs([2 * MOST_OPEN, 50])
    labels = np.full(len(points), NONE)
    labels[0] = 0
    (row,) = choose(points, labels)
    labels[row] = kinds[row]
    assert len(choose(points, labels, 5)) == 5
