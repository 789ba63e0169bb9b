"""The stage `copies`: what embeddings and pixels find is in a table, and is not decided twice."""

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from extraction import Project

from pipeline.dataset.clips import INDEX, read_index, write_index
from pipeline.dataset.near_copies import NearCopy, Video, read_near_copies, tied_groups
from pipeline.sample import write_sample
from pipeline.stages import copies
from pipeline.stages.copies import NearCopies, find_copies
from pipeline.stages.features import extract_features

ORIGINAL, COPY = "walk/actor01_take1.mp4", "walk/borrowed.mp4"


def mirrored_again(path: Path, copy: Path) -> None:
    """Crop, mirror and encode a video anew."""
    reader, writer = cv2.VideoCapture(str(path)), None
    while True:
        read, frame = reader.read()
        if not read:
            break
        frame = np.ascontiguousarray(frame[8:-8, 10:-10][:, ::-1])
        if writer is None:
            size, fps = frame.shape[1::-1], reader.get(cv2.CAP_PROP_FPS)
            writer = cv2.VideoWriter(str(copy), cv2.VideoWriter_fourcc(*"mp4v"), fps, size)
        writer.write(frame)
    assert writer is not None
    writer.release()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Clips of two people, of which one is there twice."""
    folder = tmp_path_factory.mktemp("copies")
    write_sample(folder / "raw", actions=["walk", "wave"], actors=2, takes=2)
    mirrored_again(folder / "raw" / ORIGINAL, folder / "raw" / COPY)
    project = Project(folder / "project", folder / "raw", {})
    project.extract()
    return project


def found(project: Project) -> NearCopies:
    folder = project.folder
    return find_copies(
        project.params,
        features_folder=folder / "features",
        index=folder / INDEX,
        path=folder / "reports/near_copies.csv",
        decided=folder / "decided.json",
    )


def test_a_mirrored_and_cropped_copy_is_found_and_nothing_else(project: Project) -> None:
    done = found(project)
    assert list(map(str, done.pairs)) == [f"{ORIGINAL} = {COPY}"]
    assert done.decoded > 0
    path = project.folder / "reports/near_copies.csv"
    (row,) = csv.DictReader(path.open())
    assert (row["video"], row["copy"], row["copy_label"]) == (ORIGINAL, COPY, "walk")
    (pair,) = read_near_copies(path)
    assert str(pair) == f"{ORIGINAL} = {COPY}"
    assert copies.COPY < pair.likeness <= 1

    again = found(project)
    assert again.decoded == 0
    assert again.pairs == done.pairs


def test_of_videos_in_pieces_a_pair_is_told_once(project: Project) -> None:
    folder = project.folder / "pieces"
    pieces = [
        replace(clip, clip_id=f"{clip.clip_id}#{start:.2f}-{start + 1:.2f}", path=clip.clip_id,
                label=f"part {start}", start=float(start), end=float(start + 1))
        for clip in read_index(project.folder / INDEX) for start in range(2)
    ]  # fmt: skip
    write_index(pieces, folder / INDEX)
    extract_features(
        project.params, pieces, setup=project.setup, folder=folder / "features",
        rejected=folder / "rejected.csv",
    )  # fmt: skip
    done = find_copies(
        project.params,
        features_folder=folder / "features",
        index=folder / INDEX,
        path=folder / "near_copies.csv",
        decided=folder / "decided.json",
    )
    assert list(map(str, done.pairs)) == [f"{ORIGINAL} = {COPY}"]
    assert {pair.video.label for pair in done.pairs} == {""}  # its pieces have two
    assert done.compared == found(project).compared


def test_what_is_kept_may_be_damaged(project: Project) -> None:
    before = found(project).pairs
    (project.folder / "decided.json").write_text("[1, 2")
    done = found(project)
    assert done.decoded > 0
    assert done.pairs == before


def test_where_nobody_can_look_only_what_is_sure_counts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "decided.json").unlink(missing_ok=True)
    gone = project.raw.with_name("gone")
    project.raw.rename(gone)
    try:
        monkeypatch.setattr(copies, "SURE", 2.0)
        done = found(project)
        assert done.pairs == []
        assert "could not be looked at" in done.skipped
        monkeypatch.setattr(copies, "SURE", -1.0)
        assert len(found(project).pairs) >= 1
    finally:
        gone.rename(project.raw)


def test_copies_tie_groups_through_others() -> None:
    digests = ["a", "b", "c", "d", "d"]
    pairs = [
        NearCopy(Video("", "", "", one), Video("", "", "", other), 0.9)
        for one, other in ("ac", "cd", "dx")  # the last one is not there
    ]
    groups = np.array([0, 1, 2, 3, 3])
    assert tied_groups(groups, digests, pairs).tolist() == [0, 1, 0, 0, 0]
    assert tied_groups(groups, digests, []) is groups
