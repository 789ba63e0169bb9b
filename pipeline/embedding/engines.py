"""Engines that turn frames into embeddings. All give the same numbers, at different speeds.

Embeddings are float16 everywhere: half the disk, and an error (2^-11) far below what a head sees.

Measured on 2 cores by `make bench`; see docs/benchmarks.md.
"""

import contextlib
import functools
import importlib.util
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.backbone.folder import (
    DIMENSION,
    LITERT_FILE,
    PLACE_DIMENSION,
    WEIGHTS_FILE,
    build_keras_model,
    read_backbone,
)
from pipeline.backbone.weights import read_tensors
from pipeline.errors import DiskError, FeaturesError
from pipeline.files import write_json
from pipeline.locations import cache_folder
from pipeline.processes import available_cores, processor_name
from pipeline.quiet import import_tensorflow, quiet_native_output
from pipeline.wording import how_to_install

logger = logging.getLogger("clipcache.engines")

COLUMNS = DIMENSION + PLACE_DIMENSION  # that an engine gives for a frame
SPEEDS = "engines.json"  # in the user's cache: how fast each engine is on this machine
TRIED_FRAMES = 4  # in a batch that is timed
TRIED_SECONDS = 0.4  # for which an engine is timed
SMALLEST_MASS = 0.01  # of an activation; a channel with less has its centre near the middle


class Engine(Protocol):
    """A frozen CNN, ready to run, for any thread; those for processors run one frame at a time."""

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """(B, size, size, 3) uint8 RGB, of any size from 32 -> (B, 1280 + 1152) float16.

        The embedding, then `centres_of_activation`; a model folder from before there were streams
        has a CNN that gives the embedding alone.
        """


