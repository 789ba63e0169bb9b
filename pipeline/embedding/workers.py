"""How many workers embed the clips of a run, where, and how long each may take over one clip."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.processes import available_cores
from pipeline.wording import count


@dataclass(frozen=True)
class RayCluster:
    """Where Ray is, and what one worker takes of it.

    Attributes
    ----------
    address : None starts a local Ray; "auto", "ray://host:port" or "host:port" joins a cluster
    cpus, gpus : that Ray sets aside for a worker
    """

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    @property
    def share(self) -> str:
        """What one worker takes, in words."""
        return f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")


def _nothing(*arguments: Any) -> None:
    pass


@dataclass(frozen=True)
class WorkerPool:
    """Who does the work of a run; in words by `str`: "2 workers", "4 workers on a local Ray".

    Attributes
    ----------
    workers : None: one per core, or as many as the cluster has room for
    timeout : seconds for one task
    cluster : None: worker processes of this machine
    idle : called at least about every second, also while all workers are busy
    report : is told what happens to the cluster
    """

    workers: int | None = None
    timeout: float = 300.0
    cluster: RayCluster | None = None
    idle: Callable[[], None] = _nothing
    report: Callable[[str], None] = _nothing

    def __str__(self) -> str:
        if self.cluster is None:
            return count(self.workers or available_cores(), "worker")
        address = self.cluster.address
        where = "a local Ray" if address is None else f"Ray at {address}"
        if self.workers is None:
            return f"as many workers as {where} has room for"
        return f"{count(self.workers, 'worker')} on {where}"
