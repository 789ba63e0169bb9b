"""Generated videos: moving textured pictures, so that decoding costs what it costs on real ones."""

import shutil
from pathlib import Path

import cv2
import numpy as np

FPS = 25.0  # frames/s
GRAIN = 2.0  # standard deviation of the noise over every frame, grey levels: a camera's sensor
LABELS = ("jump", "run", "turn", "wave")
PEOPLE = 4  # groups


def pictures(count: int, width: int, height: int, seed: int) -> np.ndarray:
    """Frames of one clip: a textured background that pans, textured discs that move, and grain.

    Returns
    -------
    (count, height, width, 3) uint8, BGR
    """
    rng = np.random.default_rng(seed)
    ground = _texture(rng, 2 * width, 2 * height)
    discs = [(_texture(rng, width, height), rng.uniform(0, 2 * np.pi, 2)) for _ in range(3)]
    rows, columns = np.mgrid[:height, :width]
    grain = rng.normal(0, GRAIN, (2 * height, 2 * width, 3))
    frames = np.empty((count, height, width, 3), np.uint8)
    for i in range(count):
        seconds = i / FPS
        top, left = (int(side * (0.5 + 0.4 * np.sin(0.5 * seconds + phase)))
                     for side, phase in ((height, 0.0), (width, 1.0)))  # fmt: skip
        frame = ground[top : top + height, left : left + width].copy()
        for texture, (a, b) in discs:
            y = height * (0.5 + 0.35 * np.sin(2.0 * seconds + a))
            x = width * (0.5 + 0.35 * np.sin(1.5 * seconds + b))
            inside = (rows - y) ** 2 + (columns - x) ** 2 < (height / 6) ** 2
            frame[inside] = texture[inside]
        shift = rng.integers(0, (height, width))
        frame += grain[shift[0] : shift[0] + height, shift[1] : shift[1] + width]
        frames[i] = np.clip(frame, 0, 255)
    return frames


def write_video(path: Path, frames: np.ndarray) -> None:
    """Encode frames as MPEG-4 in AVI, what UCF101 uses.

    Raises
    ------
    OSError
        When this build of OpenCV has no encoder for it.
    """
    height, width = frames.shape[1:3]
    fourcc = cv2.VideoWriter.fourcc(*"XVID")
    writer = cv2.VideoWriter(str(path), fourcc, FPS, (width, height))
    if not writer.isOpened():
        raise OSError(f"OpenCV cannot write {path.name} as XVID")
    for frame in frames:
        writer.write(frame)
    writer.release()


def write_dataset(
    folder: Path, clips: int, *, frames: int, width: int, height: int, distinct: int = 12
) -> None:
    """Fill <folder>/<label>/<person>_<number>.avi.

    Only `distinct` videos are encoded; the others repeat them with a few bytes behind the end of
    the stream, which no decoder reads: different files with different digests.
    """
    originals = folder.parent / "originals"
    originals.mkdir(parents=True)
    for seed in range(min(distinct, clips)):
        write_video(originals / f"{seed}.avi", pictures(frames, width, height, seed))
    for label in LABELS:
        (folder / label).mkdir(parents=True)
    for number in range(clips):
        add_clip(folder, number, originals / f"{number % distinct}.avi")
    shutil.rmtree(originals)


def add_clip(folder: Path, number: int, original: Path) -> Path:
    """Copy a video into the data set as its clip of that number."""
    label, person = LABELS[number % len(LABELS)], number // len(LABELS) % PEOPLE
    path = folder / label / f"person{person}_{number:05d}.avi"
    path.write_bytes(original.read_bytes() + f"clip {number}".encode())
    return path


def _texture(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Noise at several scales, (height, width, 3) float64, about 0 to 255."""
    texture = np.full((height, width, 3), 110.0)
    for scale, strength in ((4, 20.0), (16, 40.0), (64, 60.0)):
        small = rng.normal(0, strength, (-(-height // scale) + 1, -(-width // scale) + 1, 3))
        texture += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return texture
