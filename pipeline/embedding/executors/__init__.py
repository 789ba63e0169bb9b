"""Where clips are embedded: worker processes of this machine, or actors of a Ray cluster.

Same jobs, same keys, same bytes: an executor decides where the work is done, and nothing else.
"""

from collections.abc import Generator, Iterable

from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.executors.jobs import EmbeddingSetup, Job
from pipeline.embedding.executors.local import run_locally
from pipeline.embedding.workers import RayCluster, WorkerPool
from pipeline.errors import ClipError
from pipeline.processes import available_cores

__all__ = ["EmbeddingSetup", "Job", "RayCluster", "WorkerPool", "available_cores", "run_jobs"]


def run_jobs(
    jobs: Iterable[Job], setup: EmbeddingSetup, pool: WorkerPool
) -> Generator[tuple[Job, ClipEmbeddings | ClipError], None, None]:
    """Embed clips, in any order; jobs are taken one by one, as workers become free.

    Yields
    ------
    (job, embeddings), or (job, error) where the clip could not be read

    Raises
    ------
    ClipcacheError
        When workers cannot be started, or the cluster cannot be used.
    """
    if pool.cluster is None:
        return run_locally(jobs, setup, pool)
    from pipeline.embedding.executors.on_ray import run_on_ray

    return run_on_ray(jobs, setup, pool)
