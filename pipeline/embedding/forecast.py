"""What embedding a data set will take, before it is done: `clipcache features --plan`.

Lengths come from container headers, of all videos or of a sample; speeds from embedding a few of
the clips on this machine. Nothing is written, also not into the cache.
"""

import math
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.filesize import decimal

from pipeline.backbone.folder import BACKBONE, DIMENSION
from pipeline.dataset.clips import ClipTable
from pipeline.dataset.sources import ClipFiles
from pipeline.dataset.survey import Header, read_header, read_headers
from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.executors import EmbeddingSetup, Job, WorkerPool, available_cores, run_jobs
from pipeline.embedding.params import FeaturesParams
from pipeline.embedding.plan import Plan, make_plan
from pipeline.frames.sources import fetched_source
from pipeline.frames.storage import is_url
from pipeline.frames.video import WHOLE, Sampling, sample_frames
from pipeline.progress import Progress
from pipeline.store.cache import EmbeddingCache, embeddings_folder
from pipeline.store.feature_files import FEATURES

SAMPLE = 400  # videos whose header is read; of fewer, all
REMOTE_SAMPLE = 12  # of those behind URLs, which have to be fetched for it
CALIBRATION_CLIPS = 12  # embedded at most to learn the speed
CALIBRATION_SECONDS = 8.0  # after which no further one is begun
CONFIDENCE = 1.96  # standard errors on each side of a mean: 95 % of a normal distribution
ROW_BYTES = 2 * DIMENSION  # of an embedding: float16
CACHE_BYTES = 4  # more of an embedded frame in the cache: its number
TIME_BYTES = 8  # of every decoded frame in the cache, in each view: its time
FEATURE_BYTES = 8  # more of a row of a feature file: number and time of its frame
MOST_WORKERS = 1024  # in the table
SHORT = 60.0  # seconds of a run that more workers need not make shorter


@dataclass(frozen=True)
class Work:
    """What a run has to do.

    Attributes
    ----------
    videos : to decode
    frames : (3,) float64: to decode; to embed, all views together; rows of the feature files that
        they become, in one view
    error : (3,) float64, half the width of their 95 % intervals; 0 where they are exact
    sampled : videos whose length was looked up, of `estimated` whose length is not known
    unreadable : of the sampled ones, those that cannot be opened
    examples : the others
    """

    videos: int
    frames: np.ndarray
    error: np.ndarray
    sampled: int
    estimated: int
    unreadable: int
    examples: Sequence[Job]

    def cache_bytes(self, views: int) -> float:
        """By which the cache grows."""
        decoded, embedded, _ = self.frames
        return embedded * (ROW_BYTES + CACHE_BYTES) + decoded * TIME_BYTES * views


@dataclass(frozen=True)
class Speed:
    """What one worker takes while `workers` of them work; the error is between clips.

    Attributes
    ----------
    decode : seconds for each decoded frame
    embed : seconds for each embedded frame, with resizing
    error : half the 95 % interval of the seconds, as a share of them
    """

    decode: float
    embed: float
    error: float
    workers: int
    clips: int

    def seconds_on(self, work: Work, workers: int, *, one_engine: bool) -> float:
        """Seconds on so many workers, each with a core of its own that is as fast as here.

        Parameters
        ----------
        one_engine : the workers only decode, and one process embeds (Keras on this machine)
        """
        decode, embed = work.frames[:2] * (self.decode, self.embed)
        return max(decode / workers, embed) if one_engine else (decode + embed) / workers


def forecast(
    settings: FeaturesParams,
    clips: ClipTable,
    files: ClipFiles,
    *,
    setup: EmbeddingSetup | None = None,
    backbone: Path = BACKBONE,
    folder: Path = FEATURES,
) -> list[str]:
    """Compare the clips with the cache, measure the speed on a few of them, and add it up.

    Parameters
    ----------
    setup : as `pipeline.stages.features.extract_features` takes it
    folder : where the feature files will be

    Returns
    -------
    Lines for people.
    """
    setup = setup or EmbeddingSetup.of(settings, backbone)
    with Progress("plan", len(clips), "clips") as progress:
        caches = {
            view: EmbeddingCache(setup.extractor, view, progress.say, read_only=True)
            for view in settings.views
        }
        plan = make_plan(clips, caches, setup.sampling, files, advance=progress.advance)
    work = estimate_work(plan, setup.sampling)
    kept = plan.cached * _mean_rows(clips, caches["identity"], setup.sampling)
    lines = [*_coverage(plan, work, len(clips)), "", *_amounts(plan, work, kept, settings, folder)]
    if plan.videos:
        speed = measure_speed(work, setup, settings.pool)
        lines += ["", *_times(work, speed, settings, setup.engine)]
    if is_url(str(files.raw)) or any(is_url(job.source.files[0]) for job in work.examples):
        lines.append("Fetching the files comes on top: their seconds are not in these numbers.")
    return lines