def centres_of_activation(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Where in the picture each channel is active: (1152,) float32, all x before all y.

    In picture sides from the middle, -0.5 to 0.5; near 0 for a channel that is hardly active.

    Parameters
    ----------
    rows : (height, 576) float32, mean activation of each row of the map, from the top
    columns : (width, 576), of each column, from the left
    """
    centres = []
    for means in (columns, rows):
        offset = (np.arange(len(means), dtype=np.float32) + 0.5) / len(means) - 0.5
        centres.append(offset @ means / len(means) / (means.mean(axis=0) + SMALLEST_MASS))
    return np.concatenate(centres)


def choose_engine(wanted: str, folder: Path) -> tuple[str, str]:
    """The engine to use, and why.

    Where several could run on a machine, each is measured once for a moment, and what came of it is
    remembered: which is faster depends on the processor (docs/benchmarks.md).

    Parameters
    ----------
    wanted : "auto", or the name of an engine
    folder : the backbone folder, to measure with

    Returns
    -------
    name : "litert", "openvino" or "keras"
    reason : for people
    """
    if wanted != "auto":
        return wanted, "features.engine asks for it"
    possible = ["litert"]
    if importlib.util.find_spec("openvino"):
        possible.append("openvino")
    if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists():
        possible.append("keras")
    if len(possible) == 1:
        return "litert", "a CPU"
    speeds = _speeds(possible, folder)
    if not any(speeds.values()):
        return "litert", "a CPU, and no engine could be timed"
    best = max(speeds, key=speeds.__getitem__)
    measured = ", ".join(f"{name} {speed:.0f}" for name, speed in speeds.items())
    kind = "GPU" if best == "keras" else "CPU"
    return best, f"the fastest on this {kind}, frames/s: {measured}"


def _speeds(names: Sequence[str], folder: Path) -> dict[str, float]:
    """Frames a second of each engine on one thread, measured once for each machine."""
    path = cache_folder() / SPEEDS
    machine = "; ".join(map(engine_and_processor, names))
    try:
        known = json.loads(path.read_text("utf-8"))
        if set(known[machine]) == set(names) and all(known[machine][name] > 0 for name in names):
            return {name: float(known[machine][name]) for name in names}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        known = {}
    measured = {name: _speed(name, folder) for name in names}
    if not all(measured.values()):
        return measured
    with contextlib.suppress(DiskError):  # measured again the next time
        write_json(path, {**(known if isinstance(known, dict) else {}), machine: measured})
    return measured


def _speed(name: str, folder: Path) -> float:
    """Frames a second; the best of a few batches, as other work of the machine only slows down.

    0 of an engine that does not run here: a package may be installed for another processor.
    """
    side = read_backbone(folder).input_size
    frames = np.random.default_rng(0).integers(0, 256, (TRIED_FRAMES, side, side, 3), np.uint8)
    try:
        engine = load_engine(name, folder)
        engine(frames[:1])  # what is prepared once
    except Exception as error:
        logger.info("The engine %s does not run here: %s", name, error)
        return 0.0
    shortest, end = float("inf"), time.perf_counter() + TRIED_SECONDS
    while True:
        started = time.perf_counter()
        engine(frames)
        now = time.perf_counter()
        shortest = min(shortest, now - started)
        if now > end:
            return round(TRIED_FRAMES / shortest, 1)


def engine_and_processor(name: str) -> str:
    """What the last bits of an embedding depend on: "litert 2.1.0, <processor>, 8 cores"."""
    package = {"litert": "ai-edge-litert", "openvino": "openvino", "keras": "tensorflow"}.get(name)
    numbered = f"{name} {version(package)}" if package else name
    return f"{numbered}, {processor_name()}, {available_cores()} cores"


def check_engine(name: str) -> None:
    """Refuse an engine whose package is not installed.

    Raises
    ------
    FeaturesError
    """
    if name == "openvino" and importlib.util.find_spec("openvino") is None:
        raise FeaturesError(
            f"features.engine is openvino, which is not installed: {how_to_install('fast')}; or "
            "set it to litert."
        )


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

    content = (folder / LITERT_FILE).read_bytes()  # on Ray the folder is gone before the last size

    @functools.cache
    def prepared(size: int) -> tuple[Interpreter, int, list[int]]:
        with quiet_native_output():
            interpreter = Interpreter(model_content=content, num_threads=threads)
            frame = interpreter.get_input_details()[0]["index"]
            interpreter.resize_tensor_input(frame, (1, size, size, 3), strict=False)
            interpreter.allocate_tensors()
        # The names end with the number of the output; their order in the file is the converter's.
        outputs = sorted(interpreter.get_output_details(), key=lambda output: output["name"])
        return interpreter, frame, [output["index"] for output in outputs]

    prepared(read_backbone(folder).input_size)  # what is damaged is found out here

    def run(picture: np.ndarray) -> list[np.ndarray]:
        interpreter, frame, outputs = prepared(picture.shape[1])
        interpreter.set_tensor(frame, picture)
        interpreter.invoke()
        return [interpreter.get_tensor(output)[0] for output in outputs]

    return functools.partial(_one_by_one, run, threading.Lock())


def _openvino(folder: Path, precision: str, threads: int) -> Engine:
    check_engine("openvino")
    import openvino

    settings = {
        # On processors with AMX the default is bfloat16; exactness is asked for by name.
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Pinned, the threads of all worker processes would share the first core.
        "ENABLE_CPU_PINNING": False,
    }
    core = openvino.Core()
    read = core.read_model(str(folder / LITERT_FILE))

    @functools.cache
    def prepared(size: int) -> tuple[openvino.InferRequest, list[int]]:
        model = read.clone()
        model.reshape([1, size, size, 3])
        names = [output.get_any_name() for output in model.outputs]
        order = sorted(range(len(names)), key=names.__getitem__)
        return core.compile_model(model, "CPU", settings).create_infer_request(), order

    prepared(read_backbone(folder).input_size)

    def run(picture: np.ndarray) -> list[np.ndarray]:
        request, order = prepared(picture.shape[1])
        results = request.infer({0: picture})
        return [results[output][0] for output in order]

    return functools.partial(_one_by_one, run, threading.Lock())


def _one_by_one(
    run: Callable[[np.ndarray], list[np.ndarray]], lock: threading.Lock, frames: np.ndarray
) -> np.ndarray:
    """Engines for processors take frames one at a time: a batch is no faster, and needs room."""
    rows = []
    for picture in frames:
        with lock:  # an interpreter has one set of tensors
            embedding, *means = run(picture[np.newaxis])
        place = [centres_of_activation(*means)] if means else []
        rows.append(np.concatenate([embedding, *place]))
    return np.array(rows, np.float16) if rows else np.empty((0, COLUMNS), np.float16)


def _keras(folder: Path, precision: str, threads: int) -> Engine:
    import_tensorflow()
    import tensorflow as tf

    tensors = read_tensors(folder / WEIGHTS_FILE)

    @functools.cache
    def prepared(size: int) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        model = build_keras_model(tensors, size, place=True)
        return tf.function(lambda frames: model(frames, training=False), reduce_retracing=True)

    prepared(read_backbone(folder).input_size)

    def embed(frames: np.ndarray) -> np.ndarray:
        if not len(frames):
            return np.empty((0, COLUMNS), np.float16)
        embedded, *means = (part.numpy() for part in prepared(frames.shape[1])(tf.constant(frames)))
        centres = [centres_of_activation(*both) for both in zip(*means, strict=True)]
        return np.concatenate([embedded, np.stack(centres)], axis=1).astype(np.float16)

    return embed


ENGINES: dict[str, Callable[[Path, str, int], Engine]] = {
    "litert": _litert,
    "openvino": _openvino,
    "keras": _keras,
}
