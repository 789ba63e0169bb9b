"""Images that show the same picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.dataset.layouts.near_duplicates import (
    group_hashes,
    image_hashes,
    near_duplicate_groups,
)
from pipeline.frames.video import VideoReader


@pytest.fixture(scope="module")
def photographs(sample_videos: Path) -> list[np.ndarray]:
    """Ten pictures of different people in different places."""
    pictures = []
    for path in sorted((sample_videos / "walk").iterdir()):
        _, image = next(iter(VideoReader(path).frames(lambda index, seconds: True)))
        pictures.append(image)
    return pictures


def write(folder: Path, pictures: list[np.ndarray], suffix: str = ".png") -> list[Path]:
    paths = [folder / f"{len(list(folder.iterdir()))}_{i}{suffix}" for i in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        cv2.imwrite(str(path), picture)
    return paths


def compressed(image: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1)


COPIES = {
    "compressed": compressed,
    "smaller": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5),
    "much larger": lambda image: cv2.resize(image, None, fx=3, fy=3),
    "square": lambda image: cv2.resize(image, (224, 224)),
    "darker": lambda image: cv2.convertScaleAbs(image, alpha=0.6),
    "grey": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
    "mirrored": lambda image: compressed(cv2.flip(image, 1)),
}


@pytest.mark.parametrize("way", COPIES)
def test_copies_are_one_group_and_different_pictures_are_not(
    photographs: list[np.ndarray], tmp_path: Path, way: str
) -> None:
    count = len(photographs)
    paths = write(tmp_path, photographs) + write(tmp_path, [COPIES[way](p) for p in photographs])
    assert near_duplicate_groups(paths).tolist() == [*range(count), *range(count)]


def test_most_narrow_crops_are_found(photographs: list[np.ndarray], tmp_path: Path) -> None:
    crops = [p[4:-4, 5:-5] for p in photographs]  # 2 % on each side of 320 x 240
    groups = near_duplicate_groups(write(tmp_path, photographs) + write(tmp_path, crops))
    assert np.mean(groups[len(crops) :] == np.arange(len(crops))) >= 0.7
    assert len(set(groups[: len(crops)].tolist())) == len(crops)


def test_flat_pictures_are_never_joined(photographs: list[np.ndarray], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    flat = [np.full((90, 120, 3), level, np.uint8) for level in (0, 0, 128, 255)]
    noise = [random.integers(0, 4, (90, 120, 3)).astype(np.uint8) for _ in range(4)]
    paths = write(tmp_path, [*flat, *noise, *photographs[:2]])
    assert near_duplicate_groups(paths).tolist() == list(range(10))


def test_a_file_that_cannot_be_read_is_alone(photographs: list[np.ndarray], tmp_path: Path) -> None:
    paths = write(tmp_path, [photographs[0]] * 4)
    paths[1].write_bytes(b"damaged")
    paths[2].unlink()
    assert near_duplicate_groups(paths).tolist() == [0, 1, 2, 0]
    assert near_duplicate_groups([]).tolist() == []


def test_copies_of_copies_are_one_group() -> None:
    random = np.random.default_rng(1)
    hashes = random.integers(0, 1 << 63, (3, 2, 2)).astype(np.uint64)
    chain = np.repeat(hashes[:1], 12, axis=0)
    chain[:, 0, 0] ^= np.array([(1 << (4 * i)) - 1 for i in range(12)], np.uint64)  # 4 bits a step
    mixed = np.concatenate([hashes[1:2], chain[::2], hashes[2:], chain[1::2]])
    assert group_hashes(mixed, 4).tolist() == [0, *[1] * 6, 7, *[1] * 6]
    assert group_hashes(mixed, 3).tolist() == list(range(14))


def test_both_hashes_must_agree() -> None:
    hashes = np.random.default_rng(2).integers(0, 1 << 63, (2, 2, 2)).astype(np.uint64)
    hashes[1, 0, 0] = hashes[0, 0, 0]
    assert group_hashes(hashes, 6).tolist() == [0, 1]
    hashes[1, 0, 1] = hashes[0, 0, 1] ^ np.uint64(0b111111)
    assert group_hashes(hashes, 6).tolist() == [0, 0]


def test_blocks_give_what_one_pass_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    hashes = random.integers(0, 1 << 63, (200, 2, 2)).astype(np.uint64)
    hashes[100:] = hashes[random.integers(0, 100, 100)] ^ random.integers(0, 4, (100, 1, 1)).astype(
        np.uint64
    )
    whole = group_hashes(hashes, 6)
    assert len(set(whole.tolist())) == 100
    monkeypatch.setattr("pipeline.dataset.layouts.near_duplicates.BLOCK_PAIRS", 1000)
    assert np.array_equal(group_hashes(hashes, 6), whole)


def test_a_mirrored_picture_has_the_two_hashes_the_other_way_round(
    photographs: list[np.ndarray],
) -> None:
    hashes, mirrored = (image_hashes(p) for p in (photographs[0], photographs[0][:, ::-1].copy()))
    assert hashes is not None
    assert mirrored is not None
    assert np.array_equal(hashes, mirrored[::-1])
