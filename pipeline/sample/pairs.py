"""Movements of pairs of classes that one kind of evidence tells apart, and nothing else does.

`bow_and_stretch`: **order**. A bow and a stretch, one after the other, each of which looks the same
backwards. Played backwards, the clip has the same pictures and, at the same pictures, the same
motion, so that statistics of either say nothing; which came first does. How long each takes, how
long the person stands still before, between and after, and how deep it goes are drawn widely.

`haul`: **motion**. A striped banner runs up or down through a hand. Any one picture may be of
either, and so may any two that are an eighth of a second apart: the stripes move by a third to two
thirds of their spacing between samples at 8 a second, as often by a share x as by 1 - x, and
stripes that moved up by x look as if they had moved down by 1 - x. So a CNN that embeds 8 frames
a second, in whatever order, learns nothing from them; nor does the difference of two frames, which
has no sign. Between neighbouring frames the stripes move by less than a quarter of their spacing,
which optical flow follows. At other rates of sampling order may tell as well.

`wave_aside`: **place**. The same person waves, in the left or in the right third of the same place:
the same pixels, put elsewhere. The mean over a picture has next to nothing of that, and neither
does what moves; the mirrored view exchanges the two classes.

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

# Stripes move by this many of their spacings from frame to frame, at 24 frames/s. The range lies
# evenly around 1/6: three frames, a sample at 8 a second, move them by 1/2 on average.
SLOWEST, FASTEST = 1 / 6 - 0.055, 1 / 6 + 0.055
BANNER_WIDTH, BANNER_TOP = 0.32, 1.7  # body heights; the top is outside the picture
CRATE = (0.22, 0.44, 0.36)  # body heights; hides where stripes come from and go to
ASIDE = 0.25  # picture widths from the middle to where a person waves aside


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
    swing = cycles(frames, rng, 0.3, 1.2)
    poses.hands[:, arm] = np.stack(
        [
            0 * swing + 0.1,
            side * (0.22 + 0 * swing),
            0.02 + rng.uniform(0.03, 0.12) * np.sin(swing),
        ],
        axis=1,
    )
    spacing = rng.uniform(0.2, 0.34)
    phase = rng.uniform() + rng.uniform(SLOWEST, FASTEST) * np.arange(frames)
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
