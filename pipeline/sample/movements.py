"""The movements that people know, drawn at random, and what movements are made of."""

import colorsys
from dataclasses import dataclass, replace

import numpy as np

from pipeline.sample.figure import (
    ANKLE,
    SHANK,
    STANDING,
    THIGH,
    Actor,
    Colour,
    Poses,
    concatenate,
    interpolate,
    shoulders,
    standing,
)

FPS = 24  # frames/s; sampling at 12, 8, 6, 4, 3 or 2 frames/s takes every second, third, ... frame
GROUP_OF_PICTURES = 12  # frames from one key frame of the encoder to the next
# A whole number of groups and one frame more: played backwards, a clip has its key frames and its
# samples at the same pictures as played forwards.
LENGTHS = tuple(GROUP_OF_PICTURES * groups + 1 for groups in (4, 5, 6))  # frames; 2.0, 2.5, 3.0 s

SEAT = 0.265  # height of a chair's seat
CHAIR_X = -0.25  # from the ankles back to the middle of the seat


@dataclass(frozen=True)
class Cuboid:
    """A solid that stands or moves with the person.

    Attributes
    ----------
    centre : (T, 3), body heights, in the person's axes
    size : lengths along x, y and z, body heights
    colour : blue, green, red
    """

    centre: np.ndarray
    size: tuple[float, float, float]
    colour: Colour


@dataclass(frozen=True)
class Movement:
    """What happens in a clip, in the person's axes.

    Attributes
    ----------
    poses : T poses
    cuboids : chair, box
    yaw : radians; 0 faces the camera, pi/2 faces right
    reach : height of the picture that the movement needs, body heights
    """

    poses: Poses
    cuboids: tuple[Cuboid, ...]
    yaw: float
    reach: float = 1.06


