"""Keep native libraries' start-up notes off the screen, where they drown our own words."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_native_output() -> Iterator[None]:
    """Send what C++ code writes to the standard streams to nowhere while the block runs.

    Python exceptions pass through as ever; only file descriptors 1 and 2 are turned aside.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor, _ in saved:
            os.dup2(nowhere, descriptor)
        yield
    finally:
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(nowhere)


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their start-up notes; later imports find them loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet_native_output():
        import keras  # noqa: F401
        import tensorflow
    tensorflow.get_logger().setLevel("ERROR")  # its advice on retracing is not for our users
