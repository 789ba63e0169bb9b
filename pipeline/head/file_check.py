"""What the files of a model folder may hold, looked at before they are opened in earnest.

The files that a card names are looked for inside the folder alone, and what is packed or compressed
is measured before it is unpacked. What is refused is refused in a sentence.
"""

import json
import math
import stat
import zipfile
from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backbone.folder import DESCRIPTION_FILE, LITERT_FILE
from pipeline.errors import ModelError, mended_by
from pipeline.frames.streams import stream_and_view
from pipeline.head.card_check import check_description
from pipeline.head.litert_check import NetworkSize, check_litert
from pipeline.store.extractor_spec import DIMENSIONS

MOST_FILE_BYTES = 512 << 20
MOST_UNPACKED_BYTES = 512 << 20  # of one file
MOST_ENTRIES = 1000  # of an archive
MOST_WEIGHTS = 1 << 25  # numbers in one matrix that a network may ask for
MOST_LAYERS = 2000  # with all that they consist of
# What heads are built from (pipeline.head.build), of this release and of those before it.
LAYERS = frozenset(
    """
    Activation Add Average BatchNormalization Bidirectional Concatenate Dense Dropout
    GlobalAveragePooling1D GRU Identity InputLayer LayerNormalization LSTM Masking Multiply ReLU
    Rescaling SpatialDropout1D UnitNormalization
    """.split()  # noqa: SIM905 - twenty quoted strings would read worse
)
KERAS_PARTS = frozenset(("None", "keras", "keras.initializers", "keras.src.models.functional"))
OUR_LAYERS = "clipcache>"
NEEDED_TO_EMBED = ("backbone", "input_size", "resize", "precision")


def check_sizes(folder: Path, names: Collection[str]) -> None:
    """Refuse files that are no plain files, or too large, before they are opened.

    Raises
    ------
    ModelError
        Naming the file.
    """
    for name in names:
        path = folder / name
        if not path.exists():
            continue
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ModelError(f"{path} is not a plain file: copy the whole folder again.")
        if found.st_size > MOST_FILE_BYTES:
            raise ModelError(
                f"{path} has {found.st_size:,} bytes, more than any file of a model: copy the "
                "whole folder again."
            )


def check_contents(folder: Path, names: Collection[str], size: NetworkSize) -> None:
    """Measure what is packed in a head's files, before it is unpacked.

    Parameters
    ----------
    names : of the files that are needed; some of the backbone are left to `check_backbone_files`
    size : of the network, by the card

    Raises
    ------
    ModelError
        Naming the file.
    """
    for name in names:
        if name not in (DESCRIPTION_FILE, LITERT_FILE):
            _look_into(folder / name, size)


def check_backbone_files(
    folder: Path, extractor: Mapping[str, Any], readings: Mapping[str, int]
) -> None:
    """The same of the backbone beside a head, for whoever embeds frames with it.

    Parameters
    ----------
    extractor, readings : of the card

    Raises
    ------
    ModelError
        Naming the file, or what the card lacks or makes up.
    """
    for name in (DESCRIPTION_FILE, LITERT_FILE):
        _look_into(folder / name)
    lacking = [name for name in NEEDED_TO_EMBED if name not in extractor]
    if lacking:
        raise ModelError(
            f"The card in {folder} does not say with which {lacking[0]} its embeddings were made: "
            "run `clipcache train` again."
        )
    for name, size in readings.items():
        made = DIMENSIONS[stream_and_view(name)[0]]
        if size != made:
            raise ModelError(
                f"The card in {folder} says that {name} has {size} numbers, but it has {made}: "
                "run `clipcache train` again."
            )


def _look_into(path: Path, size: NetworkSize | None = None) -> None:
    checks = {
        ".keras": lambda path: _check_keras(path, size),
        ".npz": _check_arrays,
        ".h5": _check_hdf5,
        ".json": check_description,
        ".tflite": lambda path: check_litert(path.read_bytes(), size),
    }
    check = checks.get(path.suffix)
    if check is None or not path.is_file():
        return
    try:
        check(path)
    except (ValueError, KeyError, TypeError, OSError, RecursionError, zipfile.BadZipFile,
            NotImplementedError, RuntimeError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200]
        mend = mended_by(error, "copy the whole folder again, or run `clipcache train` again")
        raise ModelError(f"{path} cannot be loaded ({reason}): {mend}.") from None


