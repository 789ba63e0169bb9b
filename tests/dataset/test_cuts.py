"""Videos put together again from frames that have only a running number."""

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.dataset.layouts.cuts import Changes, find_cuts, is_cut, measure_changes
from pipeline.frames.video import VideoReader

Write = Callable[[Iterable[np.ndarray]], list[Path]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes pictures as 0.jpg, 1.jpg, ... and gives the paths."""

    def write(pictures: Iterable[np.ndarray]) -> list[Path]:
        paths = []
        for i, picture in enumerate(pictures):
            paths.append(tmp_path / f"{i}.jpg")
            cv2.imwrite(str(paths[-1]), picture)
        return paths

    return write


def scene(seed: int, width: int = 160, height: int = 120) -> np.ndarray:
    """A soft picture of many colours."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 15, width // 15, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def person_walks(seed: int, frames: int = 20) -> list[np.ndarray]:
    """A standing camera; what moves covers a fifth of the picture, and moves fast."""
    pictures = []
    for i in range(frames):
        picture = scene(seed)
        left = abs((13 * i) % 240 - 120)
        cv2.rectangle(picture, (left, 10), (left + 36, 110), (20, 30, 20 + seed % 200), -1)
        pictures.append(picture)
    return pictures


def camera_pans(seed: int, frames: int = 20, speed: int = 1) -> list[np.ndarray]:
    """Everything moves, all the time."""
    wide = scene(seed, 160 + speed * frames)
    return [wide[:, speed * i : speed * i + 160] for i in range(frames)]


def starts(videos: list[list[np.ndarray]]) -> list[int]:
    return np.cumsum([0, *(len(video) for video in videos[:-1])]).tolist()


def test_standing_and_moving_cameras_are_told_apart_where_they_meet(write: Write) -> None:
    videos = [person_walks(1), camera_pans(2), camera_pans(3), person_walks(4), person_walks(5, 9)]
    assert find_cuts(write(list(itertools.chain(*videos)))).tolist() == starts(videos)


@pytest.mark.parametrize("made", [person_walks, camera_pans])
def test_one_video_has_no_cut(write: Write, made) -> None:
    assert find_cuts(write(made(7, 40))).tolist() == [0]


def test_repeated_frames_are_no_cuts(write: Write) -> None:
    """Of 10 frames a second that were stored as 30, two in three change nothing."""
    repeated = [picture for picture in camera_pans(8, 14) for _ in range(3)]
    videos = [repeated, person_walks(9), repeated]
    assert find_cuts(write(list(itertools.chain(*videos)))).tolist() == starts(videos)


def test_a_flash_and_a_damaged_file_are_no_cuts(write: Write) -> None:
    video = person_walks(10, 30)
    video[8] = np.full_like(video[8], 255)
    paths = write([*video, *person_walks(11)])
    paths[20].write_bytes(b"damaged")
    assert find_cuts(paths).tolist() == [0, 30]


def test_another_size_is_another_video_whatever_it_shows(write: Write) -> None:
    video = person_walks(12)
    assert find_cuts(write([*video, *(cv2.resize(p, (320, 240)) for p in video)])).tolist() == [
        0, 20,
    ]  # fmt: skip


def test_a_number_that_skips_lets_a_smaller_change_count() -> None:
    nothing = np.zeros(40, bool)
    change = np.full(40, 0.1)
    change[19] = 1.0
    gap = nothing.copy()
    gap[[5, 19]] = True
    there = {"over": change, "repeated": nothing, "sure": nothing}
    assert not is_cut(Changes(change, gap=nothing, **there)).any()
    assert np.flatnonzero(is_cut(Changes(change, gap=gap, **there))).tolist() == [19]


def test_numbers_that_skip_now_and_then_are_noticed(write: Write, tmp_path: Path) -> None:
    paths = write(person_walks(13, 40))
    assert not measure_changes(paths).gap.any()
    skipped = [path.rename(tmp_path / f"f{500 + i}.jpg") for i, path in enumerate(paths[20:])]
    assert np.flatnonzero(measure_changes([*paths[:20], *skipped]).gap).tolist() == [19]
    every_third = [path.rename(tmp_path / f"g{3 * i}.jpg") for i, path in enumerate(paths[:20])]
    assert not measure_changes(every_third).gap.any()


def test_few_frames_are_one_video_unless_they_have_nothing_in_common(write: Write) -> None:
    assert find_cuts([]).tolist() == []
    assert find_cuts(write(person_walks(14, 1))).tolist() == [0]
    assert find_cuts(write(camera_pans(14, 2))).tolist() == [0]
    assert find_cuts(write([scene(15), 255 - scene(15)])).tolist() == [0, 1]


@pytest.mark.parametrize("label", ["weizmann/bend", "weizmann/skip", "ut_interaction/pushing"])
def test_videos_of_real_people_are_found_again(write: Write, shared_data: Path, label: str) -> None:
    frames: list[np.ndarray] = []
    true = []
    for path in sorted((shared_data / label).iterdir())[:9]:
        true.append(len(frames))
        for _, image in VideoReader(path).frames(lambda index, seconds: True):
            frames.append(cv2.resize(image, (180, 144)))  # the size gives nothing away
    assert find_cuts(write(frames)).tolist() == true
