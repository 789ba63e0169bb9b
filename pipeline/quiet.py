"""Keep native libraries' start-up notes off the screen, where they drown our own words."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator


class _Aside:
    """Descriptors 1 and 2, turned aside for as long as any thread wants that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted_by = 0  # blocks, in all threads
        self._led_to: dict[int, int] = {}  # descriptor -> copy of what it was before

    def enter(self) -> None:
        with self._lock:
            if not self._wanted_by:
                self._turn()
            self._wanted_by += 1

    def leave(self) -> None:
        with self._lock:
            self._wanted_by -= 1
            if not self._wanted_by:
                self._turn_back()

    def _turn(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # as in a service, or a program with windows
                stream.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):
            with contextlib.suppress(OSError):  # closed
                self._led_to[descriptor] = os.dup(descriptor)
                os.dup2(nowhere, descriptor)
        os.close(nowhere)

    def _turn_back(self) -> None:
        for descriptor, copy in self._led_to.items():
            os.dup2(copy, descriptor)
            os.close(copy)
        self._led_to.clear()


_aside = _Aside()


@contextlib.contextmanager
def quiet_native_output() -> Iterator[None]:
    """Send what C++ code writes to the standard streams to nowhere while the block runs.

    Python exceptions pass through as ever; only file descriptors 1 and 2 are turned aside, those of
    them that are open. Several threads may be in such blocks: the last to leave turns them back.
    """
    _aside.enter()
    try:
        yield
    finally:
        _aside.leave()


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their start-up notes; later imports find them loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet_native_output():
        import keras  # noqa: F401
        import tensorflow
    tensorflow.get_logger().setLevel("ERROR")  # its advice on retracing is not for our users
