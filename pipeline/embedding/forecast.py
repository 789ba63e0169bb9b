"""What embedding a data set will take, before it is done: `clipcache features --plan`.

Lengths come from container headers, of all videos or of a sample; speeds from embedding a few of
the clips on this machine. Nothing is written, also not into the cache.
"""

import heapq
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.filesize import decimal

from pipeline.backbone.folder import BACKBONE
from pipeline.dataset.clips import ClipTable
from pipeline.dataset.sources import ClipFiles
from pipeline.dataset.survey import Header, read_header, read_headers
from pipeline.embedding.clip_embedding import PASSES, ClipEmbeddings
from pipeline.embedding.executors import EmbeddingSetup, Job, WorkerPool, available_cores, run_jobs
from pipeline.embedding.params import FeaturesParams
from pipeline.embedding.plan import Plan, make_plan, open_caches
from pipeline.frames.sources import fetched_source
from pipeline.frames.storage import is_url
from pipeline.frames.streams import FLOW, stream_and_view
from pipeline.frames.video import WHOLE, Sampling, sample_frames
from pipeline.progress import Progress
from pipeline.store.cache import EmbeddingCache, embeddings_folder
from pipeline.store.extractor_spec import DIMENSIONS
from pipeline.store.feature_files import FEATURES

SAMPLE = 400  # videos whose header is read; of fewer, all
REMOTE_SAMPLE = 12  # where all are behind URLs, and have to be fetched for it
CALIBRATION_CLIPS = 12  # embedded at most to learn the speed
CALIBRATION_SECONDS = 8.0  # after which no further one is begun
CACHE_BYTES = 4  # more of an embedded frame in the cache: its number
TIME_BYTES = 8  # of every decoded frame in the cache, in each reading: its time
FEATURE_BYTES = 8  # more of a row of a feature file: number and time of its frame
WORKERS = (1, 10, 100, 1000)  # in the table, as far as there are videos for them


@dataclass(frozen=True)
class Work:
    """What a run has to do.

    Attributes
    ----------
    frames : (4,) float64: frames to decode; pictures for the CNN; bytes in the cache that their
        embeddings take; rows of the feature files that they become, in one reading
    estimated : videos whose length is not known; of them
    sampled : opened for it
    readable : opened, and found to be videos
    examples : some that can, to measure the speed
    """

    frames: np.ndarray
    estimated: int
    sampled: int
    readable: int
    examples: Sequence[Job]


def forecast(
    settings: FeaturesParams,
    clips: ClipTable,
    files: ClipFiles,
    *,
    setup: EmbeddingSetup | None = None,
    folder: Path = FEATURES,
) -> Iterator[str]:
    """Compare the clips with the cache, measure the speed on a few of them, and add it up.

    Parameters
    ----------
    setup : as `pipeline.stages.features.extract_features` takes it
    folder : where the feature files will be

    Yields
    ------
    Lines for people.
    """
    setup = setup or EmbeddingSetup.of(settings, BACKBONE)
    with Progress("plan", len(clips), "clips") as progress:
        caches = open_caches(settings, setup, progress.say, read_only=True)
        plan = make_plan(clips, caches, setup.sampling, files, advance=progress.advance)
    work = estimate_work(plan, setup.sampling)
    widths = [DIMENSIONS[stream_and_view(name)[0]] for name in settings.readings]
    yield (
        f"{len(clips):,} clips: {plan.cached:,} from the cache "
        f"({plan.cached / len(clips) if len(clips) else 1:.0%}), "
        f"{len(clips) - plan.cached:,} to embed."
    )
    if work.estimated > work.sampled:
        yield (
            f"Lengths are estimates, from the headers of {work.sampled:,} of {work.estimated:,} "
            "videos."
        )
    if unreadable := work.sampled - work.readable:
        yield f"{unreadable:,} of {work.sampled:,} headers cannot be read."
    decoded, embedded, stored, rows = work.frames
    rows += plan.cached * _mean_rows(clips, caches["identity"], setup.sampling)
    grows = stored + decoded * TIME_BYTES * len(widths)
    features = rows * (2 * sum(widths) + FEATURE_BYTES)
    yield ""
    for name, value, note in (
        ("videos to decode", f"{plan.videos:,}", f"{decimal(plan.bytes)} to read"),
        ("frames to decode", f"{decoded:,.0f}", ""),
        ("frames to embed", f"{embedded:,.0f}", f"in {', '.join(settings.readings)}"),
        ("cache grows by", decimal(round(grows)), _free(embeddings_folder())),
        ("feature files", decimal(round(features)), _free(folder)),
    ):
        yield f"{name:<18}{value:>18}   {note}".rstrip()
    if plan.videos:
        yield ""
        yield from _times(work, settings, setup, plan.videos)
    if is_url(str(files.raw)) or any(is_url(job.source.files[0]) for job in work.examples):
        yield "Fetching the files comes on top: their seconds are not in these numbers."


