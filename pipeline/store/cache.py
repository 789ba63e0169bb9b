"""The embedding cache: every embedding ever computed, keyed by content.

    <cache folder>/embeddings/<extractor>/extractor.json
    <cache folder>/embeddings/<extractor>/<view>/<shard>.h5
    <cache folder>/embeddings/<extractor>/<view>/damaged/<shard>.h5

Every stream has an extractor of its own, so that one that is added is computed alone.

A shard never changes once it has its name, so any number of processes read and write at once
without locks: each writes shards of its own. See pipeline.store.shards for what is inside.
"""

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pipeline.errors import CacheError, DiskError
from pipeline.files import write_text
from pipeline.hdf5 import DAMAGE, open_hdf5
from pipeline.locations import cache_folder
from pipeline.store.digest_index import DigestIndex, digests_as_bytes
from pipeline.store.extractor_spec import Spec, canonical, fingerprint
from pipeline.store.shards import (
    DamagedShardError,
    Entry,
    ShardIndex,
    check_shard,
    read_index,
    set_aside,
    write_shard,
)

SHARD_CLIPS = 256  # clips after which a shard is written
SHARD_SECONDS = 15.0  # seconds after which a shard is written: what a killed run can lose
SHARD_BYTES = 64 << 20  # bytes held in memory after which a shard is written

INDEX_BYTES = 256 << 20  # of frames and timelines kept in memory, of each view
OPEN_SHARDS = 32  # files kept open for reading
LEFTOVER_SECONDS = 3600.0  # age of an unfinished shard that nobody can be writing any more

Report = Callable[[str], None]

logger = logging.getLogger("clipcache.cache")


def embeddings_folder() -> Path:
    """The folder that holds one folder per extractor."""
    return cache_folder() / "embeddings"


def extractor_folder(fingerprint: str) -> str:
    """Name of an extractor's folder."""
    return fingerprint[:16]


