"""What embedding a data set will take: frames, seconds and bytes, with how sure that is.

Lengths come from container headers, of all videos or of a sample; speeds from embedding a few of
the clips on this machine.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from pipeline.backbone.folder import DIMENSION
from pipeline.dataset.survey import HEADER_TIMEOUT, read_header
from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.executors import EmbeddingSetup, Job, available_cores, run_jobs
from pipeline.embedding.plan import Plan
from pipeline.errors import ClipError
from pipeline.frames.sources import local_source
from pipeline.frames.storage import is_url
from pipeline.frames.video import WHOLE, Sampling, sample_frames
from pipeline.processes import CrashedError, TooSlowError, run_in_processes

SAMPLE = 400  # videos whose header is read; of fewer, all
REMOTE_SAMPLE = 12  # of those behind URLs, which have to be fetched for it
CALIBRATION_CLIPS = 12  # embedded at most to learn the speed
CALIBRATION_SECONDS = 8.0  # after which no further one is begun
CONFIDENCE = 1.96  # standard errors on each side of a mean: 95 % of a normal distribution
ROW_BYTES = 2 * DIMENSION  # of an embedding: float16
CACHE_BYTES = 4  # more of an embedded frame in the cache: its number
TIME_BYTES = 8  # of every decoded frame in the cache, in each view: its time
FEATURE_BYTES = 8  # more of a row of a feature file: number and time of its frame


@dataclass(frozen=True)
class Amount:
    """A number, and half the width of its 95 % interval; 0 where it is exact."""

    value: float = 0.0
    error: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.value + other.value, math.hypot(self.error, other.error))

    @property
    def share(self) -> float:
        """The error as a share of the number."""
        return self.error / self.value if self.value else 0.0


@dataclass(frozen=True)
class Work:
    """What a run has to do.

    Attributes
    ----------
    videos : to decode
    decoded : frames
    embedded : frames that go through the CNN, all views together
    rows : of the feature files that these frames become, in one view
    sampled : videos whose length was looked up, of `estimated` whose length is not known
    unreadable : of the sampled ones, those that cannot be opened
    """

    videos: int
    decoded: Amount
    embedded: Amount
    rows: Amount
    sampled: int
    estimated: int
    unreadable: int
    examples: tuple[Job, ...]

    def cache_bytes(self, views: int) -> float:
        """By which the cache grows."""
        frames = self.embedded.value * (ROW_BYTES + CACHE_BYTES)
        return frames + self.decoded.value * TIME_BYTES * views


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
    seconds: float

    def seconds_on(self, work: Work, workers: int, *, one_engine: bool) -> float:
        """Seconds on so many workers, each with a core of its own that is as fast as here.

        Parameters
        ----------
        one_engine : the workers only decode, and one process embeds (Keras on this machine)
        """
        decode, embed = work.decoded.value * self.decode, work.embedded.value * self.embed
        if one_engine:
            return max(decode / workers, embed)
        return (decode + embed) / workers


@dataclass(frozen=True)
class _Length:
    """Frames of one video: all of them, those that the sampling picks, rows of feature files."""

    decoded: int
    embedded: int
    rows: float


def estimate_work(plan: Plan, sampling: Sampling, seed: int = 0) -> Work:
    """How much a plan is, without decoding more than the first frame of a sample of its videos.

    Frames that are missing of clips which the cache knows are counted exactly.
    """
    exact = _Length(0, 0, 0.0)
    sample: list[tuple[Job, int]] = []
    estimated, rng = 0, random.Random(seed)
    for job, clips in plan.jobs():
        if all(frames is not None for frames in job.wanted.values()):
            exact = _add(exact, _known(job))
            continue
        estimated += 1
        if len(sample) < SAMPLE:  # reservoir sampling: each of any number has the same chance
            sample.append((job, clips))
        elif (place := rng.randrange(estimated)) < SAMPLE:
            sample[place] = (job, clips)
    remote = [each for each in sample if is_url(each[0].source.files[0])]
    if len(remote) > REMOTE_SAMPLE:
        sample = [each for each in sample if each not in remote] or remote[:REMOTE_SAMPLE]
    found = dict(_lengths(sample, sampling))
    readable = [length for length in found.values() if length is not None]
    usable = round(estimated * len(readable) / len(found)) if found else 0
    parts = {}
    for name in ("decoded", "embedded", "rows"):
        values = np.array([getattr(length, name) for length in readable], np.float64)
        parts[name] = _total(values, usable) + Amount(getattr(exact, name))
    return Work(
        plan.videos,
        **parts,
        sampled=len(found),
        estimated=estimated,
        unreadable=len(found) - len(readable),
        examples=tuple(sample[i][0] for i, length in found.items() if length is not None),
    )


def measure_speed(
    work: Work, recipe: EmbeddingSetup, *, workers: int | None, timeout: float
) -> Speed | None:
    """Embed a few of the videos to learn the speed; what comes of them is thrown away.

    As many work at once as in a run, so that what they take from each other is counted. None
    where no clip could be read.
    """
    workers = workers or available_cores()
    views = {view: None for job in work.examples[:1] for view in job.wanted}
    started = perf_counter()

    def jobs() -> Iterator[Job]:
        for job in work.examples[: max(CALIBRATION_CLIPS, 2 * workers)]:
            if perf_counter() - started > CALIBRATION_SECONDS:
                return
            yield replace(job, wanted=views)

    decode, embed, frames, embedded = [], [], [], []
    results = run_jobs(jobs(), recipe, workers=workers, timeout=timeout)
    with closing(results):
        for _, result in results:
            if isinstance(result, ClipEmbeddings) and result.embedded:
                decode.append(result.seconds.get("decode", 0.0))
                embed.append(result.seconds.get("embed", 0.0) + result.seconds.get("resize", 0.0))
                frames.append(len(result.timeline))
                embedded.append(result.embedded)
    if not frames:
        return None
    seconds = np.add(decode, embed)
    speed = Speed(
        decode=sum(decode) / sum(frames),
        embed=sum(embed) / sum(embedded),
        error=0.0,
        workers=workers,
        clips=len(frames),
        seconds=perf_counter() - started,
    )
    expected = np.multiply(frames, speed.decode) + np.multiply(embedded, speed.embed)
    if len(frames) > 1:
        spread = (seconds - expected).std(ddof=1) / expected.mean()
        speed = replace(speed, error=CONFIDENCE * float(spread) / math.sqrt(len(frames)))
    return speed


def _known(job: Job) -> _Length:
    frames = [wanted for wanted in job.wanted.values() if wanted is not None]
    last = max((int(wanted[-1]) for wanted in frames), default=-1)
    rows = max((len(wanted) for wanted in frames), default=0)
    return _Length(last + 1, sum(map(len, frames)), rows)


def _add(one: _Length, other: _Length) -> _Length:
    return _Length(
        one.decoded + other.decoded, one.embedded + other.embedded, one.rows + other.rows
    )


def _total(values: np.ndarray, count: int) -> Amount:
    """The sum over `count` things by the values of a sample of them."""
    if not len(values):
        return Amount()
    total = count * float(values.mean())
    if len(values) >= count or len(values) < 2:
        return Amount(total)
    unseen = 1 - len(values) / count  # correction for a sample that is a good part of the whole
    error = float(values.std(ddof=1)) * math.sqrt(unseen / len(values))
    return Amount(total, CONFIDENCE * count * error)


def _lengths(
    sample: Sequence[tuple[Job, int]], sampling: Sampling
) -> Iterator[tuple[int, _Length | None]]:
    """The length of each video of the sample, by its place; None of one that cannot be opened."""
    headers: list[int] = []
    for i, (job, clips) in enumerate(sample):
        if job.source.images:
            yield i, _length(job, clips, len(job.source.images), job.source.fps, sampling)
        else:
            headers.append(i)
    tasks = ((i, sample[i][0]) for i in headers)
    for (i, job), said in run_in_processes(
        _read_frames, tasks, workers=available_cores(), timeout=HEADER_TIMEOUT
    ):
        match said:
            case (int(frames), float(fps)):
                yield i, _length(job, sample[i][1], frames, fps, sampling)
            case (None, _):
                continue  # says nothing of its length; the others stand for it
            case ClipError() | TooSlowError() | CrashedError():
                yield i, None
            case _:
                raise said


def _read_frames(task: tuple[int, Job]) -> tuple[int | None, float]:
    """Frames by the header, and frames/s; runs in a worker process."""
    _, job = task
    if not is_url(job.source.path):
        header = read_header(job.source)
    else:
        with local_source(job.source, job.digest) as source:
            header = read_header(source)
    return header.frames, float(header.fps)


def _length(job: Job, clips: int, frames: int, fps: float, sampling: Sampling) -> _Length:
    timeline = np.arange(frames) / fps
    segments = job.segments or (WHOLE,)
    picked = [sample_frames(timeline, sampling, *segment) for segment in segments]
    every = len(np.unique(np.concatenate(picked)))
    embedded = sum(every if wanted is None else len(wanted) for wanted in job.wanted.values())
    rows = sum(map(len, picked)) * clips / len(segments)
    return _Length(frames, embedded, rows)


def row_estimate(lengths: Iterable[int], count: int) -> Amount:
    """Rows of `count` clips, by those of a sample of them."""
    values = np.array(list(lengths), np.float64)
    return _total(values, count)
