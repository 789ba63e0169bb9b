"""What the benchmarks ran on, and how much of it was busy with other things."""

import importlib.metadata
import os
import platform
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from bench.contenders import Run, busy_seconds
from pipeline.embedding.executors import available_cores

PACKAGES = (
    "ai-edge-litert", "h5py", "keras", "numpy", "opencv-python", "openvino", "tensorflow"
)  # fmt: skip
MATRIX = 1536  # rows and columns: 9 MB each, larger than a core's own cache


def describe() -> dict[str, Any]:
    """Processor, cores, memory and versions; nothing that names the machine or its folders."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _cpu_field("model name") or platform.processor() or platform.machine(),
        "instructions": [flag for flag in ("avx2", "avx512f", "amx_bf16") if has(flag)],
        "cores": available_cores(),
        "memory_gib": round(memory_bytes() / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": versions,
    }


def has(instruction: str) -> bool:
    """Whether the processor has an instruction set, by the name Linux gives it."""
    return instruction in (_cpu_field("flags") or "").split()


def memory_bytes() -> int:
    """Memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_bytes() -> int:
    """Memory that can be had now without swapping; all of it where the system does not say."""
    meminfo = Path("/proc/meminfo")
    for line in meminfo.read_text().splitlines() if meminfo.exists() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return memory_bytes()


def matrix_products() -> Run:
    """Float32 matrix products; the unit of work is one product."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((MATRIX, MATRIX), np.float32) for _ in range(2))
    product = np.empty_like(a)

    def run(count: int) -> None:
        for _ in range(count):
            np.matmul(a, b, out=product)

    return run


class OtherLoad:
    """Measures how much of the processors other programs took meanwhile."""

    def __init__(self) -> None:
        self._before = self._read()

    def share(self) -> float:
        """Busy processor time of others since construction, over all processor time there was."""
        after = self._read()
        busy, total, own = (b - a for a, b in zip(self._before, after, strict=True))
        return max(0.0, busy - own) / total

    @staticmethod
    def _read() -> tuple[float, float, float]:
        own = sum(os.times()[:4])  # this process and those it has waited for
        return busy_seconds(), perf_counter() * (os.cpu_count() or 1), own


def _cpu_field(name: str) -> str | None:
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
