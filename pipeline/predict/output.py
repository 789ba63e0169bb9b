"""Predictions as JSON and CSV, for programs."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.predict.contract import SCHEMA
from pipeline.predict.doubts import doubts
from pipeline.predict.prediction import Prediction, Span, Window
from pipeline.predict.windows import timeline

DIGITS = 6  # of a probability in JSON and CSV
TIME_DIGITS = 3  # of seconds
FILE_COLUMNS = ("file", "label", "confidence", "seconds", "frames")
SPAN_COLUMNS = ("file", "start", "end", "label", "confidence")


def as_json(prediction: Prediction, top: int) -> dict[str, Any]:
    """A prediction as JSON-ready values; `pipeline.predict.contract` says what is in them.

    With `timeline` and `windows` where it has windows.
    """
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "file": prediction.file,
        "action": prediction.label,
        "confidence": round(prediction.confidence, DIGITS),
        "top": [{"label": label, "confidence": round(p, DIGITS)}
                for label, p in prediction.top(top)],
        "seconds": round(prediction.seconds, TIME_DIGITS),
        "frames": prediction.frames,
        "doubts": doubts(prediction),
    }  # fmt: skip
    if prediction.windows:
        values["timeline"] = [_part(span) for span in timeline(prediction)]
        values["windows"] = [_part(window) for window in prediction.windows]
    return values


def write_csv(predictions: Sequence[Prediction], path: Path, top: int) -> None:
    """A row for each clip; or, where there are windows, a row for each span of each clip."""
    from pipeline.csv_tables import write_rows

    if any(prediction.windows for prediction in predictions):
        write_rows(path, SPAN_COLUMNS, _span_rows(predictions))
        return
    best = (f"top{top}", f"top{top}_confidence")
    write_rows(path, (*FILE_COLUMNS, *best), (_file_row(one, top) for one in predictions))


def _file_row(prediction: Prediction, top: int) -> list[object]:
    ranked = prediction.top(top)
    return [
        prediction.file,
        prediction.label,
        f"{prediction.confidence:.{DIGITS}f}",
        f"{prediction.seconds:.{TIME_DIGITS}f}",
        prediction.frames,
        "|".join(label for label, _ in ranked),
        "|".join(f"{share:.{DIGITS}f}" for _, share in ranked),
    ]


def _span_rows(predictions: Iterable[Prediction]) -> Iterator[list[object]]:
    for prediction in predictions:
        for span in timeline(prediction):
            times = (f"{seconds:.{TIME_DIGITS}f}" for seconds in (span.start, span.end))
            yield [prediction.file, *times, span.label, f"{span.confidence:.{DIGITS}f}"]


def _part(part: Span | Window) -> dict[str, Any]:
    return {
        "start": round(part.start, TIME_DIGITS),
        "end": round(part.end, TIME_DIGITS),
        "label": part.label,
        "confidence": round(part.confidence, DIGITS),
    }
