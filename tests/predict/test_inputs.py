"""What is named on the command line, as clips."""

from pathlib import Path

import pytest

from pipeline.errors import ClipError
from pipeline.predict.inputs import find_frames, find_inputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/2.mp4", "b/10.png", "b/9.png", "a/1.AVI", "a/notes.txt", ".git/x.mp4",
                 "a/.hidden.mp4", "odd name [1].mov"):  # fmt: skip
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "clips"


def names(inputs: list, folder: Path) -> list[str]:
    return [str(Path(one.name).relative_to(folder)) for one in inputs]


def test_folders_are_searched_to_their_depths(folder: Path) -> None:
    found = find_inputs([folder])
    assert names(found, folder) == ["a/1.AVI", "b/10.png", "b/2.mp4", "b/9.png", "odd name [1].mov"]
    assert [bool(one.source.images) for one in found] == [False, True, False, True, False]


def test_links_are_followed_and_a_loop_is_not(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.mp4").write_bytes(b"x")
    (folder / "a/linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder / "a")
    assert names(find_inputs([folder / "a"]), folder) == ["a/1.AVI", "a/linked/c.mp4"]


def test_a_file_that_is_named_is_taken_whatever_it_is_and_only_once(folder: Path) -> None:
    notes = folder / "a/notes.txt"
    assert names(find_inputs([notes, folder / "a", notes]), folder) == ["a/notes.txt", "a/1.AVI"]


def test_what_is_not_there_or_empty_is_one_sentence(folder: Path) -> None:
    with pytest.raises(ClipError, match=r"gone\.mp4: no such file"):
        find_inputs([folder / "gone.mp4", folder])
    (folder / "empty").mkdir()
    with pytest.raises(ClipError, match="empty holds no video and no image"):
        find_inputs([folder / "empty"])
    with pytest.raises(ClipError, match="a holds no image"):
        find_frames([folder / "a"])
    with pytest.raises(ClipError, match=r"2\.mp4 is not an image"):
        find_frames([folder / "b/2.mp4"])


def test_the_images_of_a_folder_are_one_clip_in_natural_order(folder: Path) -> None:
    (clip,) = find_frames([folder / "b"], fps=10)
    assert [Path(image).name for image in clip.source.images] == ["9.png", "10.png"]
    assert clip.source.fps == 10


def test_images_that_are_named_are_one_clip_in_their_own_order(folder: Path) -> None:
    (clip,) = find_frames([folder / "b/10.png", folder / "b/9.png"])
    assert [Path(image).name for image in clip.source.images] == ["10.png", "9.png"]
    assert clip.name.endswith("b/10.png and 1 more")
