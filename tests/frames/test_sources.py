"""Where the frames of a clip are."""

import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.dataset.clips import Clip
from pipeline.dataset.sources import ClipFiles
from pipeline.errors import ClipError, DatasetError
from pipeline.files import sha256
from pipeline.frames.images import ImageReader
from pipeline.frames.sources import (
    Source,
    file_source,
    images_digest,
    local_source,
    open_source,
    source_digest,
)
from pipeline.frames.video import VideoReader


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Four image files that differ."""
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for i, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((8, 8, 3), 20 * i, np.uint8))
    return [str(path) for path in paths]


def test_a_video_clip_is_its_file_and_an_image_clip_its_files_in_order(tmp_path: Path) -> None:
    video = Clip("walk/a.avi", "walk", "a", "0" * 64, 1)
    assert ClipFiles(tmp_path).source(video) == Source(str(tmp_path / "walk/a.avi"))
    dump = Clip("walk/b", "walk", "b", "0" * 64, 1, "images")
    files = {"walk/b": ("walk/b/10.jpg", "walk/b/9.jpg")}
    source = ClipFiles(tmp_path, files, 5).source(dump)
    assert source.images == (str(tmp_path / "walk/b/10.jpg"), str(tmp_path / "walk/b/9.jpg"))
    assert source.fps == 5
    assert ClipFiles("s3://bucket/raw/").source(video).path == "s3://bucket/raw/walk/a.avi"


def test_paths_are_absolute_whatever_raw_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = Clip("walk/a.avi", "walk", "a", "0" * 64, 1)
    assert ClipFiles(Path("raw")).source(clip).path == str(tmp_path / "raw/walk/a.avi")
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


def refused(source: Source, digest: str) -> str:
    with pytest.raises(ClipError) as caught, local_source(source, digest):
        pass
    return str(caught.value)


def test_a_clip_that_changed_since_the_index_is_refused(pictures: list[str]) -> None:
    source = Source(images=tuple(pictures))
    digest = source_digest(source)
    with local_source(source, digest) as same:
        assert same == source
    cv2.imwrite(pictures[2], np.full((8, 8, 3), 200, np.uint8))
    assert "has changed since it was indexed" in refused(source, digest)
    Path(pictures[2]).unlink()
    assert refused(source, digest) == "cannot be read (2.png: No such file or directory)"


def test_files_behind_urls_are_fetched_and_read_as_local_ones(
    pictures: list[str], make_video
) -> None:
    here = Source(images=tuple(pictures))
    digest = source_digest(here)
    there = Source(images=tuple(f"file://{path}" for path in pictures))
    with local_source(there, digest) as source:
        copies = [Path(path) for path in source.images]
        assert [copy.read_bytes() for copy in copies] == [Path(p).read_bytes() for p in pictures]
        assert len(list(open_source(source).frames(lambda index, seconds: True))) == 4
    assert not any(copy.exists() for copy in copies)
    swapped = Source(images=there.images[::-1])
    assert "has changed since it was indexed" in refused(swapped, digest)
    video = make_video("a b#1.mp4", frames=5)
    with local_source(Source(path=f"file://{video}"), sha256(video)) as source:
        assert len(list(open_source(source).frames(lambda index, seconds: True))) == 5
    assert "has changed since it was indexed" in refused(Source(path=f"file://{video}"), "0" * 64)


def test_a_source_has_a_short_name_for_messages() -> None:
    assert Source("/data/walk/a.avi").name == "a.avi"
    assert Source("s3://bucket/walk/a.avi").name == "a.avi"
    assert Source(images=("/data/walk/a.jpg",)).name == "a.jpg"
    assert Source(images=("/data/walk/anna/1.jpg", "/data/walk/anna/2.jpg")).name == "anna"


def test_an_image_clip_without_its_images_is_one_sentence() -> None:
    clip = Clip("wave/anna", "wave", "anna", "0" * 64, 1, "images")
    with pytest.raises(DatasetError, match=r"images.csv does not list .* wave/anna.*index"):
        ClipFiles("raw", {"wave/ben": ("wave/ben.jpg",)}).source(clip)
