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

from pipeline.embedding.clip_embedding import ClipEmbeddings, columns
from pipeline.embedding.engines import Engine, load_engine
from pipeline.embedding.executors.jobs import Embedder, EmbeddingSetup, Job, embed, outcome
from pipeline.embedding.workers import WorkerPool
from pipeline.errors import ClipError
from pipeline.files import scratch_folder
from pipeline.frames.streams import FLOW, stream_and_view
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
    """As `_embed_job`, but pictures go to files, one for each size of picture.

    "embeddings" of the CNN are their (n, 2) sizes and positions there. A worker that is killed
    leaves files that go with `scratch`.
    """
    written: dict[int, int] = {}

    def keep(frames: np.ndarray) -> np.ndarray:
        size = frames.shape[1]
        start = written.get(size, 0)
        written[size] = start + len(frames)
        with _spool_path(job, scratch, size).open("ab" if start else "wb") as spool:
            spool.write(frames.tobytes())
        return np.stack([[size, position] for position in range(start, written[size])])

    return embed(job, keep, setup, whole=True)


def _spool_path(job: Job, scratch: Path, size: int) -> Path:
    return scratch / f"{job.digest}.{size}"


Finish = Callable[[Job, ClipEmbeddings], ClipEmbeddings]


def _finisher(setup: EmbeddingSetup, scratch: Path) -> Finish:
    """Embeds in this process, in batches, what a worker decoded into files."""
    engine = load_engine(setup.engine, setup.backbone)

    def finish(job: Job, decoded: ClipEmbeddings) -> ClipEmbeddings:
        started = perf_counter()
        rows: dict[int, np.ndarray] = {}  # by size
        embeddings = dict(decoded.embeddings)
        for name, places in decoded.embeddings.items():
            if not len(places) or stream_and_view(name)[0] == FLOW:
                continue
            size = int(places[0, 0])
            if size not in rows:
                rows[size] = _embed_spool(engine, _spool_path(job, scratch, size), size)
            embeddings[name] = columns(name, rows[size][places[:, 1]])
        seconds = {**decoded.seconds, "embed": perf_counter() - started}
        return replace(decoded, embeddings=embeddings, seconds=seconds)

    return finish


def _embed_spool(engine: Engine, spool: Path, size: int) -> np.ndarray:
    """Embed the pictures of a file, and remove it: (n, 2432) float16."""
    pictures = np.memmap(spool, np.uint8, "r").reshape(-1, size, size, 3)
    rows = [
        engine(pictures[start : start + GPU_BATCH]) for start in range(0, len(pictures), GPU_BATCH)
    ]
    spool.unlink()
    return np.concatenate(rows)
