"""The linear branches of a head as a file, branches.npz. Equal weights give equal bytes."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import ModelError, mended_by
from pipeline.frames.streams import reading
from pipeline.head.descriptors import HEIGHTS
from pipeline.head.linear import LinearBranch


def write_branches(branches: Sequence[LinearBranch], path: Path) -> None:
    """Write the weights and the bias of each branch; NumPy dates all entries 1980."""
    arrays: dict[str, np.ndarray] = {}
    for branch in branches:
        arrays[f"{branch.name} weights"] = branch.weights
        arrays[f"{branch.name} bias"] = branch.bias
    with path.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def read_branches(
    path: Path, names: Sequence[str], readings: Mapping[str, int], classes: int
) -> tuple[LinearBranch, ...]:
    """The branches of these names; none for no names, whether the file is there or not.

    Parameters
    ----------
    readings : with the D of each, which decides the shape of the weights
    classes : K

    Raises
    ------
    ModelError
        When one is missing, or is not what it should be.
    """
    if not names:
        return ()
    found = []
    try:
        with np.load(path, allow_pickle=False) as stored:
            for name in names:
                stream, descriptor = name.split(" ")
                height = HEIGHTS[descriptor] * readings[reading(stream)]
                weights, bias = stored[f"{name} weights"], stored[f"{name} bias"]
                for array, shape in ((weights, (height, classes)), (bias, (classes,))):
                    if array.shape != shape or array.dtype != np.float32:
                        there = f"{array.dtype} of shape {array.shape}"
                        raise ValueError(f"{name} is {there}, not float32 of {shape}")
                    if not np.isfinite(array).all():
                        raise ValueError(f"{name} has numbers that are not finite")
                found.append(LinearBranch(stream, descriptor, weights, bias))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        mend = mended_by(error, "train again")
        raise ModelError(f"{path} cannot be loaded ({error}): {mend}.") from None
    return tuple(found)
