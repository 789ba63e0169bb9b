"""What a run has to do, told from the index and the cache, and what that takes of memory."""

import hashlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.null_engines import synthetic_embeddings, synthetic_timeline
from pipeline.dataset.clips import Clip, ClipTable
from pipeline.dataset.sources import ClipFiles
from pipeline.embedding.plan import make_plan
from pipeline.frames.video import WHOLE, Sampling, sample_frames
from pipeline.store.cache import EmbeddingCache, ShardWriter
from pipeline.store.clip_rows import Row, Rows
from pipeline.store.extractor_spec import ExtractorSpec
from pipeline.store.shards import Entry

EXTRACTOR = ExtractorSpec("synthetic", 224, "stretch", "float32")
SAMPLING = Sampling(8.0, 512)
FILES = ClipFiles("synthetic://clips")
VIEWS = ("identity", "hflip")


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def clips(count: int) -> Iterator[Clip]:
    for i in range(count):
        name = f"action{i % 50}/person{i % 900:04d}_{i:07d}.mp4"
        yield Clip(name, f"action{i % 50}", f"person{i % 900:04d}", digest(name), 0, path=name)


@pytest.fixture
def caches(own_cache: Path) -> dict[str, EmbeddingCache]:
    return {view: EmbeddingCache(EXTRACTOR, view, pytest.fail) for view in VIEWS}


def store(caches: dict[str, EmbeddingCache], name: str, views: tuple[str, ...] = VIEWS) -> None:
    made = synthetic_embeddings(digest(name), SAMPLING, dict.fromkeys(views))
    for view in views:
        with ShardWriter(caches[view].folder) as writer:
            writer.add(Entry(digest(name), made.timeline, made.frames[view], made.embeddings[view]))
        caches[view].refresh()


def test_jobs_come_one_a_video_with_what_each_view_lacks(caches: dict[str, EmbeddingCache]) -> None:
    names = ("a", "b", "c", "d")
    store(caches, "b")
    store(caches, "c", ("hflip",))
    table = ClipTable.of(
        Clip(f"{name}{copy}", "x", "g", digest(name), 0, path=f"{name}{copy}")
        for copy in (1, 2)
        for name in names
    )
    told: list[int] = []
    plan = make_plan(table, caches, SAMPLING, FILES, {digest("d")}, told.append)
    assert (plan.videos, plan.cached) == (2, 2)
    assert sum(told) == 2
    (first, waiting), (second, _) = plan.jobs()
    assert (first.digest, waiting, first.source.path) == (digest("a"), 2, "synthetic://clips/a1")
    assert first.wanted == {"identity": None, "hflip": None}
    assert first.segments == ()
    assert second.digest == digest("c")
    assert second.wanted == {"identity": None}


def test_segments_of_one_video_are_one_job_with_the_union_of_what_is_missing(
    caches: dict[str, EmbeddingCache],
) -> None:
    def table(*ends: tuple[float | None, float | None]) -> ClipTable:
        return ClipTable.of(
            Clip(f"v#{i}", "x", "g", digest("v"), 0, path="v", start=start, end=end)
            for i, (start, end) in enumerate(ends)
        )

    whole = table((None, None), (0.04, 0.12), (0.04, 0.12), (0.08, None))
    ((job, waiting),) = make_plan(whole, caches, SAMPLING, FILES).jobs()
    assert waiting == 4
    assert job.segments == (WHOLE, (0.04, 0.12), (0.08, WHOLE[1]))
    store(caches, "v")
    ((job, _),) = make_plan(whole, caches, SAMPLING, FILES).jobs()
    timeline = synthetic_timeline(digest("v"))
    picked = [sample_frames(timeline, SAMPLING, *part) for part in job.segments]
    missing = set(np.concatenate(picked).tolist()) - set(picked[0].tolist())
    assert missing
    for view in VIEWS:
        assert job.wanted[view].tolist() == sorted(missing)


def test_a_plan_holds_no_object_a_clip(
    caches: dict[str, EmbeddingCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.dataset.clips.ROWS_AT_ONCE", 500)
    monkeypatch.setattr("pipeline.store.digest_index.AT_ONCE", 500)
    peaks = []
    for count in (3000, 6000):
        table = ClipTable.of(clips(count))
        tracemalloc.start()
        plan = make_plan(table, caches, SAMPLING, FILES)
        jobs = sum(1 for _ in plan.jobs())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert jobs == plan.videos == count
    assert peaks[1] - peaks[0] < 50 * 3000  # a dictionary entry alone takes 100


def test_rows_of_a_feature_file_take_the_memory_of_their_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.store.clip_rows.ROWS_AT_ONCE", 500)

    def rows(count: int) -> Iterator[Row]:
        for clip in clips(count):
            frame = np.arange(3, dtype=np.int32)
            yield Row(clip.clip_id, clip.digest, frame, frame / np.float32(8))

    peaks = []
    for count in (3000, 6000):
        tracemalloc.start()
        table = Rows.of(rows(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(table) == count
    columns = sum(getattr(table, name).nbytes for name in ("clip_id", "digest", "frame", "time"))
    assert peaks[1] - peaks[0] < 2.2 * columns / 2
    chosen = np.arange(count) % 7 == 3
    for taken, row in zip(table.take(chosen), list(rows(count))[3::7], strict=True):
        assert (taken.clip_id, taken.digest) == (row.clip_id, row.digest)
        assert np.array_equal(taken.frame, row.frame)
        assert np.array_equal(taken.time, row.time)


def test_synthetic_clips_are_a_function_of_their_digest_and_of_the_frame_alone() -> None:
    every = synthetic_embeddings(digest("a"), Sampling(), {"identity": None})
    few = synthetic_embeddings(
        digest("a"), SAMPLING, {"identity": np.array([1, 3], np.int32), "hflip": None}
    )
    assert np.array_equal(few.embeddings["identity"], every.embeddings["identity"][[1, 3]])
    assert np.array_equal(few.timeline, every.timeline)
    assert few.frames["hflip"].tolist() == sample_frames(few.timeline, SAMPLING).tolist()
    other = synthetic_embeddings(digest("b"), Sampling(), {"identity": None})
    assert not np.array_equal(other.embeddings["identity"][0], every.embeddings["identity"][0])
    assert not np.array_equal(few.embeddings["hflip"][0], every.embeddings["identity"][0])
    assert 2 <= len(few.frames["hflip"]) <= 3
