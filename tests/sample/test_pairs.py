"""Pairs that one kind of evidence tells apart: what must not tell them apart, measured on clips."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.frames.flow import DIMENSION
from pipeline.frames.motion import flow_of
from pipeline.frames.neighbours import Moment, Neighbourhood
from pipeline.sample import ACTIONS, FPS, PAIRED, PAIRS, write_sample
from pipeline.sample.actions import LENGTHS_OF_PAIRS, move
from pipeline.sample.figure import draw_actor
from pipeline.sample.render import WIDTH

ACTORS = 2
CODEC_ERROR = 8.0  # grey levels, mean over a frame; what MPEG-4 may change
FLOW = DIMENSION // 3  # statistics of the flow itself; those of its boundaries follow
STEP = 3  # frames from one sample to the next, at 8 samples a second


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """label -> a clip of each actor, (T, 240, 320, 3) uint8 BGR."""
    folder = tmp_path_factory.mktemp("pairs")
    labels = [*PAIRED, "sit_down", "stand_up"]
    paths = write_sample(folder, actions=labels, actors=ACTORS, takes=1, workers=1)
    found: dict[str, list[np.ndarray]] = {label: [] for label in labels}
    for path in paths:
        found[path.parent.name].append(decode(path))
    return found


def decode(path: Path) -> np.ndarray:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return np.stack(frames)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(T,) mean absolute difference of the frames, grey levels."""
    return np.abs(a.astype(np.int16) - b).mean(axis=(1, 2, 3))


def mean_boundaries(clip: np.ndarray) -> np.ndarray:
    """(256,) square roots of the motion boundaries, which no camera makes, averaged: no order."""
    passing, moments = Neighbourhood("stretch"), list[Moment]()
    for i, frame in enumerate(clip):
        moments += passing.add(i, frame, i / FPS, i % STEP == 0)
    moments += passing.end()
    return np.sqrt([flow_of(moment)[FLOW:] for moment in moments]).mean(axis=0)


def motion_apart(one: np.ndarray, other: np.ndarray) -> float:
    first, second = mean_boundaries(one), mean_boundaries(other)
    return float(np.linalg.norm(first - second) / np.linalg.norm(first))


def turns_of_stripes(clip: np.ndarray) -> np.ndarray:
    """(T,) how far the stripes of the banner have moved up, in spacings, modulo 1."""
    grey = clip.astype(np.float32).mean(axis=3)
    moving = np.abs(np.diff(grey, axis=0)).mean(axis=(0, 1))
    rows = grey[:, :120, moving > 0.7 * moving.max()].mean(axis=2)  # the crate is further down
    waves = np.fft.rfft((rows - rows.mean(axis=0)) * np.hanning(120), 960, axis=1)
    strongest = 12 + np.abs(waves[:, 12:]).mean(axis=0).argmax()
    return np.angle(waves[:, strongest]) / (2 * np.pi)


def around(turns: np.ndarray) -> np.ndarray:
    """The same modulo 1, from -1/2 to 1/2."""
    return (turns + 0.5) % 1 - 0.5


@pytest.mark.parametrize("evidence", PAIRS)
def test_members_last_equally_long(clips: dict[str, list[np.ndarray]], evidence: str) -> None:
    first, second = ([len(clip) for clip in clips[label]] for label in PAIRS[evidence])
    assert first == second


@pytest.mark.parametrize("movement", sorted({action.movement for action in PAIRED.values()}))
def test_lengths_and_tempos_vary_widely(movement: str) -> None:
    fastest, lengths = [], set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        drawn = move(movement, draw_actor(rng, 1), rng)
        lengths.add(len(drawn.poses.lean))
        tracks = [drawn.poses.hands, *(cuboid.centre[:, None] for cuboid in drawn.cuboids)]
        speeds = np.linalg.norm(np.diff(np.concatenate(tracks, axis=1), axis=0), axis=2)
        fastest.append(speeds[speeds < 0.2].max())  # a stripe that starts anew jumps
    assert lengths == set(LENGTHS_OF_PAIRS)
    assert max(fastest) > 1.5 * min(fastest)


