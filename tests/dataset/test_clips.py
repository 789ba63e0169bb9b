"""index.csv, images.csv, splits.csv and rejected.csv."""

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from clone import ROOT
from small_features import write_splits

from pipeline.dataset.clips import (
    NO_SPLIT,
    SPLIT_NAMES,
    Clip,
    ClipTable,
    Rejected,
    read_images,
    read_index,
    read_rejected,
    read_split_codes,
    read_splits,
    write_images,
    write_index,
    write_rejected,
    write_split_codes,
)
from pipeline.errors import DatasetError

ODD_NAMES = [
    "a, b/c.mp4", 'say "hi"/c.mp4', "two\nlines/c.mp4", "ü/日本.mp4", "NA/null.mp4", " /-1.mp4"
]  # fmt: skip
HEADER = "clip_id,label,group,digest,bytes,kind,path,start,end,split\n"
GOOD = f"a/1.mp4,a,g,{'0' * 64},7,video,a/1.mp4,,,\n"


def clips_of_all_kinds() -> list[Clip]:
    """Sorted: whole videos with odd names, two segments of one of them, and a clip of images."""
    clips = [
        Clip(name, name.split("/")[0], "g1", f"{i:064x}", 7 + i, path=name)
        for i, name in enumerate(ODD_NAMES)
    ]
    whole = clips[0]
    for start in (0.1 + 0.2, 12.0):
        clip_id = f"{whole.path}#{start:.2f}-{start + 2:.2f}"
        clips.append(Clip(clip_id, "b", "g2", whole.digest, 7, "video", whole.path, start,
                          start + 2, "val"))  # fmt: skip
    clips.append(Clip("walk/seq", "walk", "p", "f" * 64, 2**40, kind="images", split="train"))
    return sorted(clips, key=lambda clip: clip.clip_id)


def many(count: int) -> Iterator[Clip]:
    for i in range(count):
        name = f"label{i % 50}/person{i % 4000}_{i:07d}.mp4"
        yield Clip(name, f"label{i % 50}", f"person{i % 4000}", f"{i:064x}", i, path=name)


