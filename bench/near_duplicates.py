"""Near-duplicate images: which copies are found, what else looks alike, and how long it takes."""

from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter, process_time

import cv2
import numpy as np

from bench.clips import pictures
from bench.tables import Outcome, Rows, Table
from bench.workspace import SHARED
from pipeline.dataset.layouts.near_duplicates import (
    SECOND_SLACK,
    group_hashes,
    image_hashes,
    near_duplicate_groups,
)
from pipeline.embedding.executors import available_cores
from pipeline.errors import ClipError
from pipeline.frames.video import VideoReader

DISTANCES = (2, 4, 6, 8, 10)  # bits
IMAGES = 100_000  # of which every pair is compared
STEP = 40  # frames between two pictures taken of a video

Copy = Callable[[np.ndarray], np.ndarray]


def _compressed(image: np.ndarray, quality: int = 30) -> np.ndarray:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was encoded a moment ago
    return decoded


def _cropped(share: float) -> Copy:
    def crop(image: np.ndarray) -> np.ndarray:
        top, left = round(share * image.shape[0]), round(share * image.shape[1])
        return image[top : image.shape[0] - top, left : image.shape[1] - left]

    return crop


COPIES: dict[str, Copy] = {
    "JPEG of quality 30": _compressed,
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5),
    "224 x 224": lambda image: cv2.resize(image, (224, 224)),
    "mirrored, JPEG 30": lambda image: _compressed(cv2.flip(image, 1)),
    "brightness x 1.3": lambda image: cv2.convertScaleAbs(image, alpha=1.3),
    "brightness x 0.6": lambda image: cv2.convertScaleAbs(image, alpha=0.6),
    "2 % cut off each side": _cropped(0.02),
    "5 % cut off each side": _cropped(0.05),
    "10 % cut off each side": _cropped(0.1),
}


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Hash real pictures and copies of them; group as many hashes as a large set has."""
    outcome = Outcome()
    taken = {name: _pictures(name, quick) for name in
             ("weizmann", "ut_interaction", "ucf101_samples", "robustness")
             if (SHARED / name).is_dir()}  # fmt: skip
    everything = [image for found in taken.values() for _, image in found]
    if everything:
        outcome.tables += [_copies(everything), _strangers(taken)]
    outcome.tables.append(_speed(10_000 if quick else IMAGES, folder))
    return outcome


def _pictures(name: str, quick: bool) -> list[tuple[str, np.ndarray]]:
    """(who or which recording, picture) of a set, some of every video."""
    found = []
    for path in sorted(p for p in (SHARED / name).rglob("*.*") if p.is_file())[
        :: 4 if quick else 1
    ]:
        who = path.stem.split("_")[0] if name == "weizmann" else str(path)
        try:
            for _, image in VideoReader(path).frames(lambda index, seconds: index % STEP == 0):
                found.append((who, image))
        except ClipError:
            continue  # some of them are damaged, on purpose
    return [(who, image) for who, image in found if image_hashes(image) is not None]


def _alike(ones: np.ndarray, others: np.ndarray, distance: int) -> np.ndarray:
    """Which of N pairs of pictures are alike: (N,) bool of twice (N, 2, 2) hashes."""
    apart = np.bitwise_count(ones[:, np.newaxis, 0] ^ others)  # (N, straight or mirrored, hash)
    return ((apart[..., 0] <= distance) & (apart[..., 1] <= distance + SECOND_SLACK)).any(axis=1)


def _shares(ones: np.ndarray, others: np.ndarray) -> list[float]:
    return [100 * float(_alike(ones, others, distance).mean()) for distance in DISTANCES]


def _hashes(images: Iterable[np.ndarray]) -> np.ndarray:
    made = (image_hashes(image) for image in images)
    return np.stack([np.zeros((2, 2), np.uint64) if one is None else one for one in made])


def _copies(images: list[np.ndarray]) -> Table:
    originals = _hashes(images)
    rows: Rows = [
        [name, *_shares(originals, _hashes(map(made, images)))] for name, made in COPIES.items()
    ]
    return Table(
        "Copies that are found, % of the pictures, by near_duplicates (bits)",
        ["copy", *map(str, DISTANCES)],
        rows,
        [f"{len(images)} pictures: one frame in {STEP} of real videos."],
    )


def _strangers(taken: dict[str, list[tuple[str, np.ndarray]]]) -> Table:
    rows: Rows = []
    for name, found in taken.items():
        who = np.array([who for who, _ in found])
        hashes = _hashes(image for _, image in found)
        one, other = np.nonzero(np.triu(who[:, np.newaxis] != who))
        rows.append([name, len(one), *_shares(hashes[one], hashes[other])])
    return Table(
        "Pictures of different videos that look alike, % of the pairs, by near_duplicates (bits)",
        ["set", "pairs", *map(str, DISTANCES)],
        rows,
        ["Of weizmann, of different people: before one wall, seen by one camera."],
    )


def _speed(count: int, folder: Path) -> Table:
    files = 200
    paths = [folder / f"{i}.jpg" for i in range(files)]
    for path, image in zip(paths, pictures(files, 640, 480, 0), strict=True):
        cv2.imwrite(str(path), image)
    started = perf_counter()
    near_duplicate_groups(paths)
    hashing = (perf_counter() - started) / files
    hashes = np.random.default_rng(0).integers(0, 1 << 63, (count, 2, 2)).astype(np.uint64)
    started = process_time()
    group_hashes(hashes, 6)
    return Table(
        "Time",
        ["", ""],
        [["hashing a 640 x 480 JPEG, ms", 1e3 * hashing],
         [f"comparing {count:,} images, processor seconds", process_time() - started]],
        [f"Hashing in threads on {available_cores()} cores; comparing on one."],
    )  # fmt: skip
