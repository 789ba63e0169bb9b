"""Engines that turn frames into embeddings. All give the same numbers, at different speeds.

Embeddings are float16 everywhere: half the disk, and an error (2^-11) far below what a head sees.

Measured on 2 cores by `make bench`; see docs/benchmarks.md.
"""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.backbone.folder import DIMENSION, LITERT_FILE, load_keras_model
from pipeline.errors import FeaturesError
from pipeline.processes import available_cores
from pipeline.quiet import import_tensorflow, quiet_native_output


class Engine(Protocol):
    """A frozen CNN, ready to run."""

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """(B, size, size, 3) uint8 RGB -> (B, 1280) float16."""


def choose_engine(wanted: str) -> tuple[str, str]:
    """The engine to use, and why.

    Parameters
    ----------
    wanted : "auto", or the name of an engine

    Returns
    -------
    name : "litert", "openvino" or "keras"
    reason : for people
    """
    if wanted != "auto":
        return wanted, "features.engine asks for it"
    if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists():
        return "keras", "this machine has a GPU"
    if importlib.util.find_spec("openvino"):
        return "openvino", "a CPU, and the extra `fast` is installed"
    return "litert", "a CPU"


def load_engine(name: str, folder: Path, *, precision: str = "float32", threads: int = 1) -> Engine:
    """Load the backbone folder into an engine.

    Parameters
    ----------
    name : as `choose_engine` gives it
    folder : the backbone folder
    precision : "float32", or "bfloat16" (openvino only)
    threads : threads of one call

    Raises
    ------
    FeaturesError
        When the engine's package is not installed, or cannot compute in that precision.
    """
    if precision != "float32" and name != "openvino":
        raise FeaturesError(f"the engine {name} cannot compute in {precision}: use openvino.")
    return ENGINES[name](folder, precision, threads)


def load_model_engine(precision: str, folder: Path, threads: int | None = None) -> Engine:
    """What embeds for a model, from its own folder and in the precision that it was trained on.

    Not the fastest engine there is: one that gives the same digits on every machine.

    Parameters
    ----------
    folder : the model folder; all files of the backbone are in it
    threads : None takes one for each core
    """
    name = "litert" if precision == "float32" else "openvino"
    return load_engine(name, folder, precision=precision, threads=threads or available_cores())


def _litert(folder: Path, precision: str, threads: int) -> Engine:
    from ai_edge_litert.interpreter import Interpreter

    with quiet_native_output():
        interpreter = Interpreter(str(folder / LITERT_FILE), num_threads=threads)
        interpreter.allocate_tensors()
    frame = interpreter.get_input_details()[0]["index"]
    embedding = interpreter.get_output_details()[0]["index"]

    def embed(frames: np.ndarray) -> np.ndarray:
        embeddings = np.empty((len(frames), DIMENSION), np.float16)
        for row, picture in zip(embeddings, frames, strict=True):
            interpreter.set_tensor(frame, picture[np.newaxis])
            interpreter.invoke()
            row[:] = interpreter.get_tensor(embedding)[0]
        return embeddings

    return embed


def _openvino(folder: Path, precision: str, threads: int) -> Engine:
    if importlib.util.find_spec("openvino") is None:
        raise FeaturesError(
            "features.engine is openvino, which is not installed: `pip install 'clipcache[fast]'`,"
            " or set it to litert."
        )
    import openvino

    settings = {
        # On processors with AMX the default is bfloat16; exactness is asked for by name.
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Pinned, the threads of all worker processes would share the first core.
        "ENABLE_CPU_PINNING": False,
    }
    model = openvino.Core().compile_model(str(folder / LITERT_FILE), "CPU", settings)
    request = model.create_infer_request()

    def embed(frames: np.ndarray) -> np.ndarray:
        embeddings = np.empty((len(frames), DIMENSION), np.float16)
        for row, picture in zip(embeddings, frames, strict=True):
            row[:] = request.infer({0: picture[np.newaxis]})[0][0]
        return embeddings

    return embed


def _keras(folder: Path, precision: str, threads: int) -> Engine:
    import_tensorflow()
    import tensorflow as tf

    model = load_keras_model(folder)
    run = tf.function(lambda frames: model(frames, training=False), reduce_retracing=True)

    def embed(frames: np.ndarray) -> np.ndarray:
        if not len(frames):
            return np.empty((0, DIMENSION), np.float16)
        return run(tf.constant(frames)).numpy().astype(np.float16)

    return embed


ENGINES: dict[str, Callable[[Path, str, int], Engine]] = {
    "litert": _litert,
    "openvino": _openvino,
    "keras": _keras,
}
