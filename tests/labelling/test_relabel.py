"""Corrections go into the table whole or not at all, or become a script of moves."""

import subprocess
from pathlib import Path

import pytest

from pipeline.dataset.layouts import find_clips
from pipeline.dataset.params import DatasetParams
from pipeline.errors import DatasetError
from pipeline.labelling.relabel import Correction, read_corrections, relabel


def lay(raw: Path, *names: str) -> None:
    for name in names:
        path = raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def labels_of(params: DatasetParams) -> dict[str, str]:
    return {clip.clip_id: clip.label for clip in find_clips(params).clips}


def in_table(folder: Path, table: bytes, **settings: object) -> DatasetParams:
    lay(folder / "raw", "a.mp4", "b.mp4", "c d.mp4", "e.mp4")
    (folder / "clips.csv").write_bytes(table)
    return DatasetParams(
        raw=str(folder / "raw"), layout="csv", table=str(folder / "clips.csv"), group="none",
        **settings,
    )  # fmt: skip


def test_a_table_keeps_all_else_as_people_wrote_it(tmp_path: Path) -> None:
    table = (
        b"\xef\xbb\xbfnote;Filename;Class;start;end\r\n"
        b'"two\r\nlines";a.mp4;walk;0;2\r\n\r\n;./a.mp4;wave;2;4\r\n;c d.mp4;wave;;\r\n'
    )
    params = in_table(tmp_path, table, columns={"path": "Filename", "label": "class"})
    done = relabel(params, [
        Correction("a.mp4#2.00-4.00", "jump; high", "wave"), Correction("c d.mp4", ""),
        Correction("a.mp4#0.00-2.00", "walk"),
    ])  # fmt: skip
    assert (done.changed, done.same, done.moves) == (2, 1, [])
    assert (tmp_path / "clips.csv").read_bytes() == (
        b"\xef\xbb\xbfnote;Filename;Class;start;end\r\n"
        b'"two\r\nlines";a.mp4;walk;0;2\r\n\r\n;./a.mp4;"jump; high";2;4\r\n;c d.mp4;;;\r\n'
    )
    assert labels_of(params)["a.mp4#2.00-4.00"] == "jump; high"


def test_a_file_that_the_table_does_not_name_gets_a_row(tmp_path: Path) -> None:
    params = in_table(tmp_path, b"label,path\nwalk,a.mp4\nwave,b.mp4\n", unlabelled=True)
    relabel(params, [Correction("e.mp4", "walk", "")])
    text = (tmp_path / "clips.csv").read_text()
    assert text == "label,path\nwalk,a.mp4\nwave,b.mp4\nwalk,e.mp4\n"


def test_nothing_is_written_where_anything_is_wrong(tmp_path: Path) -> None:
    table = b"path,label\na.mp4,walk\nb.mp4,wave\n"
    params = in_table(tmp_path, table)
    good = Correction("a.mp4", "wave")
    with pytest.raises(DatasetError, match=r"does not have: gone\.mp4"):
        relabel(params, [good, Correction("gone.mp4", "walk")])
    with pytest.raises(DatasetError, match=r"b\.mp4 .wave, not run. got another label since"):
        relabel(params, [good, Correction("b.mp4", "walk", "run")])
    assert (tmp_path / "clips.csv").read_bytes() == table


def test_the_same_corrections_twice_are_no_error(tmp_path: Path) -> None:
    params = in_table(tmp_path, b"path,label\na.mp4,walk\nb.mp4,wave\nc d.mp4,wave\n")
    corrections = [Correction("b.mp4", "walk", "wave")]
    assert relabel(params, corrections).changed == 1
    assert relabel(params, corrections) == relabel(params, [Correction("a.mp4", "walk")])


def test_folders_get_a_script_that_moves_the_files(tmp_path: Path) -> None:
    raw = tmp_path / "my raw"
    lay(raw, "walk/anna's_1.mp4", "walk/b.mp4", "wave/b.mp4", "unlabelled/sub/d.mp4")
    params = DatasetParams(raw=str(raw), group="none")
    script = tmp_path / "relabel.sh"
    done = relabel(params, [
        Correction("walk/anna's_1.mp4", "wave"), Correction("unlabelled/sub/d.mp4", "walk"),
    ], script)  # fmt: skip
    assert len(done.moves) == 2
    assert labels_of(params)["walk/anna's_1.mp4"] == "walk"  # nothing is moved yet
    subprocess.run(["sh", script], check=True)
    assert labels_of(params) == {
        "walk/b.mp4": "walk", "walk/sub/d.mp4": "walk",
        "wave/anna's_1.mp4": "wave", "wave/b.mp4": "wave",
    }  # fmt: skip
    with pytest.raises(DatasetError, match="is there already"):
        relabel(params, [Correction("walk/b.mp4", "wave")])
    with pytest.raises(DatasetError, match="cannot be the name of a folder"):
        relabel(params, [Correction("walk/b.mp4", "run/fast")])


def test_the_split_above_a_label_stays(tmp_path: Path) -> None:
    lay(tmp_path, "train/walk/a.mp4", "test/wave/b.mp4")
    params = DatasetParams(raw=str(tmp_path), group="none")
    (move,) = relabel(
        params, [Correction("train/walk/a.mp4", "wave")], tmp_path / "relabel.sh"
    ).moves
    assert move[1] == tmp_path / "train/wave/a.mp4"


def test_corrections_as_people_save_them(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text("clip_id;was;label\na.mp4;walk; wave \na.mp4;walk;wave\n", "utf-8-sig")
    assert read_corrections(path) == [Correction("a.mp4", "wave", "walk")]
    for text, message in (
        ("clip,label\n", "needs the columns clip_id and label"),
        ("clip_id,label\na.mp4,x\na.mp4,y\n", "two labels for a.mp4"),
        ("clip_id,label\na.mp4,\x07\n", "on line 2 with control"),
    ):
        path.write_text(text)
        with pytest.raises(DatasetError, match=message):
            read_corrections(path)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_corrections(tmp_path / "none.csv")
