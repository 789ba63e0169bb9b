"""The map of the clips: near what is alike, and whole for any data."""

import numpy as np
import pytest
from small_features import LABELS, SmallProject, write_small_project

from pipeline.dataset.clips import read_index, read_splits
from pipeline.dataset.sources import ClipFiles
from pipeline.evaluation.report.clip_map import WIDTH, clip_map, in_a_plane


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> SmallProject:
    return write_small_project(tmp_path_factory.mktemp("project"), actors=4, takes=2)


def test_neighbours_on_the_map_have_the_same_label(project: SmallProject) -> None:
    clips = read_index(project.index)
    splits, taken_for = read_splits(project.splits), {"cold/actor3_take0.mp4": "warm"}
    files = ClipFiles(project.folder)
    drawn = clip_map(project.features(), clips, splits, taken_for, files, "stretch")
    assert drawn is not None
    assert len(drawn.dots) == 32
    assert {dot.label for dot in drawn.dots} == set(LABELS)
    assert {dot.split for dot in drawn.dots} == {"train", "val", "test"}
    assert [dot.clip for dot in drawn.dots if dot.taken_for] == ["cold/actor3_take0.mp4"]
    assert all(dot.strip is None for dot in drawn.dots)  # there are no videos here
    places = np.array([(dot.x, dot.y) for dot in drawn.dots], float)
    apart = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(len(places))
    names = np.array([dot.label for dot in drawn.dots])
    assert (names[apart.argmin(axis=1)] == names).mean() > 0.8


def test_few_clips_have_no_map(project: SmallProject) -> None:
    clips = read_index(project.index)[:5]
    assert clip_map(project.features(), clips, {}, {}, ClipFiles(project.folder), "crop") is None


@pytest.mark.parametrize("different", [1, 2, 3, 40])
def test_clips_that_are_alike_have_a_place_too(different: int) -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(different, 30)).astype(np.float32)[np.arange(300) % different]
    places = in_a_plane(points)
    assert places.min() >= 0
    assert places.max() <= WIDTH
    assert (in_a_plane(points) == places).all()
