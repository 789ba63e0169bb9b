"""Movements of pairs of classes that one kind of evidence tells apart, and nothing else does.

`bow_and_stretch`: **order**. A bow and a stretch, one after the other, each of which looks the same
backwards. Played backwards, the clip has the same pictures and, at the same pictures, the same
motion, so that statistics of either say nothing; which came first does. How long each takes, how
long the person stands still before, between and after, and how deep it goes are drawn widely.

`haul`: **motion**. A striped banner runs up or down through a hand. From one sample to the next, at
8 a second, the stripes move by half their spacing and a bit, and stripes that moved up by a half
and a bit look like stripes that moved down by a half less that bit. How the bit changes over the
clip is drawn such that the samples show the same stripes in the same order whichever way the banner
runs: to a CNN that sees 8 frames a second both are one, in order or without, and so is the
difference of two frames, which has no sign. From one frame to the next the stripes move by about a
sixth of their spacing, which optical flow follows. At other rates of sampling order may tell as
well.

`wave_aside`: **place**. The same person waves, in the left or in the right third of the same place:
the same pixels, put elsewhere. The mean over a picture has little of that: only what a CNN sees of
the edges of a picture. Place is also known to statistics of flow that are counted in cells. The
mirrored view exchanges the two classes.

In all three what the members of a pair do not differ in is drawn once for both, tempo and length
included.
"""

from dataclasses import replace

import numpy as np

from pipeline.sample.figure import Actor, Colour, concatenate, interpolate, standing
from pipeline.sample.movements import (
    Cuboid,
    Movement,
    cycles,
    front_view,
    key_pose,
    paint,
    side_view,
)

STEP = 1 / 6  # spacings by which stripes move from frame to frame, at 24 frames/s
BITS = 0.02, 0.055  # spacings; at most this much more or less than that, in a clip
BANNER_WIDTH, BANNER_TOP = 0.32, 1.7  # body heights; the top is outside the picture
CRATE = (0.22, 0.44, 0.36)  # body heights; hides where stripes come from and go to
# Picture widths from the middle to where a person waves aside. Left and right are 96 of 224 pixels
# apart, three steps of the grid on which MobileNetV2 computes, so that it sees both alike.
ASIDE = 3 / 14


def bow_and_stretch(actor: Actor, frames: int, rng: np.random.Generator) -> Movement:
    """Bow, stand up straight, stretch both arms up, let them sink."""
    bow = key_pose(
        pelvis=[-0.1, 0, 0.5],
        lean=rng.uniform(0.8, 1.25),
        nod=-0.1,
        hands=[0.08, 0.02, -0.33],
    )
    high = rng.uniform(0.28, 0.34)
    stretch = key_pose(hands=[0.05, rng.uniform(0.0, 0.14), high], lean=-0.05, nod=-0.15)
    # still, bow, still, stretch, still
    shares = rng.uniform([0.05, 0.8, 0.05, 0.8, 0.05], [0.8, 2.0, 0.8, 2.0, 0.8])
    ends = np.cumsum(shares)[:4] / shares.sum() * (frames - 1)
    phase = np.zeros(frames)
    for start, end, sign in ((ends[0], ends[1], -1), (ends[2], ends[3], 1)):
        phase += sign * _there_and_back(frames, start, end, rng.uniform(0.1, 0.5))
    keys = concatenate([bow, key_pose(), stretch])
    poses = interpolate(keys, np.array([-1.0, 0.0, 1.0]), phase)
    return Movement(poses, (), side_view(rng), reach=1.34)


def haul(actor: Actor, frames: int, rng: np.random.Generator) -> Movement:
    """Let a striped banner run up through a hand, out of a crate."""
    side = rng.choice([-1.0, 1.0])
    poses = standing(frames)
    arm = 0 if side > 0 else 1
    since_middle = np.linspace(-1, 1, frames)
    swing = np.cos(np.pi * rng.uniform(0.5, 3) * since_middle) * rng.choice([-1.0, 1.0])
    poses.hands[:, arm] = np.stack(
        [0 * swing + 0.1, side * (0.22 + 0 * swing), 0.02 + rng.uniform(0.03, 0.12) * swing], axis=1
    )
    spacing = rng.uniform(0.2, 0.34)
    # The bit is odd around the middle of the clip, so its sum is even; the rest sums to a whole
    # number over a clip, and to 1/2 between samples. So the sum at a sample is, but for whole
    # spacings, what it is at the sample as far from the other end.
    waves = int(rng.integers(1, 4)) * np.pi
    bit = rng.choice([-1.0, 1.0]) * rng.uniform(*BITS) * (frames - 1) / (2 * waves)
    phase = rng.uniform() + STEP * np.arange(frames) + bit * np.cos(waves * since_middle)
    middle = side * (0.105 + 0.22 + BANNER_WIDTH / 2)
    colour, shade = paint(rng), rng.uniform(190, 240)

    def hung(
        x: float, height: np.ndarray, size: tuple[float, float, float], tone: Colour
    ) -> Cuboid:
        there = np.stack([0 * height + x, 0 * height + middle, height], axis=1)
        return Cuboid(there, size, tone)

    still = np.zeros(frames)
    cloth = hung(-0.02, still + BANNER_TOP / 2, (0.004, BANNER_WIDTH, BANNER_TOP), (shade,) * 3)
    stripes = [
        hung(-0.01, ((i + phase) % count) * spacing, (0.004, BANNER_WIDTH, spacing / 2), colour)
        for count in [int(BANNER_TOP / spacing)]
        for i in range(count)
    ]
    crate = hung(CRATE[0] / 2 + 0.02, still + CRATE[2] / 2, CRATE, (70.0, 120.0, 165.0))
    return Movement(poses, (cloth, *stripes, crate), front_view(rng) / 2)


def wave_aside(actor: Actor, frames: int, rng: np.random.Generator) -> Movement:
    """Wave a raised hand, further away from the camera."""
    cycle = cycles(frames, rng, 0.7, 2.6)
    arm = int(rng.integers(2))
    sign = 1 - 2 * arm
    poses = standing(frames)
    angle = rng.uniform(0.0, 0.3) + rng.uniform(0.35, 0.8) * np.sin(cycle)
    hand = np.stack([0 * angle + 0.04, sign * np.sin(angle), np.cos(angle)], axis=1) * 0.17
    poses.hands[:, arm] = np.array([0.03, 0.15 * sign, rng.uniform(0.02, 0.1)]) + hand
    yaw = front_view(rng)
    return Movement(replace(poses, side=0 * angle + sign * 0.04), (), yaw, rng.uniform(1.45, 1.9))


def _there_and_back(frames: int, start: float, end: float, held: float) -> np.ndarray:
    """(T,) 0 up to frame `start` and from `end` on, 1 in the middle for the share `held` of the
    time between; the same backwards as forwards.
    """
    away = np.abs(np.arange(frames) - (start + end) / 2) / ((end - start) / 2)
    s = np.clip((1 - away) / (1 - held), 0.0, 1.0)
    return s**2 * (3 - 2 * s)
