"""Worker processes that decode and embed whole clips.

A video that crashes or hangs the decoder costs one clip: the worker is replaced. No frame crosses
a process boundary, except for an engine that must be one process (Keras on a GPU): there the
workers leave their frames in a temporary file that the main process embeds in batches.
"""

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from pipeline.backbone.folder import DIMENSION
from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.engines import load_engine
from pipeline.embedding.executors.jobs import Embedder, EmbeddingSetup, Job, embed, outcome
from pipeline.embedding.workers import WorkerPool
from pipeline.errors import ClipError
from pipeline.files import scratch_folder
from pipeline.processes import available_cores, run_in_processes

GPU_BATCH = 64  # frames that the main process embeds in one call


def run_locally(
    jobs: Iterable[Job], setup: EmbeddingSetup, pool: WorkerPool
) -> Generator[tuple[Job, ClipEmbeddings | ClipError], None, None]:
    """As `pipeline.embedding.executors.run_jobs`, in worker processes of this machine."""
    in_main = setup.engine == "keras"
    with scratch_folder("frames") if in_main else contextlib.nullcontext(Path()) as scratch:
        function: Embedder = functools.partial(_embed_job, setup=setup)
        finish: Finish | None = None
        if in_main:
            function = functools.partial(_decode_job, setup=setup, scratch=scratch)
            finish = _finisher(setup, scratch)
        results = run_in_processes(
            function,
            jobs,
            workers=pool.workers or available_cores(),
            timeout=pool.timeout,
            idle=pool.idle,
        )
        with contextlib.closing(results):
            for job, answer in results:
                result = outcome(answer, pool.timeout)
                if finish and isinstance(result, ClipEmbeddings):
                    result = finish(job, result)
                yield job, result


@functools.cache
def _embedder(setup: EmbeddingSetup) -> Embedder:
    return setup.embedder()


def _embed_job(job: Job, setup: EmbeddingSetup) -> ClipEmbeddings:
    return _embedder(setup)(job)


def _decode_job(job: Job, setup: EmbeddingSetup, scratch: Path) -> ClipEmbeddings:
    """As `_embed_job`, but the frames go to a file; "embeddings" are their (n, 1) positions in it.

    A worker that is killed leaves a file that goes with `scratch`.
    """
    with _spool_path(job, scratch).open("wb") as spool:
        written = 0

        def keep(frames: np.ndarray) -> np.ndarray:
            nonlocal written
            spool.write(frames.tobytes())
            written += len(frames)
            return np.arange(written - len(frames), written)[:, np.newaxis]

        return embed(job, keep, setup)


def _spool_path(job: Job, scratch: Path) -> Path:
    return scratch / f"{job.digest}.frames"


Finish = Callable[[Job, ClipEmbeddings], ClipEmbeddings]


def _finisher(setup: EmbeddingSetup, scratch: Path) -> Finish:
    """Embeds in this process, in batches, what a worker decoded into a file."""
    engine = load_engine(setup.engine, setup.backbone)
    size = setup.extractor.input_size

    def finish(job: Job, decoded: ClipEmbeddings) -> ClipEmbeddings:
        started = perf_counter()
        spool = _spool_path(job, scratch)
        frames = np.empty((0, size, size, 3), np.uint8)
        if spool.stat().st_size:  # nothing is in it where no frame falls into the segments
            frames = np.memmap(spool, np.uint8, "r").reshape(-1, size, size, 3)
        embeddings = {
            view: np.concatenate(
                [
                    np.empty((0, DIMENSION), np.float16),
                    *(
                        engine(frames[positions[start : start + GPU_BATCH, 0]])
                        for start in range(0, len(positions), GPU_BATCH)
                    ),
                ]
            )
            for view, positions in decoded.embeddings.items()
        }
        spool.unlink()
        seconds = {**decoded.seconds, "embed": perf_counter() - started}
        return replace(decoded, embeddings=embeddings, seconds=seconds)

    return finish
