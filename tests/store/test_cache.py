"""The embedding cache: entries by content, from any number of shards and processes."""

import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from test_shards import entry

from pipeline.errors import CacheError
from pipeline.store.cache import LEFTOVER_SECONDS, EmbeddingCache, ShardWriter
from pipeline.store.digest_index import DigestIndex
from pipeline.store.extractor_spec import ExtractorSpec
from pipeline.store.shards import Entry, write_shard

EXTRACTOR = ExtractorSpec("0" * 64, 224, "stretch", "float32")


@pytest.fixture
def cache(own_cache: Path) -> EmbeddingCache:
    return EmbeddingCache(EXTRACTOR, "identity", pytest.fail)


def store(cache: EmbeddingCache, *entries: Entry) -> None:
    with ShardWriter(cache.folder) as writer:
        for item in entries:
            writer.add(item)
    cache.refresh()


def part(whole: Entry, rows: list[int]) -> Entry:
    return Entry(whole.digest, whole.timeline, whole.frame[rows], whole.embedding[rows])


def test_what_was_stored_is_found_by_another_process_later(cache: EmbeddingCache) -> None:
    one = entry(1)
    store(cache, one, entry(2))
    later = EmbeddingCache(EXTRACTOR, "identity", pytest.fail)
    found = later.find(one.digest)
    assert found is not None
    assert np.array_equal(found.frames, one.frame)
    assert np.array_equal(found.timeline, one.timeline)
    assert np.array_equal(later.read(one.digest, one.frame), one.embedding)
    assert later.find("f" * 64) is None


def test_frames_of_one_clip_come_together_from_several_shards(cache: EmbeddingCache) -> None:
    whole = entry(1, frames=9)
    store(cache, part(whole, [0, 4, 8]))
    store(cache, entry(2))
    store(cache, part(whole, [1, 2, 3, 4]))  # frame 4 twice, as two runs at once may leave it
    store(cache, part(whole, [5, 6, 7]))
    assert np.array_equal(cache.read(whole.digest, whole.frame), whole.embedding)
    assert np.array_equal(cache.read(whole.digest, whole.frame[[2, 5]]), whole.embedding[[2, 5]])


def test_a_frame_that_is_not_cached_is_an_error_not_a_guess(cache: EmbeddingCache) -> None:
    one = entry(1)
    store(cache, one)
    absent = np.array([one.frame[-1] + 1], np.int32)
    with pytest.raises(CacheError, match="1 of 1 frames"):
        cache.read(one.digest, absent)
    with pytest.raises(CacheError, match="are not cached"):
        cache.read("f" * 64, one.frame)


@pytest.mark.parametrize(
    "other",
    [
        ExtractorSpec("1" * 64, 224, "stretch", "float32"),
        ExtractorSpec("0" * 64, 192, "stretch", "float32"),
        ExtractorSpec("0" * 64, 224, "crop", "float32"),
        ExtractorSpec("0" * 64, 224, "stretch", "bfloat16"),
        ExtractorSpec("0" * 64, 224, "stretch", "float32", decode_version=99),
        ExtractorSpec("0" * 64, 224, "stretch", "float32", version=99),
    ],
)
def test_extractors_that_differ_share_nothing(cache: EmbeddingCache, other: ExtractorSpec) -> None:
    store(cache, entry(1))
    assert EmbeddingCache(other, "identity").find(entry(1).digest) is None
    assert EmbeddingCache(EXTRACTOR, "hflip").find(entry(1).digest) is None


def test_a_damaged_shard_is_set_aside_and_reported_once(cache: EmbeddingCache) -> None:
    store(cache, entry(1))
    store(cache, entry(2))
    (shard,) = [path for path in cache.folder.glob("*.h5") if entry(1).digest.encode() in
                path.read_bytes()]  # fmt: skip
    data = bytearray(shard.read_bytes())
    data[-100] ^= 1
    shard.write_bytes(data)
    said: list[str] = []
    reader = EmbeddingCache(EXTRACTOR, "identity", said.append)
    assert reader.find(entry(1).digest) is not None  # the index is sound: nobody looked further
    assert reader.check([entry(1).digest, entry(2).digest]) is False
    assert reader.find(entry(1).digest) is None
    assert reader.find(entry(2).digest) is not None
    assert len(said) == 1
    assert shard.name in said[0]
    assert (shard.parent / "damaged" / shard.name).exists()


def test_a_shard_that_another_process_removed_is_forgotten_quietly(cache: EmbeddingCache) -> None:
    store(cache, entry(1))
    (shard,) = cache.folder.glob("*.h5")
    shard.unlink()
    assert cache.check([entry(1).digest]) is False
    assert cache.find(entry(1).digest) is None


