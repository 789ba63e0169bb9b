"""Worker processes that decode and embed whole clips.

A video that crashes or hangs the decoder costs one clip: the worker is replaced. No frame crosses
a process boundary, except for an engine that must be one process (Keras on a GPU): there the
workers leave their frames in a temporary file that the main process embeds in batches.
"""

import contextlib
import functools
import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from pipeline.clip_embedding import ClipEmbeddings, embed_clip
from pipeline.embed import Engine, load_engine
from pipeline.errors import ClipError
from pipeline.extractor import Extractor
from pipeline.files import locked_folder
from pipeline.processes import CrashedError, TooSlowError, run_in_processes
from pipeline.sources import Source, check_source
from pipeline.video import Sampling

GPU_BATCH = 64  # frames that the main process embeds in one call


@dataclass(frozen=True)
class Job:
    """One clip to embed.

    Attributes
    ----------
    source : the video, or the images
    digest : what `pipeline.sources.source_digest` of it must be
    wanted : view -> frame indices, or None for all that the sampling picks inside the segments
    segments : (start, end) in seconds; empty for the whole clip
    """

    source: Source
    digest: str
    wanted: Mapping[str, np.ndarray | None]
    segments: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Recipe:
    """What every job of a run has in common."""

    engine: str
    backbone: Path
    extractor: Extractor
    sampling: Sampling


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(
    jobs: Iterable[Job],
    recipe: Recipe,
    *,
    workers: int,
    timeout: float,
    idle: Callable[[], None] = lambda: None,
) -> Generator[tuple[Job, ClipEmbeddings | ClipError], None, None]:
    """Embed clips in worker processes, in any order.

    Parameters
    ----------
    jobs : taken one by one, as workers become free
    workers : processes
    timeout : seconds for one clip
    idle : called at least every second, also while all workers are busy

    Yields
    ------
    (job, embeddings), or (job, error) where the clip could not be read
    """
    in_main = recipe.engine == "keras"
    with _scratch_folder() if in_main else contextlib.nullcontext(Path()) as scratch:
        function = functools.partial(
            _decode_job if in_main else _embed_job, recipe=recipe, scratch=scratch
        )
        finish = _finisher(recipe, scratch) if in_main else None
        results = run_in_processes(function, jobs, workers=workers, timeout=timeout, idle=idle)
        with contextlib.closing(results):
            for job, answer in results:
                result = _result(answer, timeout)
                if finish and isinstance(result, ClipEmbeddings):
                    result = finish(job, result)
                yield job, result


@contextlib.contextmanager
def _scratch_folder() -> Iterator[Path]:
    """A folder for decoded frames, for this user alone; gone afterwards, however the run ends."""
    with locked_folder(Path(tempfile.gettempdir(), f"clipcache-{os.getuid()}")) as scratch:
        scratch.chmod(0o700)
        yield scratch


def _result(answer: object, timeout: float) -> ClipEmbeddings | ClipError:
    """What came of a job; an error that is not about the clip is raised."""
    match answer:
        case ClipEmbeddings() | ClipError():
            return answer
        case TooSlowError():
            return ClipError(
                f"took longer than features.clip_timeout ({timeout:g} s) and was given up"
            )
        case CrashedError():
            return ClipError(f"crashed the decoder (exit code {answer.exit_code})")
        case MemoryError():
            return ClipError("needs more memory than there is")
        case Exception():
            raise answer
    raise TypeError(f"a job answered with {type(answer).__name__}")


@functools.cache
def _engine(name: str, backbone: Path, precision: str) -> Engine:
    return load_engine(name, backbone, precision=precision)


def _embed_job(job: Job, recipe: Recipe, scratch: Path) -> ClipEmbeddings:
    engine = _engine(recipe.engine, recipe.backbone, recipe.extractor.precision)
    return _embed(job, engine, recipe)


def _embed(job: Job, engine: Engine, recipe: Recipe) -> ClipEmbeddings:
    """A clip that changed after it was indexed must not enter the cache under its old digest."""
    cv2.setNumThreads(1)  # the workers already share out the cores between clips
    check_source(job.source, job.digest)
    return embed_clip(
        job.source, engine, recipe.extractor, recipe.sampling, job.wanted, job.segments
    )


def _decode_job(job: Job, recipe: Recipe, scratch: Path) -> ClipEmbeddings:
    """As `_embed_job`, but the frames go to a file; "embeddings" are their (n, 1) positions in it.

    An empty clip leaves no file. A worker that is killed leaves one that goes with `scratch`.
    """
    with _spool_path(job, scratch).open("wb") as spool:
        written = 0

        def keep(frames: np.ndarray) -> np.ndarray:
            nonlocal written
            spool.write(frames.tobytes())
            written += len(frames)
            return np.arange(written - len(frames), written)[:, np.newaxis]

        return _embed(job, keep, recipe)


def _spool_path(job: Job, scratch: Path) -> Path:
    return scratch / f"{job.digest}.frames"


Finish = Callable[[Job, ClipEmbeddings], ClipEmbeddings]


def _finisher(recipe: Recipe, scratch: Path) -> Finish:
    """Embeds in this process, in batches, what a worker decoded into a file."""
    engine = load_engine(recipe.engine, recipe.backbone)
    size = recipe.extractor.input_size

    def finish(job: Job, decoded: ClipEmbeddings) -> ClipEmbeddings:
        started = perf_counter()
        spool = _spool_path(job, scratch)
        frames = np.memmap(spool, np.uint8, "r").reshape(-1, size, size, 3)
        embeddings = {
            view: np.concatenate(
                [
                    engine(frames[positions[start : start + GPU_BATCH, 0]])
                    for start in range(0, len(positions), GPU_BATCH)
                ]
            )
            for view, positions in decoded.embeddings.items()
        }
        spool.unlink()
        seconds = {**decoded.seconds, "embed": perf_counter() - started}
        return replace(decoded, embeddings=embeddings, seconds=seconds)

    return finish
