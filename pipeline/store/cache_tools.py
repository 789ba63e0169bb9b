"""What people do with the cache by hand: look into it, check it, tidy it up."""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.errors import CacheError, FeaturesError
from pipeline.frames.streams import RGB, stream_and_view
from pipeline.store.cache import embeddings_folder, extractor_folder, remove_leftovers
from pipeline.store.digest_index import BYTES, DigestIndex, digests_as_bytes
from pipeline.store.extractor_spec import fingerprint
from pipeline.store.feature_files import FeatureSet
from pipeline.store.shards import (
    DamagedShardError,
    Entry,
    check_shard,
    read_entries,
    read_index,
    read_made_by,
    set_aside,
    write_shard,
)


@dataclass(frozen=True)
class CachedExtractor:
    """The shards of one extractor and view.

    Attributes
    ----------
    folder : where they are
    extractor : what extractor.json says; empty where that file is missing or damaged
    """

    folder: Path
    extractor: dict[str, object]

    @property
    def view(self) -> str:
        """Name of the view."""
        return self.folder.name

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return str(self.extractor.get("stream", RGB))

    def shards(self) -> list[Path]:
        """The shard files, sorted."""
        return sorted(self.folder.glob("[!.]*.h5"))


def cached_extractors() -> Iterator[CachedExtractor]:
    """All extractors and views in the cache."""
    for folder in sorted(embeddings_folder().glob("*/*/")):
        description = folder.parent / "extractor.json"
        try:
            extractor = json.loads(description.read_text("utf-8"))
        except (OSError, ValueError):
            extractor = {}  # only for people; the folder's name is what counts
        yield CachedExtractor(folder, extractor)


@dataclass(frozen=True)
class Contents:
    """What the shards of one extractor and view hold.

    Attributes
    ----------
    shards, clips, frames, bytes : how many; of the shards that can be read, but for `bytes`
    """

    of: CachedExtractor
    shards: int
    clips: int
    frames: int
    bytes: int


def describe() -> tuple[list[Contents], list[str]]:
    """Count clips, frames and bytes by extractor and view.

    Returns
    -------
    what there is, and a sentence about each shard that is damaged or cannot be read
    """
    contents, left_out = [], []
    for cached in cached_extractors():
        shards = cached.shards()
        digests, frames = [np.empty((0, BYTES), np.uint8)], 0
        for path in shards:
            try:
                index = read_index(path)
            except FileNotFoundError:
                continue  # another process collects at the same time
            except CacheError as error:
                left_out.append(_left_alone(error))
                continue
            digests.append(digests_as_bytes([index.digest.tobytes().decode()]))
            frames += len(index.frame)
        clips = len(np.unique(np.concatenate(digests), axis=0))
        size = sum(path.lstat().st_size for path in shards)
        contents.append(Contents(cached, len(shards), clips, frames, size))
    return contents, left_out


@dataclass
class Verified:
    """What the checksums said.

    Attributes
    ----------
    shards : how many there are
    damaged : a sentence about each that was damaged, and is set aside
    unreadable : a sentence about each that could not be read, and is left where it is
    """

    shards: int = 0
    damaged: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def verify() -> Verified:
    """Check all shards; damaged ones are set aside."""
    done = Verified()
    for cached in cached_extractors():
        for path in cached.shards():
            try:
                check_shard(path)
            except FileNotFoundError:
                continue
            except DamagedShardError as error:
                done.damaged.append(f"{error}. Set aside as {set_aside(path)}.")
            except CacheError as error:
                done.unreadable.append(f"{error}. Nothing is known of what is in it; it is left.")
            done.shards += 1
    return done


@dataclass
class Collected:
    """What was dropped, or would be.

    Attributes
    ----------
    entries, frames, bytes : how many
    left_alone : a sentence about each shard that is damaged or cannot be read
    """

    entries: int = 0
    frames: int = 0
    bytes: int = 0
    left_alone: list[str] = field(default_factory=list)


def collect(folders: Sequence[Path], *, really: bool) -> Collected:
    """Drop the embeddings that none of these features folders uses.

    A shard with both used and unused entries is replaced by one with the used ones. Damaged
    shards that were set aside go too.

    Parameters
    ----------
    folders : features folders to keep everything of
    really : False only counts what would be dropped

    Raises
    ------
    FeaturesError
        When a folder holds no feature files: nothing is dropped then.
    """
    used = _used(folders)
    done = Collected()
    for cached in cached_extractors():
        users = used.get((cached.folder.parent.name, cached.view), [])
        for path in cached.shards():
            try:
                index = read_index(path)
                keep = [
                    any(user.needs(digest.decode(), index.frame[start:stop]) for user in users)
                    for digest, start, stop in zip(
                        index.digest.tolist(), index.offsets, index.offsets[1:], strict=False
                    )
                ]
                if all(keep):
                    continue
                dropped = np.diff(index.offsets)[~np.array(keep)]
                size = path.lstat().st_size
                if really:
                    _rewrite(path, keep)
            except FileNotFoundError:
                continue
            except CacheError as error:
                done.left_alone.append(_left_alone(error))
                continue
            done.entries += len(dropped)
            done.frames += int(dropped.sum())
            done.bytes += int(size * dropped.sum() / max(len(index.frame), 1))
        for path in sorted((cached.folder / "damaged").glob("*.h5")):
            done.bytes += path.stat().st_size
            if really:
                path.unlink()
        if really:
            done.bytes += remove_leftovers(cached.folder)
    return done


def _left_alone(error: CacheError) -> str:
    if isinstance(error, DamagedShardError):
        return f"{error}; it is left alone, `clipcache cache verify` sets it aside."
    return f"{error}; it is left alone."


class _User:
    """A features folder, looked up by digest."""

    def __init__(self, features: FeatureSet) -> None:
        self._features = features
        self._clips = DigestIndex()
        self._clips.add([(0, digests_as_bytes(features.digests.tolist()))])

    def needs(self, digest: str, frames: np.ndarray) -> bool:
        """Whether one of the clips with this digest has one of these frames."""
        return any(
            np.isin(frames, self._features.frames(i)).any() for _, i in self._clips.places(digest)
        )


def _used(folders: Sequence[Path]) -> dict[tuple[str, str], list[_User]]:
    """(folder of the extractor, view) -> the features made of it."""
    used: dict[tuple[str, str], list[_User]] = defaultdict(list)
    for folder in folders:
        try:
            features = FeatureSet.open(folder)
        except FeaturesError as error:
            raise FeaturesError(f"{error} Nothing was dropped.") from None
        user = _User(features)
        for name in features.readings:
            stream, view = stream_and_view(name)
            made = features.streams[stream]
            used[extractor_folder(fingerprint(made)), view].append(user)
    return used


def _rewrite(path: Path, keep: Sequence[bool]) -> None:
    """Put a shard of what is kept in place of a shard; CacheError where that cannot be read."""
    if any(keep):
        check_shard(path)  # a part of a damaged shard must not be passed off as sound
        kept: list[Entry] = [
            entry for entry, needed in zip(read_entries(path), keep, strict=True) if needed
        ]
        write_shard(path.with_name(f"{uuid.uuid4().hex}.h5"), kept, read_made_by(path))
    path.unlink(missing_ok=True)