def _check_arrays(path: Path) -> None:
    """Arrays are as long as their headers say; NumPy allocates what it is told to."""
    with zipfile.ZipFile(path) as archive:
        _measure(archive)
        for entry in archive.infolist():
            with archive.open(entry) as stream:
                if np.lib.format.read_magic(stream) != (1, 0):
                    raise ValueError(f"{entry.filename} is no plain array")
                shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
                if dtype.hasobject:
                    raise ValueError(f"{entry.filename} has objects in it, which only pickle reads")
                if math.prod(shape) * dtype.itemsize != entry.file_size - stream.tell():
                    raise ValueError(f"{entry.filename} is not as long as it says")


def _measure(archive: zipfile.ZipFile) -> None:
    """What is packed, by what its directory says; reading goes no further than that."""
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise ValueError(f"it packs {len(entries):,} files")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MOST_UNPACKED_BYTES:
        raise ValueError(f"it unpacks to {unpacked:,} bytes, more than any model")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("it packs one file twice")
    for entry in entries:
        if entry.filename.startswith("/") or ".." in Path(entry.filename).parts:
            raise ValueError(f"it packs {entry.filename!r}, which lies outside")


def _check_keras(path: Path, size: NetworkSize | None) -> None:
    with zipfile.ZipFile(path) as archive:
        _measure(archive)
        _check_network(json.loads(archive.read("config.json")), size)
        _check_hdf5(BytesIO(archive.read("model.weights.h5")))


def _check_network(config: Any, size: NetworkSize | None) -> None:
    """Known layers only, of sizes that a head may have: Keras allocates what it is told to."""
    layers = list(_layers(config))
    if len(layers) > MOST_LAYERS:
        raise ValueError(f"it has {len(layers):,} layers and parts")
    for layer in layers:
        module, name = str(layer.get("module")), layer["class_name"]
        ours = str(layer.get("registered_name")).startswith(OUR_LAYERS)
        if not (ours or module in KERAS_PARTS or (module == "keras.layers" and name in LAYERS)):
            raise ValueError(f"it has a layer that no head has, {str(name)[:60]!r}")
    if size is not None:
        inputs = [layer["config"] for layer in layers if layer["class_name"] == "InputLayer"]
        size.check_inputs(given["batch_shape"] for given in inputs)
    sizes = list(_sizes(config))
    units = [size for name, size in sizes if name == "units"]
    if max(units, default=0) * max((size for _, size in sizes), default=0) > MOST_WEIGHTS:
        raise ValueError("it asks for more weights than any head has")


def _layers(value: Any) -> Iterator[dict[str, Any]]:
    """The descriptions of layers and what they consist of, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str):
            yield value
        for item in value.values():
            yield from _layers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _layers(item)


def _sizes(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """Whole numbers in a description of a network by their names, but for seeds."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "seed":
                yield from _sizes(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _sizes(item, name)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, abs(value)


def _check_hdf5(file: Any) -> None:
    """Arrays may be compressed or never written, and be of any size all the same."""
    import h5py

    total = 0

    def measure(name: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external:
                raise ValueError(f"{name} lies in another file")
            total += item.nbytes
            if total > MOST_UNPACKED_BYTES:
                raise ValueError("its arrays are larger than those of any model")

    with h5py.File(file, "r") as opened:
        for link in _links(opened):
            if not isinstance(link, h5py.HardLink):
                raise ValueError("it leads to other files or places")
        opened.visititems(measure)


def _links(group: Any, depth: int = 0) -> Iterator[Any]:
    import h5py

    if depth > 20:
        raise ValueError("it is nested too deeply")
    for name in group:
        link = group.get(name, getlink=True)
        yield link
        if isinstance(link, h5py.HardLink) and isinstance(group.get(name), h5py.Group):
            yield from _links(group[name], depth + 1)
