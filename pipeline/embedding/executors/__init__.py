"""Where clips are embedded: worker processes of this machine, or actors of a Ray cluster.

Same jobs, same keys, same bytes: an executor decides where the work is done, and nothing else.
"""

from collections.abc import Callable, Generator, Iterable

from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.executors.cluster import RayCluster
from pipeline.embedding.executors.jobs import EmbeddingSetup, Job
from pipeline.embedding.executors.local import run_locally
from pipeline.errors import ClipError
from pipeline.processes import available_cores

__all__ = ["EmbeddingSetup", "Job", "RayCluster", "available_cores", "crew", "run_jobs"]


def run_jobs(
    jobs: Iterable[Job],
    recipe: EmbeddingSetup,
    *,
    workers: int | None,
    timeout: float,
    idle: Callable[[], None] = lambda: None,
    cluster: RayCluster | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> Generator[tuple[Job, ClipEmbeddings | ClipError], None, None]:
    """Embed clips, in any order.

    Parameters
    ----------
    jobs : taken one by one, as workers become free
    workers : None: one per core, or as many as the cluster has room for
    timeout : seconds for one clip
    idle : called at least every second, also while all workers are busy
    cluster : None: worker processes of this machine
    report : is told what happens to the cluster

    Yields
    ------
    (job, embeddings), or (job, error) where the clip could not be read

    Raises
    ------
    ClipcacheError
        When workers cannot be started, or the cluster cannot be used.
    """
    if cluster is None:
        return run_locally(jobs, recipe, workers=workers, timeout=timeout, idle=idle)
    from pipeline.embedding.executors.on_ray import run_on_ray

    return run_on_ray(
        jobs,
        recipe,
        cluster=cluster,
        workers=workers,
        timeout=timeout,
        idle=idle,
        report=report,
    )


def crew(workers: int | None, cluster: RayCluster | None) -> str:
    """Who does the work, in words: ``'2 workers'``, ``'4 workers on a local Ray'``."""
    if cluster is None:
        workers = workers or available_cores()
        return f"{workers} worker{'' if workers == 1 else 's'}"
    place = "a local Ray" if cluster.address is None else f"Ray at {cluster.address}"
    if workers is None:
        return f"as many workers as {place} has room for"
    return f"{workers} worker{'' if workers == 1 else 's'} on {place}"
