"""Clips without a label: found by every layout, counted, and kept out of what is learnt."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from small_features import SmallProject, write_small_project

from clipcache import load_features
from pipeline.dataset.clips import NO_SPLIT, Clip, read_index, read_splits, write_index
from pipeline.dataset.layouts import find_clips
from pipeline.dataset.params import DatasetParams, SplitParams
from pipeline.errors import DatasetError
from pipeline.evaluation.explore import explore
from pipeline.evaluation.report.dataset_summary import ClipFacts, summarise
from pipeline.head.labelled_clips import labelled_clips, labelled_splits
from pipeline.stages.split import split_clips


def lay(raw: Path, *names: str) -> None:
    for name in names:
        path = raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def found(raw: Path, **settings: object) -> dict[str, tuple[str, str]]:
    """clip_id -> label and split."""
    params = DatasetParams(raw=str(raw), **{"group": "none", **settings})
    return {clip.clip_id: (clip.label, clip.split) for clip in find_clips(params).clips}


def test_a_folder_takes_what_waits_for_a_label(tmp_path: Path) -> None:
    lay(tmp_path, "walk/a.mp4", "wave/b.mp4", "unlabelled/c.mp4", "Unlabelled/anna/d.mp4")
    assert {name: label for name, (label, _) in found(tmp_path).items()} == {
        "walk/a.mp4": "walk", "wave/b.mp4": "wave",
        "unlabelled/c.mp4": "", "Unlabelled/anna/d.mp4": "",
    }  # fmt: skip


def test_beside_and_below_the_folders_of_a_split(tmp_path: Path) -> None:
    lay(tmp_path, "train/walk/a.mp4", "test/wave/b.mp4", "unlabelled/c.mp4",
        "train/unlabelled/d.mp4")  # fmt: skip
    assert found(tmp_path) == {
        "train/walk/a.mp4": ("walk", "train"), "test/wave/b.mp4": ("wave", "test"),
        "unlabelled/c.mp4": ("", ""), "train/unlabelled/d.mp4": ("", "train"),
    }  # fmt: skip


def test_in_folders_of_frames_and_of_images(tmp_path: Path) -> None:
    videos = ("walk/a", "wave/b", "unlabelled/c")
    lay(tmp_path / "frames", *(f"{video}/{i}.jpg" for video in videos for i in range(3)))
    labels = found(tmp_path / "frames", layout="frames")
    assert {name: label for name, (label, _) in labels.items()} == {
        "walk/a": "walk", "wave/b": "wave", "unlabelled/c": ""
    }  # fmt: skip
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for name in ("walk/a.png", "wave/b.png", "unlabelled/c.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), picture)
    labels = found(tmp_path / "images", layout="images", near_duplicates=None)
    assert labels["unlabelled/c.png"] == ("", "")


def test_a_table_may_leave_cells_empty_and_files_unnamed(tmp_path: Path) -> None:
    lay(tmp_path / "raw", "a.mp4", "b.mp4", "c.mp4", "deep/d.mp4", "notes.txt")
    table = tmp_path / "clips.csv"
    table.write_text("path,label,group\n./a.mp4,wave,\nb.mp4,walk,\nc.mp4,,\n")
    settings = {"layout": "csv", "table": str(table)}
    labels = {"a.mp4": ("wave", ""), "b.mp4": ("walk", ""), "c.mp4": ("", "")}
    assert found(tmp_path / "raw", **settings) == labels
    labels["deep/d.mp4"] = ("", "")
    assert found(tmp_path / "raw", **settings, unlabelled=True) == labels
    with pytest.raises(DatasetError, match="cannot be listed"):
        found("https://example.org/videos", **settings, unlabelled=True)


def test_a_beginning_without_any_label_is_no_error_before_the_split(tmp_path: Path) -> None:
    lay(tmp_path / "raw", "unlabelled/anna_1.mp4", "unlabelled/bert_1.mp4")
    findings = find_clips(DatasetParams(raw=str(tmp_path / "raw")))
    assert [(clip.label, clip.group) for clip in findings.clips] == [("", "anna"), ("", "bert")]
    assert "no class and clips without a label" in findings.notes[0]
    clips = [Clip(f"unlabelled/{i}.mp4", "", f"{i}", f"{i:064d}", 1) for i in range(3)]
    with pytest.raises(DatasetError, match="No clip has a label"):
        split_clips(clips, SplitParams(), tmp_path / "splits.csv")
    explore(DatasetParams(raw=str(tmp_path / "raw")), 1, tmp_path / "explore")
    text = (tmp_path / "explore" / "dataset_summary.txt").read_text()
    assert "2 clips of 0 classes in 2 groups, 2 of them without a label" in text


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> SmallProject:
    """A project of which the clips of take 1 have no label, dealt out anew."""
    project = write_small_project(tmp_path_factory.mktemp("project"), actors=4, takes=2)
    clips = [
        Clip(
            clip.clip_id, "" if "take1" in clip.clip_id else clip.label, clip.group, clip.digest, 1
        )
        for clip in read_index(project.index)
    ]
    write_index(clips, project.index)
    codes = split_clips(read_index(project.index), SplitParams(), project.splits)
    assert ((codes == NO_SPLIT) == ["take1" in clip.clip_id for clip in clips]).all()
    return project


def test_their_split_is_unlabelled(project: SmallProject) -> None:
    splits = read_splits(project.splits)
    assert len(splits) == 32
    assert {name for name, split in splits.items() if split == "unlabelled"} == {
        name for name in splits if "take1" in name
    }


def test_nothing_is_learnt_from_them_nor_scored(project: SmallProject) -> None:
    features, clips = project.features(), read_index(project.index)
    labelled = labelled_clips(features, clips)
    assert len(labelled) == 16
    assert "" not in labelled.classes
    assert all("take0" in name for name in features.clip_ids[labelled.positions])
    sides = labelled_splits(features, clips, project.splits)
    assert len(sides.train) + len(sides.val) + len(sides.test) == 16
    assert not sides.unlearnt


def test_the_api_gives_them_with_their_split(project: SmallProject) -> None:
    found = load_features(project.features_folder, index=project.index, splits=project.splits)
    assert set(found.of("unlabelled").y) == {""}
    assert len(found.of("unlabelled")) == 16
    assert "" not in found.of("train").y


def test_a_summary_counts_them_but_no_class_of_theirs() -> None:
    summary = summarise([ClipFacts("walk", "a", 2, 1.0), ClipFacts("", "a", 3, 1.0, "unlabelled")])
    assert (summary.total.clips, summary.unlabelled, list(summary.classes)) == (2, 1, ["walk"])
    assert not summary.splits
