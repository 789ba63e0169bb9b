"""Where the frames of a clip are."""

import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.clips import Clip
from pipeline.errors import ClipError
from pipeline.files import sha256
from pipeline.images import ImageReader
from pipeline.sources import (
    Source,
    check_source,
    file_source,
    images_digest,
    open_source,
    source_digest,
    source_of,
)
from pipeline.video import VideoReader


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Four image files that differ."""
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for i, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((8, 8, 3), 20 * i, np.uint8))
    return [str(path) for path in paths]


def test_a_video_clip_is_its_file_and_an_image_clip_its_files_in_order(tmp_path: Path) -> None:
    video = Clip("walk/a.avi", "walk", "a", "0" * 64, 1)
    assert source_of(video, tmp_path) == Source(str(tmp_path / "walk/a.avi"))
    dump = Clip("walk/b", "walk", "b", "0" * 64, 1, "images")
    files = {"walk/b": ("walk/b/10.jpg", "walk/b/9.jpg")}
    source = source_of(dump, tmp_path, files, fps=5)
    assert source.images == (str(tmp_path / "walk/b/10.jpg"), str(tmp_path / "walk/b/9.jpg"))
    assert source.fps == 5
    assert source_of(video, "s3://bucket/raw/").path == "s3://bucket/raw/walk/a.avi"


def test_paths_are_absolute_whatever_raw_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = Clip("walk/a.avi", "walk", "a", "0" * 64, 1)
    assert source_of(clip, Path("raw")).path == str(tmp_path / "raw/walk/a.avi")
    assert file_source(Path("a.JPG")).images == (str(tmp_path / "a.JPG"),)
    assert file_source(Path("a.gif")).path == str(tmp_path / "a.gif")
    assert file_source(Path("a.mp4")).path == str(tmp_path / "a.mp4")


def test_a_reader_fits_its_source(pictures: list[str], make_video) -> None:
    assert isinstance(open_source(Source(images=tuple(pictures))), ImageReader)
    assert isinstance(open_source(Source(str(make_video()))), VideoReader)


def test_the_digest_of_a_video_is_that_of_its_bytes(make_video) -> None:
    path = make_video()
    assert source_digest(Source(str(path))) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_digest_of_images_knows_their_bytes_order_and_rate(
    pictures: list[str], tmp_path: Path
) -> None:
    source = Source(images=tuple(pictures))
    digest = source_digest(source)
    assert digest == images_digest(sha256(Path(path)) for path in pictures)
    others = {
        source_digest(Source(images=tuple(pictures[::-1]))),
        source_digest(Source(images=tuple(pictures[:-1]))),
        source_digest(Source(images=tuple(pictures), fps=1)),
        source_digest(Source(pictures[0])),
        source_digest(Source(images=(pictures[0],))),
    }
    assert len({digest, *others}) == 6
    moved = [shutil.copy(path, tmp_path / f"moved {i}.png") for i, path in enumerate(pictures)]
    assert source_digest(Source(images=tuple(map(str, moved)))) == digest


def test_a_clip_that_changed_since_the_index_is_refused(pictures: list[str]) -> None:
    source = Source(images=tuple(pictures))
    digest = source_digest(source)
    check_source(source, digest)
    cv2.imwrite(pictures[2], np.full((8, 8, 3), 200, np.uint8))
    with pytest.raises(ClipError, match="has changed since it was indexed"):
        check_source(source, digest)
    Path(pictures[2]).unlink()
    with pytest.raises(ClipError, match=r"cannot be read \(2.png: No such file"):
        check_source(source, digest)


def test_a_source_has_a_short_name_for_messages() -> None:
    assert Source("/data/walk/a.avi").name == "a.avi"
    assert Source("s3://bucket/walk/a.avi").name == "a.avi"
    assert Source(images=("/data/walk/a.jpg",)).name == "a.jpg"
    assert Source(images=("/data/walk/anna/1.jpg", "/data/walk/anna/2.jpg")).name == "anna"
