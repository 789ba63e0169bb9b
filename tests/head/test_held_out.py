"""What held-out clips say of a new one, on scores drawn from known distributions."""

import numpy as np
import pytest

from pipeline.errors import ClipcacheError, ModelError
from pipeline.head.held_out import (
    HeldOut,
    Reference,
    learn_reference,
    margins,
    read_reference,
    write_reference,
)

CLASSES, BRANCHES = 4, 3
NOISE = 0.4


def draw(count: int, seed: int, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Contributions (n, B, K) of clips of known labels: 1 for the own class, -1 for the others."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=count)
    added = np.where(np.eye(CLASSES, dtype=bool)[labels], 1.0, -1.0)[:, None]
    return added + random.normal(0, NOISE, (count, BRANCHES, CLASSES)), labels


def learn(count: int = 400, classes: int = CLASSES) -> Reference:
    added, labels = draw(count, 0, classes)
    return learn_reference(HeldOut(added, labels, np.arange(count) % 5))


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
def test_no_more_known_clips_are_called_none_than_was_asked_for(share) -> None:
    called = learn().familiarity(draw(4000, 1)[0]) <= share
    assert called.mean() == pytest.approx(share, abs=0.02)


def test_a_clip_with_two_answers_or_with_none_is_odd() -> None:
    reference = learn()
    both = np.array([[1.0, 1.0, -1.0, -1.0]] * BRANCHES)
    torn = np.array([[1.0, -1, -1, -1], [-1, 1.0, -1, -1], [-1, -1, 1.0, -1]])  # a branch each
    nothing = np.full((BRANCHES, CLASSES), -0.5)
    huge = np.array([[90.0, 80, -1, -1]] * BRANCHES)  # no logit is high enough to make up for it
    for odd in (both, torn, nothing, huge):
        assert reference.familiarity(odd[None]) < 0.03
    assert np.median(reference.familiarity(draw(200, 1)[0])) > 0.3


@pytest.mark.parametrize("level", [0.8, 0.9, 0.99])
def test_sets_hold_the_truth_as_often_as_was_asked_for(level) -> None:
    added, labels = draw(4000, 2)
    sets = learn().sets(added.sum(axis=1), level)
    held = sets[np.arange(len(labels)), labels].mean()
    assert held == pytest.approx(level, abs=0.02)
    wider = learn().sets(added.sum(axis=1), 0.995)
    assert (wider >= sets).all()
    assert wider.sum() > sets.sum()


def test_too_few_clips_for_a_level_are_a_sentence() -> None:
    reference = learn(30)
    logits = np.zeros((1, CLASSES))
    assert reference.sets(logits, 30 / 31).shape == (1, CLASSES)
    with pytest.raises(ClipcacheError, match=r"at least 99 held-out clips, and the model has 30"):
        reference.sets(logits, 0.99)
    assert reference.familiarity(np.full((1, BRANCHES, CLASSES), 99.0))[0] == 1 / 31


def test_a_class_without_held_out_clips_is_taken_for_an_average_one() -> None:
    reference = learn(classes=CLASSES - 1)
    expected = np.where(np.eye(CLASSES, dtype=bool), 1.0, -1.0)[:, None].repeat(BRANCHES, axis=1)
    np.testing.assert_allclose(reference.usual, expected, atol=0.2)


def test_the_margin_is_that_of_the_best_of_the_others() -> None:
    logits = np.array([[3.0, 1.0, 0.0], [2.0, 2.0, 0.0]])
    np.testing.assert_array_equal(margins(logits), [[-2, 2, 3], [0, 0, 2]])


def test_a_file_gives_back_what_was_written_and_equal_bytes(tmp_path) -> None:
    reference = learn(40)
    for name in ("one.npz", "two.npz"):
        write_reference(reference, tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = read_reference(tmp_path / "one.npz", 40, BRANCHES, CLASSES)
    for name, array in vars(reference).items():
        np.testing.assert_array_equal(getattr(again, name), array)


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("usual", np.zeros((2, 2, 2), np.float32), r"usual is float32 of shape \(2, 2, 2\)"),
        ("oddness", np.zeros(40), "oddness is float64"),
        ("margins", np.full(40, np.nan, np.float32), "margins has numbers that are not finite"),
        ("scales", np.zeros((2, 2), np.float32), "a deviation is not above 0"),
        ("oddness", -np.arange(40, dtype=np.float32), "oddness is not in order"),
        ("margins", np.array([{}] * 40), "pickle"),
        ("margins", None, "margins"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(tmp_path, name, array, reason) -> None:
    arrays = {**vars(learn(40)), name: array}
    path = tmp_path / "held_out.npz"
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(ModelError, match=rf"held_out\.npz cannot be loaded \(.*{reason}"):
        read_reference(path, 40, BRANCHES, CLASSES)
