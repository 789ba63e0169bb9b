"""Stage `features`: videos -> features/*.h5, through the embedding cache."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.backbone import BACKBONE, read_backbone
from pipeline.cache import CachedClip, EmbeddingCache, ShardWriter
from pipeline.clip_embedding import ClipEmbeddings
from pipeline.clips import REJECTED, Clip, Rejected, write_rejected
from pipeline.dataset import FEATURES, Row, write_feature_file
from pipeline.embed import choose_engine
from pipeline.errors import CacheError, ClipError, TooManyRejectedError, some
from pipeline.executors import Job, Recipe, crew, run_jobs
from pipeline.extractor import Extractor
from pipeline.files import replacing_folder
from pipeline.params import FeaturesParams, Params
from pipeline.progress import Progress
from pipeline.shards import Entry
from pipeline.sources import source_of
from pipeline.video import Sampling, sample_frames

MEASURED_CLIPS = 5  # tried at most to measure the error of a precision below float32
ATTEMPTS = 3  # at reading the cache back; another process may remove shards meanwhile

Caches = dict[str, EmbeddingCache]  # by view


@dataclass
class Extraction:
    """What a run of the stage did.

    Attributes
    ----------
    clips : in the index
    cached : clips that needed neither decoding nor embedding
    decoded : videos that were opened and read
    embedded : frames that went through the CNN, all views together
    rejected : clips that could not be used
    seconds : where the workers' time went: "decode", "resize", "embed"; summed over workers
    """

    clips: int
    cached: int
    decoded: int
    embedded: int
    rejected: list[Rejected]
    seconds: dict[str, float]


def extract_features(
    params: Params,
    clips: Sequence[Clip],
    *,
    backbone: Path = BACKBONE,
    folder: Path = FEATURES,
    rejected: Path = REJECTED,
) -> Extraction:
    """Embed what the cache lacks, then write the feature files and rejected.csv.

    The feature files are a function of clips, backbone and settings alone: the same bytes after
    one run, after ten interrupted ones, or from a warm cache.

    Raises
    ------
    TooManyRejectedError
        When no clip at all could be read; or, after everything is written, when more than
        ``features.max_rejected`` of the clips failed.
    """
    settings = params.features
    engine, reason = choose_engine(settings.engine)
    extractor = read_backbone(backbone).extractor(settings.resize, settings.precision)
    if engine == "dummy":  # made-up numbers must never be found under a real key
        extractor = Extractor("dummy", extractor.input_size, settings.resize, settings.precision)
    recipe = Recipe(engine, backbone, extractor, settings.sampling)
    by_digest = {clip.digest: clip for clip in clips}  # clips with equal bytes are embedded once
    copies = Counter(clip.digest for clip in clips)
    failures: dict[str, str] = {}
    done = Extraction(len(clips), 0, 0, 0, [], {})
    with Progress("features", len(clips), "clips") as progress:
        caches = {view: EmbeddingCache(extractor, view, progress.say) for view in settings.views}
        for attempt in range(ATTEMPTS):
            jobs = _plan(by_digest.values(), caches, recipe.sampling, params.dataset.folder)
            jobs = [job for job in jobs if job.digest not in failures]
            if attempt == 0:
                waiting = {job.digest for job in jobs}
                done.cached = sum(clip.digest not in waiting for clip in clips)
                progress.advance(done.cached)
            if jobs:
                progress.say(f"Embedding {len(jobs)} clips with {engine} ({reason}), "
                             f"{crew(settings.workers, settings.cluster)}.")  # fmt: skip
                if settings.precision != "float32" and engine != "dummy":
                    progress.say(_precision_note(jobs, recipe, settings.clip_timeout))
                _embed(jobs, recipe, caches, failures, done, progress, copies, settings)
            done.rejected = [
                Rejected(clip.clip_id, "features", failures[clip.digest])
                for clip in clips
                if clip.digest in failures
            ]
            write_rejected(done.rejected, rejected)
            try:
                _write(folder, clips, failures, caches, recipe.sampling, params)
                break
            except CacheError as error:
                if attempt == ATTEMPTS - 1:
                    raise
                progress.say(f"{error}. Looking again.")
                for cache in caches.values():
                    cache.refresh()
    _judge(done, params.features.max_rejected, rejected)
    return done


def _plan(
    clips: Iterable[Clip], caches: Caches, sampling: Sampling, raw: Path
) -> list[Job]:  # fmt: skip
    """The clips that have to be decoded, and which of their frames are missing in which view."""
    clips = list(clips)
    for cache in caches.values():
        cache.check(clip.digest for clip in clips)  # what turns out damaged is found missing below
    jobs = []
    for clip in clips:
        wanted: dict[str, np.ndarray | None] = {}
        for view, cache in caches.items():
            cached = cache.find(clip.digest)
            if cached is None:
                wanted[view] = None
                continue
            missing = np.setdiff1d(sample_frames(cached.timeline, sampling), cached.frames)
            if len(missing):
                wanted[view] = missing
        if wanted:
            jobs.append(Job(source_of(clip, raw), clip.digest, wanted))
    return jobs


def _precision_note(jobs: Sequence[Job], recipe: Recipe, timeout: float) -> str:
    """How far embeddings in this precision are from float32, measured on the first clip that reads.

    The error is the length of the difference over the length of the float32 embedding.
    """
    exact = replace(recipe, extractor=replace(recipe.extractor, precision="float32"))
    precision = recipe.extractor.precision
    for job in jobs[:MEASURED_CLIPS]:
        whole = replace(job, wanted={"identity": None})
        embeddings = []
        for one in (exact, recipe):
            for _, result in run_jobs([whole], one, workers=1, timeout=timeout):
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
    jobs: Sequence[Job],
    recipe: Recipe,
    caches: Caches,
    failures: dict[str, str],
    done: Extraction,
    progress: Progress,
    copies: Mapping[str, int],
    settings: FeaturesParams,
) -> None:
    """Run the jobs and put what comes of them into the cache."""
    with ExitStack() as stack:
        writers = {view: stack.enter_context(ShardWriter(cache.folder))
                   for view, cache in caches.items()}  # fmt: skip

        def flush() -> None:
            for writer in writers.values():
                writer.flush_if_old()

        answers = run_jobs(
            jobs,
            recipe,
            workers=settings.workers,
            timeout=settings.clip_timeout,
            idle=flush,
            cluster=settings.cluster,
            report=progress.say,
        )
        results = stack.enter_context(closing(answers))
        for job, result in results:
            done.decoded += 1
            if isinstance(result, ClipError):
                failures[job.digest] = str(result)
                progress.say(f"Rejected {job.source.name}: {result}.")
                progress.advance(copies[job.digest])
                continue
            for view, entry in _entries(job, result, caches):
                writers[view].add(entry)
            done.embedded += result.embedded
            for part, seconds in result.seconds.items():
                done.seconds[part] = done.seconds.get(part, 0.0) + seconds
            progress.advance(copies[job.digest], result.embedded)
    for cache in caches.values():
        cache.refresh()


def _entries(job: Job, result: ClipEmbeddings, caches: Caches) -> Iterator[tuple[str, Entry]]:
    for view, embedding in result.embeddings.items():
        # A pass that stopped at the last missing frame did not see the whole timeline.
        known: CachedClip | None = caches[view].find(job.digest)
        timeline = known.timeline if known else result.timeline
        yield view, Entry(job.digest, timeline, result.frames[view], embedding)


def _write(
    folder: Path,
    clips: Sequence[Clip],
    failures: dict[str, str],
    caches: Caches,
    sampling: Sampling,
    params: Params,
) -> None:
    """Assemble the feature files from the cache."""
    some_cache = next(iter(caches.values()))
    rows = []
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        if clip.digest in failures:
            continue
        cached = some_cache.find(clip.digest)
        if cached is None:
            raise CacheError(f"The embeddings of {clip.clip_id} are gone from the cache")
        frame = sample_frames(cached.timeline, sampling)
        time = cached.timeline[frame].astype(np.float32)
        rows.append(Row(clip.clip_id, clip.digest, frame, time))
    if not rows:
        reasons = [f"{Path(clip.clip_id).name} {failures[clip.digest]}" for clip in clips]
        raise TooManyRejectedError(
            f"None of the {len(clips)} clips could be read: {some(reasons)}."
        )
    shards = params.features.shards
    with replacing_folder(folder) as temporary:
        for shard in range(shards):
            name = "features.h5" if shards == 1 else f"features-{shard:04d}-of-{shards:04d}.h5"
            write_feature_file(
                temporary / name,
                [row for row in rows if int(row.digest[:8], 16) % shards == shard],
                params.features.views,
                lambda row, view: caches[view].read(row.digest, row.frame),
                extractor=some_cache.extractor.to_json(),
                sampling=asdict(sampling),
            )


def _judge(done: Extraction, allowed: float, rejected: Path) -> None:
    if len(done.rejected) > allowed * done.clips:
        raise TooManyRejectedError(
            f"{len(done.rejected)} of {done.clips} clips were rejected, more than "
            f"features.max_rejected ({allowed:g}) allows: see {rejected} for the reasons; the "
            "others are embedded, and stay in the cache."
        )
