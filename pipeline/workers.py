"""Worker processes that decode and embed whole clips.

A video that crashes or hangs the decoder costs one clip: the worker is replaced. No frame crosses
a process boundary, except for an engine that must be one process (Keras on a GPU): there the
workers leave their frames in a temporary file that the main process embeds in batches.
"""

import functools
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path
from time import perf_counter

import numpy as np

from pipeline.clip_embedding import ClipEmbeddings, embed_clip
from pipeline.embed import Engine, load_engine
from pipeline.errors import ClipError
from pipeline.extractor import Extractor
from pipeline.files import sha256
from pipeline.video import Sampling

QUEUE_PER_WORKER = 3  # jobs waiting per worker; bounds what the main process holds
GPU_BATCH = 64  # frames that the main process embeds in one call


@dataclass(frozen=True)
class Job:
    """One clip to embed.

    Attributes
    ----------
    path : the video
    digest : SHA-256 that its bytes must have
    wanted : view -> frame indices, or None for all that the sampling picks
    """

    path: Path
    digest: str
    wanted: Mapping[str, np.ndarray | None]


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
) -> Iterator[tuple[Job, ClipEmbeddings | ClipError]]:
    """Embed clips in worker processes, in any order.

    Parameters
    ----------
    jobs : taken one by one, a few more than there are workers at a time
    workers : processes
    timeout : seconds for one clip
    idle : called at least every second, also while all workers are busy

    Yields
    ------
    (job, embeddings), or (job, error) where the clip could not be read
    """
    from pebble import ProcessPool

    context = multiprocessing.get_context("spawn")
    in_main = recipe.engine == "keras"
    with tempfile.TemporaryDirectory(prefix="clipcache-") as scratch:
        function = _decode_job if in_main else _embed_job
        finish = _finisher(recipe, scratch) if in_main else None
        pool = ProcessPool(workers, context=context, initializer=_start_worker)
        waiting: dict[Future[ClipEmbeddings], Job] = {}
        remaining = iter(jobs)
        try:
            while True:
                while len(waiting) < workers * QUEUE_PER_WORKER:
                    job = next(remaining, None)
                    if job is None:
                        break
                    arguments = (job, recipe, scratch)
                    waiting[pool.schedule(function, args=arguments, timeout=timeout)] = job
                if not waiting:
                    break
                done, _ = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in done:
                    job = waiting.pop(future)
                    result = _result(future, timeout)
                    if finish and isinstance(result, ClipEmbeddings):
                        result = finish(job, result)
                    yield job, result
                idle()
            pool.close()
        finally:
            pool.stop()
            pool.join()


def _result(future: "Future[ClipEmbeddings]", timeout: float) -> ClipEmbeddings | ClipError:
    from pebble import ProcessExpired

    try:
        return future.result()
    except ClipError as error:
        return error
    except TimeoutError:
        return ClipError(f"took longer than features.clip_timeout ({timeout:g} s) and was given up")
    except ProcessExpired as error:
        return ClipError(f"crashed the decoder (exit code {error.exitcode})")
    except MemoryError:
        return ClipError("needs more memory than there is")


def _start_worker() -> None:
    """Let the main process alone answer Ctrl-C, and never outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait_for_any([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)


@functools.cache
def _engine(name: str, backbone: Path, precision: str) -> Engine:
    return load_engine(name, backbone, precision=precision)


def _embed_job(job: Job, recipe: Recipe, scratch: str) -> ClipEmbeddings:
    _check_bytes(job)
    engine = _engine(recipe.engine, recipe.backbone, recipe.extractor.precision)
    return embed_clip(job.path, engine, recipe.extractor, recipe.sampling, job.wanted)


def _check_bytes(job: Job) -> None:
    """A clip that changed after it was indexed must not enter the cache under its old digest."""
    try:
        if sha256(job.path) != job.digest:
            raise ClipError("has changed since it was indexed: run `clipcache index` again")
    except OSError as error:
        raise ClipError(f"cannot be read ({error.strerror})") from None


def _decode_job(job: Job, recipe: Recipe, scratch: str) -> ClipEmbeddings:
    """As `_embed_job`, but the frames go to a file; "embeddings" are their (n, 1) positions in it.

    An empty clip leaves no file. A worker that is killed leaves one that goes with `scratch`.
    """
    _check_bytes(job)
    with _spool_path(job, scratch).open("wb") as spool:
        written = 0

        def keep(frames: np.ndarray) -> np.ndarray:
            nonlocal written
            spool.write(frames.tobytes())
            written += len(frames)
            return np.arange(written - len(frames), written)[:, np.newaxis]

        return embed_clip(job.path, keep, recipe.extractor, recipe.sampling, job.wanted)


def _spool_path(job: Job, scratch: str) -> Path:
    return Path(scratch, f"{job.digest}.frames")


Finish = Callable[[Job, ClipEmbeddings], ClipEmbeddings]


def _finisher(recipe: Recipe, scratch: str) -> Finish:
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
