"""From folders to clips, with names as people have them."""

import os
from pathlib import Path

import pytest

from pipeline.dataset.layouts import FoundClip, find_clips
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.walk import find_files
from pipeline.errors import DatasetError


def lay(raw: Path, *names: str) -> None:
    for name in names:
        path = raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def find(raw: Path, group: str = "none") -> list[FoundClip]:
    return list(find_clips(DatasetParams(raw=str(raw), group=group)).clips)


def ids(raw: Path) -> list[str]:
    return [clip.clip_id for clip in find(raw)]


def test_names_as_people_have_them(tmp_path: Path) -> None:
    names = [
        "Golf Swing/my clip (1).MP4",
        "Golf Swing/my clip (1).avi",
        "Köpfen/日本.webm",
        "v1.2/deeper/still.deeper/a.b.c.MoV",
        "v1.2/my clip (1).mp4",
    ]
    lay(tmp_path, *names)
    assert ids(tmp_path) == sorted(names)
    labels = {clip.clip_id: clip.label for clip in find(tmp_path)}
    assert labels["v1.2/deeper/still.deeper/a.b.c.MoV"] == "v1.2"


def test_hidden_system_and_other_files_are_passed_over(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.mp4", "b/2.mp4", "a/.hidden.mp4", ".git/x.mp4", "__MACOSX/a/._1.mp4",
        "a/Thumbs.db", "b/.DS_Store", "readme.txt", "a/1.srt", "a/no_extension")  # fmt: skip
    assert ids(tmp_path) == ["a/1.mp4", "b/2.mp4"]


def test_a_folder_named_like_a_video_is_a_folder(tmp_path: Path) -> None:
    lay(tmp_path, "a/x.mp4/1.mp4", "b/2.mp4")
    assert ids(tmp_path) == ["a/x.mp4/1.mp4", "b/2.mp4"]


def test_links_are_followed_and_those_of_note_are_told(tmp_path: Path) -> None:
    raw, outside = tmp_path / "raw", tmp_path / "outside"
    lay(raw, "a/1.mp4", "b/2.mp4")
    lay(outside, "3.mp4")
    (raw / "b/inside.mp4").symlink_to("../a/1.mp4")
    (raw / "c").symlink_to("a")
    (raw / "b/outside.mp4").symlink_to(outside / "3.mp4")
    (raw / "d").symlink_to(outside)
    (raw / "b/broken.mp4").symlink_to("nowhere")
    (raw / "b/self.mp4").symlink_to("self.mp4")
    (raw / "b/device.mp4").symlink_to("/dev/zero")
    findings = find_clips(DatasetParams(raw=str(raw), group="none"))
    assert [clip.clip_id for clip in findings.clips] == [
        "a/1.mp4", "b/2.mp4", "b/inside.mp4", "b/outside.mp4", "c/1.mp4", "d/3.mp4"
    ]  # fmt: skip
    lost, left = findings.notes
    assert "3 links to nowhere (b/broken.mp4, b/device.mp4, b/self.mp4): `dvc checkout`" in lost
    assert left == f"2 links of {raw} lead out of it, and are followed: b/outside.mp4, d."
    assert find_files(raw, {".mp4"}, leave=False) == [
        "a/1.mp4", "b/2.mp4", "b/inside.mp4", "c/1.mp4"
    ]  # fmt: skip


