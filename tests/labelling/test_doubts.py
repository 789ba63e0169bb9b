"""Wrong labels are among the first doubts; the page and the table say so."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_features import SmallProject, write_small_project

from pipeline.dataset.clips import ClipTable, read_index, write_index
from pipeline.errors import DatasetError
from pipeline.evaluation.crossval import PROBABILITIES, crossval
from pipeline.evaluation.params import CrossvalParams
from pipeline.head.params import TrainParams
from pipeline.labelling.doubts import (
    OutOfFold,
    find_doubts,
    in_words,
    read_out_of_fold,
    write_doubts,
)
from pipeline.labelling.doubts_page import shown_of
from pipeline.labelling.relabel import read_corrections

WRONG = {"cold/actor1_take0.mp4": "warm", "rise/actor3_take1.mp4": "fall"}


@pytest.fixture(scope="module")
def doubted(tmp_path_factory) -> tuple[SmallProject, Path]:
    """A project with two wrong labels, cross-validated."""
    project = write_small_project(tmp_path_factory.mktemp("project"), actors=5, takes=2)
    clips = list(read_index(project.index))
    write_index(
        [replace(clip, label=WRONG.get(clip.clip_id, clip.label)) for clip in clips], project.index
    )
    reports = tmp_path_factory.mktemp("reports")
    crossval(
        CrossvalParams(workers=1), TrainParams(head="linear"), reports=reports,
        features_folder=project.features_folder, index=project.index,
    )  # fmt: skip
    return project, reports / PROBABILITIES.name


def test_planted_errors_come_first(doubted: tuple[SmallProject, Path], tmp_path: Path) -> None:
    project, path = doubted
    said, changed = read_out_of_fold(path, read_index(project.index))
    assert (len(said.clip_ids), changed) == (40, 0)
    doubts = find_doubts(said)
    assert {row.clip_id: row.label for row in doubts[:2]} == WRONG
    assert {row.suggested for row in doubts[:2]} == {"cold", "rise"}
    assert all(row.likely for row in doubts[:2])
    assert [row.score for row in doubts] == sorted(row.score for row in doubts)
    assert ("warm", "cold", 1) in said.confusions()
    write_doubts(doubts, tmp_path / "doubts.csv")
    with (tmp_path / "doubts.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["clip_id"] for row in rows] == [row.clip_id for row in doubts]
    assert read_corrections(tmp_path / "doubts.csv")[0].label == doubts[0].label
    assert "2 labels are probably wrong, of 40 clips" in in_words(doubts, 0, ())
    assert 20 <= len(shown_of(doubts)) < 40


def test_a_label_that_changed_since_is_left_out(
    doubted: tuple[SmallProject, Path], tmp_path: Path
) -> None:
    project, path = doubted
    clips = [replace(clip, label=clip.clip_id.partition("/")[0])
             for clip in read_index(project.index)]  # fmt: skip
    said, changed = read_out_of_fold(path, ClipTable.of(clips))
    assert (len(said.clip_ids), changed) == (38, 2)
    assert "2 clips were left out, whose label changed" in in_words(find_doubts(said), changed, ())
    with pytest.raises(DatasetError, match="is of other clips"):
        read_out_of_fold(path, ClipTable.of([]))
    with pytest.raises(DatasetError, match=r"run `clipcache crossval` first"):
        read_out_of_fold(tmp_path / "none.csv", ClipTable.of(clips))
    broken = tmp_path / "broken.csv"
    broken.write_text(path.read_text()[:-20])
    with pytest.raises(DatasetError, match="is damaged"):
        read_out_of_fold(broken, read_index(project.index))


def test_where_every_label_fits_nothing_is_likely_wrong() -> None:
    shares = np.full((12, 3), 0.05) + 0.85 * np.eye(3)[np.arange(12) % 3]
    said = OutOfFold([f"{i}" for i in range(12)], np.arange(12) % 3, ["a", "b", "c"], shares)
    assert not any(row.likely for row in find_doubts(said))


def test_a_class_of_which_no_clip_is_left_is_no_error() -> None:
    said = OutOfFold(["x", "y", "z"], np.array([0, 0, 2]), ["a", "b", "c"],
                     np.array([[0.2, 0.7, 0.1], [0.6, 0.2, 0.2], [0.1, 0.2, 0.7]]))  # fmt: skip
    first = find_doubts(said)[0]
    assert (first.clip_id, first.suggested) == ("x", "b")
