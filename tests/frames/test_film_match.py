"""Two films of the same moments agree, whatever was done to one; two takes of one scene do not."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import ClipError
from pipeline.frames.film_match import COPY, agreement
from pipeline.frames.films import SECONDS, SIDE, Film, read_film
from pipeline.frames.sources import file_source

FPS = 25


def take(seed: int, frames: int = 60) -> np.ndarray:
    """A person of two discs who walks through the same room, another way each time."""
    room = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (144, 180)), (0, 0), 4)
    room = (room - room.min()) / (room.max() - room.min()) * 160 + 40
    random, pictures = np.random.default_rng(seed), []
    phase, speed = random.uniform(0, 6, 4), random.uniform(2, 5, 4)
    for frame in range(frames):
        picture, seconds = room.copy(), frame / FPS
        x, y, turn, nod = np.sin(phase + speed * seconds)
        body = (int(90 + 45 * x), int(80 + 20 * y))
        cv2.circle(picture, body, 16, 15, -1)
        cv2.circle(picture, (body[0] + int(18 * turn), body[1] - 22 + int(6 * nod)), 8, 240, -1)
        pictures.append(picture.astype(np.uint8))
    return np.stack(pictures)


def encoded(path: Path, pictures: np.ndarray) -> Film:
    height, width = pictures.shape[1:]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, (width, height))
    for picture in pictures:
        writer.write(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_GRAY2BGR))
    writer.release()
    return read_film(file_source(path))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return encoded(tmp_path_factory.mktemp("films") / "original.mp4", take(1))


CHANGES = {
    "again": lambda pictures: pictures,
    "cropped": lambda pictures: pictures[:, 14:-14, 18:-18],
    "mirrored and cropped": lambda pictures: pictures[:, 8:-8, 10:-10][:, :, ::-1],
    "half": lambda pictures: np.stack([cv2.resize(one, (90, 72)) for one in pictures]),
    "brighter": lambda pictures: np.stack(
        [cv2.convertScaleAbs(one, alpha=1.3) for one in pictures]
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_agrees(tmp_path: Path, original: Film, change: str) -> None:
    copy = encoded(tmp_path / "copy.mp4", CHANGES[change](take(1)))
    assert agreement(original, copy) > COPY
    assert agreement(copy, original) > COPY


def test_a_copy_that_begins_later_agrees_near_the_right_lag(tmp_path: Path, original: Film) -> None:
    copy = encoded(tmp_path / "copy.mp4", take(1)[10:])
    assert agreement(original, copy, -0.3) > 0.95  # it is -0.4
    assert agreement(original, copy, 1.0) < COPY


def test_another_take_in_the_same_room_does_not_agree(tmp_path: Path, original: Film) -> None:
    assert max(
        agreement(original, encoded(tmp_path / f"{seed}.mp4", take(seed))) for seed in range(2, 8)
    ) < COPY  # fmt: skip


def test_a_film_that_only_fits_when_slanted_is_no_copy(tmp_path: Path, original: Film) -> None:
    slant = np.array([[1, 0.3, -20], [0, 1, 0]], np.float32)
    slanted = [
        cv2.warpAffine(picture, slant, picture.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        for picture in take(1)
    ]
    assert agreement(original, encoded(tmp_path / "slanted.mp4", np.stack(slanted))) < COPY


def test_where_nothing_moves_there_is_nothing_to_agree_on(original: Film) -> None:
    still = Film(np.repeat(original.pictures[:1], 50, axis=0), np.arange(50) / FPS)
    assert agreement(still, still) == 0
    assert agreement(original, still) == 0


def test_a_film_is_small_and_short(tmp_path: Path) -> None:
    film = encoded(tmp_path / "long.mp4", take(3, frames=12 * FPS))
    assert film.pictures.shape[1:] == (77, SIDE)
    assert film.times[-1] < SECONDS
    part = read_film(file_source(tmp_path / "long.mp4"), (2.0, 3.0))
    assert len(part.times) == FPS
    assert part.times[0] == pytest.approx(0, abs=0.001)
    assert np.array_equal(part.pictures[0], film.at(np.array([2.0]))[0].astype(np.uint8))


def test_one_frame_is_no_film(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), take(1)[0])
    with pytest.raises(ClipError, match="fewer than two frames"):
        read_film(file_source(tmp_path / "one.png"))
