"""The feature files: what training reads. The layout is in docs/files.md."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.errors import FeaturesError
from pipeline.extractor import DIMENSION
from pipeline.files import replacing

FEATURES = Path("features")
SCHEMA = 1


@dataclass(frozen=True)
class Row:
    """One clip of a feature file, without its embeddings.

    Attributes
    ----------
    clip_id, digest : as in index.csv
    frame : (n,) int32, index of each sampled frame in its video
    time : (n,) float32, seconds
    """

    clip_id: str
    digest: str
    frame: np.ndarray
    time: np.ndarray


def write_feature_file(
    path: Path,
    rows: Sequence[Row],
    views: Sequence[str],
    embeddings: Callable[[Row, str], np.ndarray],
    *,
    extractor: str,
    sampling: dict[str, Any],
) -> None:
    """Write one feature file, whole or not at all; equal input gives equal bytes.

    Parameters
    ----------
    rows : sorted by clip_id
    embeddings : gives (n, 1280) float16 for a row and a view; called clip by clip, so that no
        more than one clip is in memory
    extractor : JSON of pipeline.extractor.Extractor
    """
    columns = {
        # Fixed lengths: HDF5 keeps text of variable length in a heap that no checksum guards.
        "clip_id": _text([row.clip_id for row in rows]),
        "digest": _text([row.digest for row in rows]),
        "offsets": np.cumsum([0, *(len(row.frame) for row in rows)]).astype(np.int64),
        "frame": _joined([row.frame for row in rows], np.int32),
        "time": _joined([row.time for row in rows], np.float32),
    }
    checksum = hashlib.sha256()
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values)
            checksum.update(values.tobytes())
        for view in views:
            stored = file.create_dataset(
                f"embedding/{view}", (len(columns["frame"]), DIMENSION), np.float16
            )
            for row, start in zip(rows, columns["offsets"], strict=False):
                values = np.ascontiguousarray(embeddings(row, view), np.float16)
                stored[start : start + len(values)] = values
                checksum.update(values.data)
        file.attrs["schema"] = SCHEMA
        file.attrs["extractor"] = extractor
        file.attrs["sampling"] = json.dumps(sampling, sort_keys=True)
        file.attrs["sha256"] = checksum.hexdigest()


@dataclass(frozen=True)
class FeatureSet:
    """All feature files of a folder as one set of clips; embeddings stay on disk until sliced.

    Attributes
    ----------
    clip_ids : (C,) str, sorted
    digests : (C,) str
    lengths : (C,) int64, sampled frames of each clip, at least 1
    views : names, "identity" among them
    extractor, sampling : what the embeddings were made with
    sha256 : over the contents of all files, 64 hexadecimal digits
    """

    clip_ids: np.ndarray
    digests: np.ndarray
    lengths: np.ndarray
    views: tuple[str, ...]
    extractor: dict[str, Any]
    sampling: dict[str, Any]
    sha256: str
    _file: np.ndarray  # (C,) which file each clip is in
    _start: np.ndarray  # (C,) its first row there
    _frame: tuple[np.ndarray, ...]  # per file
    _time: tuple[np.ndarray, ...]
    _embedding: tuple[dict[str, np.ndarray], ...]  # per file, view -> memory map

    @classmethod
    def open(cls, folder: Path = FEATURES) -> "FeatureSet":
        """Open a features folder.

        Raises
        ------
        FeaturesError
            When there is no feature file, one is damaged, or they do not belong together.
        """
        paths = sorted(folder.glob("[!.]*.h5"))
        if not paths:
            raise FeaturesError(
                f"{folder} holds no feature file: run `clipcache features` first (or `dvc repro`)."
            )
        try:
            return cls._join([_read(path) for path in paths])
        except (OSError, KeyError, ValueError) as error:
            raise FeaturesError(
                f"{folder} holds a feature file that cannot be read ({error}): delete it and run "
                "`clipcache features` again; what the cache holds is not computed again."
            ) from None

    @classmethod
    def _join(cls, files: "list[_File]") -> "FeatureSet":
        first = files[0]
        for other in files[1:]:
            if (other.views, other.extractor, other.sampling) != (
                first.views, first.extractor, first.sampling
            ):  # fmt: skip
                raise ValueError("the files were made with different settings")
        clip_ids = np.concatenate([file.clip_ids for file in files])
        order = np.argsort(clip_ids, kind="stable")
        lengths = np.concatenate([np.diff(file.offsets) for file in files])
        return cls(
            clip_ids=clip_ids[order],
            digests=np.concatenate([file.digests for file in files])[order],
            lengths=lengths[order],
            views=first.views,
            extractor=first.extractor,
            sampling=first.sampling,
            sha256=hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest(),
            _file=np.repeat(np.arange(len(files)), [len(file.clip_ids) for file in files])[order],
            _start=np.concatenate([file.offsets[:-1] for file in files])[order],
            _frame=tuple(file.frame for file in files),
            _time=tuple(file.time for file in files),
            _embedding=tuple(file.embedding for file in files),
        )

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return next(iter(self._embedding[0].values())).shape[1]

    def __len__(self) -> int:
        return len(self.clip_ids)

    def position(self, clip_id: str) -> int:
        """Where a clip is in `clip_ids`.

        Raises
        ------
        FeaturesError
            When it is not there.
        """
        i = int(np.searchsorted(self.clip_ids, clip_id))
        if i == len(self) or self.clip_ids[i] != clip_id:
            raise FeaturesError(f"There are no features of {clip_id}; see reports/rejected.csv.")
        return i

    def __contains__(self, clip_id: str) -> bool:
        i = int(np.searchsorted(self.clip_ids, clip_id))
        return i < len(self) and bool(self.clip_ids[i] == clip_id)

    def embeddings(self, i: int, view: str = "identity") -> np.ndarray:
        """Embeddings of the i-th clip: (n, 1280) float16, a slice of a read-only memory map."""
        return self._embedding[self._file[i]][view][self._rows(i)]

    def times(self, i: int) -> np.ndarray:
        """Times of the i-th clip's sampled frames: (n,) float32, seconds."""
        return self._time[self._file[i]][self._rows(i)]

    def frames(self, i: int) -> np.ndarray:
        """Indices of the i-th clip's sampled frames in its video: (n,) int32."""
        return self._frame[self._file[i]][self._rows(i)]

    def _rows(self, i: int) -> slice:
        return slice(self._start[i], self._start[i] + self.lengths[i])