def remove_leftovers(folder: Path) -> int:
    """Remove unfinished shards that killed runs left in a folder of shards; gives their bytes."""
    freed = 0
    for path in folder.glob(".*.h5"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            if time.time() - status.st_mtime > LEFTOVER_SECONDS:
                path.unlink()
                freed += status.st_size
    return freed


@dataclass(frozen=True)
class Part:
    """Where some frames of a clip are: rows `start` onward of the shard at `path`."""

    path: Path
    start: int
    frame: np.ndarray


@dataclass(frozen=True)
class CachedClip:
    """What the cache knows of one clip in one view.

    Attributes
    ----------
    timeline : (F,) float64, seconds, of every frame of the video
    parts : the places that hold embeddings; later parts may repeat frames of earlier ones
    missing : frames that the video should hold and that cannot be decoded
    """

    timeline: np.ndarray
    parts: tuple[Part, ...]
    missing: int = 0

    @property
    def frames(self) -> np.ndarray:
        """Indices of all embedded frames, increasing, int32."""
        return np.unique(np.concatenate([part.frame for part in self.parts]))


class EmbeddingCache:
    """The shards of one extractor and view, looked up by clip digest.

    Where each clip is takes 48 bytes in memory. Frames and timelines are read shard by shard, and
    the `INDEX_BYTES` of them that were used last are kept; embeddings are read when asked for. A
    shard that does not match its checksum is set aside, reported, and treated as if it had never
    been; one that the system does not hand out is reported, left where it is and treated so too.
    With `read_only` nothing is written, moved or removed.
    """

    def __init__(
        self,
        extractor: Spec,
        view: str,
        report: Report = logger.warning,
        *,
        read_only: bool = False,
    ) -> None:
        self.extractor = extractor
        self._read_only = read_only
        self.folder = embeddings_folder() / extractor_folder(fingerprint(extractor.fields)) / view
        self._report = report
        self._numbers: dict[Path, int] = {}  # of the shards in use
        self._paths: list[Path] = []  # by number; a number is never used again
        self._places = DigestIndex()
        self._indexes: dict[int, ShardIndex] = {}  # the one used last is last
        self._index_bytes = 0
        self._checked: set[Path] = set()
        self._unreadable: set[Path] = set()  # told once, and not tried again
        self._open: dict[Path, h5py.Dataset] = {}  # the one used last is last
        if not read_only:
            self._prepare()
        self.refresh()

    def _prepare(self) -> None:
        """Make the folder, and clear away what killed runs left in it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            description = self.folder.parent / "extractor.json"
            if not description.exists():
                write_text(description, canonical(self.extractor.fields) + "\n")
        except OSError as error:
            raise CacheError(
                f"The cache folder {self.folder} cannot be written to ({error.strerror}): "
                "set CLIPCACHE_DIR to a folder that can."
            ) from None
        remove_leftovers(self.folder)

    def refresh(self) -> None:
        """Take up shards written since, by this process or another, and forget removed ones."""
        present = set(self.folder.glob("[!.]*.h5"))
        self._forget(self._numbers.keys() - present)
        added = []
        for path in sorted(present - self._numbers.keys() - self._unreadable):
            try:
                shard = read_index(path)
            except FileNotFoundError:
                continue  # removed by another process between listing and reading
            except CacheError as error:
                self._leave_out(path, error)
                continue
            number = len(self._paths)
            self._paths.append(path)
            self._numbers[path] = number
            self._keep(number, shard)
            added.append((number, digests_as_bytes([shard.digest.tobytes().decode()])))
        self._places.add(added)

    def find(self, digest: str) -> CachedClip | None:
        """What is cached of a clip, or None; reads no embeddings."""
        timeline: np.ndarray | None = None
        missing = 0
        parts = []
        for number, row in self._places.places(digest):
            shard = self._index(number)
            if shard is None:
                continue
            start, stop = shard.offsets[row], shard.offsets[row + 1]
            parts.append(Part(shard.path, int(start), shard.frame[start:stop]))
            if timeline is None:
                times = slice(shard.timeline_offsets[row], shard.timeline_offsets[row + 1])
                timeline = shard.timeline[times]
                missing = int(shard.missing[row]) if len(shard.missing) else 0
        return None if timeline is None else CachedClip(timeline, tuple(parts), missing)

    def check(self, digests: Iterable[str]) -> bool:
        """Check the shards that hold these clips, each once, and set damaged ones aside.

        Returns
        -------
        False when a shard was set aside or is gone, so that clips found before may be gone.
        """
        wanted = {self._paths[number] for number in self._places.shards_of(digests)}
        sound = True
        for path in sorted(wanted - self._checked):
            try:
                check_shard(path)
                self._checked.add(path)
            except FileNotFoundError:
                self._forget([path])
                sound = False
            except CacheError as error:
                self._leave_out(path, error)
                sound = False
        return sound

    def read(self, digest: str, frames: np.ndarray) -> np.ndarray:
        """The embeddings of these frames of a clip.

        Parameters
        ----------
        frames : (n,) int, increasing; all must be cached

        Returns
        -------
        (n, D) float16; D is 1280 in the stream rgb

        Raises
        ------
        CacheError
            When a frame is not cached, or a shard vanished since it was looked up.
        """
        clip = self.find(digest)
        found: np.ndarray | None = None
        missing = np.ones(len(frames), bool)
        for part in clip.parts if clip else ():
            if not len(part.frame):
                continue  # of a segment that no frame fell into
            rows = np.searchsorted(part.frame, frames)
            rows[rows == len(part.frame)] = 0
            hits = missing & (part.frame[rows] == frames)
            if not hits.any():
                continue
            try:
                stored = self._opened(part.path)[part.start : part.start + len(part.frame)]
            except DAMAGE as error:
                raise CacheError(f"{part.path.name} cannot be read any more: {error}") from None
            if len(hits) == len(stored) and hits.all():
                return stored  # as almost always: one part holds these frames and no other
            if found is None:
                found = np.empty((len(frames), stored.shape[1]), np.float16)
            found[hits] = stored[rows[hits]]
            missing &= ~hits
        if found is None or missing.any():
            raise CacheError(f"{missing.sum()} of {len(frames)} frames of {digest} are not cached")
        return found

    def _index(self, number: int) -> ShardIndex | None:
        """Frames and timelines of a shard; None where it is gone, or damaged by now."""
        shard = self._indexes.pop(number, None)
        if shard is not None:
            self._indexes[number] = shard
            return shard
        path = self._paths[number]
        try:
            shard = read_index(path)
        except FileNotFoundError:
            self._forget([path])
            return None
        except CacheError as error:
            self._leave_out(path, error)
            return None
        self._keep(number, shard)
        return shard

    def _keep(self, number: int, shard: ShardIndex) -> None:
        self._indexes[number] = shard
        self._index_bytes += shard.bytes
        while self._index_bytes > INDEX_BYTES and len(self._indexes) > 1:
            self._index_bytes -= self._indexes.pop(next(iter(self._indexes))).bytes

    def _opened(self, path: Path) -> h5py.Dataset:
        """The embeddings of a shard; shards stay open, as opening takes as long as reading."""
        stored = self._open.pop(path, None)
        if stored is None:
            if len(self._open) >= OPEN_SHARDS:
                self._open.pop(next(iter(self._open))).file.close()
            stored = open_hdf5(path)["embedding"]
        self._open[path] = stored
        return stored

    def _forget(self, paths: Collection[Path]) -> None:
        numbers = [self._numbers.pop(path) for path in paths if path in self._numbers]
        if not numbers:
            return
        self._places.drop(numbers)
        for number in numbers:
            path = self._paths[number]
            if path in self._open:
                self._open.pop(path).file.close()
            if number in self._indexes:
                self._index_bytes -= self._indexes.pop(number).bytes

    def _leave_out(self, path: Path, error: CacheError) -> None:
        """Go on as if a shard had never been; only a damaged one is moved out of the way."""
        self._forget([path])
        if not isinstance(error, DamagedShardError):
            self._unreadable.add(path)
            self._report(f"Cache shard {error}. It stays where it is; its clips count as missing.")
        elif self._read_only:
            self._report(f"Cache shard {error}. A run sets it aside and embeds its clips again.")
        else:
            aside = set_aside(path)
            self._report(
                f"Cache shard {error}. Set aside as {aside}; its clips are embedded again."
            )


class ShardWriter:
    """Collects entries and writes them as shards of bounded size, age and memory.

    Use as a context manager. What was collected is written on any way out, Ctrl-C included.

    Parameters
    ----------
    made_by : see `pipeline.store.shards.write_shard`
    """

    def __init__(self, folder: Path, made_by: str = "") -> None:
        self._folder, self._made_by = folder, made_by
        self._entries: list[Entry] = []
        self._bytes = 0
        self._since = time.monotonic()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.flush()

    def add(self, entry: Entry) -> None:
        """Take an entry; a shard is written when enough have come together."""
        if not self._entries:
            self._since = time.monotonic()
        self._entries.append(entry)
        self._bytes += entry.bytes
        if len(self._entries) >= SHARD_CLIPS or self._bytes >= SHARD_BYTES:
            self.flush()
        else:
            self.flush_if_old()

    def flush_if_old(self) -> None:
        """Write a shard when the oldest entry has waited `SHARD_SECONDS`."""
        if self._entries and time.monotonic() - self._since >= SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was collected as one shard.

        Raises
        ------
        CacheError
            When the disk is full or the folder cannot be written to.
        """
        if not self._entries:
            return
        path = self._folder / f"{uuid.uuid4().hex}.h5"
        try:
            write_shard(path, self._entries, self._made_by)
        except (DiskError, OSError, RuntimeError) as error:  # HDF5 gives a full disk many names
            reason = error.reason if isinstance(error, DiskError) else " ".join(str(error).split())
            raise CacheError(
                f"The embedding cache cannot be written to {self._folder} ({reason}): make room, or"
                " set CLIPCACHE_DIR to another disk; what was written before is kept."
            ) from None
        self._entries = []
        self._bytes = 0
