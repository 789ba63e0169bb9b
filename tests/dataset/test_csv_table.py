"""The layout `csv`: tables as people write them."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.clips import read_images, read_index
from pipeline.dataset.layouts import Findings, find_clips
from pipeline.dataset.params import DatasetParams
from pipeline.errors import DatasetError
from pipeline.stages.index import index_clips

HEADER = "path,label,start,end\n"


def lay(raw: Path, *names: str) -> None:
    for name in names:
        path = raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def params(folder: Path, table: str | bytes, group: str = "none") -> DatasetParams:
    path = folder / "clips.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    return DatasetParams(raw=str(folder / "raw"), layout="csv", table=str(path), group=group)


def find(folder: Path, table: str | bytes, group: str = "none") -> Findings:
    return find_clips(params(folder, table, group))


def ids(folder: Path, table: str | bytes) -> list[str]:
    return [clip.clip_id for clip in find(folder, table).clips]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    lay(tmp_path / "raw", "a.mp4", "b.mp4", "deep/er/c d.mp4", "Köpfen.avi")
    return tmp_path


def test_segments_of_one_video_are_clips_of_one_group_and_one_digest(videos: Path) -> None:
    table = f"{HEADER}a.mp4,wave,0,2.5\na.mp4,walk,2.5,10\nb.mp4,walk,,\nb.mp4,wave,,4\n"
    clips = list(index_clips(params(videos, table), videos / "index.csv"))
    assert [clip.clip_id for clip in clips] == [
        "a.mp4#0.00-2.50", "a.mp4#2.50-10.00", "b.mp4", "b.mp4#0.00-4.00",
    ]  # fmt: skip
    assert [clip.group for clip in clips] == ["a.mp4", "a.mp4", "b.mp4", "b.mp4"]
    assert {clip.digest for clip in clips[:2]} == {hashlib.sha256(b"a.mp4").hexdigest()}
    assert [(clip.start, clip.end) for clip in clips][:3] == [(0, 2.5), (2.5, 10), (None, None)]
    assert list(read_index(videos / "index.csv")) == clips


def test_a_segment_is_named_to_the_microsecond_where_that_tells_it_apart(videos: Path) -> None:
    table = f"{HEADER}a.mp4,wave,0.001,2\na.mp4,walk,0.004,2\nb.mp4,walk,3,\n"
    assert ids(videos, table) == ["a.mp4#0.001-2.00", "a.mp4#0.004-2.00", "b.mp4#3.00-"]


WRITTEN = {
    "semicolons": "path;label\na.mp4;wave\nb.mp4;walk\n",
    "tabs": "path\tlabel\na.mp4\twave\nb.mp4\twalk\n",
    "Windows and a byte order mark": "\ufeffpath,label\r\na.mp4,wave\r\nb.mp4,walk\r\n",
    "spaces, capitals and more columns": "Label , fps, PATH\nwave, 25, a.mp4\nwalk ,25,  b.mp4\n",
    "quotation marks": 'path,label\n"a.mp4","wave, both hands"\n"b.mp4",walk\n',
    "paths from here": "path,label\n./a.mp4,wave\ndeep/../b.mp4,walk\n",
}


@pytest.mark.parametrize("how", WRITTEN)
def test_tables_as_people_write_them(videos: Path, how: str) -> None:
    assert ids(videos, WRITTEN[how]) == ["a.mp4", "b.mp4"]


def test_names_with_spaces_unicode_and_backslashes_are_found(videos: Path) -> None:
    table = "path,label\ndeep\\er\\c d.mp4,wave\nKöpfen.avi,walk\n"
    assert ids(videos, table) == ["Köpfen.avi", "deep/er/c d.mp4"]


def test_an_absolute_path_inside_raw_is_the_same_clip(videos: Path) -> None:
    assert ids(videos, f"path,label\n{videos}/raw/a.mp4,wave\nb.mp4,walk\n") == ["a.mp4", "b.mp4"]


def test_split_and_group_columns_are_taken_over(videos: Path) -> None:
    table = ("path,label,group,split\na.mp4,wave,p1,Train\nb.mp4,walk,p2,validation\n"
             "Köpfen.avi,walk,,TEST\n")  # fmt: skip
    clips = {clip.clip_id: clip for clip in find(videos, table).clips}
    assert [clips[name].split for name in ("a.mp4", "b.mp4", "Köpfen.avi")] == [
        "train", "val", "test",
    ]  # fmt: skip
    assert [clips[name].group for name in ("a.mp4", "b.mp4", "Köpfen.avi")] == [
        "p1", "p2", "Köpfen.avi",
    ]  # fmt: skip


def test_a_digest_in_the_table_is_trusted_and_the_file_not_read(videos: Path) -> None:
    table = f"path,label,digest\na.mp4,wave,{'A' * 64}\nb.mp4,walk,\n"
    clips = index_clips(params(videos, table), videos / "index.csv")
    assert [clip.digest for clip in clips] == ["a" * 64, hashlib.sha256(b"b.mp4").hexdigest()]
    assert [clip.bytes for clip in clips] == [5, 5]


def test_urls_are_read_where_they_are(videos: Path) -> None:
    table = f"path,label\nfile://{videos}/raw/a.mp4,wave\nb.mp4,walk\n"
    clips = index_clips(params(videos, table), videos / "index.csv")
    assert clips[1].path == f"file://{videos}/raw/a.mp4"
    assert clips[1].digest == hashlib.sha256(b"a.mp4").hexdigest()


def test_images_in_a_table_are_clips_of_one_frame(videos: Path) -> None:
    lay(videos / "raw", "Image_1.jpg", "Image_2.JPG")
    table = f"path,label\nImage_1.jpg,wave\nfile://{videos}/raw/Image_2.JPG,walk\n"
    first, second = index_clips(params(videos, table), videos / "index.csv")
    assert {clip.kind for clip in (first, second)} == {"images"}
    assert {clip.path for clip in (first, second)} == {""}
    assert (first.clip_id, first.bytes, first.group) == ("Image_1.jpg", 11, "Image_1.jpg")
    assert read_images(videos / "images.csv")["Image_1.jpg"] == ("Image_1.jpg",)
    assert second.digest not in (first.digest, hashlib.sha256(b"Image_2.JPG").hexdigest())


def test_rows_without_their_file_are_left_out_and_counted(videos: Path) -> None:
    table = "path,label\na.mp4,wave\nb.mp4,walk\ngone.mp4,walk\nlost.mp4,wave\n"
    findings = find(videos, table)
    assert [clip.clip_id for clip in findings.clips] == ["a.mp4", "b.mp4"]
    (note,) = findings.notes
    assert "2 of 4 rows are left out" in note
    assert "gone.mp4, lost.mp4" in note


WRONG = {
    "no label column": ("path,class\na.mp4,wave\n", "lacks the column label; .* path, class"),
    "no header": ("a.mp4,wave\nb.mp4,walk\n", "lacks the column path and the column label"),
    "a column twice": ("path,label,path\na.mp4,wave,b.mp4\n", "column path more than once"),
    "nothing": ("", "its first line has nothing"),
    "only a header": ("path,label\n", "lists no clip"),
    "one class": ("path,label\na.mp4,wave\nb.mp4,wave\n", "one class only, wave"),
    "no path in a row": ("path,label\na.mp4,wave\n,walk\n", "no path on line 3:"),
    "no number": (f"{HEADER}a.mp4,wave,0:10,20\nb.mp4,walk,,\n", "a start that is no .* on line 2"),
    "a negative time": (
        f"{HEADER}a.mp4,wave,,\nb.mp4,walk,-1,2\n",
        "a start that is no .* on line 3",
    ),
    "end before start": (
        f"{HEADER}a.mp4,wave,5,5\nb.mp4,walk,3,1\n",
        "an end that is not after the start on line 2, 3",
    ),
    "an unknown split": (
        "path,label,split\na.mp4,wave,A\nb.mp4,walk,\n",
        "a split that is none of .* on line 2",
    ),
    "no digest": ("path,label,digest\na.mp4,wave,12\nb.mp4,walk,\n", "a digest that .* on line 2"),
    "a clip twice": ("path,label\na.mp4,wave\nb.mp4,walk\na.mp4,walk\n", "a.mp4 .*lines 2, 4"),
    "empty lines and line ends before it": (
        'path,label,note\n\na.mp4,wave,"two\nlines"\n\n\n,walk,\n',
        "no path on line 7:",
    ),
    "a clip twice, after an empty line": (
        "path;label\r\na.mp4;wave\r\n\r\nb.mp4;walk\r\na.mp4;walk\r\n",
        "a.mp4 .*lines 2, 5",
    ),
    "a list of SlowFast": ("a.mp4 0\nb.mp4 1\n", "reads like a list of SlowFast or MMAction2"),
    "a list with tabs": ("a.mp4\t0\nb.mp4\t1\n", "reads like a clip already; put a line with"),
    "a line end in a label": (
        'path,label\na.mp4,"a\nb"\nb.mp4,walk\n',
        "a label with con.* on line 2",
    ),
    "a line end in a path": (
        'path,label\n"s3://a\nb",a\nb.mp4,walk\n',
        "a path with con.* on line 2",
    ),
    "a folder": ("path,label\ndeep,wave\nb.mp4,walk\n", "deep is a folder"),
    "a short row": ("path,label\na.mp4,wave\nb.mp4\n", "cannot be read as a table"),
    "no UTF-8": ("path,label\na.mp4,k\xf6pfen\n".encode("latin-1"), "UTF-8"),
    "files outside": ("path,label\n../x.mp4,wave\nb.mp4,walk\n", "../x.mp4, which lies outside"),
    "no file is there": ("path,label\nx.mp4,wave\ny.mp4,walk\n", "none of its 2 files is below"),
    "two groups of one video": (
        "path,label,group,start,end\na.mp4,wave,g1,0,1\na.mp4,walk,g2,1,2\n",
        "segments of a.mp4 in more than one group",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_sentence_with_the_lines(videos: Path, what: str) -> None:
    table, message = WRONG[what]
    with pytest.raises(DatasetError, match=message) as raised:
        find(videos, table)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")


def test_a_missing_table_and_a_missing_folder_name_the_setting(videos: Path) -> None:
    with pytest.raises(DatasetError, match=r"dataset.table is .*nowhere.csv, which is not a file"):
        find_clips(DatasetParams(raw=str(videos / "raw"), layout="csv", table="nowhere.csv"))
    (videos / "raw").rename(videos / "moved")
    with pytest.raises(DatasetError, match=r"dataset.raw is .*which is not a folder"):
        find(videos, "path,label\na.mp4,wave\n")


def test_links_out_of_the_raw_folder_are_followed_and_told(videos: Path) -> None:
    lay(videos / "outside", "disk.mp4")
    (videos / "raw/link.mp4").symlink_to(videos / "outside/disk.mp4")
    (videos / "raw/folder").symlink_to(videos / "outside")
    (videos / "raw/inner.mp4").symlink_to("b.mp4")
    table = "path,label\na.mp4,wave\ninner.mp4,walk\nlink.mp4,walk\nfolder/disk.mp4,wave\n"
    findings = find(videos, table)
    assert len(findings.clips) == 4
    assert findings.notes == [
        f"2 links of {videos / 'raw'} lead out of it, and are followed: link.mp4, folder/disk.mp4."
    ]


@pytest.mark.parametrize("name", ["/dev/zero", "zero.mp4", "pipe.mp4"])
def test_what_is_no_regular_file_is_refused_and_not_read(videos: Path, name: str) -> None:
    (videos / "raw/zero.mp4").symlink_to("/dev/zero")
    os.mkfifo(videos / "raw/pipe.mp4")
    with pytest.raises(DatasetError, match=r"no regular file|lies outside"):
        find(videos, f"path,label\na.mp4,wave\n{name},walk\n")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "FILE:///dev/zero", "local:///etc/passwd",
            "file://{raw}/../secret.mp4"],
)  # fmt: skip
def test_a_url_of_this_machine_must_lie_in_the_raw_folder(videos: Path, url: str) -> None:
    url = url.format(raw=videos / "raw")
    with pytest.raises(DatasetError, match="lies outside"):
        find(videos, f"path,label\na.mp4,wave\n{url},walk\n")


@pytest.mark.parametrize("raw", ["s3://bucket/folder", "file:///srv/clips"])
def test_a_path_does_not_lead_out_of_a_folder_behind_a_url(videos: Path, raw: str) -> None:
    (videos / "clips.csv").write_text("path,label\n../a.mp4,wave\nb.mp4,walk\n")
    params = DatasetParams(raw=raw, layout="csv", table=str(videos / "clips.csv"), group="none")
    with pytest.raises(DatasetError, match="lies outside"):
        find_clips(params)


def test_a_leading_slash_is_the_top_of_the_data_set(videos: Path) -> None:
    found = find(videos, f"path,label\n/a.mp4,wave\n{videos}/raw/b.mp4,walk\n").clips
    assert [clip.path for clip in found] == ["a.mp4", "b.mp4"]


def test_composed_and_decomposed_names_meet(videos: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    lay(videos / "raw", f"{decomposed}/{composed}.mp4")
    table = f"path,label\n{composed}/{decomposed}.mp4,wave\nb.mp4,walk\n"
    assert ids(videos, table) == ["b.mp4", f"{decomposed}/{composed}.mp4"]


def test_missing_files_are_said_where_one_class_remains(videos: Path) -> None:
    with pytest.raises(DatasetError) as raised:
        find(videos, "path,label\na.mp4,wave\nb.mp4,wave\ngone.mp4,walk\n")
    assert "1 of 3 rows are left out, because their files are not below" in str(raised.value)
    assert "gone.mp4. What remains holds one class only, wave" in str(raised.value)


def test_the_columns_may_have_other_names(videos: Path) -> None:
    text = "path;Clip;action;person\n1;a.mp4;on/off;anna\n2;b.mp4;walk;bea\n"
    (videos / "clips.csv").write_text(text)
    params = DatasetParams(
        raw=str(videos / "raw"), layout="csv", table=str(videos / "clips.csv"),
        columns={"path": "clip", "label": "Action", "group": "person"},
    )  # fmt: skip
    found = [(clip.path, clip.label, clip.group) for clip in find_clips(params).clips]
    assert found == [("a.mp4", "on/off", "anna"), ("b.mp4", "walk", "bea")]
    lacking = params.model_copy(update={"columns": {"path": "clip", "label": "action",
                                                    "group": "actor"}})  # fmt: skip
    with pytest.raises(DatasetError, match=r"lacks the column actor; its first line has path, Cl"):
        find_clips(lacking)


def test_a_group_rule_that_finds_none_names_the_paths(videos: Path) -> None:
    with pytest.raises(DatasetError, match=r"dataset.group is 'ucf', .* in a.mp4, b.mp4:"):
        find(videos, "path,label\na.mp4,wave\nb.mp4,walk\n", "ucf")


def test_a_hundred_thousand_rows_are_read_as_columns(videos: Path) -> None:
    rows = "".join(
        f"deep/er/c d.mp4,label{i % 7},{i},{i + 1.5},{'0' * 64}\n" for i in range(100_000)
    )
    findings = find(videos, f"path,label,start,end,digest\n{rows}")
    assert len(findings.clips) == 100_000
    assert findings.clips[-1].start == 99_999
    starts = np.array([clip.start for clip in findings.clips])
    assert (np.diff(starts) > 0).all()
