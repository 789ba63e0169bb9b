"""What people do with the cache by hand: look into it, check it, tidy it up."""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.errors import CacheError, FeaturesError
from pipeline.store.cache import embeddings_folder, extractor_folder, remove_leftovers
from pipeline.store.digest_index import BYTES, DigestIndex, digests_as_bytes
from pipeline.store.extractor_spec import fingerprint
from pipeline.store.feature_files import FeatureSet
from pipeline.store.shards import (
    Entry,
    check_shard,
    read_entries,
    read_index,
    set_aside,
    write_shard,
)

MEBIBYTE = 1 << 20


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


def describe() -> None:
    """Print clips, frames and size by extractor and view."""
    table = Table("extractor", "backbone", "pixels", "resize", "precision", "view",
                  title=f"Embedding cache in {embeddings_folder()}")  # fmt: skip
    for column in ("shards", "clips", "frames", "MiB"):
        table.add_column(column, justify="right")
    total = 0
    for cached in cached_extractors():
        shards = cached.shards()
        digests, frames = [np.empty((0, BYTES), np.uint8)], 0
        for path in shards:
            try:
                index = read_index(path)
            except FileNotFoundError:
                continue  # another process collects at the same time
            except CacheError as error:
                print(f"{error}; `clipcache cache verify` sets it aside.")
                continue
            digests.append(digests_as_bytes([index.digest.tobytes().decode()]))
            frames += len(index.frame)
        size = sum(path.stat().st_size for path in shards)
        total += size
        known = cached.extractor
        table.add_row(
            cached.folder.parent.name,
            str(known.get("backbone", "?"))[:8],
            str(known.get("input_size", "?")),
            str(known.get("resize", "?")),
            str(known.get("precision", "?")),
            cached.view,
            f"{len(shards):,}",
            f"{len(np.unique(np.concatenate(digests), axis=0)):,}",
            f"{frames:,}",
            f"{size / MEBIBYTE:,.1f}",
        )
    console = Console()
    console.print(table if table.row_count else f"The cache in {embeddings_folder()} is empty.")
    if table.row_count:
        console.print(
            f"{total / MEBIBYTE:,.1f} MiB in all; `clipcache cache gc` drops what is unused."
        )


def verify() -> None:
    """Check all shards; damaged ones are set aside.

    Raises
    ------
    CacheError
        When a shard was damaged, after all were checked.
    """
    checked = damaged = 0
    for cached in cached_extractors():
        for path in cached.shards():
            try:
                check_shard(path)
                checked += 1
            except FileNotFoundError:
                continue
            except CacheError as error:
                checked += 1
                damaged += 1
                print(f"{error}. Set aside as {set_aside(path)}.")
    if damaged:
        raise CacheError(
            f"{damaged} of {checked} shards were damaged and are set aside; the next `clipcache "
            "features` embeds their clips again."
        )
    print(f"{checked} shards, all sound.")


def collect(folders: Sequence[Path], *, really: bool) -> None:
    """Drop the embeddings that none of these features folders uses.

    A shard with both used and unused entries is replaced by one with the used ones. Damaged
    shards that were set aside go too.

    Parameters
    ----------
    folders : features folders to keep everything of
    really : False only says what would be dropped

    Raises
    ------
    FeaturesError
        When a folder holds no feature files: nothing is dropped then.
    """
    used = _used(folders)
    entries = frames = freed = 0
    for cached in cached_extractors():
        users = used.get((cached.folder.parent.name, cached.view), [])
        for path in cached.shards():
            try:
                index = read_index(path)
            except FileNotFoundError:
                continue
            except CacheError as error:
                print(f"{error}; it is left alone, `clipcache cache verify` sets it aside.")
                continue
            keep = [
                any(user.needs(digest.decode(), index.frame[start:stop]) for user in users)
                for digest, start, stop in zip(
                    index.digest.tolist(), index.offsets, index.offsets[1:], strict=False
                )
            ]
            if all(keep):
                continue
            dropped = np.diff(index.offsets)[~np.array(keep)]
            size = path.stat().st_size
            if really and not _rewrite(path, keep):
                continue
            entries += len(dropped)
            frames += int(dropped.sum())
            freed += int(size * dropped.sum() / max(len(index.frame), 1))
        for path in sorted((cached.folder / "damaged").glob("*.h5")):
            freed += path.stat().st_size
            if really:
                path.unlink()
        if really:
            freed += remove_leftovers(cached.folder)
    verb = "Dropped" if really else "Would drop"
    print(f"{verb} {entries:,} entries with {frames:,} frames, {freed / MEBIBYTE:,.1f} MiB.")
    if not really and freed:
        print("Nothing was changed; --yes does it. Other projects' features folders must be named.")


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
        for view in features.views:
            used[extractor_folder(fingerprint(features.extractor)), view].append(user)
    return used


def _rewrite(path: Path, keep: Sequence[bool]) -> bool:
    """Put a shard of what is kept in place of a shard; False where it is damaged."""
    if any(keep):
        try:
            check_shard(path)  # a part of a damaged shard must not be passed off as sound
        except CacheError as error:
            print(f"{error}; it is left alone, `clipcache cache verify` sets it aside.")
            return False
        kept: list[Entry] = [
            entry for entry, needed in zip(read_entries(path), keep, strict=True) if needed
        ]
        write_shard(path.with_name(f"{uuid.uuid4().hex}.h5"), kept)
    path.unlink(missing_ok=True)
    return True
