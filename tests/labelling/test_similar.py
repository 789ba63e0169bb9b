"""The nearest clips and windows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_features import SmallProject, write_small_project

from pipeline.commands.labels import similar
from pipeline.dataset.clips import read_index, write_index
from pipeline.errors import DatasetError
from pipeline.labelling.collection import Collection, kept_space
from pipeline.labelling.outside import videos_in
from pipeline.labelling.similar import (
    Query,
    between,
    query_of,
    similar_clips,
    similar_outside,
    similar_windows,
    window_spans,
)


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> Collection:
    project: SmallProject = write_small_project(tmp_path_factory.mktemp("p"), actors=4, takes=2)
    clips = list(read_index(project.index))
    write_index(
        [replace(clip, label="" if "actor3" in clip.clip_id else clip.label) for clip in clips],
        project.index,
    )
    return Collection.open(project.features_folder, project.index, kept=project.folder / "space")


def test_labels_of_a_collection(collection: Collection) -> None:
    assert collection.classes == ("cold", "fall", "rise", "warm")
    assert (collection.labels == -1).sum() == 8
    changed = collection.with_label(0, "new")
    assert changed.names[0] == "new"
    assert "new" in changed.classes
    assert "new" not in collection.classes


def test_the_nearest_show_the_same_and_are_not_the_clip_itself(collection: Collection) -> None:
    row = collection.row("rise/actor0_take0.mp4")
    found = similar_clips(collection, query_of(collection, row), 7)
    assert all(one.clip_id.startswith("rise/") for one in found)
    assert "rise/actor0_take0.mp4" not in [one.clip_id for one in found]
    assert [one.nearness for one in found] == sorted((one.nearness for one in found), reverse=True)
    others = similar_clips(collection, query_of(collection, row), 40, others=True)
    assert len(others) == 24
    assert not any("actor0" in one.clip_id for one in others)


def test_a_clip_is_known_by_its_file_too(collection: Collection, tmp_path: Path) -> None:
    name = "rise/actor0_take0.mp4"
    for named in (name, str(tmp_path / name)):
        assert collection.id_of(named, tmp_path) == name
    for stranger in ("rise/none.mp4", str(tmp_path.parent / name)):
        assert collection.id_of(stranger, tmp_path) == stranger


def test_a_stranger_is_placed_among_them(collection: Collection) -> None:
    clip = collection.features.clip(collection.positions[collection.row("warm/actor3_take1.mp4")])
    found = similar_clips(collection, Query(dict(clip)), 5)
    assert found[0].clip_id == "warm/actor3_take1.mp4"
    assert all(one.clip_id.startswith("warm/") for one in found)


def test_windows_tell_where(collection: Collection) -> None:
    row = collection.row("rise/actor1_take0.mp4")
    times = collection.features.times(collection.positions[row])
    query = query_of(collection, row, float(times[1]), float(times[4]))
    assert query.length == 4
    found = similar_windows(collection, query, 3)
    assert found[0].clip_id == "rise/actor1_take0.mp4"
    assert found[0].start <= times[4]
    assert found[0].end >= times[1]
    assert not any("actor1" in one.clip_id
                   for one in similar_windows(collection, query, 9, others=True))  # fmt: skip


def test_a_space_is_kept_and_made_anew_where_it_is_damaged(
    collection: Collection, tmp_path: Path
) -> None:
    features, positions = collection.features, collection.positions
    made = kept_space(features, positions, tmp_path)
    (path,) = tmp_path.iterdir()
    again = kept_space(features, positions, tmp_path)
    assert all(np.array_equal(one, other)
               for one, other in zip(made.coordinates, again.coordinates, strict=True))  # fmt: skip
    assert [branch.stream for branch in again.branches] == [one.stream for one in made.branches]
    path.write_bytes(path.read_bytes()[:1000])
    kept_space(features, positions, tmp_path)
    assert path.stat().st_size > 1000
    kept_space(features, positions[:9], tmp_path)  # other clips
    assert len(list(tmp_path.iterdir())) == 1
    assert not path.exists()


def test_windows_cover_a_clip_to_its_end() -> None:
    assert list(window_spans(3, 4)) == [(0, 3)]
    spans = list(window_spans(21, 8))
    assert spans[0] == (0, 8)
    assert spans[-1] == (13, 21)
    assert len(spans) == len(set(spans))


def test_what_is_not_there_is_said(collection: Collection) -> None:
    with pytest.raises(DatasetError, match=r"perhaps cold/actor0_take0\.mp4"):
        collection.row("cold/actor0_take0")
    with pytest.raises(DatasetError, match="no sampled frame in that time"):
        between(np.arange(4.0), 10, None, "x")


def test_clips_of_another_feature_set_are_placed_in_the_same_space(collection: Collection) -> None:
    row, told = collection.row("rise/actor0_take0.mp4"), []
    query = query_of(collection, row)
    found = similar_outside(collection, query, collection.features, 6, advance=told.append)
    assert len(told) == len(collection.features)
    assert [one.nearness for one in found] == sorted((one.nearness for one in found), reverse=True)
    assert sum(one.clip_id.startswith("rise/") for one in found) >= 5
    assert {one.label for one in found} == {""}  # nobody labelled them
    inside = similar_outside(collection, query, collection.features, 3, windows=True)
    assert len(inside) == 3
    assert all(one.start is not None and one.end is not None for one in inside)


def test_a_folder_without_videos_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DatasetError, match=f"{folder} holds no video"):
            videos_in(folder)


def test_videos_of_a_folder_have_no_groups(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="leave --others out"):
        similar("walk/anna_1.mp4", others=True, folder=tmp_path)


def test_videos_of_a_folder_are_known_by_their_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "deep/b.avi", "deep/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"the same")
    clips = videos_in(tmp_path)
    assert [clip.clip_id for clip in clips] == ["a.mp4", "deep/b.avi"]
    assert len({clip.digest for clip in clips}) == 1
