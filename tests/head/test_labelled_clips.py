"""Which clips are learnt from and judged by: copies in one group, labels that can be learnt."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_features import SmallProject, write_small_project, write_splits

from pipeline.dataset.clips import Clip, read_index, read_splits, write_index
from pipeline.dataset.near_copies import NEAR_COPIES, write_near_copies
from pipeline.evaluation.crossval import crossval
from pipeline.evaluation.params import CrossvalParams
from pipeline.head.labelled_clips import labelled_clips, labelled_splits, one_group_for_a_video
from pipeline.head.model_folder import read_card
from pipeline.head.params import TrainParams
from pipeline.params import Params
from pipeline.stages.train import train


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return write_small_project(tmp_path / "project", actors=4, takes=1)


def rewrite(project: SmallProject, **digests: str) -> None:
    """Give clips, by the name of their file, the digest of others."""
    clips = [
        replace(clip, digest=digests.get(Path(clip.clip_id).stem, clip.digest))
        for clip in read_index(project.index)
    ]
    write_index(clips, project.index)


def test_groups_that_share_a_video_are_one() -> None:
    groups, videos = np.array([0, 0, 1, 2, 2, 3]), np.array([5, 6, 6, 8, 9, 10])
    assert one_group_for_a_video(groups, videos).tolist() == [0, 0, 0, 2, 2, 3]
    chain = one_group_for_a_video(np.array([0, 1, 1, 2]), np.array([1, 1, 2, 2]))
    assert chain.tolist() == [0, 0, 0, 0]
    apart = one_group_for_a_video(groups, np.arange(6))
    assert apart.tolist() == groups.tolist()
    assert one_group_for_a_video(np.empty(0, int), np.empty(0, int)).tolist() == []


def test_crossval_never_tests_on_a_video_that_it_learnt_from(project, tmp_path) -> None:
    rewrite(project, actor0_take0="a" * 64)  # four copies of one video, all of actor0
    clips = [
        replace(clip, digest="a" * 64) if clip.clip_id == "rise/actor2_take0.mp4" else clip
        for clip in read_index(project.index)
    ]
    write_index(clips, project.index)
    said: list[str] = []
    write_near_copies([], tmp_path / NEAR_COPIES.name)  # `clipcache copies` found none
    tested = crossval(
        CrossvalParams(folds=3, workers=1),
        TrainParams(head="linear"),
        features_folder=project.features_folder,
        index=project.index,
        near_copies=tmp_path / NEAR_COPIES.name,
        reports=tmp_path,
        say=said.append,
    ).tested
    names = [clip.group for clip in clips]
    of = {name: {int(tested.fold_of[i]) for i, one in enumerate(names) if one == name}
          for name in ("actor0", "actor2")}  # fmt: skip
    assert of["actor0"] == of["actor2"]
    assert len(of["actor0"]) == 1
    assert said == [
        "2 groups share a video with another, whole or as segments: actor0, actor2; what shares a "
        "video stays in one fold."
    ]


def test_a_label_that_no_train_clip_has_is_no_label_of_the_model(project, tmp_path) -> None:
    splits = read_splits(project.splits)
    for name in splits:
        if name.startswith("warm") and splits[name] == "train":
            splits[name] = "val"
    write_splits(splits, project.splits)
    features, clips = project.features(), read_index(project.index)
    sides = labelled_splits(features, clips, project.splits)
    assert (
        sides.train.classes == sides.val.classes == sides.test.classes == ("cold", "fall", "rise")
    )
    assert set(sides.unlearnt.values()) == {"warm"}
    assert sorted(sides.unlearnt) == sorted(name for name in splits if name.startswith("warm"))
    everything = labelled_clips(features, clips)
    assert len(sides.train) + len(sides.val) + len(sides.test) + len(sides.unlearnt) == len(
        everything
    )
    said: list[str] = []
    train(
        Params(train=TrainParams(head="linear")),
        features_folder=project.features_folder,
        index=project.index,
        splits=project.splits,
        backbone=project.backbone,
        model_folder=tmp_path / "head",
        curves=tmp_path / "curves",
        work=tmp_path / "work",
        say=said.append,
    )
    assert read_card(tmp_path / "head").labels == ("cold", "fall", "rise")
    assert any("no train clip has the label warm" in line for line in said)


def test_a_label_whose_train_clips_were_all_rejected_is_left_out_too(project) -> None:
    splits = read_splits(project.splits)
    missing = Clip("tepid/actor0_take0.mp4", "tepid", "actor0", "f" * 64, 1, path="x.mp4")
    tested = Clip("warm/actor3_take0.mp4", "tepid", "actor3", "e" * 64, 1, path="y.mp4")
    clips = [clip for clip in read_index(project.index) if clip.clip_id != tested.clip_id]
    write_index(sorted([*clips, missing, tested], key=lambda clip: clip.clip_id), project.index)
    write_splits(splits | {missing.clip_id: "train", tested.clip_id: "test"}, project.splits)
    sides = labelled_splits(project.features(), read_index(project.index), project.splits)
    assert sides.unlearnt == {tested.clip_id: "tepid"}
    assert "tepid" not in sides.train.classes