@pytest.mark.parametrize("evidence", ["order", "motion"])
def test_members_show_the_same_pictures_in_opposite_order(
    clips: dict[str, list[np.ndarray]], evidence: str
) -> None:
    first, second = PAIRS[evidence]
    assert ACTIONS[first].movement == ACTIONS[second].movement
    for one, other in zip(clips[first], clips[second], strict=True):
        assert difference(one, other[::-1]).max() < CODEC_ERROR
        assert difference(one[::STEP], other[::STEP][::-1]).max() < CODEC_ERROR


def test_without_order_motion_tells_the_pair_of_motion_apart_and_not_that_of_order(
    clips: dict[str, list[np.ndarray]],
) -> None:
    apart = {
        labels: np.array(
            [motion_apart(*pair) for pair in zip(*map(clips.get, labels), strict=True)]
        )
        for labels in (*PAIRS.values(), ("sit_down", "stand_up"))
    }
    assert apart[PAIRS["order"]].max() < 0.5 * apart["sit_down", "stand_up"].min()
    assert apart[PAIRS["order"]].max() < 0.5 * apart[PAIRS["motion"]].min()


def test_at_8_samples_a_second_stripes_look_alike_whichever_way_they_run(
    clips: dict[str, list[np.ndarray]],
) -> None:
    for up, down in zip(*(clips[label] for label in PAIRS["motion"]), strict=True):
        turned = {"up": turns_of_stripes(up), "down": turns_of_stripes(down)}
        steps = {way: around(np.diff(turns)) for way, turns in turned.items()}
        assert 0.05 < steps["up"].min() < steps["up"].max() < 0.3
        assert -0.3 < steps["down"].min() < steps["down"].max() < -0.05
        sampled = around(turned["up"][::STEP] - turned["down"][::STEP])
        assert np.abs(sampled).max() < 0.12
        between = around(turned["up"] - turned["down"])
        assert np.abs(between).max() > 0.25


def test_the_pair_of_place_is_the_same_person_before_the_same_background(
    clips: dict[str, list[np.ndarray]],
) -> None:
    left, right = PAIRS["place"]
    shift = round(ACTIONS[right].aside * WIDTH) - round(ACTIONS[left].aside * WIDTH)
    for one, other in zip(clips[left], clips[right], strict=True):
        differs = np.abs(one.astype(np.int16) - other).max(axis=3) > 60
        there = differs[..., :-shift] & differs[..., shift:]  # the person, as seen on the left
        assert 0.01 < there.mean() < 0.2
        assert there.any(axis=1).argmax(axis=1).max() < WIDTH / 3
        moved = np.abs(one[..., :-shift, :].astype(np.int16) - other[..., shift:, :])[there]
        assert moved.mean() < CODEC_ERROR
        person = cv2.dilate(differs.any(axis=0).astype(np.uint8), np.ones((15, 15))) > 0
        elsewhere = np.abs(one.astype(np.int16) - other)[:, ~person]
        assert elsewhere.mean() < CODEC_ERROR / 2
        assert np.abs(one.mean(axis=(0, 1, 2)) - other.mean(axis=(0, 1, 2))).max() < 5
        assert abs(float(one.std()) - float(other.std())) < 3


def test_a_member_alone_is_the_same_bytes(tmp_path: Path) -> None:
    both = write_sample(tmp_path / "both", actions=PAIRS["place"], actors=1, takes=1)
    (alone,) = write_sample(tmp_path / "alone", actions=["wave_right"], actors=1, takes=1)
    assert alone.read_bytes() == both[1].read_bytes()


def test_the_command_renders_pairs_where_asked(tmp_path: Path) -> None:
    arguments = ["sample", str(tmp_path / "pairs"), "--pairs", "--actors", "1", "--takes", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert {path.parent.name for path in tmp_path.rglob("*.mp4")} == set(PAIRED)
    assert "6 videos of 6 actions" in result.output
