"""The state of an unfinished training run on disk: named arrays and notes in one file."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.files import replacing

NOTES = "notes"


def write_state(path: Path, arrays: dict[str, np.ndarray], notes: dict[str, Any]) -> None:
    """Write the state, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stored: dict[str, Any] = {**arrays, NOTES: np.array(json.dumps(notes))}
        np.savez(stream, **stored)


def read_state(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """The state that `write_state` wrote; None where there is none or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    notes = json.loads(str(arrays.pop(NOTES)))
    return arrays, notes
