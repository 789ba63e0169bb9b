"""Draw a clip of the sample data: a person, things and a place, seen by a hand-held camera."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.sample.actions import move
from pipeline.sample.figure import Actor, Colour, draw_actor, joints
from pipeline.sample.movements import Cuboid, Movement, chair, paint
from pipeline.sample.scene import Camera, paint_scene

WIDTH, HEIGHT = 320, 240  # pixels of a frame
PLATE_SCALE = 2  # a plate is painted this much larger than it is seen, then averaged down
PLATE_WIDTH, PLATE_HEIGHT = WIDTH * PLATE_SCALE, HEIGHT * PLATE_SCALE  # of a frame, on the plate
MARGIN_X, MARGIN_Y = 320, 48  # pixels by which the plate is larger than that, on each side
SUBPIXEL = 4  # bits after the point in the coordinates handed to OpenCV
LIGHT = np.array([-0.45, -0.55, 0.7])  # direction to the lamp: right, away, up
CIRCLE = np.stack([np.cos(np.arange(20) * np.pi / 10), np.sin(np.arange(20) * np.pi / 10)], axis=1)
OUTLINE = 0.8  # pixels of darker rim around each part of the body

# part: the joints at its ends, its radii there (body heights), and what it is coloured like
LIMBS = {
    "thigh": ("hip", "knee", 0.050, 0.038, "bottom"),
    "shank": ("knee", "ankle", 0.037, 0.025, "bottom"),
    "foot": ("ankle", "toe", 0.027, 0.021, "shoes"),
    "upper_arm": ("shoulder", "elbow", 0.034, 0.028, "top"),
    "forearm": ("elbow", "hand", 0.026, 0.019, "top"),
    "hand": ("hand", "hand", 0.025, 0.025, "skin"),
}
# body heights by which a part counts as nearer than its middle, so that it covers its neighbours
NEARER = {"upper_arm": -0.03, "forearm": -0.04, "hand": -0.05, "foot": -0.01, "thigh": 0.025}


@dataclass(frozen=True)
class _Part:
    """A piece of the body: the convex hull of circles on the plate.

    Attributes
    ----------
    depth : away from the camera, body heights; the farthest is painted first
    points : (K, 2) middles of the circles, pixels
    radii : (K,) pixels
    colour : blue, green, red
    """

    depth: float
    points: np.ndarray
    radii: np.ndarray
    colour: Colour


def render(movement: str, actor: int, take: int, seed: int, aside: float = 0.0) -> list[np.ndarray]:
    """Draw the frames of one clip.

    The person depends on `seed` and `actor`, the place also on `take`, so that every action of
    a take happens in the same place; view, tempo and light also on `movement`.

    Parameters
    ----------
    movement : name in `pipeline.sample.actions.MOVEMENTS`
    actor, take : numbers from 1
    aside : picture widths by which person and shadow are drawn to the right, pixel by pixel as they
        are in the middle

    Returns
    -------
    list of (240, 320, 3) uint8 BGR
    """
    person = draw_actor(np.random.default_rng([seed, actor]), actor)
    rng = np.random.default_rng([seed, actor, take, zlib.crc32(movement.encode())])
    motion = move(movement, person, rng)
    frames = len(motion.poses.lean)
    camera = _place_camera(motion, rng)
    plate = paint_scene(camera, np.random.default_rng([seed, actor, take]))
    plate = cv2.resize(plate, None, fx=1 / PLATE_SCALE, fy=1 / PLATE_SCALE,
                       interpolation=cv2.INTER_AREA)  # fmt: skip
    found = joints(person, motion.poses)
    cuboids = [*motion.cuboids, *_bystanders(movement, frames, rng)]
    turned = {name: _turn(points, motion.yaw) for name, points in found.items()}
    follow = rng.uniform(0.5, 0.85) * camera.scale * turned["pelvis"][:, 0]
    views = _hand_held(frames, follow, rng)
    tone = _light(rng)
    grain = rng.normal(0, rng.uniform(0.8, 2.6), (4, HEIGHT + 64, WIDTH + 64, 1))
    grain = np.repeat(grain, 3, axis=3).astype(np.int16)
    shifts = rng.integers(0, 64, (frames, 2))
    moved = views + np.array([[0, 0, round(aside * WIDTH)], [0, 0, 0]])
    clip = []
    for t in range(frames):
        halved = views[t] * [PLATE_SCALE, PLATE_SCALE, 1]
        canvas = cv2.warpAffine(plate, halved, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        _cast_shadow(canvas, camera, moved[t], turned, t)
        _draw_cuboids(canvas, camera, views[t], cuboids[1:] if movement == "lift" else cuboids,
                      motion.yaw, t)  # fmt: skip
        parts = _body_parts(person, camera, turned, t)
        if movement == "lift":
            box = cuboids[0]
            depth = float(_turn(box.centre[t], motion.yaw)[1])
            _draw_parts(canvas, moved[t], [p for p in parts if p.depth >= depth])
            _draw_cuboids(canvas, camera, views[t], [box], motion.yaw, t)
            parts = [p for p in parts if p.depth < depth]
        _draw_parts(canvas, moved[t], parts)
        frame = cv2.LUT(canvas, tone)
        dy, dx = shifts[t]
        noise = grain[t % 4, dy : dy + HEIGHT, dx : dx + WIDTH]
        clip.append(cv2.add(frame, noise, dtype=cv2.CV_8U))
    return clip


def _place_camera(motion: Movement, rng: np.random.Generator) -> Camera:
    height = PLATE_HEIGHT
    scale = height * rng.uniform(0.88, 0.97) / motion.reach
    distance = rng.uniform(2.8, 4.5)
    rise = rng.uniform(0.5, 0.85)
    feet = MARGIN_Y + height * rng.uniform(0.92, 0.95)
    middle = motion.poses.pelvis.mean(axis=0)
    centre = MARGIN_X + PLATE_WIDTH * rng.uniform(0.42, 0.58)
    return Camera(
        width=PLATE_WIDTH + 2 * MARGIN_X,
        height=height + 2 * MARGIN_Y,
        scale=scale,
        distance=distance,
        rise=rise,
        centre=centre - scale * float(_turn(middle, motion.yaw)[0]),
        horizon=feet - scale * rise,
        wall=distance + rng.uniform(0.7, 1.6),
    )


def _bystanders(movement: str, frames: int, rng: np.random.Generator) -> list[Cuboid]:
    """Now and then an idle chair or box, so that neither gives an action away."""
    found: list[Cuboid] = []
    side = rng.choice([-1.0, 1.0])
    colour = paint(rng)
    which = rng.random()
    if which < 0.25:
        found += chair(frames, colour, -0.75 * side, 0.35 * side)
    elif which < 0.5:
        size = rng.uniform(0.2, 0.3)
        centre = np.tile([-0.7 * side, 0.4 * side, size / 2], (frames, 1))
        found.append(Cuboid(centre, (size, size, size), colour))
    return found


def _hand_held(frames: int, follow: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(T, 2, 3) affine maps from the plate to the frame: shake, drift, pan, zoom, roll."""
    t = np.linspace(-1, 1, frames)
    drift = rng.normal(0, [6, 3, 0.012, 0.003], 4)[:, None] * t
    for _ in range(4):
        wave = np.sin(rng.uniform(2, 16) * t + rng.uniform(0, 2 * np.pi))
        drift += rng.normal(0, [1.1, 1.1, 0.0015, 0.0015], 4)[:, None] * wave
    dx, dy, zoom, roll = drift
    cosine, sine = (1 + zoom) * np.cos(roll), (1 + zoom) * np.sin(roll)
    width, height = PLATE_WIDTH / 2, PLATE_HEIGHT / 2
    x0, y0 = MARGIN_X + width + np.clip(follow, -MARGIN_X + 20, MARGIN_X - 20), MARGIN_Y + height
    views = np.stack([
        np.stack([cosine, -sine, width + dx - cosine * x0 + sine * y0], axis=1),
        np.stack([sine, cosine, height + dy - sine * x0 - cosine * y0], axis=1),
    ], axis=1)  # fmt: skip
    return views / PLATE_SCALE


