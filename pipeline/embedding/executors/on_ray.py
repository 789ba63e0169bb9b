"""Jobs on Ray: every actor holds the engine, and fetches, decodes and embeds whole clips.

Only the videos must be where every node finds them. The backbone travels through Ray's object
store, and embeddings come back to this process, which alone writes its shards of the cache.
"""

import contextlib
import tempfile
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.executors.jobs import Embedder, EmbeddingSetup, Job, outcome
from pipeline.embedding.executors.ray_actors import run_in_actors
from pipeline.embedding.workers import WorkerPool
from pipeline.errors import ClipError


def run_on_ray(
    jobs: Iterable[Job], setup: EmbeddingSetup, pool: WorkerPool
) -> Generator[tuple[Job, ClipEmbeddings | ClipError], None, None]:
    """As `pipeline.embedding.executors.run_jobs`, in Ray actors."""
    files = {path.name: path.read_bytes() for path in setup.backbone.glob("*") if path.is_file()}
    answers = run_in_actors(prepare, (setup, files), jobs, pool)
    with contextlib.closing(answers):
        for job, answer in answers:
            result = outcome(answer, pool.timeout)
            yield job, _own(result) if isinstance(result, ClipEmbeddings) else result


def prepare(setup: EmbeddingSetup, files: dict[str, bytes]) -> Embedder:
    """In an actor: load the engine from the backbone's files; what embeds a job from then on."""
    with tempfile.TemporaryDirectory(prefix="clipcache-backbone-") as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        return replace(setup, backbone=folder).embedder()


def _own(result: ClipEmbeddings) -> ClipEmbeddings:
    """A copy outside Ray's object store, which would stay full until the shard is written."""
    return replace(
        result,
        timeline=np.array(result.timeline),
        frames={view: np.array(frames) for view, frames in result.frames.items()},
        embeddings={view: np.array(rows) for view, rows in result.embeddings.items()},
    )
