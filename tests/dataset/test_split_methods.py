"""Splits by folders, by a column, and by leaving one group out."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline.dataset.clips import Clip, read_splits
from pipeline.dataset.params import SplitParams
from pipeline.errors import DatasetError
from pipeline.stages.split import split_clips

PEOPLE = ("anna", "ben", "cleo", "dora", "emil", "fay")


def clips_of(split_of: dict[str, str] | None = None, labels: str = "abc") -> list[Clip]:
    """Everyone does everything; what the layout says of their split."""
    return [
        Clip(f"{label}/{name}.avi", label, name, f"{ord(label) * 100 + i:064d}", 1,
             path=f"{label}/{name}.avi", split=(split_of or {}).get(name, ""))
        for label in labels for i, name in enumerate(PEOPLE)
    ]  # fmt: skip


def deal(clips: list[Clip], folder: Path, **settings) -> tuple[dict[str, str], list[str]]:
    """The split of each group, of which none may be torn, and what was said."""
    said: list[str] = []
    split_clips(clips, SplitParams(**settings), folder / "splits.csv", said.append)
    splits = read_splits(folder / "splits.csv")
    pairs = {(clip.group, splits.get(clip.clip_id, "")) for clip in clips}
    assert len(pairs) == len({group for group, _ in pairs})
    return dict(pairs), said


TRAIN_TEST = dict.fromkeys(PEOPLE[:4], "train") | dict.fromkeys(PEOPLE[4:], "test")


@pytest.mark.parametrize("method", ["folders", "column"])
def test_validation_is_carved_by_group_where_there_is_none(tmp_path: Path, method: str) -> None:
    sides, said = deal(clips_of(TRAIN_TEST), tmp_path, method=method)
    assert said == []
    assert Counter(sides.values()) == {"train": 3, "val": 1, "test": 2}
    assert sides["emil"] == sides["fay"] == "test"


def test_a_validation_split_that_is_there_is_kept(tmp_path: Path) -> None:
    given = TRAIN_TEST | {"ben": "val", "cleo": "val"}
    assert deal(clips_of(given), tmp_path, method="folders")[0] == given


def test_clips_without_a_split_stand_in_none_and_are_counted(tmp_path: Path) -> None:
    given = {name: side for name, side in TRAIN_TEST.items() if name != "fay"}
    sides, said = deal(clips_of(given), tmp_path, method="column", val=0, train=0.75)
    assert sides["fay"] == ""
    assert said == [
        "3 clips have no split, and stand in none: a/fay.avi, b/fay.avi, c/fay.avi.",
        "There are no validation clips: training cannot stop early, and confidences are not "
        "calibrated.",
    ]


def test_a_group_that_the_given_split_tears_apart_is_said(tmp_path: Path) -> None:
    clips = clips_of(TRAIN_TEST)
    clips[0] = Clip(clips[0].clip_id, "a", "anna", "f" * 64, 1, path=clips[0].path, split="test")
    said: list[str] = []
    split_clips(clips, SplitParams(method="column"), tmp_path / "splits.csv", said.append)
    assert said[0].startswith("1 group of dataset.group stands in more than one split")


def test_one_video_in_train_and_test_is_refused_by_every_method(tmp_path: Path) -> None:
    clips = clips_of(TRAIN_TEST)
    clips[5] = Clip("a/copy.avi", "a", "fay", clips[0].digest, 1, path="a/copy.avi", split="test")
    for settings in ({"method": "column"}, {"method": "folders"},
                     {"method": "leave_one_group_out", "held_out": "fay"}):  # fmt: skip
        with pytest.raises(DatasetError, match="are the same video") as raised:
            deal(clips, tmp_path, **settings)
        assert "a/anna.avi" in str(raised.value)
        assert "a/copy.avi" in str(raised.value)


def test_segments_of_one_video_on_both_sides_are_refused(tmp_path: Path) -> None:
    clips = clips_of(TRAIN_TEST)
    segments = [
        Clip(f"x.mp4#{i}", "a", "x", "f" * 64, 1, path="x.mp4", start=i, end=i + 1, split=side)
        for i, side in enumerate(("train", "test"))
    ]
    with pytest.raises(DatasetError, match="are segments of one video"):
        deal([*clips, *segments], tmp_path, method="column")


def test_one_group_is_left_out(tmp_path: Path) -> None:
    sides, _ = deal(clips_of(), tmp_path, method="leave_one_group_out", held_out="dora")
    assert [name for name, side in sides.items() if side == "test"] == ["dora"]
    assert Counter(sides.values()) == {"train": 4, "val": 1, "test": 1}


def test_a_group_within_its_label_is_left_out_of_all_labels(tmp_path: Path) -> None:
    clips = [Clip(f"{label}/g{i}.avi", label, f"{label}/g{i:02d}", f"{label}{i}".rjust(64, "0"), 1,
                  path=f"{label}/g{i}.avi") for label in "ab" for i in range(5)]  # fmt: skip
    sides, _ = deal(clips, tmp_path, method="leave_one_group_out", held_out="g03")
    assert {name for name, side in sides.items() if side == "test"} == {"a/g03", "b/g03"}


def test_an_unknown_group_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no group: set it to one of anna, ben, cleo, dora"):
        deal(clips_of(), tmp_path, method="leave_one_group_out", held_out="gustav")
    with pytest.raises(DatasetError, match=r"split.held_out: set it to one of anna, ben, cleo"):
        deal(clips_of(), tmp_path, method="leave_one_group_out", held_out=None)


def test_a_label_that_only_the_held_out_group_has_is_refused(tmp_path: Path) -> None:
    clips = [*clips_of(), Clip("d/fay.avi", "d", "fay", "f" * 64, 1, path="d/fay.avi")]
    with pytest.raises(DatasetError, match="tests on d but has no clip of it to train on"):
        deal(clips, tmp_path, method="leave_one_group_out", held_out="fay")


def test_a_label_that_is_not_tested_is_said(tmp_path: Path) -> None:
    clips = [*clips_of(), Clip("d/ben.avi", "d", "ben", "f" * 64, 1, path="d/ben.avi")]
    said = deal(clips, tmp_path, method="leave_one_group_out", held_out="fay")[1]
    assert said == ["No test clip has the label d."]


def test_a_label_that_is_not_trained_is_said(tmp_path: Path) -> None:
    given = TRAIN_TEST | {"ben": "val"}
    extra = Clip("d/ben.avi", "d", "ben", "f" * 64, 1, path="d/ben.avi", split="val")
    said = deal([*clips_of(given), extra], tmp_path, method="column")[1]
    assert said == [
        "No train clip has the label d: what cannot be learnt is left out of training and of all "
        "scores."
    ]


WRONG = {
    "no folders": ({}, "folders", "the folders called train, val and test in dataset.raw"),
    "no column": ({}, "column", "the column split of dataset.table"),
    "no test": (dict.fromkeys(PEOPLE, "train"), "folders", "leaves test empty: see the folders"),
    "no train": (dict.fromkeys(PEOPLE, "test"), "column", "leaves train empty: see the column"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_split_that_is_of_no_use_names_the_setting(tmp_path: Path, what: str) -> None:
    given, method, message = WRONG[what]
    with pytest.raises(DatasetError, match=message) as raised:
        deal(clips_of(given), tmp_path, method=method)
    assert "split.method" in str(raised.value)
    assert not (tmp_path / "splits.csv").exists()
