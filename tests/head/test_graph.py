"""The head in TensorFlow says what the head in NumPy says, of clips of any length."""

import numpy as np
import pytest

from pipeline.frames.streams import reading
from pipeline.head.build import HeadShape, build_network
from pipeline.head.descriptors import DESCRIPTORS, HEIGHTS
from pipeline.head.graph import head_graph
from pipeline.head.inference import Head, forward_function
from pipeline.head.linear import LinearBranch
from pipeline.head.sequences import Windowing, even_windows
from pipeline.head.streams import network_streams

READINGS = {"identity": 24, "hflip": 24, "place/identity": 10, "flow/identity": 384,
            "difference/identity": 24}  # fmt: skip
CLASSES, STEPS, LONGEST = 3, 4, 16


@pytest.fixture(scope="module")
def head() -> tuple[Head, object]:
    rng = np.random.default_rng(0)
    linear = tuple(
        LinearBranch(
            stream, name,
            rng.normal(size=(HEIGHTS[name] * READINGS[reading(stream)], CLASSES)).astype("float32"),
            rng.normal(size=CLASSES).astype("float32"),
        )
        for stream in ("rgb", "place", "flow", "difference") for name in DESCRIPTORS
    )  # fmt: skip
    shape = HeadShape(projection=8, units=8)
    network = build_network(shape, STEPS, network_streams(READINGS), CLASSES, seed=1)
    shares = dict(zip(["network", *(b.name for b in linear)], rng.uniform(0, 1, 9), strict=True))
    forward = forward_function(network)
    views, windowing = ("identity", "hflip"), Windowing(STEPS)
    return Head(CLASSES, READINGS, shares, linear, forward, views, True, windowing), network


@pytest.mark.parametrize("length", [1, 3, 6, 16])
def test_a_clip_of_any_length_has_the_same_logits(head, length: int) -> None:
    import tensorflow as tf

    numpy_head, network = head
    rng = np.random.default_rng(length)
    clip = {
        name: rng.gamma(0.5, 1.0, (length, size)).astype(np.float16)
        for name, size in READINGS.items()
    }
    expected = numpy_head.logits([clip])[0]
    exact = len(even_windows(length, numpy_head.windowing))
    for size, windows in ((length, exact), (LONGEST, 4)):  # as explained, and as exported
        padding = np.minimum(np.arange(size), length - 1)
        rows = {
            name: tf.constant(values[padding].astype("float32")) for name, values in clip.items()
        }
        graph = tf.function(head_graph(numpy_head, network, windows))
        found = graph(rows, tf.constant(length)).numpy()
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
