"""The loop of training: what a step minimises, and what an epoch hands to the steps."""

from collections.abc import Callable

import numpy as np
import pytest
from small_features import SmallProject, write_small_project

from pipeline.head.batches import Batch, class_weights
from pipeline.head.build import build_network
from pipeline.head.calibration import softmax
from pipeline.head.fit import fit, unseen_logits
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.loop import Loop, new_loop
from pipeline.head.optimisation import GRADIENT_LIMIT
from pipeline.head.params import TrainParams

CLASSES = 4
LABELS = np.array([0] * 12 + [1] * 4 + [2] * 2 + [3] * 2)  # classes of unequal size
STILL = {  # nothing is left to chance within a step
    "dropout": 0, "input_dropout": 0, "units": 4, "projection": 4, "steps": 3, "batch_size": 10,
    "epochs": 3,
}  # fmt: skip

MakeLoop = Callable[..., Loop]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    return write_small_project(tmp_path_factory.mktemp("project"), actors=3, takes=2)


@pytest.fixture
def make_loop(project: SmallProject) -> MakeLoop:
    def make(**settings: object) -> Loop:
        params = TrainParams(**{**STILL, **settings})
        network = build_network(params.shape, params.steps, {"rgb": 1280}, CLASSES, params.seed)
        some = np.arange(len(LABELS))
        clips = LabelledClips(some, LABELS, some, tuple("abcd"))
        return Loop(network, project.features(), clips, params, ("identity",))

    return make


def batch(size: int = 6) -> Batch:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(size, 3, 1280)).astype(np.float32)
    targets = np.eye(CLASSES, dtype=np.float32)[np.arange(size) % CLASSES]
    return Batch(
        values, np.ones((size, 3), bool), targets, np.arange(1, size + 1, dtype=np.float32)
    )


def step(loop: Loop, made: Batch) -> float:
    """Take one step; its loss."""
    loss, _ = loop.step(made.embeddings, made.mask, made.targets, made.weights)
    return float(loss)


def test_the_loss_is_the_mean_weighted_by_clip(make_loop: MakeLoop) -> None:
    loop, made = make_loop(), batch()
    logits = np.asarray(loop.network([made.embeddings, made.mask], training=True))
    costs = -(made.targets * np.log(softmax(logits))).sum(axis=1)
    assert step(loop, made) == pytest.approx((made.weights * costs).mean(), rel=1e-4)


def test_no_gradient_is_longer_than_the_limit(make_loop: MakeLoop) -> None:
    loop, made = make_loop(), batch()
    enormous = Batch(made.embeddings, made.mask, made.targets, made.weights * np.float32(1e6))
    step(loop, enormous)
    beta = loop.optimizer.beta_1  # after one step AdamW's first moment is (1 - beta) x gradient
    moments = [
        np.linalg.norm(np.asarray(variable)) / (1 - beta)
        for variable in loop.optimizer.variables
        if variable.path.endswith("momentum")
    ]
    assert len(moments) == len(loop.network.trainable_variables)
    np.testing.assert_allclose(moments, GRADIENT_LIMIT, rtol=1e-3)


def epoch_of(loop: Loop) -> list[Batch]:
    """The batches that the steps of an epoch are given."""
    seen: list[Batch] = []

    def look(*arrays: object) -> tuple[float, float]:
        seen.append(Batch(*(np.asarray(array) for array in arrays)))
        return 0.0, 0.0

    loop.step = look
    loop.run_epoch(0)
    return seen


def shown(batches: list[Batch]) -> np.ndarray:
    """How often each class came up: (K,)."""
    labels = np.concatenate([made.targets.argmax(axis=1) for made in batches])
    return np.bincount(labels, minlength=CLASSES)


def test_class_weights_reach_the_steps(make_loop: MakeLoop) -> None:
    batches = epoch_of(make_loop(imbalance="class_weights"))
    assert shown(batches).tolist() == [12, 4, 2, 2]
    expected = class_weights(LABELS, CLASSES)
    assert expected.max() > 2 * expected.min()
    for made in batches:
        np.testing.assert_allclose(made.weights, expected[made.targets.argmax(axis=1)])


def test_balanced_sampling_and_none_weigh_all_clips_alike(make_loop: MakeLoop) -> None:
    for imbalance, counts in (("balanced", [5, 5, 5, 5]), ("none", [12, 4, 2, 2])):
        batches = epoch_of(make_loop(imbalance=imbalance))
        assert shown(batches).tolist() == counts
        assert all((made.weights == 1).all() for made in batches)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_smoothed_targets_reach_the_steps(make_loop: MakeLoop, smoothing: float) -> None:
    for made in epoch_of(make_loop(label_smoothing=smoothing)):
        lowest, highest = smoothing / CLASSES, 1 - smoothing + smoothing / CLASSES
        np.testing.assert_allclose(np.sort(made.targets, axis=1)[:, :-1], lowest, atol=1e-6)
        np.testing.assert_allclose(made.targets.max(axis=1), highest, rtol=1e-6)


def test_what_networks_say_of_unseen_clips_is_what_trainings_by_themselves_say(
    project: SmallProject,
) -> None:
    """One compiled step for all folds gives what a training of each fold gives."""
    features, clips = project.features(), project.clips()
    params = TrainParams(**{**STILL, "epochs": 4, "batch_size": 8, "dropout": 0.5})
    actors = [np.flatnonzero(clips.groups == group) for group in np.unique(clips.groups)]
    folds = [(np.setdiff1d(np.arange(len(clips)), actor), actor) for actor in actors]
    views = ("identity", "hflip")
    logits = unseen_logits(new_loop(features, clips, params, views), clips, folds)
    for learnt, scored in folds[:2]:
        part = clips.take(learnt)
        loop = new_loop(features, part, params.model_copy(update={"epochs": 2}), views)
        alone = fit(loop, part, clips.take(scored[:0]))
        np.testing.assert_allclose(
            alone.logits(clips.take(scored)), logits[scored], rtol=1e-5, atol=1e-6
        )
    assert np.ptp(logits) > 0.1