def test_unfinished_shards_of_killed_runs_go_when_they_are_old(cache: EmbeddingCache) -> None:
    old, new = cache.folder / ".0123.h5", cache.folder / ".4567.h5"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - LEFTOVER_SECONDS - 10,) * 2)
    reader = EmbeddingCache(EXTRACTOR, "identity", pytest.fail)
    assert not old.exists()
    assert new.exists()  # another process may be writing it
    assert reader.find(entry(1).digest) is None


def test_collected_entries_are_written_on_any_way_out(cache: EmbeddingCache) -> None:
    def interrupted() -> None:
        with ShardWriter(cache.folder) as writer:
            writer.add(entry(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    cache.refresh()
    assert cache.find(entry(1).digest) is not None


def test_a_shard_is_written_when_enough_has_come_together(
    cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SHARD_CLIPS", 2), ("SHARD_BYTES", 1), ("SHARD_SECONDS", 0.0)):
        with monkeypatch.context() as patch:
            patch.setattr(f"pipeline.store.cache.{name}", value)
            writer = ShardWriter(cache.folder)
            before = len(list(cache.folder.glob("*.h5")))
            writer.add(entry(1))
            writer.add(entry(2))
            assert len(list(cache.folder.glob("*.h5"))) > before


def test_a_cache_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CLIPCACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(CacheError, match="set CLIPCACHE_DIR to a folder that can"):
        EmbeddingCache(EXTRACTOR, "identity")


def test_an_open_cache_holds_48_bytes_a_clip_and_no_more_of_its_indexes_than_allowed(
    cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = 64_000
    monkeypatch.setattr("pipeline.store.cache.INDEX_BYTES", allowed)
    clips = 0
    held = []
    for shard in range(20):
        # one digest in eight stands in an earlier shard too
        seeds = [*range(shard * 100, shard * 100 + 87), *range(13)] if shard else range(100)
        write_shard(cache.folder / f"{shard:02d}.h5", [entry(s, frames=1) for s in seeds])
        clips += 100
        if shard in (9, 19):
            tracemalloc.start()
            reader = EmbeddingCache(EXTRACTOR, "identity", pytest.fail)
            held.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
            assert reader.find(entry(3).digest) is not None
    assert held[1] < 2 * allowed + 200 * clips
    assert held[1] - held[0] < 100 * clips / 2 + 20_000  # twice the clips: the index alone grows
    assert sum(shard.bytes for shard in reader._indexes.values()) <= allowed
    for seed in (0, 5, 150, 850, 1286, 1986):  # also of shards whose indexes were dropped
        one = entry(seed, frames=1)
        assert np.array_equal(reader.read(one.digest, one.frame), one.embedding)


def test_a_shard_that_is_gone_or_damaged_when_its_index_is_read_again_is_forgotten(
    cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.store.cache.INDEX_BYTES", 1)
    for seed in range(3):
        write_shard(cache.folder / f"{seed}.h5", [entry(seed)])
    said: list[str] = []
    reader = EmbeddingCache(EXTRACTOR, "identity", said.append)
    (cache.folder / "0.h5").unlink()
    (cache.folder / "1.h5").write_bytes(b"no shard")
    assert reader.find(entry(2).digest) is not None  # the one index that is kept
    assert reader.find(entry(0).digest) is None
    assert said == []
    assert reader.find(entry(1).digest) is None
    assert len(said) == 1
    assert [path.name for path in cache.folder.glob("*.h5")] == ["2.h5"]


def test_many_digests_are_found_as_in_a_dictionary() -> None:
    rng = np.random.default_rng(0)
    index, expected = DigestIndex(), {}
    for shards in ([0, 1, 2], [3], [4, 5]):
        added = []
        for shard in shards:
            digests = rng.integers(0, 256, (500, 32), np.uint8)
            digests[:50] = 7  # eight equal leading bytes, told apart behind them
            digests[:50, 31] = np.arange(50)
            digests[50] = 255
            added.append((shard, digests))
            for row, digest in enumerate(digests):
                expected.setdefault(digest.tobytes().hex(), []).append((shard, row))
        index.add(added)
    assert len(index) == 3000
    for digest, places in expected.items():
        assert index.places(digest) == places
    for absent in ("00" * 32, "07" * 31 + "ff", "ff" * 31 + "00"):
        assert index.places(absent) == []
    chosen = list(expected)[60:64]
    assert index.shards_of([*chosen, "00" * 32]) == {0}
    assert index.shards_of(["07" * 31 + "05"]) == {0, 1, 2, 3, 4, 5}
    assert index.shards_of(list(expected) * 10) == {0, 1, 2, 3, 4, 5}
    assert index.shards_of([]) == set()
    index.drop([0, 4])
    for digest, places in expected.items():
        assert index.places(digest) == [place for place in places if place[0] not in (0, 4)]
