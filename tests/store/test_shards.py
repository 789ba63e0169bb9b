"""A shard of the cache: what goes in comes out, and damage never passes."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import CacheError
from pipeline.store.shards import (
    Entry,
    check_shard,
    read_entries,
    read_index,
    read_made_by,
    write_shard,
)


def entry(seed: int, frames: int = 3, length: int = 20) -> Entry:
    random = np.random.default_rng(seed)
    return Entry(
        f"{seed:064x}",
        np.cumsum(random.uniform(0.01, 0.1, length)),
        np.sort(random.choice(length, frames, replace=False)).astype(np.int32),
        random.normal(size=(frames, 1280)).astype(np.float16),
    )


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "shard.h5"
    write_shard(path, [entry(seed) for seed in range(3)])
    return path


def test_what_was_written_is_read(shard: Path) -> None:
    check_shard(shard)
    for seed, read in enumerate(read_entries(shard)):
        written = entry(seed)
        assert read.digest == written.digest
        assert np.array_equal(read.timeline, written.timeline)
        assert np.array_equal(read.frame, written.frame)
        assert np.array_equal(read.embedding, written.embedding)
    assert [path.name for path in shard.parent.iterdir()] == ["shard.h5"]


def read_all(shard: bytes, path: Path, changes: list[tuple[int, int]]) -> None:
    """Exits with 1 where a damaged shard is taken for sound but reads otherwise."""
    for place, flip in changes:
        data = bytearray(shard)
        data[place] ^= flip
        path.write_bytes(data)
        try:
            check_shard(path)
        except CacheError:
            continue
        for seed, read in enumerate(read_entries(path)):
            written = entry(seed)
            assert read.digest == written.digest
            assert np.array_equal(read.timeline, written.timeline)
            assert np.array_equal(read.frame, written.frame)
            assert np.array_equal(read.embedding, written.embedding)


def test_a_flipped_byte_anywhere_is_found_or_without_effect(shard: Path) -> None:
    # In a process of its own with a time limit: what this guards against is HDF5 crashing, or
    # looping for ever, on a damaged file.
    data = shard.read_bytes()
    payload = data.index(entry(0).embedding.tobytes())
    random = np.random.default_rng(0)
    places = [*range(0, payload, 3), *random.integers(payload, len(data), 60)]
    changes = [(int(place), int(random.choice([1, 16, 128, 255]))) for place in places]
    reader = multiprocessing.get_context("spawn").Process(
        target=read_all, args=(data, shard.with_name("damaged.h5"), changes)
    )
    reader.start()
    reader.join(240)
    reader.kill()
    assert reader.exitcode == 0


def test_a_flipped_byte_in_any_array_is_found(shard: Path) -> None:
    data = shard.read_bytes()
    first = entry(0)
    for part in (first.digest.encode(), first.frame, first.timeline, first.embedding):
        at = data.index(bytes(part)) + 5
        spoilt = bytearray(data)
        spoilt[at] ^= 1
        shard.write_bytes(spoilt)
        with pytest.raises(CacheError, match=r"shard.h5 is damaged"):
            check_shard(shard)


@pytest.mark.parametrize("length", [0, 1, 100, 5000, -1])
def test_a_truncated_shard_is_found_on_opening(shard: Path, length: int) -> None:
    shard.write_bytes(shard.read_bytes()[:length])
    with pytest.raises(CacheError, match=r"shard.h5 is damaged"):
        read_index(shard)


def test_a_shard_that_is_gone_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_shard(tmp_path / "gone.h5")


def test_a_shard_says_what_made_it_and_old_ones_say_nothing(shard: Path, tmp_path: Path) -> None:
    assert read_made_by(shard) == ""
    write_shard(tmp_path / "named.h5", [entry(1)], "litert 2.1, a processor, 2 cores")
    check_shard(tmp_path / "named.h5")
    assert read_made_by(tmp_path / "named.h5") == "litert 2.1, a processor, 2 cores"