def estimate_work(plan: Plan, sampling: Sampling, seed: int = 0) -> Work:
    """How much a plan is, without decoding more than the first frame of a sample of its videos.

    Frames that are missing of clips which the cache knows are counted exactly.
    """
    exact = np.zeros(3)
    sample: list[tuple[Job, int]] = []
    estimated, rng = 0, random.Random(seed)
    for job, clips in plan.jobs():
        named = [frames for frames in job.wanted.values() if frames is not None]
        if len(named) == len(job.wanted):
            lengths = [len(frames) for frames in named]
            exact += (max(int(frames[-1]) for frames in named) + 1, sum(lengths), max(lengths))
            continue
        estimated += 1
        if len(sample) < SAMPLE:  # reservoir sampling: each of any number has the same chance
            sample.append((job, clips))
        elif (place := rng.randrange(estimated)) < SAMPLE:
            sample[place] = (job, clips)
    remote = [each for each in sample if is_url(each[0].source.files[0])]
    if len(remote) > REMOTE_SAMPLE:
        sample = [each for each in sample if each not in remote] or remote[:REMOTE_SAMPLE]
    looked = list(_lengths(sample, sampling))
    readable = [(job, frames) for job, frames in looked if frames is not None]
    usable = round(estimated * len(readable) / len(looked)) if looked else 0
    values = np.array([frames for _, frames in readable]).reshape(-1, 3)
    mean, error = values.mean(axis=0) if len(values) else np.zeros(3), np.zeros(3)
    if 2 <= len(values) < usable:
        unseen = 1 - len(values) / usable  # correction for a sample that is a good part of all
        error = CONFIDENCE * values.std(axis=0, ddof=1) * math.sqrt(unseen / len(values))
    return Work(
        plan.videos,
        exact + usable * mean,
        usable * error,
        sampled=len(looked),
        estimated=estimated,
        unreadable=len(looked) - len(readable),
        examples=[job for job, _ in readable],
    )


def measure_speed(work: Work, setup: EmbeddingSetup, pool: WorkerPool) -> Speed | None:
    """Embed a few of the videos to learn the speed; what comes of them is thrown away.

    As many work at once on this machine as in a run, so that what they take from each other is
    counted. None where no clip could be read.
    """
    workers = pool.workers or available_cores()
    views = {view: None for job in work.examples[:1] for view in job.wanted}
    started = perf_counter()

    def jobs() -> Iterator[Job]:
        for job in work.examples[: max(CALIBRATION_CLIPS, 2 * workers)]:
            if perf_counter() - started > CALIBRATION_SECONDS:
                return
            yield replace(job, wanted=views)

    measured = []  # of each clip: seconds to decode and to embed, frames decoded and embedded
    with closing(run_jobs(jobs(), setup, WorkerPool(workers, pool.timeout))) as results:
        for _, result in results:
            if isinstance(result, ClipEmbeddings) and result.embedded:
                part = result.seconds.get
                embed = part("embed", 0.0) + part("resize", 0.0)
                measured.append((part("decode", 0.0), embed, len(result.timeline), result.embedded))
    if not measured:
        return None
    seconds, frames = np.hsplit(np.array(measured), 2)
    each = seconds.sum(axis=0) / frames.sum(axis=0)
    error, count = 0.0, len(measured)
    if count > 1:
        expected = (frames * each).sum(axis=1)
        spread = (seconds.sum(axis=1) - expected).std(ddof=1) / expected.mean()
        error = CONFIDENCE * float(spread) / math.sqrt(count)
    return Speed(float(each[0]), float(each[1]), error, workers, count)


def _lengths(
    sample: Sequence[tuple[Job, int]], sampling: Sampling
) -> Iterator[tuple[Job, tuple[float, float, float] | None]]:
    """What each video of the sample comes to, as in `Work.frames`; None where it cannot be opened.

    A header that does not tell the length is passed over: the others stand for it.
    """
    tasks = []
    for job, clips in sample:
        if job.source.images:
            yield job, _length(job, clips, len(job.source.images), job.source.fps, sampling)
        else:
            tasks.append((job, clips))
    for (job, clips), header in read_headers(tasks, available_cores(), _fetched_header):
        if not isinstance(header, Header):
            yield job, None
        elif header.frames is not None:
            yield job, _length(job, clips, header.frames, header.fps, sampling)