@dataclass(frozen=True)
class _File:
    clip_ids: np.ndarray
    digests: np.ndarray
    offsets: np.ndarray
    frame: np.ndarray
    time: np.ndarray
    views: tuple[str, ...]
    embedding: dict[str, np.ndarray]
    extractor: dict[str, Any]
    sampling: dict[str, Any]
    sha256: str


def _read(path: Path) -> _File:
    with h5py.File(path) as file:
        if file.attrs["schema"] != SCHEMA:
            raise ValueError(f"{path.name} has schema {file.attrs['schema']}, not {SCHEMA}")
        group = file["embedding"]
        return _File(
            clip_ids=np.char.decode(file["clip_id"][()], "utf-8"),
            digests=np.char.decode(file["digest"][()], "utf-8"),
            offsets=file["offsets"][()],
            frame=file["frame"][()],
            time=file["time"][()],
            views=tuple(sorted(group, key=lambda view: (view != "identity", view))),
            embedding={view: _memory_map(path, group[view]) for view in group},
            extractor=json.loads(file.attrs["extractor"]),
            sampling=json.loads(file.attrs["sampling"]),
            sha256=file.attrs["sha256"],
        )


def _memory_map(path: Path, stored: h5py.Dataset) -> np.ndarray:
    """The data set as an array backed by the file: HDF5 keeps contiguous data as plain bytes."""
    if stored.size == 0:
        return np.empty(stored.shape, stored.dtype)
    return np.memmap(path, stored.dtype, "r", stored.id.get_offset(), stored.shape)


def _text(values: Sequence[str]) -> np.ndarray:
    """UTF-8 bytes, padded with zeros to the longest."""
    return np.array([value.encode() for value in values] or [b""], bytes)[: len(values)]


def _joined(arrays: Iterable[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([np.empty(0, kind), *arrays]).astype(kind)
