"""What `clipcache predict` shows: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.errors import ClipError, some
from pipeline.predict import Prediction, Predictor


def print_predictions(paths: Sequence[Path], *, top: int, as_json: bool, model: Path) -> None:
    """Predict the files and print what comes of it.

    Raises
    ------
    ClipError
        After everything is printed, when some files could not be read; names them and why.
    """
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise ClipError(f"{some(missing)}: no such file.")
    done: list[Prediction] = []
    failed: list[str] = []
    predictor = Predictor(model)
    for path in paths:
        try:
            done.append(predictor.file(path, windows=False))
        except ClipError as error:
            failed.append(f"{path} {error}")
    if as_json:
        json.dump([_as_json(prediction, top) for prediction in done], sys.stdout, indent=2)
        print()
    elif done:
        table = Table("file", "label", "confidence", box=None, header_style="bold")
        for prediction in done:
            for i, (label, probability) in enumerate(prediction.top(top)):
                table.add_row("" if i else prediction.file, label, f"{probability:7.1%}")
        Console().print(table)
    if failed:
        raise ClipError("; ".join(failed) + ".")


def _as_json(prediction: Prediction, top: int) -> dict[str, object]:
    ranked = prediction.top(top)
    return {
        "file": prediction.file,
        "action": ranked[0][0],
        "confidence": round(ranked[0][1], 6),
        "top": [{"label": label, "confidence": round(p, 6)} for label, p in ranked],
        "frames": prediction.frames,
    }
