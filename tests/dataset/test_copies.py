"""The stage `copies`: what embeddings and pixels find is in a table, and is not decided twice."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from extraction import Project

from pipeline.dataset.clips import INDEX
from pipeline.dataset.near_copies import NearCopy, read_near_copies, tied_groups
from pipeline.sample import write_sample
from pipeline.stages import copies
from pipeline.stages.copies import NearCopies, find_copies

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
    assert [(one.clip_id, two.clip_id) for one, two, _ in done.pairs] == [(ORIGINAL, COPY)]
    assert done.decoded > 0
    path = project.folder / "reports/near_copies.csv"
    (row,) = csv.DictReader(path.open())
    assert (row["clip_id"], row["copy"], row["copy_label"]) == (ORIGINAL, COPY, "walk")
    (pair,) = read_near_copies(path)
    assert str(pair) == f"{ORIGINAL} = {COPY}"
    assert copies.COPY < pair.likeness <= 1

    again = found(project)
    assert again.decoded == 0
    assert again.pairs == done.pairs


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
    names = ["a", "b", "c", "d"]
    pairs = [NearCopy("a", "c", 0.9), NearCopy("c", "d", 0.9), NearCopy("d", "gone", 0.9)]
    groups = np.arange(4)
    assert tied_groups(groups, names, pairs).tolist() == [0, 1, 0, 0]
    assert tied_groups(groups, names, []) is groups
