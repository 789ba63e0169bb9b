import numpy as np
from small_features import LABELS, write_small_project

from pipeline.evaluation.baseline import (
    baseline_predictions,
    frame_means,
    ordered_predictions,
)
from pipeline.head.linear import fit_linear


def test_frame_means_are_the_mean_embedding_of_each_clip(tmp_path) -> None:
    project = write_small_project(tmp_path)
    means = frame_means(project.features(), project.clips().take(np.array([0, 3])).positions)
    assert means.shape == (2, 1280)
    np.testing.assert_allclose(
        means[1], project.features().embeddings(3).astype(np.float32).mean(axis=0), rtol=1e-3
    )


def test_the_baseline_knows_appearance_but_not_order(tmp_path) -> None:
    project = write_small_project(tmp_path, actors=6, takes=4)
    known, unseen = project.clips(0, 1, 2, 3, 4), project.clips(5)
    means = [frame_means(project.features(), clips.positions) for clips in (known, unseen)]
    predicted = baseline_predictions(means[0], known.labels, means[1])
    actual = unseen.labels
    still = np.isin(actual, [LABELS.index("cold"), LABELS.index("warm")])
    assert (predicted[still] == actual[still]).all()
    reversible = [LABELS.index("rise"), LABELS.index("fall")]
    assert np.isin(predicted[~still], reversible).all()
    assert 0.1 <= (predicted[~still] == actual[~still]).mean() <= 0.9


def test_the_ordered_baseline_knows_order_and_is_solved_only_where_nobody_has(tmp_path) -> None:
    project = write_small_project(tmp_path, actors=6, takes=4)
    features, known, unseen = project.features(), project.clips(0, 1, 2, 3, 4), project.clips(5)
    predicted = ordered_predictions(features, known, unseen)
    assert (predicted == unseen.labels).mean() > 0.9
    solved = fit_linear(features, known).alone()
    nobody = known.take(known.positions < 0)  # there is nothing to solve on
    assert ordered_predictions(features, nobody, unseen, solved).tolist() == predicted.tolist()


def test_every_number_of_an_embedding_counts_by_its_own_spread() -> None:
    """What tells the classes apart is a thousandth of the rest, as little as the penalty allows."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    telling = 1e-3 * (labels + rng.normal(0, 0.1, 120))
    means = np.column_stack([telling, *rng.normal(5, 1, (3, 120))])
    predicted = baseline_predictions(means[:60], labels[:60], means[60:])
    assert predicted.tolist() == labels[60:].tolist()


def test_one_class_alone_is_always_predicted() -> None:
    predicted = baseline_predictions(np.ones((3, 4)), np.full(3, 2), np.zeros((2, 4)))
    assert predicted.tolist() == [2, 2]