def test_an_index_is_read_as_it_was_written_whatever_the_names(tmp_path: Path) -> None:
    path = tmp_path / "data/index.csv"
    clips = clips_of_all_kinds()
    written = write_index(reversed(clips), path)
    assert list(written) == clips
    table = read_index(path)
    assert list(table) == clips
    assert table == written
    assert table != read_index(path)[1:]
    write_index(table, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_a_table_is_read_like_a_list(tmp_path: Path) -> None:
    clips = clips_of_all_kinds()
    table = ClipTable.of(clips)
    assert len(table) == len(clips)
    assert table[3] == clips[3]
    assert table[-1] == clips[-1]
    assert list(table[2:7:2]) == clips[2:7:2]
    assert list(table.take(np.array([4, 0, 4]))) == [clips[4], clips[0], clips[4]]
    chosen = np.array([clip.kind == "images" for clip in clips])
    assert [clip.clip_id for clip in table.take(chosen)] == ["walk/seq"]
    assert clips[1] in table
    with pytest.raises(IndexError):
        table[len(clips)]
    empty = write_index([], tmp_path / "index.csv")
    assert list(empty) == list(read_index(tmp_path / "index.csv")) == []
    assert empty.codes("label")[1] == empty.codes("group")[1] == []


def test_labels_and_groups_come_as_numbers(tmp_path: Path) -> None:
    clips = clips_of_all_kinds()
    write_index(clips, tmp_path / "index.csv")
    for table in (ClipTable.of(clips), read_index(tmp_path / "index.csv")):
        for name in ("label", "group", "kind", "split"):
            codes, names = table.codes(name)
            assert codes.dtype == np.int32
            assert names == sorted({getattr(clip, name) for clip in clips})
            assert [names[code] for code in codes] == [getattr(clip, name) for clip in clips]
        assert table[:2].codes("label")[1] == sorted({clip.label for clip in clips[:2]})
        assert table.column("start").null_count == len(clips) - 2


def test_an_index_costs_less_memory_than_its_file_and_twice_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    held = []
    for count in (20_000, 40_000):
        write_index(many(count), path)
        before = pa.total_allocated_bytes()
        tracemalloc.start()
        table = read_index(path)
        python_bytes, python_peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(table) == count
        assert python_peak < 2**20 + 60 * count  # the codes of a column, but no object a row
        assert python_bytes < 2**18
        held.append(pa.total_allocated_bytes() - before)
        assert held[-1] < 1.3 * path.stat().st_size + 2**20
        del table
    assert held[1] < 2.2 * held[0]


def test_reading_tables_does_not_import_pandas_which_takes_half_a_second(tmp_path: Path) -> None:
    write_index(clips_of_all_kinds(), tmp_path / "index.csv")
    write_images({"walk/seq": ["1.jpg"]}, tmp_path / "images.csv")
    script = """
import sys
from pathlib import Path
from pipeline.dataset.clips import read_images, read_index
clips, images = read_index(Path("index.csv")), read_images(Path("images.csv"))
clips.codes("group"), list(clips.together("digest").sorted()), images["walk/seq"]
sys.exit("pandas" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path,
                   env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip


def test_images_are_found_by_clip_in_their_order(tmp_path: Path) -> None:
    images = {
        "walk/b": ["walk/b/10.jpg", "walk/b/9.jpg"],
        "walk/a": ["walk/a, too/1.jpg"],
        "wave/ü": [f"wave/ü/{i}.png" for i in range(300)],
    }
    write_images(images, tmp_path / "images.csv")
    table = read_images(tmp_path / "images.csv")
    assert list(table) == sorted(images)
    assert len(table) == 3
    for clip_id, files in images.items():
        assert table[clip_id] == tuple(files)
    assert "walk/aa" not in table
    assert table.get("zzz") is None


def test_a_set_of_videos_has_a_table_of_images_without_rows(tmp_path: Path) -> None:
    write_images({}, tmp_path / "images.csv")
    assert (tmp_path / "images.csv").read_text() == "clip_id,file\n"
    assert dict(read_images(tmp_path / "images.csv")) == {}


def test_splits_and_rejected_clips_are_read_as_they_were_written(tmp_path: Path) -> None:
    splits = dict.fromkeys(ODD_NAMES, "test")
    write_splits(splits, tmp_path / "splits.csv")
    assert read_splits(tmp_path / "splits.csv") == splits
    rows = [Rejected(name, "features", "is empty") for name in sorted(ODD_NAMES)]
    write_rejected(rows, tmp_path / "rejected.csv")
    assert read_rejected(tmp_path / "rejected.csv") == rows


def test_splits_as_numbers_are_the_splits_as_names(tmp_path: Path) -> None:
    table = ClipTable.of(clips_of_all_kinds())
    codes = np.arange(len(table)) % 4 - 1
    write_split_codes(table, codes, tmp_path / "codes.csv")
    splits = {clip.clip_id: SPLIT_NAMES[code] for clip, code in zip(table, codes, strict=True)
              if code != NO_SPLIT}  # fmt: skip
    write_splits(splits, tmp_path / "names.csv")
    assert (tmp_path / "codes.csv").read_bytes() == (tmp_path / "names.csv").read_bytes()
    backwards = table[::-1]
    assert read_split_codes(backwards, tmp_path / "codes.csv").tolist() == codes[::-1].tolist()


def test_a_missing_index_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"index.csv is not there: run `clipcache index` first"):
        read_index(tmp_path / "index.csv")
    with pytest.raises(DatasetError, match=r"images.csv is not there: run `clipcache index` first"):
        read_images(tmp_path / "images.csv")
    with pytest.raises(DatasetError, match="run `clipcache split` first"):
        read_splits(tmp_path / "splits.csv")
    assert read_rejected(tmp_path / "rejected.csv") == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "needs"),
        (b"name,class\na,b\n", "needs .*clip_id"),
        (b"clip_id,label,group,digest,bytes,kind\n", "needs .*start"),
        (b"\xff\xfe\x00", "is damaged"),
        ((HEADER + GOOD.replace(",7,", ",many,")).encode(), "is damaged .*many"),
        ((HEADER + GOOD.replace(",7,", ",,")).encode(), "without its size"),
        ((HEADER + GOOD.replace("video", "film")).encode(), "kind is 'film'"),
        ((HEADER + GOOD.replace(",,,", ",,,trial")).encode(), "split is 'trial'"),
        ((HEADER + GOOD.replace(",,,", ",soon,,")).encode(), "is damaged .*soon"),
        ((HEADER + GOOD.replace("000", "0")).encode(), "64 hexadecimal digits"),
        ((HEADER + GOOD + "a/2.mp4,a\n").encode(), "a row is too short"),
        ((HEADER + GOOD + GOOD[:30]).encode(), "a row is too short"),
        ((HEADER + GOOD).encode() + b"\xe4/1.mp4" + GOOD[7:].encode(), "is damaged"),
    ],
)
def test_a_damaged_index_is_one_sentence_with_a_way_out(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "index.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"(?s){reason}.*run `clipcache index` again") as caught:
        read_index(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
