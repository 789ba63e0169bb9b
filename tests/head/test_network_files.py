"""The head's files: the same numbers from Keras and from LiteRT, whatever the head."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.head.build import PRESETS, HeadShape, build_network
from pipeline.head.inference import forward_function
from pipeline.head.network_files import load_keras, load_litert, write_keras, write_litert

STEPS, DIMENSION, CLASSES = 12, 96, 5
PLAIN = HeadShape(units=16, projection=16)
RGB = {"rgb": DIMENSION}
SHAPES = {  # every part of a head at least once
    "default": replace(PRESETS["default"], units=16),
    "lstm128_deep": replace(PRESETS["lstm128_deep"], units=16),
    "gru": replace(PLAIN, recurrent="gru", pooling="last", normalisation="unit"),
    "gru-attention": replace(PLAIN, recurrent="gru", pooling="attention", normalisation="layer"),
    "lstm-mean": replace(PLAIN, recurrent="lstm", differences=(1, 3, STEPS)),
    "bilstm-last": replace(PLAIN, pooling="last", normalisation="none"),
    "frames-attention": replace(PLAIN, recurrent="none", pooling="attention"),
}


def windows(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Windows of clips of every length, the shorter ones padded as `sequences.take` does."""
    rng = np.random.default_rng(seed)
    values = rng.gamma(0.5, 1.0, (count, STEPS, DIMENSION)).astype(np.float32)
    lengths = 1 + np.arange(count) % STEPS
    mask = np.arange(STEPS) < lengths[:, None]
    last = values[np.arange(count), lengths - 1]
    return np.where(mask[..., None], values, last[:, None]), mask


@pytest.mark.parametrize("name", SHAPES)
def test_litert_says_what_keras_says(name: str, tmp_path: Path) -> None:
    streams = {"rgb": 40, "place": 16, "flow": 40} if name == "default" else RGB
    network = build_network(SHAPES[name], STEPS, streams, CLASSES, seed=3)
    rng = np.random.default_rng(4)
    for weight in network.weights:  # no zeros: as after a training
        if weight.dtype == "float32":
            noise = rng.normal(0, 0.2, weight.shape)
            positive = any(part in weight.path for part in ("variance", "scale"))
            weight.assign(weight.numpy() + (abs(noise) if positive else noise))
    write_keras(network, tmp_path / "head.keras")
    write_litert(network, tmp_path / "head.tflite")
    keras_forward = forward_function(load_keras(tmp_path / "head.keras"))
    litert_forward = load_litert(tmp_path / "head.tflite")
    for count in (1, 30, 4, 64):
        values, mask = windows(count, seed=count)
        expected, found = keras_forward(values, mask), litert_forward(values, mask)
        assert found.shape == (count, CLASSES)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, abs(expected).max()))
        assert np.ptp(expected) > 0.05
    values, mask = windows(STEPS)
    other = np.where(mask[..., None], values, 9.0)  # what is masked does not count
    np.testing.assert_allclose(litert_forward(other, mask), litert_forward(values, mask), atol=1e-5)


def test_litert_needs_no_tensorflow(tmp_path: Path) -> None:
    network = build_network(PLAIN, STEPS, RGB, CLASSES)
    write_litert(network, tmp_path / "head.tflite")
    script = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from pipeline.head.network_files import load_litert\n"
        f"forward = load_litert(Path({str(tmp_path / 'head.tflite')!r}))\n"
        f"forward(np.ones((2, {STEPS}, {DIMENSION}), np.float32), np.ones((2, {STEPS}), bool))\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_a_file_that_is_no_network_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "head.tflite").write_bytes(b"TFL3 no flat buffer")
    with pytest.raises(ModelError, match=r"head\.tflite cannot be loaded"):
        load_litert(tmp_path / "head.tflite")


def test_a_network_is_saved_where_the_clock_stands_before_1980(tmp_path: Path, monkeypatch) -> None:
    network = build_network(PLAIN, STEPS, RGB, CLASSES)
    write_keras(network, tmp_path / "now.keras")
    monkeypatch.setattr(time, "localtime", lambda seconds=None: time.gmtime(0))
    write_keras(network, tmp_path / "then.keras")
    assert (tmp_path / "then.keras").read_bytes() == (tmp_path / "now.keras").read_bytes()
    values, mask = windows(4)
    np.testing.assert_array_equal(
        forward_function(load_keras(tmp_path / "then.keras"))(values, mask),
        forward_function(network)(values, mask),
    )