def estimate_work(plan: Plan, sampling: Sampling) -> Work:
    """How much a plan is, without decoding more than the first frame of a sample of its videos.

    Frames that are missing of clips which the cache knows are counted exactly.
    """
    exact, estimated = np.zeros(4), 0

    def unknown() -> Iterator[tuple[Job, int]]:
        nonlocal estimated
        for job, clips in plan.jobs():
            named = [frames for frames in job.wanted.values() if frames is not None]
            if len(named) == len(job.wanted):
                lengths = {
                    name: len(frames) for name, frames in job.wanted.items() if frames is not None
                }
                last = max(int(frames[-1]) for frames in named)
                exact[:] += (last + 1, *_embedded(lengths), max(lengths.values()))
            else:
                estimated += 1
                yield job, clips

    # Of the smallest digests: SHA-256 knows nothing of lengths, so no sample is fairer.
    sample = heapq.nsmallest(SAMPLE, unknown(), key=lambda waiting: waiting[0].digest)
    local = [waiting for waiting in sample if not is_url(waiting[0].source.files[0])]
    tasks = local or sample[:REMOTE_SAMPLE]
    sampled = readable = 0
    examples, lengths = [], [np.zeros(4)]
    for (job, clips), header in read_headers(tasks, available_cores(), _fetched_header):
        sampled += 1
        if isinstance(header, str):
            continue
        readable += 1
        if header.frames is not None:  # else the other videos stand for it
            examples.append(job)
            lengths.append(_length(job, clips, header.frames, header.fps, sampling))
    frames = exact + np.sum(lengths, axis=0) / max(len(examples), 1) * (
        estimated * readable / max(sampled, 1)
    )
    if not estimated:
        examples = [job for job, _ in islice(plan.jobs(), CALIBRATION_CLIPS)]
    return Work(frames, estimated, sampled, readable, examples)


def _fetched_header(task: tuple[Job, int]) -> Header:
    """Runs in a worker process."""
    with fetched_source(task[0].source, task[0].digest) as source:
        return read_header(source)


def _length(job: Job, clips: int, frames: int, fps: float, sampling: Sampling) -> np.ndarray:
    """What a video comes to, as in `Work.frames`."""
    timeline = np.arange(frames) / fps
    segments = job.segments or (WHOLE,)
    picked = [sample_frames(timeline, sampling, *segment) for segment in segments]
    every = len(np.unique(np.concatenate(picked)))
    embedded = _embedded(
        {name: every if frames is None else len(frames) for name, frames in job.wanted.items()}
    )
    return np.array([frames, *embedded, sum(map(len, picked)) * clips / len(segments)])


def _embedded(wanted: Mapping[str, int]) -> tuple[int, int]:
    """Pictures that the CNN sees for so many frames of each reading, and bytes in the cache."""
    pictures: dict[tuple[str, str], int] = {}
    size = 0
    for name, frames in wanted.items():
        stream, view = stream_and_view(name)
        size += frames * (2 * DIMENSIONS[stream] + CACHE_BYTES)
        if stream != FLOW:
            key = PASSES[stream][0], view
            pictures[key] = max(pictures.get(key, 0), frames)
    return sum(pictures.values()), size


def _mean_rows(clips: ClipTable, cache: EmbeddingCache, sampling: Sampling) -> float:
    """Rows of the feature files that a cached clip has, by a sample of the clips."""
    rows = np.linspace(0, len(clips) - 1, min(SAMPLE, len(clips))).astype(int)
    lengths = [
        len(sample_frames(cached.timeline, sampling, *clip.segment))
        for clip in (clips[row] for row in rows)
        if (cached := cache.find(clip.digest)) is not None
    ]
    return float(np.mean(lengths)) if lengths else 0.0


def _times(work: Work, settings: FeaturesParams, setup: EmbeddingSetup, most: int) -> Iterator[str]:
    """How long on how many workers, up to `most`, by the speed at which a few videos are embedded.

    As many work at once on this machine as in a run, so that what they take from each other is
    counted; what comes of them is thrown away.
    """
    cores, local = available_cores(), settings.executor == "local"
    workers = settings.workers or cores
    started = perf_counter()

    def jobs() -> Iterator[Job]:
        for job in work.examples[: max(CALIBRATION_CLIPS, 2 * workers)]:
            if perf_counter() - started > CALIBRATION_SECONDS:
                return
            yield job

    done = []  # of each clip: seconds to decode and to embed, frames decoded and embedded
    pool = WorkerPool(workers, settings.clip_timeout)
    with closing(run_jobs(jobs(), setup, pool)) as results:
        for _, result in results:
            if isinstance(result, ClipEmbeddings) and result.embedded:
                spent = result.seconds
                embed = spent["embed"] + spent["resize"]
                done.append((spent["decode"], embed, len(result.timeline), result.embedded))
    if not done:
        yield "No clip could be read to measure the speed."
        return
    total = np.sum(done, axis=0)
    speed = total[:2] / total[2:]
    yield (
        f"Speed of one of {workers} workers here, from {len(done)} clips with {setup.engine}: "
        f"{1e3 * speed[0]:.2f} ms for a decoded frame, {1e3 * speed[1]:.2f} ms for an embedded one."
    )
    decode, embed = work.frames[:2] * speed
    for count in sorted({*(count for count in WORKERS if count <= most), workers}):
        one_engine = local and setup.engine == "keras"  # the workers only decode
        seconds = max(decode / count, embed) if one_engine else (decode + embed) / count
        yield f"{count:>7,} workers {timedelta(seconds=math.ceil(seconds))!s:>20}"
    yield (
        f"Every worker with a core of its own, as fast as here; this machine has {cores}. More "
        "machines: docs/scale.md."
    )


def _free(folder: Path) -> str:
    """Bytes free where a folder is, or will be."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return f"{decimal(shutil.disk_usage(there).free)} free"