def _fetched_header(task: tuple[Job, int]) -> Header:
    """Runs in a worker process."""
    with fetched_source(task[0].source, task[0].digest) as source:
        return read_header(source)


def _length(
    job: Job, clips: int, frames: int, fps: float, sampling: Sampling
) -> tuple[float, float, float]:
    timeline = np.arange(frames) / fps
    segments = job.segments or (WHOLE,)
    picked = [sample_frames(timeline, sampling, *segment) for segment in segments]
    every = len(np.unique(np.concatenate(picked)))
    embedded = sum(every if wanted is None else len(wanted) for wanted in job.wanted.values())
    return frames, embedded, sum(map(len, picked)) * clips / len(segments)


def _mean_rows(clips: ClipTable, cache: EmbeddingCache, sampling: Sampling) -> float:
    """Rows of the feature files that a cached clip has, by a sample of the clips."""
    rows = random.Random(0).sample(range(len(clips)), min(SAMPLE, len(clips)))
    lengths = [
        len(sample_frames(cached.timeline, sampling, *clip.segment))
        for clip in (clips[row] for row in sorted(rows))
        if (cached := cache.find(clip.digest)) is not None
    ]
    return float(np.mean(lengths)) if lengths else 0.0


def _coverage(plan: Plan, work: Work, clips: int) -> Iterator[str]:
    share = plan.cached / clips if clips else 1.0
    yield (
        f"{clips:,} clips: {plan.cached:,} from the cache ({share:.0%}), "
        f"{clips - plan.cached:,} to embed."
    )
    if work.estimated > work.sampled:
        yield (
            f"Lengths are from the headers of {work.sampled:,} of {work.estimated:,} videos; "
            "± is the 95 % interval."
        )
    if work.unreadable:
        yield f"{work.unreadable:,} of {work.sampled:,} headers cannot be read."


def _amounts(
    plan: Plan, work: Work, kept: float, settings: FeaturesParams, folder: Path
) -> Iterator[str]:
    views = len(settings.views)
    features = (work.frames[2] + kept) * (views * ROW_BYTES + FEATURE_BYTES)
    decoded, embedded, _ = (
        f"{frames:,.0f}" + (f" ± {error / frames:.0%}" if error else "")
        for frames, error in zip(work.frames, work.error, strict=True)
    )
    cache = embeddings_folder()
    for name, value, note in (
        ("videos to decode", f"{plan.videos:,}", f"{decimal(plan.bytes)} to read"),
        ("frames to decode", decoded, ""),
        ("frames to embed", embedded, f"{views} view{'s' if views > 1 else ''}"),
        ("cache grows by", decimal(round(work.cache_bytes(views))), f"{_free(cache)} free"),
        ("feature files", decimal(round(features)), f"{_free(folder)} free"),
    ):
        yield f"{name:<18}{value:>18}   {note}".rstrip()


def _times(work: Work, speed: Speed | None, settings: FeaturesParams, engine: str) -> Iterator[str]:
    if speed is None:
        yield "No clip could be read to measure the speed."
        return
    embedded = work.error[1] / work.frames[1] if work.frames[1] else 0.0
    yield (
        f"Speed of one of {speed.workers} workers here, from {speed.clips} clips with {engine}: "
        f"{1e3 * speed.decode:.2f} ms for a decoded frame, {1e3 * speed.embed:.2f} ms for an "
        "embedded one."
    )
    yield ""
    yield f"workers  {'time':>14}   ± {math.hypot(speed.error, embedded):.0%}"
    cores, local = available_cores(), settings.executor == "local"
    current = settings.workers or (cores if local else None)
    one_engine = local and engine == "keras"
    workers = 1
    while workers < MOST_WORKERS and speed.seconds_on(work, workers, one_engine=one_engine) > SHORT:
        workers *= 2  # while it makes a difference
    counts = {2**power for power in range(workers.bit_length())} | ({current} if current else set())
    for workers in sorted(counts):
        seconds = speed.seconds_on(work, workers, one_engine=one_engine)
        mark = "   as set" if workers == current else ""
        yield f"{workers:>7,}  {_duration(seconds):>14}{mark}"
    yield ""
    yield (
        f"Every worker with a core of its own, as fast as here; this machine has {cores}. More "
        "machines: docs/scale.md."
    )


def _free(folder: Path) -> str:
    """Bytes free where a folder is, or will be."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return decimal(shutil.disk_usage(there).free)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
