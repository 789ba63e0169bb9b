"""A head's network as files: Keras's own format, and LiteRT for use without TensorFlow.

Equal weights give equal bytes in both.
"""

import json
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import ModelError, mended_by
from pipeline.head.inference import Forward
from pipeline.litert import litert_of_model
from pipeline.quiet import import_tensorflow, quiet_native_output

if TYPE_CHECKING:
    import keras

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip archive can hold; written for every entry


def write_keras(network: "keras.Model", path: Path) -> None:
    """Save a Keras model so that equal weights give equal bytes, whatever the clock says.

    Keras writes the time of day and, as the ids of shared objects, addresses in memory; a head
    shares no layers, so both go. Its own archive would also fail where the clock stands before
    1980, as on a board without a battery.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        network.save(scratch, zipped=False)
        with zipfile.ZipFile(path, "w") as target:
            for file in sorted(Path(scratch).glob("*.*")):
                content = file.read_bytes()
                if file.suffix == ".json":
                    content = json.dumps(_timeless(json.loads(content))).encode()
                target.writestr(zipfile.ZipInfo(file.name, EPOCH), content)


def write_litert(network: "keras.Model", path: Path) -> None:
    """Convert a head to one LiteRT file of built-in operations.

    Inputs ``embeddings`` (B, T, D) float32 and ``mask`` (B, T) bool, output (B, K) float32; B is
    free, T the head's own.
    """
    path.write_bytes(litert_of_model(network))


def load_keras(path: Path) -> "keras.Model":
    """Load what `write_keras` wrote. No code from the file is run (Keras's safe mode).

    Raises
    ------
    ModelError
        When it cannot be loaded.
    """
    import_tensorflow()
    import keras

    from pipeline.head import layers  # noqa: F401  registers the layers that the file names

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        mend = mended_by(error, "train again")
        raise ModelError(f"{path} cannot be loaded ({reason}): {mend}.") from None


def load_litert(path: Path, threads: int = 1) -> Forward:
    """Load what `write_litert` wrote as a function of arrays; imports no TensorFlow.

    Any thread may call it; calls run one after the other.

    Raises
    ------
    ModelError
        When it cannot be loaded.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        with quiet_native_output():
            interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
            interpreter.allocate_tensors()
            interpreter.invoke()  # some damage shows only here
            inputs = interpreter.get_signature_runner().get_input_details()
            output = interpreter.get_output_details()[0]["index"]
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        reason = " ".join(str(error).split())[:200]
        mend = mended_by(error, "train again")
        raise ModelError(f"{path} cannot be loaded ({reason}): {mend}.") from None
    one_at_a_time = threading.Lock()
    batch = 1

    def forward(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        nonlocal batch
        arrays = {"embeddings": values, "mask": mask}
        with one_at_a_time:
            if len(values) != batch:
                for name, array in arrays.items():
                    interpreter.resize_tensor_input(inputs[name]["index"], array.shape, strict=True)
                interpreter.allocate_tensors()
                batch = len(values)
            for name, array in arrays.items():
                interpreter.set_tensor(inputs[name]["index"], array)
            interpreter.invoke()
            return interpreter.get_tensor(output)

    return forward


def _timeless(value: Any) -> Any:
    """JSON without what differs between two runs."""
    if isinstance(value, dict):
        kept = {name: _timeless(item) for name, item in value.items() if name != "shared_object_id"}
        return kept | {"date_saved": ""} if "date_saved" in kept else kept
    return [_timeless(item) for item in value] if isinstance(value, list) else value
