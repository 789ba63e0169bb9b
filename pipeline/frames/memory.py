"""A bound on the memory that decoding a file may take, in the processes that do nothing else."""

import contextlib
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

BASE_BYTES = 384 << 20  # that any file may take, beside what the process has
PIXEL_BYTES = 64  # for each pixel of a frame: a decoder keeps up to 16 frames and works on more


@contextlib.contextmanager
def bounded_memory(pixels: int) -> Iterator[None]:
    """Let a worker process take so much more memory as frames of this size can need.

    A stream whose frames grow far beyond what its header says is refused the memory for them, and
    costs itself. Not in a main process, which has other things to do with its memory.

    Parameters
    ----------
    pixels : in a frame by the header
    """
    if multiprocessing.parent_process() is None or not sys.platform.startswith("linux"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + BASE_BYTES + PIXEL_BYTES * pixels
    allowed = [limit, *(bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(allowed), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
