"""Images that show the same picture: perceptual hashes that differ in a few bits.

The hash is the pHash of the package imagehash: 32 x 32 grey levels, cosine transform, and for each
of the 64 lowest frequencies one bit, whether it is above their median (C. Zauner, "Implementation
and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2). It survives another size
or shape, compression, brightness, and a crop of two per cent. A mirrored picture counts as a copy
as well: augmented data sets are full of them, and training mirrors pictures too.

Copies of copies are one group, so a group may hold pictures that differ more than its neighbours
do. Two things keep such chains from joining what has nothing in common: a second hash of another
kind (imagehash's dHash: whether a pixel is brighter than the one to its left) must roughly agree,
and flat pictures, whose bits are decided by noise, are never joined.

It looks at the whole picture: two people in front of one fixed camera may look alike to it, and a
crop of five per cent mostly does not. docs/benchmarks.md has the figures.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.dataset.components import joined
from pipeline.frames.images import look_at_images
from pipeline.progress import Progress

DISTANCE = 6  # bits of 64; pHash sets half of the bits, so distances are nearly always even
SECOND_SLACK = 6  # bits by which the second hash may differ more than the first
HASH_SIDE = 64  # pixels of the picture that is hashed, at least: twice what pHash looks at
FLAT = 3.0  # grey levels; a picture with a smaller standard deviation shows nothing
BLOCK_PAIRS = 1 << 22  # pairs compared at a time: 32 MiB of differences


def near_duplicate_groups(paths: Sequence[Path], distance: int = DISTANCE) -> np.ndarray:
    """Group images that look alike.

    Parameters
    ----------
    paths : image files; one that cannot be read is a group of its own
    distance : most bits of 64 in which the hashes of two images of a group may differ, or those of
        one and the other mirrored

    Returns
    -------
    (N,) int64, for each image the position of the first one of its group
    """
    hashes = np.zeros((len(paths), 2, 2), np.uint64)
    usable = np.zeros(len(paths), bool)
    with Progress("near-duplicates", len(paths), "images") as progress:
        made_of = look_at_images(paths, HASH_SIDE, lambda image, size: image_hashes(image))
        for i, made in enumerate(made_of):
            if made is not None:
                hashes[i], usable[i] = made, True
            progress.advance()
    groups = np.arange(len(paths))
    rows = np.flatnonzero(usable)
    groups[rows] = rows[group_hashes(hashes[rows], distance)]
    return groups


def image_hashes(image: np.ndarray) -> np.ndarray | None:
    """The hashes of a picture.

    Parameters
    ----------
    image : (height, width, 3) uint8, BGR

    Returns
    -------
    (2, 2) uint64: pHash and dHash, of the picture and of its mirror image; None for a flat one
    """
    import imagehash
    from PIL import Image

    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).std() < FLAT:
        return None
    bits = [
        made(Image.fromarray(seen)).hash
        for seen in (grey, cv2.flip(grey, 1))
        for made in (imagehash.phash, imagehash.dhash)
    ]
    return np.packbits(bits).view(np.uint64).reshape(2, 2)


def group_hashes(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Connected components of the pairs of pictures whose hashes are close.

    All pairs are compared, block by block: half a minute of one core for 100,000 pictures.

    Parameters
    ----------
    hashes : (N, 2, 2) uint64, as `image_hashes` makes them

    Returns
    -------
    (N,) int64, for each picture the position of the first one of its group
    """
    if not len(hashes):
        return np.arange(0)
    flat, place = np.unique(hashes.reshape(len(hashes), 4), axis=0, return_inverse=True)
    place = place.ravel()
    components = np.arange(len(flat))
    for rows, columns in _close_pairs(flat, distance):
        components = joined(components[rows], components[columns], len(flat))[components]
    alike = components[place]
    _, first, inverse = np.unique(alike, return_index=True, return_inverse=True)
    return first[inverse.ravel()]


def _close_pairs(hashes: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions of pairs that are close, from one block of rows after the other."""
    straight, mirrored = hashes[:, :2], hashes[:, 2:]
    block = max(1, BLOCK_PAIRS // len(hashes))
    for start in range(0, len(hashes), block):
        mine = straight[start : start + block]
        for others in (straight[start:], mirrored[start:]):
            near = np.bitwise_count(mine[:, :1] ^ others[:, 0]) <= distance
            rows, columns = np.nonzero(near)
            agree = np.bitwise_count(mine[rows, 1] ^ others[columns, 1]) <= distance + SECOND_SLACK
            rows, columns = rows[agree] + start, columns[agree] + start
            if (rows != columns).any():
                yield rows, columns
