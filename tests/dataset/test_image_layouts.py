"""The layouts `frames` and `images`: pictures as people have them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.dataset.clips import read_images, read_index
from pipeline.dataset.layouts import Findings, find_clips
from pipeline.dataset.params import DatasetParams
from pipeline.errors import DatasetError
from pipeline.stages.index import index_clips


def lay(raw: Path, *names: str) -> None:
    """Small pictures, each of its own."""
    for number, name in enumerate(names):
        path = raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(number)
        coarse = random.integers(0, 256, (8, 8, 3), np.uint8)
        picture = cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_NEAREST)
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def params(raw: Path, layout: str, **settings) -> DatasetParams:
    return DatasetParams(raw=str(raw), layout=layout, **{"group": "none", **settings})


def frames(raw: Path, **settings) -> dict[str, tuple[str, ...]]:
    """The files of each clip of the layout frames."""
    return {clip.clip_id: clip.images
            for clip in find_clips(params(raw, "frames", **settings)).clips}  # fmt: skip


def images(raw: Path, **settings) -> Findings:
    return find_clips(params(raw, "images", **settings))


def test_a_folder_of_frames_is_a_clip_in_natural_order(tmp_path: Path) -> None:
    lay(tmp_path, *(f"walk/anna/{i}.jpg" for i in (10, 9, 100, 1)), "wave/deep/ben/frame 2.PNG",
        "wave/deep/ben/frame 10.png")  # fmt: skip
    assert frames(tmp_path) == {
        "walk/anna": ("walk/anna/1.jpg", "walk/anna/9.jpg", "walk/anna/10.jpg",
                      "walk/anna/100.jpg"),
        "wave/deep/ben": ("wave/deep/ben/frame 2.PNG", "wave/deep/ben/frame 10.png"),
    }  # fmt: skip


NAMES = {
    "UCF101": ("v_Walk_g01_c02_0001.jpg", "v_Walk_g01_c02_0002.jpg", "v_Walk_g01_c02"),
    "UCF101 and a word": ("v_Walk_g01_c02_frame1.jpg", "v_Walk_g01_c02_frame2.jpg",
                          "v_Walk_g01_c02"),
    "a name and a number": ("daria_walk_0001.jpg", "daria_walk_0002.jpg", "daria_walk"),
    "two numbers": ("0007_0001.jpg", "0007_0002.jpg", "0007"),
    "numbers in brackets": ("take two (1).jpg", "take two (2).jpg", "take two"),
    "another mark": ("clip3-frame9.jpg", "clip3-frame10.jpg", "clip3"),
}  # fmt: skip


@pytest.mark.parametrize("how", NAMES)
def test_frames_that_lie_together_are_told_apart_by_their_names(tmp_path: Path, how: str) -> None:
    first, second, video = NAMES[how]
    lay(tmp_path, f"walk/{second}", f"walk/{first}", "walk/other_video_1.jpg", "wave/a_1.jpg",
        "wave/b_1.jpg")  # fmt: skip
    found = frames(tmp_path)
    assert found[f"walk/{video}"] == (f"walk/{first}", f"walk/{second}")
    assert len(found) == 4


def test_a_pattern_of_ones_own_and_the_preset_ucf(tmp_path: Path) -> None:
    lay(tmp_path, "a/x1_s7_p3.jpg", "a/x2_s7_p1.jpg", "a/x1_s8_p3.jpg", "b/x1_s9_p3.jpg")
    assert list(frames(tmp_path, frames_pattern=r"_(s\d+)_")) == ["a/s7", "a/s8", "b/s9"]
    with pytest.raises(DatasetError, match=r"dataset.frames_pattern is 'ucf'.* a/x1_s7_p3.jpg"):
        frames(tmp_path, frames_pattern="ucf")


def test_the_group_comes_from_the_name_of_the_video(tmp_path: Path) -> None:
    lay(tmp_path, *(f"{label}/v_{label}_g0{g}_c01_000{i}.jpg" for label in ("A", "B")
                    for g in (1, 2) for i in (1, 2)))  # fmt: skip
    found = find_clips(params(tmp_path, "frames", group="ucf"))
    assert [clip.group for clip in found.clips] == ["A/g01", "A/g02", "B/g01", "B/g02"]
    assert found.notes[0] == (
        "A: 4 frames that lie together were put together to 2 videos by their names."
    )


def test_of_many_classes_of_frames_one_sentence_is_told(tmp_path: Path) -> None:
    lay(tmp_path, *(f"class{i:02}/{video}_{frame}.jpg" for i in range(12)
                    for video in ("anna_walk", "bert_walk") for frame in (1, 2, 3)))  # fmt: skip
    assert find_clips(params(tmp_path, "frames", group="person_first")).notes == [
        "72 frames that lie together in 12 folders were put together to 24 videos by their names: "
        "2 in class00, 2 in class01, 2 in class02 and 9 more."
    ]


def test_split_folders_on_top_of_frames_are_the_split(tmp_path: Path) -> None:
    lay(tmp_path, *(f"{side}/{label}/{name}_1.jpg" for side in ("Train", "test")
                    for label in "ab" for name in ("x", "y")), "test/a/z/1.jpg")  # fmt: skip
    found = {clip.clip_id: clip for clip in find_clips(params(tmp_path, "frames")).clips}
    assert found["Train/a/x"].split == "train"
    assert found["test/a/z"].split == "test"
    assert {clip.label for clip in found.values()} == {"a", "b"}


def test_a_folder_and_a_video_of_one_name_are_refused(tmp_path: Path) -> None:
    lay(tmp_path, "a/x/1.jpg", "a/x_1.jpg", "a/y_1.jpg", "b/x/1.jpg")
    with pytest.raises(DatasetError, match="a/x is a folder of frames"):
        frames(tmp_path)


def test_the_index_of_frames_has_their_digest_and_their_files(tmp_path: Path) -> None:
    lay(tmp_path / "raw", "a/x/2.png", "a/x/10.png", "b/y/1.png")
    settings = params(tmp_path / "raw", "frames")
    first, second = index_clips(settings, tmp_path / "index.csv")
    assert list(read_index(tmp_path / "index.csv")) == [first, second]
    assert (first.clip_id, first.kind, first.path) == ("a/x", "images", "")
    assert first.bytes == sum(path.stat().st_size for path in (tmp_path / "raw/a/x").iterdir())
    assert read_images(tmp_path / "images.csv")["a/x"] == ("a/x/2.png", "a/x/10.png")
    (tmp_path / "raw/a/x/2.png").rename(tmp_path / "raw/a/x/11.png")
    assert index_clips(settings, tmp_path / "other.csv")[0].digest != first.digest


def test_an_image_is_a_clip_and_some_may_be_one(tmp_path: Path) -> None:
    lay(tmp_path, *(f"a/{i}.jpg" for i in range(1, 12)), "b/x.jpeg", "b/deep/y.webp")
    alone = images(tmp_path, near_duplicates=None).clips
    assert len(alone) == 13
    assert {clip.clip_id: clip.images for clip in alone}["b/deep/y.webp"] == ("b/deep/y.webp",)
    some = images(tmp_path, near_duplicates=None, images_per_clip=5).clips
    assert [clip.clip_id for clip in some] == [
        "a/1.jpg..5.jpg", "a/11.jpg", "a/6.jpg..10.jpg", "b/deep/y.webp", "b/x.jpeg",
    ]  # fmt: skip
    assert some[2].images == tuple(f"a/{i}.jpg" for i in range(6, 11))


WRONG = {
    "videos": ("frames", ["a/x.mp4", "b/y.mp4"], "no image, .* 2 videos: a/x.mp4.*to folders"),
    "a table": ("images", ["clips.csv"], r"but clips.csv; set dataset.layout to csv"),
    "nothing": ("images", ["notes.txt"], "holds no image: put clips there as <label>/<clip>"),
    "loose images": ("images", ["x.jpg", "a/y.jpg"], "directly in .*: x.jpg;"),
    "one class": ("frames", ["a/x/1.jpg", "a/y/1.jpg"], "one class only, a"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_names_files_and_the_setting(tmp_path: Path, what: str) -> None:
    layout, names, message = WRONG[what]
    lay(tmp_path, *names)
    with pytest.raises(DatasetError, match=message) as raised:
        find_clips(params(tmp_path, layout))
    assert "\n" not in str(raised.value)
