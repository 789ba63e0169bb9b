"""What the cache lacks: which videos have to be decoded, and which of their frames embedded.

Clips with equal bytes, and all segments of one video, are one job: a video is decoded once.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from pipeline.dataset.clips import Clip, ClipTable
from pipeline.dataset.sources import ClipFiles
from pipeline.embedding.executors import EmbeddingSetup, Job
from pipeline.embedding.params import FeaturesParams
from pipeline.frames.streams import stream_and_view
from pipeline.frames.video import WHOLE, Sampling, sample_frames
from pipeline.store.cache import EmbeddingCache
from pipeline.store.extractor_spec import stream_spec

ADVANCE = 1000  # clips between two calls of `advance`

Caches = Mapping[str, EmbeddingCache]  # by reading, as in pipeline.frames.streams


@dataclass(frozen=True)
class Plan:
    """What a run has to do; jobs are made one by one, as they are asked for.

    Attributes
    ----------
    videos : number of jobs
    cached : clips that need neither decoding nor embedding
    bytes : of the files to read
    """

    videos: int
    cached: int
    bytes: int
    _waiting: ClipTable  # clips of the jobs, those of one video side by side
    _caches: Caches
    _sampling: Sampling
    _files: ClipFiles

    def jobs(self) -> Iterator[tuple[Job, int]]:
        """Each job, and the number of clips that wait for it."""
        for clips in _by_video(self._waiting):
            first, segments = clips[0], _segments(clips)
            wanted = _wanted(first.digest, segments, self._caches, self._sampling)
            yield Job(self._files.source(first), first.digest, wanted, segments), len(clips)


def open_caches(
    settings: FeaturesParams,
    setup: EmbeddingSetup,
    report: Callable[[str], None],
    *,
    read_only: bool = False,
) -> dict[str, EmbeddingCache]:
    """The caches of all readings that the settings ask for; see `EmbeddingCache`."""
    caches = {}
    for name in settings.readings:
        stream, view = stream_and_view(name)
        spec = stream_spec(stream, setup.extractor)
        caches[name] = EmbeddingCache(spec, view, report, read_only=read_only)
    return caches


def make_plan(
    clips: ClipTable,
    caches: Caches,
    sampling: Sampling,
    files: ClipFiles,
    failed: Container[str] = (),
    advance: Callable[[int], None] = lambda clips: None,
) -> Plan:
    """Compare the clips with the cache; damaged shards are set aside and count as missing.

    Parameters
    ----------
    failed : digests that are not tried again
    advance : told now and then how many more clips turned out to be cached
    """
    for cache in caches.values():
        cache.check(clips.values("digest"))  # what turns out damaged is found missing below
    together = clips.together("digest")
    waiting = np.zeros(len(clips), bool)
    videos = row = told = cached = size = 0
    for same in _by_video(together):
        here = slice(row, row + len(same))
        row += len(same)
        if same[0].digest in failed:
            continue
        if _wanted(same[0].digest, _segments(same), caches, sampling):
            waiting[here] = True
            videos += 1
            size += same[0].bytes
            continue
        cached += len(same)
        if cached - told >= ADVANCE:
            advance(cached - told)
            told = cached
    advance(cached - told)
    return Plan(videos, cached, size, together.take(waiting), caches, sampling, files)


def _by_video(together: ClipTable) -> Iterator[list[Clip]]:
    """The clips of each video in a table where they stand side by side."""
    for _, clips in groupby(together, key=lambda clip: clip.digest):
        yield list(clips)


def _segments(clips: Sequence[Clip]) -> tuple[tuple[float, float], ...]:
    """The different segments of one video, sorted; none where all of it is wanted and no more."""
    segments = {clip.segment for clip in clips}
    return () if segments == {WHOLE} else tuple(sorted(segments))


def _wanted(
    digest: str, segments: Sequence[tuple[float, float]], caches: Caches, sampling: Sampling
) -> dict[str, np.ndarray | None]:
    """Reading -> the frames that its cache lacks, None for all; without those that lack none."""
    wanted: dict[str, np.ndarray | None] = {}
    for name, cache in caches.items():
        cached = cache.find(digest)
        if cached is None:
            wanted[name] = None
            continue
        picked = [sample_frames(cached.timeline, sampling, *part) for part in segments or (WHOLE,)]
        if len(picked) == 1 and np.array_equal(picked[0], cached.parts[0].frame):
            continue  # as almost always; what is below takes four times as long
        missing = np.setdiff1d(np.concatenate(picked), cached.frames)
        if len(missing):
            wanted[name] = missing
    return wanted
