"""One shard of the embedding cache: an immutable HDF5 file of many clips' embeddings.

| dataset           | shape, type          | meaning                                       |
|-------------------|----------------------|-----------------------------------------------|
| `digest`          | (C,) 64 bytes        | the clips' digests, hexadecimal               |
| `offsets`         | (C+1,) int64         | clip i owns rows offsets[i]:offsets[i+1]      |
| `frame`           | (N,) int32           | index of the embedded frame in its video      |
| `timeline_offsets`| (C+1,) int64         | clip i owns times timeline_offsets[i]:...     |
| `timeline`        | (F,) float64 seconds | time of every frame of the video              |
| `missing`         | (C,) int32           | frames of the video that cannot be decoded    |
| `embedding`       | (N, D) float16       | D is 1280 in the stream rgb                   |

Shards of earlier releases lack `missing`; nothing was known of it then.

Two checksums are stored: `index_sha256` over all but the embeddings, checked whenever a shard is
opened, and `sha256` over everything, checked before embeddings are used. The attribute `made_by`
says for people which engine made the embeddings, on which processor.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import CacheError
from pipeline.files import replacing
from pipeline.hdf5 import DamagedFileError, UnreadableFileError, create_hdf5, reading_hdf5

if TYPE_CHECKING:
    import h5py

SCHEMA = 1
OLD_NAMES = ("digest", "offsets", "frame", "timeline_offsets", "timeline")
INDEX_NAMES = (*OLD_NAMES, "missing")
HASH_ROWS = 4096  # embeddings hashed at a time: 10 MiB
BLOCK_BYTES = 4 << 20  # of embeddings written at a time; a call of HDF5 costs as much as 64 KiB


class DamagedShardError(CacheError):
    """The bytes of a shard are there, but they are not what was written."""


@dataclass(frozen=True)
class Entry:
    """Embeddings of some frames of one clip, in one view.

    Attributes
    ----------
    digest : SHA-256 of the clip, 64 hexadecimal digits
    timeline : (F,) float64, seconds, of every frame of the video
    frame : (n,) int32, which frames these are, increasing
    embedding : (n, D) float16
    missing : frames that the video should hold and that cannot be decoded
    """

    digest: str
    timeline: np.ndarray
    frame: np.ndarray
    embedding: np.ndarray
    missing: int = 0

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return self.timeline.nbytes + self.frame.nbytes + self.embedding.nbytes


@dataclass(frozen=True)
class ShardIndex:
    """All of a shard but its embeddings, as in the table above; `missing` is empty if unknown."""

    path: Path
    digest: np.ndarray
    offsets: np.ndarray
    frame: np.ndarray
    timeline_offsets: np.ndarray
    timeline: np.ndarray
    missing: np.ndarray

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return sum(getattr(self, name).nbytes for name in INDEX_NAMES)


def write_shard(path: Path, entries: Sequence[Entry], made_by: str = "") -> None:
    """Write a shard, whole or not at all.

    Parameters
    ----------
    made_by : engine and processor, for people; in no checksum
    """
    index = {
        "digest": np.array([entry.digest for entry in entries], "S64"),
        "offsets": _offsets([len(entry.frame) for entry in entries]),
        "frame": np.concatenate([entry.frame for entry in entries]).astype(np.int32),
        "timeline_offsets": _offsets([len(entry.timeline) for entry in entries]),
        "timeline": np.concatenate([entry.timeline for entry in entries]).astype(np.float64),
        "missing": np.array([entry.missing for entry in entries], np.int32),
    }
    digest = _hash_index(index)
    # The latest format keeps checksums of HDF5's own structures too. Text of variable length would
    # stand in a heap without one, where a flipped bit can make HDF5 loop for ever.
    with replacing(path) as temporary, create_hdf5(temporary, libver="latest") as file:
        for name, values in index.items():
            file.create_dataset(name, data=values)
        rows = len(index["frame"])
        width = entries[0].embedding.shape[1]
        stored = file.create_dataset("embedding", (rows, width), np.float16)
        file.attrs["index_sha256"] = np.bytes_(digest.hexdigest())
        start = 0
        for embeddings in joined(entry.embedding for entry in entries):
            stored[start : start + len(embeddings)] = embeddings
            digest.update(embeddings.data)
            start += len(embeddings)
        file.attrs["sha256"] = np.bytes_(digest.hexdigest())
        file.attrs["schema"] = SCHEMA
        if made_by:
            file.attrs["made_by"] = np.bytes_(made_by.encode())


def read_index(path: Path) -> ShardIndex:
    """Read and check all of a shard but its embeddings.

    Raises
    ------
    DamagedShardError
        When the shard is damaged.
    CacheError
        When it cannot be read, which says nothing about what is in it.
    FileNotFoundError
        When it is gone: another process may remove shards at any time.
    """
    with _reading(path) as file:
        names = INDEX_NAMES if "missing" in file else OLD_NAMES
        index = {name: file[name][()] for name in names}
        expected = file.attrs["index_sha256"].decode()
        rows = file["embedding"].shape[0]
    if _hash_index(index).hexdigest() != expected or rows != len(index["frame"]):
        raise DamagedShardError(f"{path.name} is damaged: its index does not match its checksum")
    return ShardIndex(path, **{"missing": np.empty(0, np.int32), **index})


def check_shard(path: Path) -> None:
    """Read the whole shard and compare it with its checksum.

    Raises
    ------
    DamagedShardError, CacheError, FileNotFoundError
        As `read_index` does.
    """
    index = read_index(path)
    digest = _hash_index({name: getattr(index, name) for name in INDEX_NAMES})
    with _reading(path) as file:
        stored, expected = file["embedding"], file.attrs["sha256"].decode()
        for start in range(0, len(stored), HASH_ROWS):
            digest.update(np.ascontiguousarray(stored[start : start + HASH_ROWS]).data)
    if digest.hexdigest() != expected:
        raise DamagedShardError(f"{path.name} is damaged: its contents do not match its checksum")


def joined(embeddings: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The embeddings of many clips joined to blocks of some MiB: (n, D) float16."""
    waiting: list[np.ndarray] = []
    held = 0
    for values in embeddings:
        waiting.append(np.asarray(values, np.float16))
        held += waiting[-1].nbytes
        if held >= BLOCK_BYTES:
            yield np.concatenate(waiting)
            waiting, held = [], 0
    if waiting:
        yield np.concatenate(waiting)


