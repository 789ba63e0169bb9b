"""Stage `features`: videos -> features/*.h5, through the embedding cache."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from pipeline.backbone.folder import BACKBONE
from pipeline.dataset.clips import (
    DAMAGED,
    REJECTED,
    Clip,
    ClipTable,
    Damaged,
    Rejected,
    write_damaged,
    write_rejected,
)
from pipeline.dataset.sources import ClipFiles, Images
from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.engines import engine_and_processor
from pipeline.embedding.executors import EmbeddingSetup, Job, WorkerPool, run_jobs
from pipeline.embedding.params import FeaturesParams
from pipeline.embedding.plan import Caches, Plan, make_plan, open_caches
from pipeline.errors import CacheError, ClipError, TooManyRejectedError
from pipeline.files import replacing_folder
from pipeline.frames.streams import RGB, stream_and_view
from pipeline.frames.video import sample_frames
from pipeline.params import Params
from pipeline.progress import Progress
from pipeline.store.cache import CachedClip, EmbeddingCache, ShardWriter
from pipeline.store.clip_rows import Row, Rows
from pipeline.store.extractor_spec import canonical
from pipeline.store.feature_files import FEATURES, write_feature_file
from pipeline.store.shards import Entry
from pipeline.wording import some

MEASURED_CLIPS = 5  # tried at most to measure the error of a precision below float32
ATTEMPTS = 3  # at reading the cache back; another process may remove shards meanwhile


@dataclass
class Extraction:
    """What a run of the stage did.

    Attributes
    ----------
    clips : in the index
    cached : clips that needed neither decoding nor embedding
    decoded : videos that were opened and read
    embedded : pictures that went through the CNN, all readings together
    flows : optical flows that were computed
    rejected : clips that could not be used
    damaged : clips that are used although frames of them are missing
    seconds : where the workers' time went: "decode", "resize", "flow", "embed"; summed over workers
    """

    clips: int
    cached: int
    decoded: int
    embedded: int
    flows: int
    rejected: list[Rejected]
    damaged: list[Damaged]
    seconds: dict[str, float]


def extract_features(
    params: Params,
    clips: Iterable[Clip],
    *,
    images: Images | None = None,
    setup: EmbeddingSetup | None = None,
    backbone: Path = BACKBONE,
    folder: Path = FEATURES,
    rejected: Path = REJECTED,
) -> Extraction:
    """Embed what the cache lacks, then write the feature files, rejected.csv and damaged.csv.

    The feature files are a function of clips, backbone and settings alone: the same bytes after
    one run, after ten interrupted ones, or from a warm cache.

    Parameters
    ----------
    images : clip_id -> files of the clips of images, as images.csv has them
    setup : how clips are embedded; None: as the settings say, with the backbone in its folder

    Raises
    ------
    TooManyRejectedError
        When no clip at all could be read; or, after everything is written, when more than
        ``features.max_rejected`` of the clips failed.
    """
    settings, table = params.features, ClipTable.of(clips)
    setup = setup or EmbeddingSetup.of(settings, backbone)
    files = ClipFiles.of(params.dataset, images)
    failures: dict[str, str] = {}  # digest -> reason
    done = Extraction(len(table), 0, 0, 0, 0, [], [], {})
    with Progress("features", len(table), "clips") as progress:
        pool = replace(settings.pool, report=progress.say)
        caches = open_caches(settings, setup, progress.say)
        for attempt in range(ATTEMPTS):
            first = attempt == 0
            plan = make_plan(table, caches, setup.sampling, files, failures,
                             progress.advance if first else lambda clips: None)  # fmt: skip
            if first:
                done.cached = plan.cached
            if plan.videos:
                progress.say(f"Embedding {plan.videos} clips with {setup.engine} "
                             f"({setup.reason}), {pool}.")  # fmt: skip
                if settings.precision != "float32":
                    progress.say(_precision_note(plan, setup, settings.clip_timeout))
                _embed(plan, setup, pool, caches, failures, done, progress)
            try:
                done.rejected, done.damaged = [], []
                selected = _select(table, failures, caches["identity"], settings, done.damaged)
                rows = Rows.of(_kept(selected, done.rejected))
                write_rejected(done.rejected, rejected)
                write_damaged(done.damaged, rejected.with_name(DAMAGED.name))
                _write(folder, rows, done.rejected, caches, params)
                break
            except CacheError as error:
                if attempt == ATTEMPTS - 1:
                    raise
                progress.say(f"{error}. Looking again.")
                for cache in caches.values():
                    cache.refresh()
    _judge(done, params.features.max_rejected, rejected)
    return done


def _precision_note(plan: Plan, setup: EmbeddingSetup, timeout: float) -> str:
    """How far embeddings in this precision are from float32, measured on the first clip that reads.

    The error is the length of the difference over the length of the float32 embedding.
    """
    exact = replace(setup, extractor=replace(setup.extractor, precision="float32"))
    precision = setup.extractor.precision
    for job, _ in islice(plan.jobs(), MEASURED_CLIPS):
        whole = replace(job, wanted={"identity": None})
        embeddings = []
        for one in (exact, setup):
            for _, result in run_jobs([whole], one, WorkerPool(1, timeout)):
                if not isinstance(result, ClipError):
                    embeddings.append(result.embeddings["identity"].astype(np.float32))
        if len(embeddings) == 2:
            reference, rounded = embeddings
            error = np.linalg.norm(rounded - reference, axis=1) / np.linalg.norm(reference, axis=1)
            return (
                f"Relative error of {precision} to float32 over {len(error)} frames of "
                f"{job.source.name}: median {np.median(error):.1%}, largest {error.max():.1%}."
            )
    return f"The relative error of {precision} was not measured: the first clips cannot be read."


def _embed(
    plan: Plan,
    setup: EmbeddingSetup,
    pool: WorkerPool,
    caches: Caches,
    failures: dict[str, str],
    done: Extraction,
    progress: Progress,
) -> None:
    """Run the jobs and put what comes of them into the cache."""
    waiting: dict[str, int] = {}  # digest -> clips, of the jobs that are being worked on

    def jobs() -> Iterator[Job]:
        for job, clips in plan.jobs():
            waiting[job.digest] = clips
            yield job

    with ExitStack() as stack:
        made_by = engine_and_processor(setup.engine)
        writers = {name: stack.enter_context(ShardWriter(cache.folder, made_by))
                   for name, cache in caches.items()}  # fmt: skip

        def flush() -> None:
            for writer in writers.values():
                writer.flush_if_old()

        answers = run_jobs(jobs(), setup, replace(pool, idle=flush))
        results = stack.enter_context(closing(answers))
        for job, result in results:
            done.decoded += 1
            clips = waiting.pop(job.digest)
            if isinstance(result, ClipError):
                failures[job.digest] = str(result)
                progress.say(f"Rejected {job.source.name}: {result}.")
                progress.advance(clips)
                continue
            for name, entry in _entries(job, result, caches):
                writers[name].add(entry)
            done.embedded += result.embedded
            done.flows += result.flows
            for part, seconds in result.seconds.items():
                done.seconds[part] = done.seconds.get(part, 0.0) + seconds
            progress.advance(clips, result.embedded)
    for cache in caches.values():
        cache.refresh()


def _entries(job: Job, result: ClipEmbeddings, caches: Caches) -> Iterator[tuple[str, Entry]]:
    for name, embedding in result.embeddings.items():
        # A pass that stopped at the last missing frame did not see the whole timeline.
        known: CachedClip | None = caches[name].find(job.digest)
        whole = known or result
        frames = result.frames[name]
        yield name, Entry(job.digest, whole.timeline, frames, embedding, whole.missing)


def _select(
    clips: ClipTable,
    failures: Mapping[str, str],
    cache: EmbeddingCache,
    settings: FeaturesParams,
    damaged: list[Damaged],
) -> Iterator[Row | Rejected]:
    """What becomes of each clip, sorted by clip_id: its row of a feature file, or a rejection.

    Clips that are used although frames of them are missing are added to `damaged`.
    """
    for clip in clips.sorted():
        if clip.digest in failures:
            yield Rejected(clip.clip_id, "features", failures[clip.digest])
            continue
        cached = cache.find(clip.digest)
        if cached is None:
            raise CacheError(f"The embeddings of {clip.clip_id} are gone from the cache")
        decoded = len(cached.timeline)
        claimed = decoded + cached.missing
        if cached.missing > settings.max_damaged * claimed:
            yield Rejected(clip.clip_id, "features", (
                f"is damaged: only {decoded} of its {claimed} frames can be decoded, and "
                f"features.max_damaged allows {settings.max_damaged:.0%} of them to be missing"
            ))  # fmt: skip
            continue
        frame = sample_frames(cached.timeline, settings.sampling, clip.start, clip.end)
        if not len(frame):
            yield Rejected(clip.clip_id, "features", _nothing_there(clip, cached))
            continue
        if cached.missing:
            damaged.append(Damaged(clip.clip_id, decoded, claimed))
        time = cached.timeline[frame]
        if clip.start is not None:
            time = np.maximum(time - clip.start, 0.0)
        yield Row(clip.clip_id, clip.digest, frame, time.astype(np.float32))


def _nothing_there(clip: Clip, cached: CachedClip) -> str:
    """Why a segment holds no frame."""
    timeline = cached.timeline
    last = f"the last frame of the video is at {timeline[-1]:.2f} s"
    if cached.missing:
        last = (
            f"the video is damaged, {cached.missing} of its {cached.missing + len(timeline)} "
            f"frames cannot be decoded, and the last of the others is at {timeline[-1]:.2f} s"
        )
    if clip.start is not None and clip.start > timeline[-1]:
        return f"starts at {clip.start:g} s, but {last}"
    return f"no frame of the video lies between {clip.start or 0.0:g} s and {clip.end:g} s; {last}"


def _kept(selected: Iterable[Row | Rejected], rejected: list[Rejected]) -> Iterator[Row]:
    """The rows; what is no row is added to `rejected`."""
    for one in selected:
        if isinstance(one, Row):
            yield one
        else:
            rejected.append(one)


def _write(
    folder: Path, rows: Rows, rejected: Sequence[Rejected], caches: Caches, params: Params
) -> None:
    """Assemble the feature files from the cache."""
    if not len(rows):
        reasons = [f"{Path(row.clip_id).name} {row.reason}" for row in rejected]
        raise TooManyRejectedError(
            f"None of the {len(rejected)} clips could be read: {some(reasons)}."
        )
    streams = {
        stream: cache.extractor.fields
        for name, cache in caches.items() if (stream := stream_and_view(name)[0]) != RGB
    }  # fmt: skip
    shards = params.features.shards
    shard_of = np.fromiter((int(digest[:8], 16) % shards for digest in rows.digest), np.int16)
    with replacing_folder(folder) as temporary:
        for shard in range(shards):
            name = "features.h5" if shards == 1 else f"features-{shard:04d}-of-{shards:04d}.h5"
            write_feature_file(
                temporary / name,
                rows if shards == 1 else rows.take(shard_of == shard),
                list(caches),
                lambda row, name: caches[name].read(row.digest, row.frame),
                extractor=canonical(caches["identity"].extractor.fields),
                sampling=asdict(params.features.sampling),
                streams=streams,
            )


def _judge(done: Extraction, allowed: float, rejected: Path) -> None:
    if len(done.rejected) > allowed * done.clips:
        raise TooManyRejectedError(
            f"{len(done.rejected)} of {done.clips} clips were rejected, more than "
            f"features.max_rejected ({allowed:g}) allows: see {rejected} for the reasons; the "
            "others are embedded, and stay in the cache."
        )
