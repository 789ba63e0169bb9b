"""The places of the sample data: rooms, a gym, a park and a street, painted at random.

A scene is one picture ("plate"), larger than the frame so that the camera can pan over it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

TEXTURE = 512  # pixels, side of the square that a floor repeats
TEXTURE_SCALE = 220.0  # texture pixels in a body height
BLUR = 2.0  # pixels of the plate, standard deviation
HAZE, PALE = 0.22, 190.0  # share of a grey level mixed in, and that level


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks level at a person `distance` away.

    Attributes
    ----------
    width, height : size of the plate, pixels
    scale : pixels in a body height at the person's distance
    distance, rise : to the person, and above the floor, body heights
    centre, horizon : column of the person, row of the horizon, pixels
    wall : from the camera to the end of the floor, body heights
    """

    width: int
    height: int
    scale: float
    distance: float
    rise: float
    centre: float
    horizon: float
    wall: float

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (..., 2) and pixels in a body height (...) of points (..., 3).

        The axes of the points are right, away from the camera (0 at the person) and up.
        """
        size = self.scale * self.distance / np.maximum(points[..., 1] + self.distance, 0.3)
        x = self.centre + size * points[..., 0]
        y = self.horizon + size * (self.rise - points[..., 2])
        return np.stack([x, y], axis=-1), size

    @property
    def floor_row(self) -> int:
        """Row at which the floor ends and the wall begins."""
        return round(self.horizon + self.scale * self.distance * self.rise / self.wall)


def paint_scene(camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """(height, width, 3) uint8 BGR plate of a place drawn at random."""
    backdrop = BACKDROPS[int(rng.integers(len(BACKDROPS)))]
    image = np.zeros((camera.height, camera.width, 3), np.float32)
    floor = backdrop(image, camera, rng)
    _lay_floor(image, camera, floor, rng)
    # Out of focus and a little pale, as behind a person whom the lens is set to.
    image = cv2.GaussianBlur(image, (0, 0), BLUR) * (1 - HAZE) + HAZE * PALE
    shade = 1 + rng.uniform(-0.16, 0.16) * np.linspace(-1, 1, camera.width, dtype=np.float32)
    image *= shade[None, :, None]
    image += 5 * _noise(image.shape[:2], 3, rng)[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def _home(image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """A room with wallpaper, a window, pictures, a shelf and a plant."""
    floor = camera.floor_row
    wall = _soft_colour(rng)
    _gradient(image[:floor], wall * 1.06, wall * 0.9)
    pattern, step = int(rng.integers(3)), int(rng.integers(36, 70))
    if pattern == 1:
        for x in range(0, camera.width, step):
            image[:floor, x : x + step // 2] *= 0.95
    elif pattern == 2:
        height = int(camera.scale * 0.35)
        image[floor - height : floor] *= 0.86
        cv2.line(image, (0, floor - height), (camera.width, floor - height), _bgr(wall * 1.1), 6)
    cv2.rectangle(image, (0, floor - 14), (camera.width, floor), (225, 228, 230), -1)
    cv2.line(image, (0, floor - 14), (camera.width, floor - 14), (170, 172, 176), 1, cv2.LINE_AA)
    furniture = [_window, _pictures, _shelf, _plant, _sofa]
    _furnish(image, camera, furniture, rng)
    return _planks(rng) if rng.random() < 0.6 else _carpet(rng)


def _office(image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """A plain wall with a board, shelves and a window."""
    floor = camera.floor_row
    wall = np.array([226, 228, 228]) * rng.uniform(0.75, 1.0) + rng.uniform(-12, 12, 3)
    _gradient(image[:floor], wall, wall * 0.92)
    cv2.rectangle(image, (0, floor - 9), (camera.width, floor), _bgr(wall * 0.6), -1)
    _furnish(image, camera, [_board, _shelf, _window, _plant], rng)
    return _carpet(rng) if rng.random() < 0.5 else _tiles(rng)


def _gym(image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """A hall with a coloured band, wall bars and a wooden floor."""
    floor = camera.floor_row
    wall = np.array([205, 220, 226]) * rng.uniform(0.8, 1.0)
    _gradient(image[:floor], wall, wall * 0.9)
    band = floor - int(camera.scale * rng.uniform(0.3, 0.5))
    image[band:floor] = _soft_colour(rng) * 0.8
    x = int(rng.uniform(0, camera.width / 5))
    while x < camera.width:
        width = int(camera.scale * 0.32)
        for y in range(int(floor - camera.scale * 1.05), floor - 8, 24):
            cv2.line(image, (x, y), (x + width, y), (96, 150, 190), 7, cv2.LINE_AA)
        for edge in (x, x + width):
            cv2.line(image, (edge, int(floor - camera.scale * 1.1)), (edge, floor),
                     (70, 116, 150), 9)  # fmt: skip
        x += int(width * rng.uniform(1.6, 3.5))
    return _planks(rng)


def _brick(image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """A brick wall, painted or bare, over concrete."""
    floor = camera.floor_row
    base = np.array([[80, 98, 158], [150, 160, 170], [196, 204, 208]][int(rng.integers(3))])
    image[:floor] = base * 1.18
    height, width = 20, 52
    for row, y in enumerate(range(floor - height, -height, -height)):
        for x in range(-(row % 2) * width // 2, camera.width, width):
            cv2.rectangle(image, (x + 2, y + 2), (x + width - 2, y + height - 2),
                          _bgr(base * rng.uniform(0.84, 1.06)), -1)  # fmt: skip
    if rng.random() < 0.5:
        _furnish(image, camera, [_pictures, _board], rng)
    return _concrete(rng)


def _park(image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Sky, clouds, hills and trees over grass."""
    floor = camera.floor_row
    sky = np.array([236, 190, 140]) * rng.uniform(0.85, 1.05)
    _gradient(image[:floor], sky, np.array([246, 236, 222]))
    cloud = np.clip(_noise((camera.height, camera.width), 90, rng) * 0.9 - 0.2, 0, 0.9)
    image[:floor] += (cloud[..., None] * (np.float32(250) - image))[:floor]
    x = np.arange(camera.width)
    for distance in range(2):
        ridge = floor - camera.scale * (0.34 - 0.16 * distance) * (
            1 + 0.4 * np.sin(x / rng.uniform(90, 190) + rng.uniform(0, 6))
        )
        green = np.array([110, 150, 118]) * (1.0 - 0.2 * distance) + [40 - 30 * distance, 14, 0]
        outline = np.stack([x, ridge], axis=1)
        outline = np.vstack([outline, [[camera.width, floor], [0, floor]]]).round().astype(np.int32)
        cv2.fillPoly(image, [outline], _bgr(green), cv2.LINE_AA)
    for _ in range(int(rng.integers(3, 7))):
        _tree(image, int(rng.uniform(0, camera.width)), floor, camera.scale, rng)
    grass = np.array([62, 132, 96]) * rng.uniform(0.85, 1.2)
    return _speckled(grass, 26, (3, 24), rng)