def ramp(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(T,) phase from 0 to 1: still, a smooth way over, still.

    The curve is its own reversal but for the moments at rest, whose lengths are drawn alike.
    """
    spare = frames - 1 - rng.uniform(0.62, 0.78) * (frames - 1)
    before = spare * rng.uniform(0.25, 0.75)
    s = np.clip((np.arange(frames) - before) / (frames - 1 - spare), 0.0, 1.0)
    return 0.5 * s + 0.5 * s**2 * (3 - 2 * s)


def side_view(rng: np.random.Generator) -> float:
    return float(rng.choice([-1.0, 1.0]) * np.radians(rng.uniform(55, 90)))


def front_view(rng: np.random.Generator) -> float:
    return float(np.radians(rng.uniform(-35, 35)))


def key_pose(**changes: object) -> Poses:
    """One standing pose with some fields changed; hands and ankles for the left, mirrored."""
    pose = standing(1)
    values = {}
    for name, value in changes.items():
        array = np.asarray(value, np.float64)
        if name in ("hands", "ankles"):
            array = np.stack([array, array * [1, -1, 1]])
        values[name] = array[None]
    return replace(pose, **values)


def seat(actor: Actor, frames: int, rng: np.random.Generator) -> Movement:
    """Stand before a chair, then sit on it."""
    bow = rng.uniform(0.5, 0.75)
    seated = SEAT + 0.052
    keys = [
        key_pose(),
        key_pose(pelvis=[-0.13, 0, 0.435], lean=bow, nod=-0.25, hands=[0.17, 0.03, -0.27]),
        key_pose(
            pelvis=[CHAIR_X - 0.01, 0, seated],
            lean=rng.uniform(-0.12, 0.04),
            hands=[rng.uniform(0.15, 0.2), -0.01, -0.225],
        ),
    ]
    poses = interpolate(concatenate(keys), np.array([0.0, 0.45, 1.0]), ramp(frames, rng))
    colour = paint(rng)
    return Movement(poses, chair(frames, colour, CHAIR_X, 0.0), side_view(rng))


def lift(actor: Actor, frames: int, rng: np.random.Generator) -> Movement:
    """Stand before a box on the floor, bend down to it, and rise with it in the hands."""
    size = rng.uniform(0.24, 0.30)
    box_x = rng.uniform(0.25, 0.29) + size / 6
    squat = rng.uniform(0.22, 0.29)
    down = key_pose(pelvis=[-0.09, 0, squat], lean=1.0 + (squat - 0.22) * 2.5, nod=-0.35)
    grip = np.array([box_x - 0.03, size / 2, size * 0.55])
    reach = (np.stack([grip, grip * [1, -1, 1]]) - shoulders(actor, down)[0]) / actor.arms
    down = replace(down, hands=reach[None])
    carry_z = rng.uniform(-0.15, -0.05)
    up = key_pose(hands=[0.235, 0, carry_z], lean=-0.04)
    up.hands[0, :, 1] = reach[:, 1]
    phase = ramp(frames, rng)
    keys = concatenate([key_pose(nod=0.3), down, up])
    poses = interpolate(keys, np.array([0.0, 0.5, 1.0]), phase)
    hands = shoulders(actor, poses) + poses.hands * actor.arms
    carried = hands.mean(axis=1) + np.array([0.03, 0, -size * 0.05])
    lying = carried[np.argmin(np.abs(phase - 0.5))] * [1, 0, 0] + np.array([0, 0, size / 2])
    centre = np.where((phase > 0.5)[:, None], carried, lying)
    colour = paint(rng) if rng.random() < 0.5 else (95.0, 150.0, 195.0)
    return Movement(poses, (Cuboid(centre, (size, size, size), colour),), side_view(rng))


def wave(actor: Actor, frames: int, rng: np.random.Generator) -> Movement:
    """Wave a raised hand."""
    cycle = cycles(frames, rng, 1.4, 2.2)
    arm = int(rng.integers(2))
    sign = 1 - 2 * arm
    poses = standing(frames)
    angle = rng.uniform(0.1, 0.3) + rng.uniform(0.5, 0.75) * np.sin(cycle)
    elbow = np.array([0.03, 0.15 * sign, rng.uniform(0.02, 0.1)])
    hand = np.stack([0 * angle + 0.04, sign * np.sin(angle), np.cos(angle)], axis=1) * 0.17
    poses.hands[:, arm] = elbow + hand
    sway = 0.012 * np.sin(cycle / 2)
    poses.pelvis[:, 1] += sway
    return Movement(replace(poses, side=sign * 0.04 + sway), (), front_view(rng), reach=1.1)


def jumping_jacks(actor: Actor, frames: int, rng: np.random.Generator) -> Movement:
    """Jump: feet apart and hands over the head, feet together and hands down."""
    cycle = cycles(frames, rng, 0.9, 1.3)
    spread = 0.5 - 0.5 * np.cos(cycle)
    hop = np.abs(np.sin(cycle)) * rng.uniform(0.03, 0.06)
    poses = standing(frames)
    for i, sign in enumerate((1, -1)):
        angle = 0.15 + spread * rng.uniform(2.6, 2.8)
        poses.hands[:, i] = 0.35 * np.stack(
            [0 * angle + 0.08, sign * np.sin(angle), -np.cos(angle)], axis=1
        )
        poses.ankles[:, i, 1] = sign * (0.05 + 0.13 * spread)
        poses.ankles[:, i, 2] += hop
        poses.toes[:, i] = -6 * hop
    poses.pelvis[:, 2] += hop - 0.035 * spread
    return Movement(poses, (), front_view(rng), reach=1.34)


def walk(actor: Actor, frames: int, rng: np.random.Generator) -> Movement:
    """Walk past the camera."""
    cycle = cycles(frames, rng, 0.85, 1.15)
    stride = rng.uniform(0.40, 0.50)  # radians that a thigh swings each way
    poses = standing(frames)
    for i in range(2):
        swing = cycle + np.pi * i
        thigh = 0.06 + stride * np.sin(swing)
        knee = 0.12 + 0.85 * np.maximum(0.0, np.cos(swing)) ** 1.5
        poses.ankles[:, i, 0] = THIGH * np.sin(thigh) + SHANK * np.sin(thigh - knee)
        poses.ankles[:, i, 2] = -THIGH * np.cos(thigh) - SHANK * np.cos(thigh - knee)
        poses.toes[:, i] = 0.35 * np.sin(swing) - 0.3 * np.maximum(0.0, np.cos(swing))
        arm = -0.8 * stride * np.sin(swing)
        poses.hands[:, i, 0] = 0.33 * np.sin(arm) + 0.06
        poses.hands[:, i, 2] = -0.33 * np.cos(arm)
    poses.pelvis[:, 2] = ANKLE - poses.ankles[:, :, 2].min(axis=1)
    poses.ankles[:, :, 2] += poses.pelvis[:, 2, None]
    # In a cycle the body passes once over each foot, by the width of that foot's swing.
    speed = 4 * np.sin(stride) * (THIGH + SHANK) * 0.92 / (2 * np.pi)
    travel = speed * (cycle - cycle.mean())
    poses.pelvis[:, 0] += travel
    poses.ankles[:, :, 0] += travel[:, None]
    turn = 0.18 * np.sin(cycle)
    yaw = float(rng.choice([-1.0, 1.0]) * np.radians(rng.uniform(68, 96)))
    return Movement(replace(poses, lean=0 * cycle + 0.07, turn=turn), (), yaw)


def punch(actor: Actor, frames: int, rng: np.random.Generator) -> Movement:
    """Box: straight punches, left and right in turn, out of a guard."""
    cycle = cycles(frames, rng, 0.9, 1.3)
    ahead = rng.choice([-1.0, 1.0])
    poses = standing(frames)
    for i, sign in enumerate((1, -1)):
        out = np.maximum(0.0, np.sin(cycle + np.pi * i)) ** 1.5
        guard = np.array([0.13, -0.03 * sign, 0.0])
        strike = np.array([0.35, -0.08 * sign, 0.03])
        poses.hands[:, i] = guard + out[:, None] * (strike - guard)
        poses.ankles[:, i, 0] = 0.13 * sign * ahead
    poses.pelvis[:, 2] = STANDING - 0.045 + 0.008 * np.cos(2 * cycle)
    poses.pelvis[:, 0] += 0.02
    turn = -0.45 * np.sin(cycle)
    return Movement(replace(poses, lean=0 * cycle + 0.12, turn=turn), (), side_view(rng))


def chair(frames: int, colour: Colour, x: float, y: float) -> tuple[Cuboid, ...]:
    """A chair whose seat has its middle at (x, y) and which faces the person's way."""

    def part(dx: float, dy: float, z: float, size: tuple[float, float, float]) -> Cuboid:
        return Cuboid(np.tile([x + dx, y + dy, z], (frames, 1)), size, colour)

    legs = [
        part(dx, dy, SEAT / 2, (0.022, 0.022, SEAT)) for dx in (-0.1, 0.1) for dy in (-0.1, 0.1)
    ]
    posts = [part(-0.11, dy, SEAT + 0.14, (0.02, 0.02, 0.28)) for dy in (-0.1, 0.1)]
    back = part(-0.115, 0, SEAT + 0.21, (0.025, 0.24, 0.14))
    return (*legs, *posts, back, part(0, 0, SEAT - 0.012, (0.25, 0.25, 0.03)))


def paint(rng: np.random.Generator) -> Colour:
    """A strong colour, as chairs and boxes have."""
    red, green, blue = colorsys.hsv_to_rgb(
        rng.random(), rng.uniform(0.6, 0.95), rng.uniform(150, 235)
    )
    return blue, green, red


def cycles(frames: int, rng: np.random.Generator, slowest: float, fastest: float) -> np.ndarray:
    """(T,) radians of a movement that repeats `slowest` to `fastest` times a second."""
    rate = rng.uniform(slowest, fastest)
    return rng.uniform(0, 2 * np.pi) + 2 * np.pi * rate * np.arange(frames) / FPS
