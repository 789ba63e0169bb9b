"""The person of the sample data: proportions and clothes, poses, and the joints they give.

Lengths are in body heights (1.0 is from the floor to the top of the head). The person's own axes
are x forward, y to the person's left and z up; index 0 of a pair is the left side.
"""

from dataclasses import dataclass, fields

import numpy as np

Colour = tuple[float, float, float]  # blue, green, red, 0-255

# Lengths of segments in body heights, after Drillis and Contini (1966), "Body segment parameters".
THIGH = 0.245
SHANK = 0.246
UPPER_ARM = 0.186
FOREARM = 0.175  # elbow to the middle of the hand
TORSO = 0.288  # hips to shoulders
NECK = 0.110  # shoulders to the middle of the head
FOOT = 0.105  # ankle to toes
ANKLE = 0.039  # height of the ankle above the floor
STANDING = 0.522  # height of the pelvis, knees hardly bent

JOINTS = (
    "pelvis", "chest", "head", "face", "crown",
    "shoulder0", "shoulder1", "elbow0", "elbow1", "hand0", "hand1",
    "hip0", "hip1", "knee0", "knee1", "ankle0", "ankle1", "toe0", "toe1", "eye0", "eye1",
)  # fmt: skip

SKINS = ((196, 220, 247), (160, 194, 236), (122, 164, 214), (86, 126, 180), (62, 92, 140),
         (44, 64, 104))  # fmt: skip
HAIRS = ((28, 26, 30), (28, 42, 70), (110, 190, 226), (24, 30, 46), (30, 62, 160), (168, 166, 170))
TOPS = ((60, 60, 205), (190, 110, 40), (70, 150, 60), (40, 170, 235), (150, 60, 140),
        (225, 225, 225), (170, 150, 30), (50, 110, 235))  # fmt: skip
BOTTOMS = ((110, 62, 36), (52, 48, 46), (90, 120, 140), (70, 80, 60), (140, 110, 80), (40, 40, 90))
SHOES = ((40, 40, 44), (235, 235, 235), (50, 50, 180), (60, 90, 130))


@dataclass(frozen=True)
class Actor:
    """How one person looks. Lengths are factors on the average body."""

    legs: float
    arms: float
    girth: float
    shoulders: float
    skin: Colour
    hair: Colour
    top: Colour
    bottom: Colour
    shoes: Colour
    long_hair: bool
    long_sleeves: bool
    long_trousers: bool


@dataclass(frozen=True)
class Poses:
    """A movement: T poses, one a frame.

    Attributes
    ----------
    pelvis : (T, 3), position
    lean, side, turn : (T,), radians; torso forward, torso to the left, shoulders to the left
    nod : (T,), radians; head forward against the torso
    hands : (T, 2, 3), position of each hand less that of its shoulder
    ankles : (T, 2, 3), position
    toes : (T, 2), radians; foot pointing up (positive) or down
    """

    pelvis: np.ndarray
    lean: np.ndarray
    side: np.ndarray
    turn: np.ndarray
    nod: np.ndarray
    hands: np.ndarray
    ankles: np.ndarray
    toes: np.ndarray


def draw_actor(rng: np.random.Generator, number: int) -> Actor:
    """A person at random; `number` walks through the palettes so that neighbours look different."""

    def pick(palette: tuple[Colour, ...], step: int) -> Colour:
        colour = np.asarray(palette[(number * step + int(rng.integers(2))) % len(palette)])
        blue, green, red = np.clip(colour * rng.uniform(0.9, 1.08), 0, 255)
        return float(blue), float(green), float(red)

    return Actor(
        legs=rng.uniform(0.96, 1.04),
        arms=rng.uniform(0.96, 1.05),
        girth=rng.uniform(0.88, 1.25),
        shoulders=rng.uniform(0.92, 1.12),
        skin=pick(SKINS, 2),
        hair=pick(HAIRS, 1),
        top=pick(TOPS, 3),
        bottom=pick(BOTTOMS, 1),
        shoes=pick(SHOES, 1),
        long_hair=number % 2 == 1,
        long_sleeves=bool(rng.integers(2)),
        long_trousers=bool(rng.random() < 0.7),
    )


def standing(frames: int) -> Poses:
    """(T = `frames`) poses of a person who stands upright, arms hanging."""
    hands = np.array([[0.03, 0.035, -0.345], [0.03, -0.035, -0.345]])
    ankles = np.array([[0.0, 0.06, ANKLE], [0.0, -0.06, ANKLE]])
    zero = np.zeros(frames)
    return Poses(
        pelvis=np.tile([0.0, 0.0, STANDING], (frames, 1)),
        lean=zero + 0.03,
        side=zero,
        turn=zero,
        nod=zero,
        hands=np.tile(hands, (frames, 1, 1)),
        ankles=np.tile(ankles, (frames, 1, 1)),
        toes=np.zeros((frames, 2)),
    )


