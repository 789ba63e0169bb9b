"""Where each digest lies: sorted columns, as a dictionary of a million entries takes gigabytes."""

from collections.abc import Collection, Iterable
from itertools import islice

import numpy as np

BYTES = 32  # of a SHA-256
WORD = 8  # leading bytes of a digest that the columns are sorted by
AT_ONCE = 8192  # digests looked up at a time


def digests_as_bytes(digests: Iterable[str]) -> np.ndarray:
    """Digests of 64 hexadecimal digits as (n, 32) uint8."""
    return np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, BYTES)


class DigestIndex:
    """Digest -> places, a place being a shard's number and a row in it; 48 bytes a place."""

    def __init__(self) -> None:
        self._word = np.empty(0, np.uint64)  # sorted; digests that share it are told apart below
        self._rest = np.empty((0, BYTES - WORD), np.uint8)
        self._shard = np.empty(0, np.int32)
        self._row = np.empty(0, np.int32)

    def __len__(self) -> int:
        return len(self._word)

    def add(self, shards: Collection[tuple[int, np.ndarray]]) -> None:
        """Take up shards: number, and the digests of its rows as (n, 32) uint8."""
        if not shards:
            return
        added = np.concatenate([digests for _, digests in shards])
        lengths = [len(digests) for _, digests in shards]
        word = np.concatenate([self._word, _words(added)])
        order = np.argsort(word, kind="stable")  # of one digest, the place added first stays first
        numbers = np.repeat(np.array([number for number, _ in shards], np.int32), lengths)
        rows = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
        self._word = word[order]
        self._rest = np.concatenate([self._rest, added[:, WORD:]])[order]
        self._shard = np.concatenate([self._shard, numbers])[order]
        self._row = np.concatenate([self._row, rows])[order]

    def drop(self, shards: Collection[int]) -> None:
        """Forget all places in these shards."""
        kept = ~np.isin(self._shard, np.array(list(shards), np.int32))
        self._word, self._rest = self._word[kept], self._rest[kept]
        self._shard, self._row = self._shard[kept], self._row[kept]

    def places(self, digest: str) -> list[tuple[int, int]]:
        """The shards that hold a digest, with the row in each; in the order they were added."""
        raw = bytes.fromhex(digest)
        word = np.uint64(int.from_bytes(raw[:WORD], "big"))
        i, found = int(self._word.searchsorted(word)), []
        while i < len(self._word) and self._word[i] == word:
            if self._rest[i].tobytes() == raw[WORD:]:
                found.append((int(self._shard[i]), int(self._row[i])))
            i += 1
        return found

    def shards_of(self, digests: Iterable[str]) -> set[int]:
        """The shards that hold any of these digests."""
        found: set[int] = set()
        waiting = iter(digests)
        while part := list(islice(waiting, AT_ONCE)):
            words = _words(digests_as_bytes(part))
            first = np.searchsorted(self._word, words, "left")
            counts = np.searchsorted(self._word, words, "right") - first
            begins = np.cumsum(counts) - counts
            places = np.repeat(first - begins, counts) + np.arange(counts.sum())
            found.update(np.unique(self._shard[places]).tolist())
        return found


def _words(digests: np.ndarray) -> np.ndarray:
    """The first 8 bytes of each digest as a number that sorts as the digest does."""
    return np.ascontiguousarray(digests[:, :WORD]).view(">u8")[:, 0].astype(np.uint64)