def set_aside(path: Path) -> Path:
    """Move a damaged shard out of the way, for people to look at; gives its new place.

    Raises
    ------
    CacheError
        When it cannot be moved.
    """
    aside = path.parent / "damaged" / path.name
    try:
        aside.parent.mkdir(exist_ok=True)
        os.replace(path, aside)
    except FileNotFoundError:
        pass  # another process did
    except OSError as error:
        raise CacheError(
            f"{path} is damaged and cannot be moved to {aside.parent} ({error.strerror}): "
            "delete it by hand."
        ) from None
    return aside


def read_made_by(path: Path) -> str:
    """Engine and processor that made a shard's embeddings; "" where it does not say."""
    with _reading(path) as file:
        return bytes(file.attrs.get("made_by", b"")).decode()


def read_entries(path: Path) -> Iterator[Entry]:
    """The entries of a shard, one after the other."""
    index = read_index(path)
    with _reading(path) as file:
        for i, digest in enumerate(index.digest):
            rows = slice(index.offsets[i], index.offsets[i + 1])
            times = slice(index.timeline_offsets[i], index.timeline_offsets[i + 1])
            missing = int(index.missing[i]) if len(index.missing) else 0
            embedding = file["embedding"][rows]
            yield Entry(
                digest.decode(), index.timeline[times], index.frame[rows], embedding, missing
            )


@contextlib.contextmanager
def _reading(path: Path) -> "Iterator[h5py.File]":
    try:
        with reading_hdf5(path) as file:
            yield file
    except DamagedFileError as error:
        raise DamagedShardError(f"{path.name} is damaged: {error}") from None
    except UnreadableFileError as error:
        raise CacheError(f"{path.name} cannot be read: {error}") from None


def _offsets(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _hash_index(index: dict[str, np.ndarray]) -> "hashlib._Hash":
    digest = hashlib.sha256()
    for name in INDEX_NAMES:
        if name == "missing" and not len(index.get(name, ())):
            continue  # of an earlier release
        values = np.ascontiguousarray(index[name])
        digest.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest
