import numpy as np
from small_features import LABELS, write_small_project

from pipeline.evaluation.baseline import baseline_predictions, frame_means


def test_frame_means_are_the_mean_embedding_of_each_clip(tmp_path) -> None:
    features = write_small_project(tmp_path).features()
    means = frame_means(features, [0, 3])
    assert means.shape == (2, 1280)
    np.testing.assert_allclose(
        means[1], features.embeddings(3).astype(np.float32).mean(axis=0), rtol=1e-3
    )


def test_the_baseline_knows_appearance_but_not_order(tmp_path) -> None:
    features = write_small_project(tmp_path, actors=6, takes=4).features()
    labels = np.array([LABELS.index(str(clip).split("/")[0]) for clip in features.clip_ids])
    unseen = np.array(["actor5" in str(clip) for clip in features.clip_ids])
    means = frame_means(features, range(len(features)))
    predicted = baseline_predictions(means[~unseen], labels[~unseen], means[unseen])
    actual = labels[unseen]
    still = np.isin(actual, [LABELS.index("cold"), LABELS.index("warm")])
    assert (predicted[still] == actual[still]).all()
    reversible = [LABELS.index("rise"), LABELS.index("fall")]
    assert np.isin(predicted[~still], reversible).all()
    assert 0.1 <= (predicted[~still] == actual[~still]).mean() <= 0.9


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
