"""index.csv, splits.csv and rejected.csv."""

from pathlib import Path

import pytest

from pipeline.clips import (
    Clip,
    Rejected,
    read_index,
    read_rejected,
    read_splits,
    write_index,
    write_rejected,
    write_splits,
)
from pipeline.errors import DatasetError

ODD_NAMES = ["a, b/c.mp4", 'say "hi"/c.mp4', "two\nlines/c.mp4", "ü/日本.mp4"]


def test_an_index_is_read_as_it_was_written_whatever_the_names(tmp_path: Path) -> None:
    path = tmp_path / "data/index.csv"
    clips = [Clip(name, name.split("/")[0], "g1", "0" * 64, 7) for name in ODD_NAMES]
    write_index(clips, path)
    assert read_index(path) == sorted(clips, key=lambda clip: clip.clip_id)


def test_splits_and_rejected_clips_are_read_as_they_were_written(tmp_path: Path) -> None:
    splits = dict.fromkeys(ODD_NAMES, "test")
    write_splits(splits, tmp_path / "splits.csv")
    assert read_splits(tmp_path / "splits.csv") == splits
    rows = [Rejected(name, "features", "the file is empty") for name in sorted(ODD_NAMES)]
    write_rejected(rows, tmp_path / "rejected.csv")
    assert read_rejected(tmp_path / "rejected.csv") == rows


def test_a_missing_index_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"index.csv is not there: run `clipcache index` first"):
        read_index(tmp_path / "index.csv")
    with pytest.raises(DatasetError, match="run `clipcache split` first"):
        read_splits(tmp_path / "splits.csv")
    assert read_rejected(tmp_path / "rejected.csv") == []


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    path.write_text("name,class\na,b\n")
    with pytest.raises(DatasetError, match="clip_id"):
        read_index(path)
    path.write_text("clip_id,label,group,digest,bytes,kind\na/1.mp4,a,g,0000,many,video\n")
    with pytest.raises(DatasetError, match=r"is damaged.*run `clipcache index` again"):
        read_index(path)
    path.write_text("clip_id,label,group,digest,bytes,kind\na/1.mp4,a\n")
    with pytest.raises(DatasetError, match="a row is too short"):
        read_index(path)
    path.write_text("")
    with pytest.raises(DatasetError, match="run `clipcache index` again"):
        read_index(path)
