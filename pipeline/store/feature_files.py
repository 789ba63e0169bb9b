"""The feature files: what training reads. The layout is in docs/files.md."""

import hashlib
import json
import mmap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from pipeline.errors import FeaturesError, how_to_have
from pipeline.files import replacing
from pipeline.frames.streams import RGB, reading, stream_and_view
from pipeline.hdf5 import DamagedFileError, UnreadableFileError, create_hdf5, reading_hdf5
from pipeline.store.clip_rows import Row, Rows
from pipeline.store.extractor_spec import DIMENSIONS
from pipeline.store.shards import joined

if TYPE_CHECKING:
    import pyarrow as pa

FEATURES = Path("features")
SCHEMA = 1
MAPPED_BYTES = 256 << 20  # of embeddings that stay mapped
MAPPED_AT_ONCE = 1 << 20  # bytes that Linux maps around one that is touched: 0.8 MB, measured
ABSENT = -1  # position of a clip without features


def write_feature_file(
    path: Path,
    rows: Iterable[Row],
    readings: Sequence[str],
    embeddings: Callable[[Row, str], np.ndarray],
    *,
    extractor: str,
    sampling: dict[str, Any],
    streams: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write one feature file, whole or not at all; equal input gives equal bytes.

    Parameters
    ----------
    rows : sorted by clip_id; `Rows`, or taken one by one
    readings : names of streams in views, as in pipeline.frames.streams
    embeddings : gives (n, D) float16 for a row and a reading; called clip by clip, and what comes
        of it is written some MiB at a time
    extractor : JSON of pipeline.store.extractor_spec.ExtractorSpec
    streams : the fields of the specification of every stream beside rgb
    """
    columns = Rows.of(rows)
    checksum = hashlib.sha256()
    with replacing(path) as temporary, create_hdf5(temporary) as file:
        for field in fields(columns):
            values = _narrow(getattr(columns, field.name))
            file.create_dataset(field.name, data=values)
            checksum.update(values.tobytes())
        for name in readings:
            stream, view = stream_and_view(name)
            shape = len(columns.frame), DIMENSIONS[stream]
            group = "embedding" if stream == RGB else f"stream/{stream}"
            stored = file.create_dataset(f"{group}/{view}", shape, np.float16)
            start = 0
            for values in joined(embeddings(row, name) for row in columns):
                stored[start : start + len(values)] = values
                checksum.update(values.data)
                start += len(values)
        file.attrs["schema"] = SCHEMA
        file.attrs["extractor"] = extractor
        file.attrs["sampling"] = json.dumps(sampling, sort_keys=True)
        if streams:
            file.attrs["streams"] = json.dumps(streams, sort_keys=True)
        file.attrs["sha256"] = checksum.hexdigest()


@dataclass(frozen=True)
class FeatureSet:
    """All feature files of a folder as one set of clips; embeddings stay on disk until sliced.

    Attributes
    ----------
    lengths : (C,) int64, sampled frames of each clip, at least 1
    readings : name of a stream in a view -> D, the numbers of a frame in it; "identity" first
    streams : "rgb" and what other streams there are -> what their numbers were made with
    sampling : which frames
    sha256 : over the contents of all files, 64 hexadecimal digits
    """

    lengths: np.ndarray
    readings: dict[str, int]
    streams: dict[str, dict[str, Any]]
    sampling: dict[str, Any]
    sha256: str
    _clip_id: np.ndarray  # (C,) UTF-8, sorted: bytes take a quarter of the memory of text
    _digest: np.ndarray  # (C,)
    _file: np.ndarray  # (C,) which file each clip is in
    _start: np.ndarray  # (C,) its first row there
    _frame: tuple[np.ndarray, ...]  # per file
    _time: tuple[np.ndarray, ...]
    _embedding: "tuple[dict[str, _Pages], ...]"  # per file, by reading

    @classmethod
    def open(cls, folder: str | Path = FEATURES) -> "FeatureSet":
        """Open a features folder.

        Raises
        ------
        FeaturesError
            When there is no feature file, one is damaged, or they do not belong together.
        """
        try:
            paths = sorted(Path(folder).glob("[!.]*.h5"))
            if not paths:
                raise FeaturesError(
                    f"{folder} holds no feature file: "
                    f"{how_to_have(Path(folder), 'clipcache features')}."
                )
            return cls._join([_read(path) for path in paths])
        except (UnreadableFileError, OSError) as error:
            raise FeaturesError(
                f"{folder} holds a feature file that cannot be read ({error}): mend that and run "
                "it again; nothing is wrong with the file as far as is known."
            ) from None
        except (DamagedFileError, ValueError) as error:
            raise FeaturesError(
                f"{folder} holds a feature file that is damaged ({error}): delete it and run "
                "`clipcache features` again; what the cache holds is not computed again."
            ) from None

    @classmethod
    def _join(cls, files: "list[_File]") -> "FeatureSet":
        first = files[0]
        for other in files[1:]:
            if (list(other.embedding), other.streams, other.sampling) != (
                list(first.embedding), first.streams, first.sampling
            ):  # fmt: skip
                raise ValueError("the files were made with different settings")
        clip_id = np.concatenate([file.clip_id for file in files])
        order = np.argsort(clip_id, kind="stable")
        lengths = np.concatenate([np.diff(file.offsets) for file in files])
        return cls(
            lengths=lengths[order],
            readings={name: kept.values.shape[1] for name, kept in first.embedding.items()},
            streams=first.streams,
            sampling=first.sampling,
            sha256=hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest(),
            _clip_id=clip_id[order],
            _digest=np.concatenate([file.digest for file in files])[order],
            _file=np.repeat(
                np.arange(len(files), dtype=np.int16), [len(file.clip_id) for file in files]
            )[order],
            _start=np.concatenate([file.offsets[:-1] for file in files])[order],
            _frame=tuple(file.frame for file in files),
            _time=tuple(file.time for file in files),
            _embedding=tuple(file.embedding for file in files),
        )

    @property
    def views(self) -> tuple[str, ...]:
        """Views of the stream rgb, "identity" first."""
        return tuple(name for name in self.readings if stream_and_view(name)[0] == RGB)

    @property
    def extractor(self) -> dict[str, Any]:
        """What the embeddings of the stream rgb were made with."""
        return self.streams[RGB]

    @cached_property
    def clip_ids(self) -> np.ndarray:
        """(C,) str, sorted; made when first asked for, and large for a large set."""
        return np.char.decode(self._clip_id, "utf-8")

    @cached_property
    def digests(self) -> np.ndarray:
        """(C,) str; made when first asked for."""
        return np.char.decode(self._digest, "utf-8")

    def __len__(self) -> int:
        return len(self._clip_id)

    def position(self, clip_id: str) -> int:
        """Where a clip is in `clip_ids`.

        Raises
        ------
        FeaturesError
            When it is not there.
        """
        i = self._find(clip_id)
        if i == ABSENT:
            raise FeaturesError(f"There are no features of {clip_id}; see reports/rejected.csv.")
        return i

    def positions(self, clip_ids: "pa.ChunkedArray") -> np.ndarray:
        """Where many clips are in `clip_ids`: (n,) int64, `ABSENT` for those that are not there."""
        import pyarrow as pa
        import pyarrow.compute as pc

        known = pa.array(self._clip_id).cast(pa.string())
        return pc.index_in(clip_ids, known).fill_null(ABSENT).to_numpy().astype(np.int64)

    def __contains__(self, clip_id: str) -> bool:
        return self._find(clip_id) != ABSENT

    def _find(self, clip_id: str) -> int:
        name = clip_id.encode()
        if len(name) > self._clip_id.dtype.itemsize:  # numpy would widen the whole column first
            return ABSENT
        i = int(np.searchsorted(self._clip_id, name))
        return i if i < len(self) and self._clip_id[i] == name else ABSENT

    def embeddings(self, i: int, view: str = "identity", stream: str = RGB) -> np.ndarray:
        """Embeddings of the i-th clip: (n, D) float16, a slice of a read-only memory map.

        D is 1280 in the stream rgb.
        """
        return self._embedding[self._file[i]][reading(stream, view)].read(self._rows(i))

    def clip(self, i: int) -> dict[str, np.ndarray]:
        """All readings of the i-th clip by name: (n, D) float16 each, slices of memory maps."""
        rows = self._rows(i)
        return {name: kept.read(rows) for name, kept in self._embedding[self._file[i]].items()}

    def times(self, i: int) -> np.ndarray:
        """Times of the i-th clip's sampled frames: (n,) float32, seconds from the clip's start."""
        return self._time[self._file[i]][self._rows(i)]

    def spread_times(self, i: int, count: int) -> np.ndarray:
        """Times of a few of them, evenly over the clip: (min(n, count),) float32, seconds."""
        times = self.times(i)
        return times[np.linspace(0, len(times) - 1, min(count, len(times))).astype(int)]

    def frames(self, i: int) -> np.ndarray:
        """Indices of the i-th clip's sampled frames in its video: (n,) int32."""
        return self._frame[self._file[i]][self._rows(i)]

    def _rows(self, i: int) -> slice:
        return slice(self._start[i], self._start[i] + self.lengths[i])


@dataclass(frozen=True)
class _File:
    clip_id: np.ndarray
    digest: np.ndarray
    offsets: np.ndarray
    frame: np.ndarray
    time: np.ndarray
    embedding: "dict[str, _Pages]"
    streams: dict[str, dict[str, Any]]
    sampling: dict[str, Any]
    sha256: str


def _read(path: Path) -> _File:
    with reading_hdf5(path) as file:
        if file.attrs["schema"] != SCHEMA:
            raise ValueError(f"{path.name} has schema {file.attrs['schema']}, not {SCHEMA}")
        stored = {reading(RGB, view): values for view, values in file["embedding"].items()}
        for stream, views in file.get("stream", {}).items():
            stored |= {reading(stream, view): values for view, values in views.items()}
        return _File(
            clip_id=file["clip_id"][()],
            digest=file["digest"][()],
            offsets=file["offsets"][()],
            frame=_memory_map(path, file["frame"]),
            time=_memory_map(path, file["time"]),
            embedding={
                name: _Pages(_memory_map(path, stored[name]))
                for name in sorted(stored, key=lambda name: ("/" in name, name != "identity", name))
            },
            streams={
                RGB: json.loads(file.attrs["extractor"]),
                **json.loads(file.attrs.get("streams", "{}")),
            },
            sampling=json.loads(file.attrs["sampling"]),
            sha256=file.attrs["sha256"],
        )


class _Pages:
    """A memory map that lets go of what was read long ago.

    The kernel keeps a file that is read in its own cache either way. But pages that stay mapped
    count as memory of this process, and monitors of clusters and containers end it for them.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self._read = 0

    def read(self, rows: slice) -> np.ndarray:
        """Rows of the map, as a view of it."""
        values = self.values[rows]
        self._read += max(values.nbytes, MAPPED_AT_ONCE)
        if self._read > MAPPED_BYTES and isinstance(self.values, np.memmap):
            self._read = 0
            # Also where somebody still looks at a part of it: that is mapped again when touched.
            self.values._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
        return values


def _memory_map(path: Path, stored: h5py.Dataset) -> np.ndarray:
    """The data set as an array backed by the file: HDF5 keeps contiguous data as plain bytes."""
    if stored.size == 0:
        return np.empty(stored.shape, stored.dtype)
    return np.memmap(path, stored.dtype, "r", stored.id.get_offset(), stored.shape)


def _narrow(values: np.ndarray) -> np.ndarray:
    """Text as wide as its longest, also where it was taken out of a wider column."""
    if values.dtype.kind != "S":
        return values
    longest = int(np.char.str_len(values).max(initial=1))
    return values if values.dtype.itemsize == longest else values.astype(f"S{longest}")
