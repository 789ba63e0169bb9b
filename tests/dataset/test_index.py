"""The stage `index`."""

import hashlib
from pathlib import Path

from pipeline.dataset.clips import read_images, read_index
from pipeline.dataset.params import DatasetParams
from pipeline.stages.index import index_clips


def test_the_index_lists_every_clip_with_label_group_digest_and_size(
    make_dataset, tmp_path: Path
) -> None:
    raw = make_dataset()
    path = tmp_path / "data/index.csv"
    clips = index_clips(DatasetParams(raw=str(raw)), path)
    assert read_index(path) == clips
    assert dict(read_images(path.with_name("images.csv"))) == {}
    assert [clip.clip_id for clip in clips] == sorted(clip.clip_id for clip in clips)
    assert {(clip.label, clip.group) for clip in clips} == {
        (label, person) for label in ("walk", "wave") for person in ("anna", "ben", "cleo")
    }
    for clip in clips:
        data = (raw / clip.clip_id).read_bytes()
        assert clip.digest == hashlib.sha256(data).hexdigest()
        assert clip.bytes == len(data)
        assert clip.kind == "video"
        assert clip.path == clip.clip_id
        assert (clip.start, clip.end, clip.split) == (None, None, "")


def test_the_index_is_the_same_wherever_the_folder_lies(make_dataset, tmp_path: Path) -> None:
    raw = make_dataset()
    index_clips(DatasetParams(raw=str(raw)), tmp_path / "first.csv")
    raw.rename(tmp_path / "moved")
    index_clips(DatasetParams(raw=str(tmp_path / "moved")), tmp_path / "second.csv")
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()


def test_13320_files_are_indexed(tmp_path: Path) -> None:
    for label in range(101):
        folder = tmp_path / f"raw/Class{label}"
        folder.mkdir(parents=True)
        for i in range(132 if label < 89 else 131):
            name = f"v_Class{label}_g{i // 6 + 1:02d}_c{i % 6 + 1:02d}.avi"
            (folder / name).write_bytes(name.encode())
    clips = index_clips(DatasetParams(raw=str(tmp_path / "raw"), group="ucf"), tmp_path / "i.csv")
    assert len(clips) == 13_320
    assert len({clip.group for clip in clips}) == 101 * 22