def joints(actor: Actor, poses: Poses) -> dict[str, np.ndarray]:
    """Joint positions, name -> (T, 3), for every name in `JOINTS`.

    Elbows and knees follow from hands and ankles (two-segment inverse kinematics). A hand or an
    ankle beyond reach is brought back to the full length of the limb.
    """
    up, forward, left = _torso_axes(poses)
    cosine, sine = np.cos(poses.nod)[:, None], np.sin(poses.nod)[:, None]
    rise, gaze, beside = up * cosine + forward * sine, forward * cosine - up * sine, left
    cosine, sine = np.cos(poses.turn)[:, None], np.sin(poses.turn)[:, None]
    left = left * cosine - forward * sine  # the shoulders turn, the head looks ahead
    chest = poses.pelvis + TORSO * up
    head = chest + NECK * rise
    found = {
        "pelvis": poses.pelvis,
        "chest": chest,
        "head": head,
        "face": head + 0.020 * gaze - 0.006 * rise,
        "crown": head - 0.014 * gaze + 0.016 * rise,
    }
    for i, sign in enumerate((1.0, -1.0)):
        shoulder = chest + sign * 0.105 * actor.shoulders * left - 0.012 * up
        pole = np.array([-0.55, 0.45 * sign, -0.6])
        found[f"shoulder{i}"] = shoulder
        found[f"elbow{i}"], found[f"hand{i}"] = bend_limb(
            shoulder,
            shoulder + poses.hands[:, i] * actor.arms,
            UPPER_ARM * actor.arms,
            FOREARM * actor.arms,
            pole,
        )
        hip = poses.pelvis + np.array([0.0, 0.052 * sign * actor.girth, 0.0])
        found[f"hip{i}"] = hip
        found[f"knee{i}"], found[f"ankle{i}"] = bend_limb(
            hip, poses.ankles[:, i], THIGH * actor.legs, SHANK * actor.legs,
            np.array([1.0, 0.12 * sign, 0.15]),
        )  # fmt: skip
        pitch = poses.toes[:, i, None]
        found[f"toe{i}"] = found[f"ankle{i}"] + FOOT * (
            np.cos(pitch) * np.array([1.0, 0.18 * sign, 0.0])
            + (np.sin(pitch) - 0.2) * np.array([0.0, 0.0, 1.0])
        )
        found[f"eye{i}"] = head + 0.062 * gaze + sign * 0.022 * beside + 0.006 * rise
    return found


def shoulders(actor: Actor, poses: Poses) -> np.ndarray:
    """(T, 2, 3) positions of the shoulders, to which `Poses.hands` are relative."""
    found = joints(actor, poses)
    return np.stack([found["shoulder0"], found["shoulder1"]], axis=1)


def bend_limb(
    root: np.ndarray, target: np.ndarray, upper: float, lower: float, pole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Middle joint and end of a limb of two segments that reaches from `root` to `target`.

    Parameters
    ----------
    root, target : (T, 3)
    upper, lower : lengths of the segments
    pole : (3,), the side to which the middle joint bends

    Returns
    -------
    ((T, 3), (T, 3)), middle joint and end
    """
    reach = target - root
    distance = np.linalg.norm(reach, axis=1, keepdims=True) + 1e-9
    direction = reach / distance
    distance = np.clip(distance, abs(upper - lower) + 1e-3, (upper + lower) * 0.999)
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
    sideways = pole - direction * (direction @ pole)[:, None]
    sideways /= np.linalg.norm(sideways, axis=1, keepdims=True) + 1e-9
    return root + along * direction + aside * sideways, root + distance * direction


def interpolate(keys: Poses, times: np.ndarray, phase: np.ndarray) -> Poses:
    """Poses at `phase` (T,) between K key poses at `times` (K,), increasing.

    Monotone cubic interpolation (Fritsch and Carlson, 1980) at rest at both ends: no overshoot,
    and a stop wherever a key is the lowest or the highest point.
    """
    values = {f.name: _monotone_cubic(getattr(keys, f.name), times, phase) for f in fields(Poses)}
    return Poses(**values)


def concatenate(parts: list[Poses]) -> Poses:
    """The poses of all `parts`, one after the other."""
    return Poses(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Poses)}
    )


def _monotone_cubic(keys: np.ndarray, times: np.ndarray, phase: np.ndarray) -> np.ndarray:
    shape = (-1,) + (1,) * (keys.ndim - 1)
    secant = np.diff(keys, axis=0) / np.diff(times).reshape(shape)
    slope = np.zeros_like(keys)
    before, after = secant[:-1], secant[1:]
    product = before * after
    slope[1:-1] = np.where(product > 0, 2 * product / (before + after + 1e-12), 0.0)
    i = np.clip(np.searchsorted(times, phase, side="right") - 1, 0, len(times) - 2)
    width = np.diff(times)[i]
    s = ((phase - times[i]) / width).reshape(shape)
    width = width.reshape(shape)
    return (
        (2 * s**3 - 3 * s**2 + 1) * keys[i]
        + (s**3 - 2 * s**2 + s) * width * slope[i]
        + (3 * s**2 - 2 * s**3) * keys[i + 1]
        + (s**3 - s**2) * width * slope[i + 1]
    )


def _torso_axes(poses: Poses) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors up, forward and left of the torso before it turns, each (T, 3)."""
    lean, side = poses.lean, poses.side
    up = np.stack([np.sin(lean) * np.cos(side), np.sin(side), np.cos(lean) * np.cos(side)], axis=1)
    forward = np.stack([np.cos(lean), np.zeros_like(lean), -np.sin(lean)], axis=1)
    return up, forward, np.cross(up, forward)
