"""Joining or starting Ray, quietly."""

import contextlib
import importlib.util
import logging
import math
import os
import re
import socket
import warnings
from collections.abc import Iterator
from typing import Any

from pipeline.embedding.workers import RayCluster, WorkerPool
from pipeline.errors import ClipcacheError
from pipeline.processes import available_cores
from pipeline.wording import how_to_install

OBJECT_STORE_BYTES = 256 << 20  # of a local Ray; holds the backbone and a few clips on their way
CONNECT_SECONDS = 10.0  # for a cluster to answer at all
INSTALL = f"features.executor is ray, which is not installed: {how_to_install('scale')}."
ENVIRONMENT = {  # what Ray reads when it is imported; set by us only where the user did not
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` it would upload the working directory
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # its own notes on dead workers: we say what came of them
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # actors without GPUs keep their environment
}


@contextlib.contextmanager
def connected(cluster: RayCluster, pool: WorkerPool) -> Iterator[Any]:
    """Ray, with room for a pool; on the way out this process leaves it, and a local one ends.

    A process that is connected already stays so.

    Yields
    ------
    The module `ray`.

    Raises
    ------
    ClipcacheError
        When the extra `scale` is not installed, or the cluster cannot be joined.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    local = cluster.address is None
    if cluster.address is not None:
        _check_reachable(cluster.address)
    settings: dict[str, Any] = {"address": "local" if local else cluster.address}
    if local:
        settings["num_cpus"] = math.ceil((pool.workers or available_cores()) * cluster.cpus)
        settings["object_store_memory"] = OBJECT_STORE_BYTES
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        place = "on this machine" if local else f"at {cluster.address} (features.ray_address)"
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = (lines[-1] if lines[0].endswith(":") else lines[0]).strip(" .:")
        raise ClipcacheError(
            f"Ray cannot be {'started' if local else 'joined'} {place}: {reason}."
        ) from None
    try:
        dashboard = getattr(context, "dashboard_url", None)
        if dashboard:
            pool.report(f"Ray's dashboard: http://{dashboard}")
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Say at once that nobody listens at ``host:port``: Ray takes minutes to find out."""
    named = re.fullmatch(r"(?:ray://)?\[?([^/\]]+)\]?:(\d+)", address)
    if named is None:
        return
    try:
        socket.create_connection((named[1], int(named[2])), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClipcacheError(
            f"Ray cannot be joined at {address} (features.ray_address): {reason}."
        ) from None


def check_ray() -> None:
    """Refuse Ray where it is not installed.

    Raises
    ------
    ClipcacheError
    """
    if importlib.util.find_spec("ray") is None:
        raise ClipcacheError(INSTALL)


def import_ray() -> Any:
    """The module `ray`, told to be quiet.

    Raises
    ------
    ClipcacheError
        When it is not installed.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    check_ray()
    import ray

    return ray


def room(ray: Any, cluster: RayCluster) -> int:
    """How many workers the nodes that are alive now could hold, if they did nothing else."""
    count = 0
    for node in ray.nodes():
        if node["Alive"]:
            there = node["Resources"]
            fits = [math.floor(there.get("CPU", 0) / cluster.cpus + 1e-9)]
            if cluster.gpus:
                fits.append(math.floor(there.get("GPU", 0) / cluster.gpus + 1e-9))
            count += min(fits)
    return count


def living_nodes(ray: Any) -> set[str]:
    """The nodes that are alive, as far as the head of the cluster knows."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}