def _light(rng: np.random.Generator) -> np.ndarray:
    """(1, 256, 3) uint8 table: exposure, contrast and tint."""
    level = np.arange(256)[:, None] / 255.0
    tint = rng.uniform(0.95, 1.05, 3)
    curve = level ** rng.uniform(0.8, 1.1) * rng.uniform(0.92, 1.08) * tint
    return np.clip(curve * 255 + rng.uniform(0, 10), 0, 255).astype(np.uint8)[None]


def _turn(points: np.ndarray, yaw: float) -> np.ndarray:
    """Person's axes (forward, left, up) to the camera's (right, away, up); (..., 3)."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([x * np.sin(yaw) + y * np.cos(yaw), y * np.sin(yaw) - x * np.cos(yaw), z], -1)


def _body_parts(actor: Actor, camera: Camera, turned: dict[str, np.ndarray], t: int) -> list[_Part]:
    """The parts of the body in frame `t`, farthest first."""
    names = list(turned)
    place = np.stack([turned[name][t] for name in names])
    pixels, sizes = camera.project(place)
    index = {name: i for i, name in enumerate(names)}
    colours = {"skin": actor.skin, "top": actor.top, "bottom": actor.bottom, "shoes": actor.shoes}
    parts = []

    def add(joined: Sequence[tuple[str, float]], colour: Colour, bias: float = 0.0) -> None:
        at = [index[name] for name, _ in joined]
        radii = np.array([radius for _, radius in joined]) * sizes[at]
        parts.append(_Part(float(place[at, 1].mean()) + bias, pixels[at], radii, colour))

    girth = actor.girth
    for i in "01":
        for name, (a, b, ra, rb, material) in LIMBS.items():
            colour = colours[material]
            if (name == "shank" and not actor.long_trousers) or (
                name == "forearm" and not actor.long_sleeves
            ):
                colour = actor.skin
            near = NEARER.get(name, 0.0)
            factor = girth if name not in ("hand", "foot") else 1.0
            add([(a + i, ra * factor), (b + i, rb * factor)], colour, near)
    add([("hip0", 0.056 * girth), ("hip1", 0.056 * girth), ("pelvis", 0.062 * girth)],
        actor.bottom, 0.01)  # fmt: skip
    add([("shoulder0", 0.04), ("shoulder1", 0.04), ("chest", 0.045), ("hip0", 0.05 * girth),
         ("hip1", 0.05 * girth)], actor.top, -0.03)  # fmt: skip
    add([("chest", 0.034), ("head", 0.034)], actor.skin, -0.032)
    turned_away = place[index["face"], 1] - place[index["crown"], 1]
    add([("crown", 0.068)], actor.hair, -0.035)
    if actor.long_hair:
        add([("crown", 0.066), ("chest", 0.04)], actor.hair, 0.04 * -np.sign(turned_away) - 0.035)
    add([("face", 0.060), ("face", 0.056)], actor.skin, -0.039)
    for i in "01":
        if place[index["eye" + i], 1] < place[index["head"], 1] - 0.018:
            add([("eye" + i, 0.0075)], (30.0, 26.0, 26.0), -0.06)
    return sorted(parts, key=lambda part: -part.depth)


def _draw_parts(canvas: np.ndarray, view: np.ndarray, parts: Sequence[_Part]) -> None:
    for part in parts:
        points = part.points @ view[:, :2].T + view[:, 2]
        radii = part.radii / PLATE_SCALE
        rim = OUTLINE if radii.max() > 2 else 0.0
        _blob(canvas, points, radii + rim, _shade(part.colour, 0.62))
        _blob(canvas, points, radii, part.colour)
        if rim:
            offset = radii[:, None] * LIGHT[[0, 2]] * [0.4, -0.4]
            _blob(canvas, points + offset, radii * 0.5, _shade(part.colour, 1.12))


def _blob(canvas: np.ndarray, points: np.ndarray, radii: np.ndarray, colour: Colour) -> None:
    """Fill the convex hull of circles."""
    rim = points[:, None] + radii[:, None, None] * CIRCLE
    hull = cv2.convexHull(rim.reshape(-1, 2).astype(np.float32))
    outline = np.round(hull * (1 << SUBPIXEL)).astype(np.int32)
    cv2.fillConvexPoly(canvas, outline, colour, cv2.LINE_AA, SUBPIXEL)


def _draw_cuboids(
    canvas: np.ndarray, camera: Camera, view: np.ndarray, cuboids: Sequence[Cuboid], yaw: float,
    t: int,
) -> None:  # fmt: skip
    """Draw solids, farthest first, each side shaded by its angle to the light."""
    placed = [(_turn(solid.centre[t], yaw), solid) for solid in cuboids]
    for _, solid in sorted(placed, key=lambda item: -item[0][1]):
        half = np.array(solid.size) / 2
        for axis in range(3):
            for sign in (-1.0, 1.0):
                normal = np.eye(3)[axis] * sign
                around = np.roll(
                    np.array([[1, 1, 1], [1, 1, -1], [1, -1, -1], [1, -1, 1]]), axis, 1
                )
                corners = (
                    solid.centre[t] + around * [sign if k == axis else 1 for k in range(3)] * half
                )
                turned = _turn(corners, yaw)
                facing = _turn(normal, yaw)
                eye = np.array([0.0, -camera.distance, camera.rise])
                if facing @ (eye - turned.mean(axis=0)) <= 0:
                    continue
                pixels, _ = camera.project(turned)
                pixels = pixels @ view[:, :2].T + view[:, 2]
                colour = _shade(solid.colour, 0.78 + 0.3 * float(facing @ LIGHT))
                outline = np.round(pixels * (1 << SUBPIXEL)).astype(np.int32)
                cv2.fillConvexPoly(canvas, outline, colour, cv2.LINE_AA, SUBPIXEL)
                cv2.polylines(
                    canvas, [outline], True, _shade(colour, 0.7), 1, cv2.LINE_AA, SUBPIXEL
                )


def _cast_shadow(
    canvas: np.ndarray, camera: Camera, view: np.ndarray, turned: dict[str, np.ndarray], t: int
) -> None:
    """Darken the floor under the body, softly."""
    spots = np.stack([turned[name][t] for name in ("ankle0", "ankle1", "pelvis", "chest")])
    spots[:, 2] = 0
    pixels, size = camera.project(spots)
    pixels = pixels @ view[:, :2].T + view[:, 2]
    x, y = pixels.mean(axis=0)
    reach = size[0] / PLATE_SCALE
    half = np.array([np.ptp(pixels[:, 0]) / 2 + 0.16 * reach, 0.055 * reach])
    x0, y0 = np.maximum(np.array([x, y]) - 2 * half, 0).astype(int)
    x1, y1 = (np.array([x, y]) + 2 * half).astype(int)
    region = canvas[y0:y1, x0:x1]
    if region.size == 0:
        return
    rows, columns = np.ogrid[: region.shape[0], : region.shape[1]]
    away = ((columns + x0 - x) / half[0]) ** 2 + ((rows + y0 - y) / half[1]) ** 2
    region[:] = (region * (1 - 0.5 * np.exp(-1.5 * away))[..., None]).astype(np.uint8)


def _shade(colour: Colour, factor: float) -> Colour:
    blue, green, red = colour
    return min(blue * factor, 255.0), min(green * factor, 255.0), min(red * factor, 255.0)
