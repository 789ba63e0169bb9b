"""The sample data set: real files, the same every time, whose reversals hold the same frames."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import DatasetError
from pipeline.sample import ACTIONS, FPS, REVERSALS, write_sample
from pipeline.sample.movements import GROUP_OF_PICTURES

CODEC_ERROR = 8.0  # grey levels, mean over a frame; what MPEG-4 may change


def decode(path: Path) -> np.ndarray:
    """(T, 240, 320, 3) uint8."""
    capture = cv2.VideoCapture(str(path))
    assert round(capture.get(cv2.CAP_PROP_FPS)) == FPS
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return np.stack(frames)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(T,) mean absolute difference of the frames, grey levels."""
    return np.abs(a.astype(np.int16) - b).mean(axis=(1, 2, 3))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("sample")
    return folder, write_sample(folder, actions=REVERSALS[0], actors=2, takes=1)


def test_writes_labels_and_groups(pair: tuple[Path, list[Path]]) -> None:
    folder, paths = pair
    names = [path.relative_to(folder).as_posix() for path in paths]
    assert names == [
        "pick_up/actor01_take1.mp4",
        "pick_up/actor02_take1.mp4",
        "put_down/actor01_take1.mp4",
        "put_down/actor02_take1.mp4",
    ]
    assert {path.name.split("_")[0] for path in paths} == {"actor01", "actor02"}
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == paths


def test_clips_are_whole_and_full_of_movement(pair: tuple[Path, list[Path]]) -> None:
    for path in pair[1]:
        clip = decode(path)
        assert clip.shape[1:] == (240, 320, 3)
        assert 2.0 <= len(clip) / FPS <= 3.5
        assert len(clip) % GROUP_OF_PICTURES == 1
        assert clip.std() > 15
        assert difference(clip[:1], clip[-1:])[0] > 3


def test_members_of_a_pair_are_each_other_backwards(pair: tuple[Path, list[Path]]) -> None:
    folder, _ = pair
    for name in ("actor01_take1.mp4", "actor02_take1.mp4"):
        forwards, backwards = (decode(folder / label / name) for label in REVERSALS[0])
        reversed_error = difference(forwards, backwards[::-1])
        assert reversed_error.max() < CODEC_ERROR
        assert difference(forwards, backwards).max() > 2 * reversed_error.max()
        for rate in (8, 6, 4):  # samples a second: the same pictures either way
            step = FPS // rate
            sampled = difference(forwards[::step], backwards[::step][::-1])
            assert sampled.max() < CODEC_ERROR


def test_every_pair_shares_its_movement() -> None:
    for first, second in REVERSALS:
        assert ACTIONS[first].movement == ACTIONS[second].movement
        assert ACTIONS[first].backwards != ACTIONS[second].backwards


def test_same_seed_same_bytes(pair: tuple[Path, list[Path]], tmp_path: Path) -> None:
    _, paths = pair
    seen: list[tuple[int, int]] = []
    again = write_sample(
        tmp_path, actions=["put_down"], actors=2, takes=1, progress=lambda *n: seen.append(n)
    )
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths[2:]]
    assert seen == [(1, 2), (2, 2)]
    other = write_sample(tmp_path, actions=["put_down"], actors=2, takes=1, seed=1)
    assert [path.read_bytes() for path in other] != [path.read_bytes() for path in paths[2:]]


def test_worker_processes_give_the_same_bytes(
    pair: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    paths = write_sample(tmp_path, actions=["pick_up"], actors=12, takes=1, workers=2)
    assert len(paths) == 12
    assert paths[0].read_bytes() == pair[1][0].read_bytes()


@pytest.mark.parametrize("name", ["notes.txt", "Basketball/game_1.mp4", "walk/actor01_take1.mp4"])
def test_refuses_a_folder_with_other_files(tmp_path: Path, name: str) -> None:
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(b"a user's own data, whatever it is called")
    with pytest.raises(DatasetError, match="not part of this sample"):
        write_sample(tmp_path, actions=["walk"], actors=1, takes=1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    assert mine.read_bytes() == b"a user's own data, whatever it is called"


def test_ignores_hidden_files(tmp_path: Path) -> None:
    (tmp_path / ".gitkeep").touch()
    assert len(write_sample(tmp_path, actions=["walk"], actors=1, takes=1)) == 1


def test_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no action fly: choose from bow_stretch, hoist"):
        write_sample(tmp_path, actions=["fly"])
    with pytest.raises(DatasetError, match="actors of the sample is 0"):
        write_sample(tmp_path, actors=0)
