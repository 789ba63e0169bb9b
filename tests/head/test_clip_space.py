"""Clips of one action are neighbours, whoever acts, with what labels there are."""

import numpy as np
import pytest
from small_features import SmallProject, write_small_project

from pipeline.head.clip_space import (
    NONE,
    ClipSpace,
    crossed,
    learn_weights,
    place_on,
    points_of,
    unit,
)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> SmallProject:
    return write_small_project(tmp_path_factory.mktemp("project"), actors=5, takes=2)


def precision(points: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """How many of the 3 nearest clips of other groups have the label of the clip."""
    near = np.where(groups[:, None] == groups, -np.inf, points @ points.T)
    return float((labels[np.argsort(-near, axis=1)[:, :3]] == labels[:, None]).mean())


def test_neighbours_among_other_people_show_the_same(project: SmallProject) -> None:
    clips = project.clips()
    space = ClipSpace.of(project.features(), clips.positions)
    assert len(space) == len(clips)
    without = points_of(space, clips.groups, np.full(len(clips), NONE))
    known = points_of(space, clips.groups, clips.labels)
    assert np.allclose(np.linalg.norm(known.points, axis=1), 1, atol=1e-5)
    assert np.allclose(without.weights, 1 / len(space.branches))
    assert known.weights.sum() == pytest.approx(1)
    assert precision(known.points, clips.labels, clips.groups) > 0.95
    assert precision(known.points, clips.labels, clips.groups) >= precision(
        without.points, clips.labels, clips.groups
    )


def test_a_clip_lies_where_it_was_placed(project: SmallProject) -> None:
    features, clips = project.features(), project.clips()
    space = ClipSpace.of(features, clips.positions)
    known = points_of(space, clips.groups, clips.labels)
    placed = place_on(space.branches, [features.clip(clips.positions[7])])
    assert np.allclose(known.point(placed, int(clips.groups[7]))[0], known.points[7], atol=1e-4)
    stranger = known.point(placed)[0]
    assert stranger @ known.points[7] > 0.5


def test_whose_groups_are_crossed_with_labels() -> None:
    people, actions = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    assert crossed(actions, people)
    assert not crossed(people, people)  # a source video shows one action
    assert not crossed(np.arange(3), np.arange(3))  # nothing is known
    assert not crossed(np.zeros(0, int), np.zeros(0, int))


def test_where_groups_show_one_action_their_centre_stays(project: SmallProject) -> None:
    clips = project.clips()
    space = ClipSpace.of(project.features(), clips.positions)
    videos = clips.labels * 10 + clips.groups  # of each action one of each actor
    known = points_of(space, videos, clips.labels)
    assert not any(centre.any() for centre in known.centres)
    assert precision(known.points, clips.labels, videos) > 0.9


def test_weights_go_to_what_tells_labels_apart() -> None:
    random = np.random.default_rng(0)
    labels, groups = np.tile(np.arange(4), 15), np.repeat(np.arange(12), 5)
    noise = unit(random.normal(size=(60, 20)).astype(np.float32))
    telling = unit(np.eye(4, dtype=np.float32)[labels] + 0.1 * noise[:, :4])
    weights = learn_weights([noise, telling], groups, labels)
    assert weights[1] > 0.8
    few = np.where(np.arange(60) < 6, labels, NONE)
    assert 0 < abs(learn_weights([noise, telling], groups, few)[1] - 0.5) < weights[1] - 0.5


def test_clips_that_are_all_alike_are_no_error(project: SmallProject) -> None:
    features = project.features()
    space = ClipSpace.of(features, np.array([3, 3, 3]))
    points = points_of(space, np.zeros(3, int), np.full(3, NONE)).points
    assert np.isfinite(points).all()
