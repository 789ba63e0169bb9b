"""The clips of a feature file without their embeddings: which, and when their frames come."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

ROWS_AT_ONCE = 8192  # clips that are Python objects at the same time


@dataclass(frozen=True)
class Row:
    """One clip of a feature file, without its embeddings.

    Attributes
    ----------
    clip_id, digest : as in index.csv
    frame : (n,) int32, index of each sampled frame in its video
    time : (n,) float32, seconds; of a segment from its start
    """

    clip_id: str
    digest: str
    frame: np.ndarray
    time: np.ndarray


@dataclass(frozen=True)
class Rows:
    """The clips of a feature file as columns; a clip becomes a `Row` only while it is looked at.

    Attributes
    ----------
    clip_id, digest : (C,) UTF-8 bytes, padded with zeros to the longest
    offsets : (C+1,) int64, clip i owns offsets[i]:offsets[i+1] of the two below
    frame : (N,) int32
    time : (N,) float32, seconds
    """

    clip_id: np.ndarray
    digest: np.ndarray
    offsets: np.ndarray
    frame: np.ndarray
    time: np.ndarray

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Rows":
        """The columns of these rows, taken one by one."""
        if isinstance(rows, Rows):
            return rows
        parts, waiting = [cls._join([])], iter(rows)
        while part := list(islice(waiting, ROWS_AT_ONCE)):
            parts.append(cls._join(part))
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        return cls(
            np.concatenate([part.clip_id for part in parts]),
            np.concatenate([part.digest for part in parts]),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.concatenate([part.frame for part in parts]),
            np.concatenate([part.time for part in parts]),
        )

    @classmethod
    def _join(cls, rows: Sequence[Row]) -> "Rows":
        return cls(
            # Fixed lengths: HDF5 keeps text of variable length in a heap that no checksum guards.
            _text([row.clip_id for row in rows]),
            _text([row.digest for row in rows]),
            np.cumsum([0, *(len(row.frame) for row in rows)]).astype(np.int64),
            np.concatenate([np.empty(0, np.int32), *(row.frame for row in rows)], dtype=np.int32),
            np.concatenate([np.empty(0, np.float32), *(row.time for row in rows)],
                           dtype=np.float32),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.clip_id)

    def __iter__(self) -> Iterator[Row]:
        for i in range(len(self)):
            here = slice(self.offsets[i], self.offsets[i + 1])
            yield Row(
                self.clip_id[i].decode(), self.digest[i].decode(), self.frame[here], self.time[here]
            )

    def take(self, chosen: np.ndarray) -> "Rows":
        """The clips for which a (C,) mask is true."""
        lengths = np.diff(self.offsets)
        inside = np.repeat(chosen, lengths)
        return Rows(
            self.clip_id[chosen],
            self.digest[chosen],
            np.concatenate([[0], np.cumsum(lengths[chosen])]).astype(np.int64),
            self.frame[inside],
            self.time[inside],
        )


def _text(values: Sequence[str]) -> np.ndarray:
    """UTF-8 bytes, padded with zeros to the longest."""
    return np.array([value.encode() for value in values] or [b""], bytes)[: len(values)]
