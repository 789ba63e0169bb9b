"""The linear branches: what they solve, what they are worth, and on which clips they can be."""

from dataclasses import replace

import numpy as np
import pytest
from clips_in_memory import ClipsInMemory, make_clips, noise

from pipeline.frames.flow import mirrored
from pipeline.head import linear
from pipeline.head.batches import class_weights
from pipeline.head.descriptors import describe, units_of
from pipeline.head.linear import LinearFit, even_sample, fit_linear, linear_scores
from pipeline.head.ridge import PENALTY, scaling


def worth(fitted: LinearFit) -> dict[str, float]:
    """Branch -> its share, of all shares together."""
    shares = fitted.shares / fitted.shares.sum()
    return dict(zip((branch.name for branch in fitted.branches), shares.tolist(), strict=True))


def accuracy(fitted: LinearFit, features: ClipsInMemory, *groups: int) -> float:
    """The share of some people's clips that the branches together are right about."""
    clips, alone = features.clips(*groups), fitted.alone()
    said = [alone.logits(features.clip(i)).argmax() for i in clips.positions]
    return float((np.array(said) == clips.labels).mean())


@pytest.mark.parametrize(
    ("telling", "branch"),
    [("order", "rgb order"), ("motion", "flow statistics"), ("place", "place statistics")],
)
def test_what_alone_tells_classes_apart_is_found_and_has_the_share(
    telling: str, branch: str
) -> None:
    features = make_clips(telling)
    fitted = fit_linear(features, features.clips(0, 1, 2, 3))
    assert accuracy(fitted, features, 4, 5) >= 0.9
    assert max(worth(fitted), key=worth(fitted).__getitem__) == branch
    assert worth(fitted)[branch] > 0.8


def test_where_order_says_nothing_it_does_not_lose() -> None:
    features = make_clips("motion", seed=3)
    known = features.clips(0, 1, 2, 3)
    both, without = fit_linear(features, known), fit_linear(features, known, ["statistics"])
    assert accuracy(both, features, 4, 5) >= accuracy(without, features, 4, 5) >= 0.9


def test_where_nothing_tells_anything_nobody_is_sure() -> None:
    features = make_clips("nothing", takes=6)
    fitted = fit_linear(features, features.clips(0, 1, 2, 3))
    alone = fitted.alone()
    said = np.array([alone.logits(features.clip(i)) for i in features.clips(4, 5).positions])
    chances = 1 / (1 + np.exp(-abs(said[:, 0] - said[:, 1])))
    assert chances.mean() < 0.75


def flow_of(rng: np.random.Generator, pattern: np.ndarray) -> dict[str, np.ndarray]:
    clip = noise(rng, 12)
    clip["flow/identity"] = pattern * rng.uniform(0.5, 2, (12, 1)) + clip["flow/identity"] / 8
    return {name: values.astype(np.float16) for name, values in clip.items()}


def mirror_clips(apart: bool) -> ClipsInMemory:
    """Two classes of flow: each other's mirror, or each shown by most people one way round."""
    rng = np.random.default_rng(5)
    one, two = rng.gamma(0.5, 1, (2, 384))
    rows, labels, groups = [], [], []
    for group in range(8):
        for label in (0, 1):
            for _ in range(2):
                if apart:
                    pattern = one if label else mirrored(one)
                else:
                    pattern = two if label else one
                    pattern = mirrored(pattern) if group % 2 == label else pattern
                rows.append(flow_of(rng, pattern))
                labels.append(label)
                groups.append(group)
    return ClipsInMemory(rows, np.array(labels), np.array(groups))


def test_the_mirror_is_off_where_classes_are_mirrors_and_on_where_it_helps() -> None:
    mirrors, sides = mirror_clips(apart=True), mirror_clips(apart=False)
    off, on = (fit_linear(clips, clips.clips(0, 1, 2, 3, 4, 5)) for clips in (mirrors, sides))
    assert not off.mirror
    assert on.mirror
    assert accuracy(off, mirrors, 6, 7) == accuracy(on, sides, 6, 7) == 1.0


def test_there_is_no_mirror_without_a_mirrored_view() -> None:
    clips = make_clips("order")
    plain = replace(clips, rows=[{"identity": clip["identity"]} for clip in clips.rows])
    fitted = fit_linear(plain, plain.clips())
    assert not fitted.mirror
    assert [branch.name for branch in fitted.branches] == ["rgb statistics", "rgb order"]