def _street(image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """House fronts over a pavement."""
    floor = camera.floor_row
    image[:floor] = np.array([238, 222, 204]) * rng.uniform(0.85, 1)
    x = -int(rng.uniform(0, 150))
    while x < camera.width:
        width = int(rng.uniform(170, 330))
        front = _soft_colour(rng) * rng.uniform(0.72, 1.0)
        top = int(floor - camera.scale * rng.uniform(1.2, 2.0))
        cv2.rectangle(image, (x, top), (x + width, floor), _bgr(front), -1)
        columns = int(rng.integers(2, 5))
        pane = width / (columns * 1.7 + 0.7)
        glass = np.array([120, 104, 84]) * rng.uniform(0.6, 1.5)
        for row in range(8):
            y = int(floor - 60 - (row + 1) * pane * 1.9)
            for column in range(columns):
                left = int(x + pane * (0.7 + column * 1.7))
                corner = (left + int(pane), y + int(pane * 1.35))
                cv2.rectangle(image, (left, y), corner, _bgr(glass * rng.uniform(0.8, 1.25)), -1)
                cv2.rectangle(image, (left, y), corner, _bgr(front * 1.18), 3, cv2.LINE_AA)
        x += width
    cv2.rectangle(image, (0, floor - 10), (camera.width, floor), (120, 124, 126), -1)
    return _tiles(rng) if rng.random() < 0.6 else _concrete(rng)


Backdrop = Callable[[np.ndarray, Camera, np.random.Generator], np.ndarray]
BACKDROPS: tuple[Backdrop, ...] = (_home, _office, _gym, _brick, _park, _street, _home)


def _furnish(
    image: np.ndarray, camera: Camera, furniture: list[Callable], rng: np.random.Generator
) -> None:
    """Put pieces side by side along the wall, some places empty."""
    x = rng.uniform(-40, 80)
    while x < camera.width:
        width = camera.scale * rng.uniform(0.45, 0.8)
        if rng.random() < 0.75:
            furniture[int(rng.integers(len(furniture)))](
                image, int(x), camera.floor_row, int(width), camera.scale, rng
            )
        x += width * rng.uniform(1.1, 1.5)


def _window(
    image: np.ndarray, x: int, floor: int, width: int, scale: float, rng: np.random.Generator
) -> None:
    top, bottom = int(floor - scale * 0.98), int(floor - scale * 0.42)
    right = x + width
    cv2.rectangle(image, (x - 7, top - 7), (right + 7, bottom + 7), (232, 236, 238), -1)
    view = np.linspace(0, 1, max(bottom - top, 1))[:, None, None]
    sky = np.array([235, 205, 165]) * (1 - view) + np.array([190, 214, 196]) * view
    region = image[max(top, 0) : bottom, max(x, 0) : max(right, 0)]
    region[:] = sky[-region.shape[0] :]
    for i in (1, 2):
        bar = x + width * i // 3
        cv2.line(image, (bar, top), (bar, bottom), (232, 236, 238), 6)
    cloth = _bgr(_soft_colour(rng))
    for left in (x - 12, right - width // 6):
        cv2.rectangle(image, (left, top - 12), (left + width // 6 + 10, bottom + 22), cloth, -1)


def _pictures(
    image: np.ndarray, x: int, floor: int, width: int, scale: float, rng: np.random.Generator
) -> None:
    for i in range(2):
        left = x + i * width // 2
        top = int(floor - scale * rng.uniform(0.72, 1.0))
        right, bottom = left + int(width * 0.4), top + int(scale * rng.uniform(0.2, 0.3))
        cv2.rectangle(image, (left, top), (right, bottom), _bgr(rng.uniform(20, 110, 3)), -1)
        cv2.rectangle(image, (left + 6, top + 6), (right - 6, bottom - 6), (226, 232, 234), -1)
        for _ in range(4):
            corner = rng.uniform([left + 12, top + 12], [right - 24, bottom - 24]).astype(int)
            end = corner + rng.integers(8, 16, 2)
            cv2.rectangle(image, corner.tolist(), end.tolist(), _bgr(rng.uniform(40, 220, 3)), -1)


def _shelf(
    image: np.ndarray, x: int, floor: int, width: int, scale: float, rng: np.random.Generator
) -> None:
    wood = np.array([62, 100, 140]) * rng.uniform(0.7, 1.5)
    top = int(floor - scale * rng.uniform(0.75, 1.0))
    cv2.rectangle(image, (x, top), (x + width, floor), _bgr(wood * 0.55), -1)
    boards = np.linspace(top, floor - 10, 4).astype(int)
    for low in boards[1:]:
        left = x + 8
        while left < x + width - 20:
            thick, tall = int(rng.uniform(7, 16)), int(scale * rng.uniform(0.12, 0.2))
            cv2.rectangle(
                image, (left, low - tall), (left + thick, low), _bgr(rng.uniform(50, 200, 3)), -1
            )
            left += thick + 1 + int(rng.uniform(0, 12) * (rng.random() < 0.2))
    for y in boards:
        cv2.rectangle(image, (x, int(y)), (x + width, int(y) + 7), _bgr(wood), -1)
    for edge in (x, x + width):
        cv2.line(image, (edge, top), (edge, floor), _bgr(wood), 8)


def _plant(
    image: np.ndarray, x: int, floor: int, width: int, scale: float, rng: np.random.Generator
) -> None:
    middle, rim = x + width // 2, int(floor - scale * 0.2)
    for _ in range(22):
        angle, length = rng.uniform(-1.1, 1.1), scale * rng.uniform(0.2, 0.45)
        tip = (int(middle + np.sin(angle) * length * 0.7), int(rim - np.cos(angle) * length))
        leaf = ((middle + tip[0]) // 2, (rim + tip[1]) // 2)
        cv2.ellipse(image, leaf, (int(length / 2), int(scale * 0.025)), np.degrees(angle) - 90, 0,
                    360, _bgr(np.array([52, 118, 66]) * rng.uniform(0.6, 1.25)), -1,
                    cv2.LINE_AA)  # fmt: skip
    half = int(scale * 0.09)
    pot = np.array([[middle - half, rim], [middle + half, rim], [middle + half * 2 // 3, floor],
                    [middle - half * 2 // 3, floor]])  # fmt: skip
    cv2.fillConvexPoly(image, pot, _bgr(np.array([80, 108, 176]) * rng.uniform(0.7, 1.2)),
                       cv2.LINE_AA)  # fmt: skip


def _sofa(
    image: np.ndarray, x: int, floor: int, width: int, scale: float, rng: np.random.Generator
) -> None:
    cloth = _soft_colour(rng) * 0.75
    unit = scale * 0.1
    for top, bottom, inset, tone in ((4.3, 1.6, 0.4, 0.85), (2.4, 0.5, 0.3, 1.05)):
        cv2.rectangle(image, (int(x + unit * inset), int(floor - unit * top)),
                      (int(x + width - unit * inset), int(floor - unit * bottom)),
                      _bgr(cloth * tone), -1)  # fmt: skip
    for left in (x, x + width - int(unit)):
        cv2.rectangle(image, (left, int(floor - unit * 3)), (left + int(unit), floor),
                      _bgr(cloth * 0.95), -1)  # fmt: skip
    middle = x + width // 2
    cv2.line(image, (middle, int(floor - unit * 4.3)), (middle, int(floor - unit * 0.5)),
             _bgr(cloth * 0.65), 2, cv2.LINE_AA)  # fmt: skip


def _board(
    image: np.ndarray, x: int, floor: int, width: int, scale: float, rng: np.random.Generator
) -> None:
    top, bottom = int(floor - scale * 1.0), int(floor - scale * 0.5)
    cv2.rectangle(image, (x, top), (x + width, bottom), (130, 132, 134), -1)
    cv2.rectangle(image, (x + 6, top + 6), (x + width - 6, bottom - 6), (240, 242, 240), -1)
    ink = _bgr(rng.uniform(30, 160, 3))
    for y in range(top + 26, bottom - 16, 22):
        end = x + int(width * rng.uniform(0.4, 0.85))
        cv2.line(image, (x + 22, y), (end, y), ink, 3, cv2.LINE_AA)


def _tree(image: np.ndarray, x: int, floor: int, scale: float, rng: np.random.Generator) -> None:
    height = scale * rng.uniform(0.7, 1.3)
    trunk = _bgr(np.array([48, 72, 96]) * rng.uniform(0.8, 1.2))
    cv2.line(image, (x, floor + 4), (x, int(floor - height * 0.6)), trunk, int(scale * 0.06))
    leaf = np.array([56, 116, 70]) * rng.uniform(0.75, 1.2)
    for _ in range(14):
        dx, dy = rng.normal(0, height * 0.15), rng.normal(height * 0.75, height * 0.13)
        radius = int(height * rng.uniform(0.1, 0.18))
        tone = _bgr(leaf * (0.8 + 0.4 * dy / height + rng.uniform(-0.12, 0.12)))
        cv2.circle(image, (int(x + dx), int(floor - dy)), radius, tone, -1, cv2.LINE_AA)


def _lay_floor(
    image: np.ndarray, camera: Camera, texture: np.ndarray, rng: np.random.Generator
) -> None:
    """Fill the rows below the wall with a texture seen in perspective."""
    rows = np.arange(camera.floor_row, camera.height, dtype=np.float32)
    depth = camera.scale * camera.distance * camera.rise / np.maximum(rows - camera.horizon, 1)
    columns = (np.arange(camera.width, dtype=np.float32) - camera.centre) / camera.scale
    x = columns[None, :] * depth[:, None] / camera.distance + rng.uniform(0, 9)
    y = np.broadcast_to(depth[:, None], x.shape)
    column, row = ((axis * TEXTURE_SCALE % TEXTURE).astype(np.float32) for axis in (x, y))
    texture = texture.astype(np.float32)
    floor = cv2.remap(texture, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    far = np.linspace(0.86, 1.04, len(rows), dtype=np.float32)
    image[camera.floor_row :] = floor * far[:, None, None]


def _planks(rng: np.random.Generator) -> np.ndarray:
    wood = np.array([88, 138, 182]) * rng.uniform(0.6, 1.25)
    texture = np.empty((TEXTURE, TEXTURE, 3), np.float32)
    for x in range(0, TEXTURE, 32):
        texture[:, x : x + 32] = wood * rng.uniform(0.88, 1.1)
        texture[:, x : x + 1] *= 0.7
        joint = int(rng.integers(TEXTURE))
        texture[joint : joint + 2, x : x + 32] *= 0.75
    grain = cv2.resize(_noise((TEXTURE // 16, TEXTURE), 1, rng), (TEXTURE, TEXTURE))
    return texture * (1 + 0.04 * grain[..., None])


def _tiles(rng: np.random.Generator) -> np.ndarray:
    tone = np.full(3, rng.uniform(120, 205)) + rng.uniform(-14, 14, 3)
    texture = _speckled(tone, 5, (2, 40), rng)
    step = int(rng.choice([64, 128]))
    for edge in range(0, TEXTURE, step):
        texture[edge : edge + 3] *= 0.8
        texture[:, edge : edge + 3] *= 0.8
    return texture


def _carpet(rng: np.random.Generator) -> np.ndarray:
    return _speckled(_soft_colour(rng) * 0.8, 9, (2, 5), rng)


def _concrete(rng: np.random.Generator) -> np.ndarray:
    return _speckled(np.full(3, rng.uniform(110, 180)), 9, (3, 60), rng)


def _speckled(
    colour: np.ndarray, strength: float, grains: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """A texture of one colour with fine and coarse noise, of `strength` grey levels each."""
    noise = sum(_noise((TEXTURE, TEXTURE), grain, rng) for grain in grains)
    return np.asarray(colour, np.float32) + np.float32(strength) * np.asarray(noise)[..., None]


def _noise(shape: tuple[int, int], grain: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of unit variance or less; spots are about `grain` pixels wide."""
    coarse = rng.standard_normal((shape[0] // grain + 2, shape[1] // grain + 2), np.float32)
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def _gradient(region: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> None:
    t = np.linspace(0, 1, len(region), dtype=np.float32)[:, None, None]
    region[:] = top * (1 - t) + bottom * t


def _soft_colour(rng: np.random.Generator) -> np.ndarray:
    hue = np.array([[rng.uniform(0, 180), rng.uniform(25, 95), rng.uniform(150, 230)]], np.float32)
    return cv2.cvtColor(hue[None].astype(np.uint8), cv2.COLOR_HSV2BGR)[0, 0].astype(np.float64)


def _bgr(colour: np.ndarray) -> tuple[float, float, float]:
    blue, green, red = np.clip(colour, 0, 255).tolist()
    return blue, green, red
