"""Several labels of a clip: how they are written, read from a table, and dealt out."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.dataset.clips import Clip, read_splits
from pipeline.dataset.label_sets import (
    NONE_HOLDS,
    join_labels,
    labels_of,
    members_of,
    normalised,
    split_labels,
)
from pipeline.dataset.layouts import find_clips
from pipeline.dataset.layouts.found_clip import Findings
from pipeline.dataset.params import DatasetParams, SplitParams
from pipeline.errors import DatasetError
from pipeline.evaluation.report.dataset_summary import ClipFacts, summarise
from pipeline.stages.split import split_clips

LABELS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1)


@given(st.sets(LABELS))
def test_what_is_joined_is_split_again(labels: set[str]) -> None:
    assert split_labels(join_labels(labels)) == tuple(sorted(labels))
    assert normalised(join_labels(labels)) == join_labels(labels)


def test_labels_as_people_write_them() -> None:
    assert split_labels(" wave | jump|wave||") == ("jump", "wave")
    assert normalised("wave|jump") == "jump|wave"
    assert split_labels(r"a\|b|c") == ("a|b", "c")
    assert (normalised("  "), normalised("|"), join_labels(())) == ("", NONE_HOLDS, NONE_HOLDS)
    assert labels_of("a|b", multi_label=False) == ("a|b",)
    assert labels_of("", multi_label=False) == labels_of("", multi_label=True) == ()
    members, names = members_of(["b|a", "|", "c"])
    assert names == ["a", "b", "c"]
    assert members.tolist() == [[True, True, False], [False] * 3, [False, False, True]]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for name in "abcd":
        (tmp_path / f"raw/{name}.mp4").parent.mkdir(exist_ok=True)
        (tmp_path / f"raw/{name}.mp4").write_bytes(name.encode())
    return tmp_path


def find(videos: Path, table: str, *, multi_label: bool = True) -> Findings:
    path = videos / "clips.csv"
    path.write_text(table, "utf-8")
    return find_clips(
        DatasetParams(
            raw=str(videos / "raw"), layout="csv", table=str(path), group="none",
            multi_label=multi_label,
        )
    )  # fmt: skip


def test_rows_of_a_clip_are_one_with_all_of_their_labels(videos: Path) -> None:
    table = (
        "path,label,start,end\nb.mp4,walk,,\na.mp4,wave,,\na.mp4,jump|walk,,\nc.mp4,|,,\n"
        "d.mp4,,,\nb.mp4,,,\nd.mp4,wave,1,2\nd.mp4,jump,1,2\n"
    )
    found = {clip.clip_id: clip.label for clip in find(videos, table).clips}
    assert found == {
        "a.mp4": "jump|walk|wave", "b.mp4": "walk", "c.mp4": "|", "d.mp4": "",
        "d.mp4#1.00-2.00": "jump|wave",
    }  # fmt: skip


def test_a_double_row_of_one_label_a_clip_names_the_setting(videos: Path) -> None:
    table = "path,label\na.mp4,wave\nb.mp4,walk\na.mp4,walk\n"
    with pytest.raises(DatasetError, match=r"lines 2, 4: .* set dataset\.multi_label to true"):
        find(videos, table, multi_label=False)


def test_without_the_setting_a_label_with_a_bar_is_a_name_and_worth_a_note(videos: Path) -> None:
    table = "path,label\na.mp4,wave\nb.mp4,walk\nc.mp4,wave|walk\n"
    findings = find(videos, table, multi_label=False)
    assert [clip.label for clip in findings.clips] == ["wave", "walk", "wave|walk"]
    assert "set dataset.multi_label to true" in findings.notes[0]
    assert find(videos, table.replace("wave|walk", "on|off"), multi_label=False).notes == []


def test_what_makes_no_sense_is_a_sentence(videos: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.mp4 in more than one split, on the lines 2, 3"):
        find(videos, "path,label,split\na.mp4,wave,train\na.mp4,walk,test\nb.mp4,walk,test\n")
    with pytest.raises(DatasetError, match="one class only, wave"):
        find(videos, "path,label\na.mp4,wave\nb.mp4,|\n")
    with pytest.raises(ValidationError, match="multi_label needs a table"):
        DatasetParams(layout="folders", multi_label=True)


def clips_of(sets: list[str], groups: list[int]) -> list[Clip]:
    return [
        Clip(f"{i:04d}.mp4", label, f"person{group:02d}", f"{i:064d}", 1)
        for i, (label, group) in enumerate(zip(sets, groups, strict=True))
    ]


def test_each_label_is_dealt_out_evenly_and_no_group_torn(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rates = {"common": 0.6, "middle": 0.3, "rare": 0.1}
    groups = random.integers(40, size=800).tolist()
    sets = [
        join_labels(name for name, rate in rates.items() if random.uniform() < rate) for _ in groups
    ]
    assert NONE_HOLDS in sets
    clips = clips_of(sets, groups)
    split_clips(clips, SplitParams(), tmp_path / "splits.csv", multi_label=True)
    splits = read_splits(tmp_path / "splits.csv")
    assert splits.keys() == {clip.clip_id for clip in clips}
    sides = defaultdict(set)
    for clip in clips:
        sides[clip.group].add(splits[clip.clip_id])
    assert all(len(names) == 1 for names in sides.values())
    for name in rates:
        having = [splits[clip.clip_id] for clip in clips if name in clip.label.split("|")]
        shares = [having.count(side) / len(having) for side in ("train", "val", "test")]
        np.testing.assert_allclose(shares, (0.6, 0.15, 0.25), atol=0.05)


def test_small_classes_are_counted_by_label(tmp_path: Path) -> None:
    sets = ["a|b", "a", "b", "a|b", "a|c", "|"] * 2
    said: list[str] = []
    clips = clips_of(sets, [i // 6 for i in range(12)])
    split_clips(
        clips, SplitParams(min_clips=3, train=0.5, val=0, test=0.5), tmp_path / "s.csv",
        said.append, multi_label=True,
    )  # fmt: skip
    assert said[0].startswith("1 class has fewer clips than split.min_clips (3), and 2 of 12")
    assert len(read_splits(tmp_path / "s.csv")) == 10


def test_a_clip_counts_for_each_of_its_labels() -> None:
    facts = [ClipFacts("a|b", "p", 2, 1.0, "train"), ClipFacts("|", "p", 2, 1.0, "train")]
    summary = summarise([*facts, ClipFacts("b", "q", 2, 1.0, "test")], multi_label=True)
    assert {label: tally.clips for label, tally in summary.classes.items()} == {"a": 1, "b": 2}
    assert (summary.total.clips, summary.unlabelled, summary.splits["train"].clips) == (3, 0, 2)
