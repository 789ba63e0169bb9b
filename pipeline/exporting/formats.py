"""The formats: how each is written, and how its own runtime loads it again."""

import importlib.util
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ModelError
from pipeline.exporting.graph import ClipGraph
from pipeline.head.network_files import EPOCH
from pipeline.litert import Precision, litert_of_function
from pipeline.quiet import quiet_native_output
from pipeline.wording import how_to_install

Run = Callable[[Mapping[str, np.ndarray]], np.ndarray]  # inputs by name -> (K,) probabilities
Description = dict[str, Any]  # what `pipeline.exporting.description` gives

INSIDE = "clipcache.json"  # its name inside a SavedModel and a LiteRT file
KEY = "clipcache"  # its key in the metadata of an ONNX file
ONNX_OPSET = 17  # of 2022; known to ONNX Runtime from 1.12 on


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes
    ----------
    file : its name, without the precision
    precisions : in which it can be written, the default first
    write : (graph, precision, description, path) writes it
    load : (path) loads it with its own runtime
    needs : packages of the extra `onnx`
    """

    file: str
    precisions: tuple[Precision, ...]
    write: Callable[[ClipGraph, Precision, Description, Path], None]
    load: Callable[[Path], Run]
    needs: tuple[str, ...] = ()


def check_installed(name: str) -> None:
    """Refuse a format whose packages are not installed, before anything is computed.

    Raises
    ------
    ModelError
    """
    for package in FORMATS[name].needs:
        if importlib.util.find_spec(package) is None:
            raise ModelError(
                f"The format {name} needs {package}, which is not installed: "
                f"{how_to_install(name)}; or choose --format tflite."
            )


def _write_saved_model(
    graph: ClipGraph, precision: Precision, description: Description, path: Path
) -> None:
    import keras

    archive = keras.export.ExportArchive()
    for network in graph.networks:
        archive.track(network)
    archive.add_endpoint("serve", graph.run, input_signature=graph.signature)
    with quiet_native_output():
        archive.write_out(str(path), verbose=False)
    extra = path / "assets.extra"  # the place that TensorFlow leaves to others
    extra.mkdir()
    (extra / INSIDE).write_text(_json(description), "utf-8")


def _load_saved_model(path: Path) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        assert loaded  # its variables live as long as it does
        answer = serve(**{name: tf.constant(values) for name, values in inputs.items()})
        return answer["probabilities"].numpy()

    return run


def _write_litert(
    graph: ClipGraph, precision: Precision, description: Description, path: Path
) -> None:
    """One file of built-in operations; the description is in a zip archive at its end.

    That is how LiteRT models carry label files: https://ai.google.dev/edge/litert/models/metadata
    """
    path.write_bytes(litert_of_function(graph.run, graph.signature, graph.networks, precision))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(INSIDE, EPOCH), _json(description))


def _load_litert(path: Path) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    from pipeline.processes import available_cores

    with quiet_native_output():
        interpreter = Interpreter(str(path), num_threads=available_cores())
        interpreter.allocate_tensors()
    signature = interpreter.get_signature_runner()

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return signature(**inputs)["probabilities"]

    return run


def _write_onnx(
    graph: ClipGraph, precision: Precision, description: Description, path: Path
) -> None:
    import logging

    import onnx
    import tensorflow as tf
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    run = tf.function(graph.run, input_signature=graph.signature, autograph=False)
    with quiet_native_output():
        model, _ = tf2onnx.convert.from_function(
            run, input_signature=graph.signature, opset=ONNX_OPSET
        )
    onnx.helper.set_model_props(model, {KEY: _json(description)})
    onnx.save(model, str(path))


def _load_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.asarray(session.run(["probabilities"], dict(inputs))[0])

    return run


def _json(description: Description) -> str:
    return json.dumps(description, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Format] = {
    "saved_model": Format("saved_model", ("float32",), _write_saved_model, _load_saved_model),
    "tflite": Format("model.tflite", ("float32", "float16", "int8"), _write_litert, _load_litert),
    "onnx": Format(
        "model.onnx", ("float32",), _write_onnx, _load_onnx, ("tf2onnx", "onnx", "onnxruntime")
    ),
}