def doubled(features: ClipsInMemory, descriptor: str) -> tuple[np.ndarray, np.ndarray]:
    """Flow solved on clips that are there twice, by the normal equations: (F, K) and (K,)."""
    clips = features.clips()
    values = np.array([
        describe(features.clip(i), "flow", view, (descriptor,))[0]
        for view in ("identity", "hflip") for i in clips.positions
    ], np.float64)  # fmt: skip
    labels = np.tile(clips.labels, 2)
    mean, variance = values.mean(axis=0), values.var(axis=0)
    scale = scaling(mean, variance, units_of("flow", descriptor, 384)).astype(np.float64)
    weights = class_weights(clips.labels, len(clips.classes)).astype(np.float64)[labels]
    targets = 2 * np.eye(len(clips.classes))[labels] - 1
    wide = np.column_stack([(values - mean) * scale, np.ones(len(values))])
    penalty = np.diag([PENALTY] * values.shape[1] + [0.0])
    solved = np.linalg.solve(
        wide.T @ (weights[:, None] * wide) + penalty, wide.T @ (weights[:, None] * targets)
    )
    primal = scale[:, None] * solved[:-1]
    return primal, solved[-1] - mean @ primal


def test_with_the_mirror_flow_is_solved_as_on_clips_that_are_there_twice() -> None:
    features = mirror_clips(apart=False)
    features = replace(features, labels=np.where(features.groups < 2, 2, features.labels))
    fitted = fit_linear(features, features.clips())
    assert fitted.mirror
    branch = next(branch for branch in fitted.branches if branch.name == "flow statistics")
    weights, bias = doubled(features, "statistics")
    for clip in features.rows[:6]:
        views = [describe(clip, "flow", view, ("statistics",))[0] for view in ("identity", "hflip")]
        expected = np.mean([view @ weights + bias for view in views], axis=0)
        found = linear_scores([branch], True, clip)[0]
        np.testing.assert_allclose(found, expected, atol=2e-4)


def test_out_of_fold_scores_are_those_of_a_branch_that_was_solved_on_the_rest() -> None:
    features = make_clips("motion", classes=3)
    clips = features.clips()
    fitted = fit_linear(features, clips, ["order"])
    place = next(i for i, branch in enumerate(fitted.branches) if branch.stream == "place")
    values = np.array([
        describe(features.clip(i), "place", "identity", ("order",))[0] for i in clips.positions
    ], np.float64)  # fmt: skip
    mean, variance = values.mean(axis=0), values.var(axis=0)
    scaled = (values - mean) * scaling(mean, variance, units_of("place", "order", 12))
    targets = 2 * np.eye(3)[clips.labels] - 1
    assert len(fitted.folds) == 5
    for learnt, scored in fitted.folds:
        wide = np.column_stack([scaled, np.ones(len(scaled))])
        penalty = np.diag([PENALTY] * scaled.shape[1] + [0.0])
        solved = np.linalg.solve(wide[learnt].T @ wide[learnt] + penalty,
                                 wide[learnt].T @ targets[learnt])  # fmt: skip
        np.testing.assert_allclose(fitted.unseen[place][scored], wide[scored] @ solved, atol=1e-4)


def test_equal_arguments_give_equal_numbers_and_the_seed_deals_the_folds() -> None:
    features = make_clips("order", takes=2)
    one, two, other = (fit_linear(features, features.clips(), seed=seed) for seed in (0, 0, 1))
    assert one.shares.tolist() == two.shares.tolist() != other.shares.tolist()
    for first, second in zip(one.branches, two.branches, strict=True):
        assert first.weights.tobytes() == second.weights.tobytes()
        assert first.bias.tobytes() == second.bias.tobytes()


def some(features: ClipsInMemory, chosen: list[int], length: int | None = None) -> ClipsInMemory:
    rows = [{name: values[:length] for name, values in features.rows[i].items()} for i in chosen]
    return ClipsInMemory(rows, features.labels[chosen], features.groups[chosen])


@pytest.mark.parametrize(
    ("chosen", "length"),
    [
        ([0, 1, 2, 3, 4, 5], None),  # one person
        ([0, 1, 2, 6, 7, 8, 3], None),  # a class of a single clip
        ([0, 3], None),  # two clips
        ([0, 1, 3, 4, 6, 7, 9, 10], 1),  # of one frame each
        ([0, 1, 3, 4, 6, 7, 9, 10], 2),
    ],
)
def test_few_and_short_clips(chosen: list[int], length: int | None) -> None:
    features = some(make_clips("place"), chosen, length)
    fitted = fit_linear(features, features.clips())
    scores = np.array([fitted.alone().logits(features.clip(i)) for i in range(len(chosen))])
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=1) == features.labels).mean() >= 0.5
    if length == 1:
        assert not any(branch.weights.any() for branch in fitted.branches if "order" in branch.name)


def test_of_many_clips_an_even_sample_is_solved_on(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.array([0] * 50 + [1] * 4 + [2] * 30)
    chosen = even_sample(labels, 24)
    assert np.bincount(labels[chosen]).tolist() == [10, 4, 10]
    assert (np.diff(chosen) > 0).all()
    assert even_sample(labels, 84).tolist() == list(range(84))
    monkeypatch.setattr(linear, "MOST_CLIPS", 20)
    features = make_clips("place")
    fitted = fit_linear(features, features.clips())
    assert len(fitted.chosen) == 20
    assert fitted.unseen.shape == (8, 20, 2)
    assert accuracy(fitted, features) >= 0.9