def test_a_link_to_a_folder_above_is_not_followed(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    lay(raw, "a/1.mp4", "b/2.mp4")
    (raw / "b/root").symlink_to("/")
    assert ids(raw) == ["a/1.mp4", "b/2.mp4"]


def test_the_files_of_dvcs_cache_are_clips(tmp_path: Path) -> None:
    lay(tmp_path / "cache", "12/34", "56/78")
    for name, file in (("a/1.mp4", "12/34"), ("b/2.mp4", "56/78")):
        (tmp_path / "raw" / name).parent.mkdir(parents=True)
        (tmp_path / "raw" / name).symlink_to(tmp_path / "cache" / file)
    assert ids(tmp_path / "raw") == ["a/1.mp4", "b/2.mp4"]


def test_labels_that_are_nearly_the_same_are_told(tmp_path: Path) -> None:
    lay(tmp_path, "Walk/1.mp4", "walk/2.mp4", "caf\u00e9/3.mp4", "cafe\u0301/4.mp4", "on off/5.mp4",
        "on_off/6.mp4", "run/7.mp4")  # fmt: skip
    notes = find_clips(DatasetParams(raw=str(tmp_path), group="none")).notes
    assert len(notes) == 3
    assert "The labels 'Walk', 'walk' differ only in case, blanks or" in " ".join(notes)
    assert "'cafe\\u0301', 'caf\\xe9'" in " ".join(notes)


def test_links_that_loop_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "raw"
    lay(raw, "a/1.mp4", "b/2.mp4")
    (raw / "a/up").symlink_to("..")
    (raw / "a/self").symlink_to(".")
    (raw / "a/other").symlink_to("../b")
    (raw / "b/other").symlink_to("../a")
    expected = ["a/1.mp4", "a/other/2.mp4", "b/2.mp4", "b/other/1.mp4"]
    assert ids(raw) == expected
    monkeypatch.chdir(tmp_path)
    assert ids(Path("raw")) == expected


def test_the_raw_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    lay(tmp_path / "disk", "a/1.mp4", "b/2.mp4")
    (tmp_path / "raw").symlink_to("disk")
    assert ids(tmp_path / "raw") == ["a/1.mp4", "b/2.mp4"]


GROUPS = {
    "ucf": ("Golf/v_Golf_g07_c02.avi", "Golf/g07"),
    "hmdb": ("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "April_09"),
    "person_first": ("walk/daria_walk.avi", "daria"),
    "person_first ": ("walk/daria walk 2.AVI", "daria"),
    "person_first  ": ("walk/anna maria_walk-2.avi", "anna maria"),
    "person_first   ": ("walk/daria-walk-2.avi", "daria"),
    r"session(\d+)/": ("walk/session12/a.avi", "12"),
    "none": ("walk/a.avi", "walk/a.avi"),
}


@pytest.mark.parametrize("rule", GROUPS)
def test_the_group_comes_from_the_path(tmp_path: Path, rule: str) -> None:
    name, group = GROUPS[rule]
    lay(tmp_path, name, name.replace(name.split("/", maxsplit=1)[0], "other", 1))
    found = {clip.clip_id: clip.group for clip in find(tmp_path, rule.strip())}
    assert found[name] == group


def test_source_video_1_of_two_ucf_classes_is_two_groups(tmp_path: Path) -> None:
    lay(tmp_path, "A/v_A_g01_c01.avi", "B/v_B_g01_c01.avi", "A/v_A_g01_c02.avi")
    assert [clip.group for clip in find(tmp_path, "ucf")] == ["A/g01", "A/g01", "B/g01"]


def refusal(raw: Path, group: str = "none") -> str:
    with pytest.raises(DatasetError) as raised:
        find(raw, group)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_every_folder_that_cannot_be_used_is_refused_with_a_way_out(tmp_path: Path) -> None:
    assert "is not a folder" in refusal(tmp_path / "nowhere")
    raw = tmp_path / "raw"
    raw.mkdir()
    assert "holds no video" in refusal(raw)
    lay(raw, "notes.txt", "a/picture.jpg")
    assert "holds no video" in refusal(raw)
    lay(raw, "a/1.mp4")
    assert "one class only, a" in refusal(raw)
    lay(raw, "a/x/1.mp4", "a/y/1.mp4")
    assert f"folders x, y: if those are the labels, set dataset.raw to {raw}/a." in refusal(raw)
    lay(raw, "b/2.mp4", "loose.mp4")
    assert f"directly in {raw}: loose.mp4;" in refusal(raw)


def test_archives_and_links_that_lead_out_are_named(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    lay(raw, "UCF101.RAR", "hmdb/walk.zip")
    message = refusal(raw)
    assert (
        "no video, but archives, which are not looked into (UCF101.RAR, hmdb/walk.zip)" in message
    )
    lay(tmp_path / "disk", "walk/1.mp4")
    (raw / "walk").symlink_to(tmp_path / "disk/walk")
    (raw / "run.mp4").symlink_to("nowhere")
    (raw / "walk").unlink()
    assert "1 link to nowhere (run.mp4)" in refusal(raw)


def test_a_group_that_cannot_be_told_names_the_clips_and_the_setting(tmp_path: Path) -> None:
    lay(tmp_path, *(f"a/{i}.mp4" for i in range(5)), "b/anna_b.mp4")
    message = refusal(tmp_path, "person_first")
    assert "a/0.mp4, a/1.mp4, a/2.mp4 and 2 more" in message
    assert "dataset.group" in message


def test_a_name_that_is_no_text_is_named(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.mp4", "b/2.mp4")
    try:
        (tmp_path / "b" / os.fsdecode(b"\xff\xfe.mp4")).touch()
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    assert "not valid UTF-8" in refusal(tmp_path)


def test_a_name_with_a_line_end_is_named(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.mp4", "b/two\nlines.mp4")
    assert "'b/two\\nlines.mp4'" in refusal(tmp_path)
