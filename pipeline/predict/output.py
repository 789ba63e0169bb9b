"""Predictions as a table, for programs."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.csv_tables import listed, write_rows
from pipeline.predict.prediction import DIGITS, TIME_DIGITS, Prediction
from pipeline.predict.windows import timeline

FILE_COLUMNS = ("file", "label", "confidence", "seconds", "frames")
SPAN_COLUMNS = ("file", "start", "end", "label", "confidence")


def write_csv(predictions: Sequence[Prediction], path: Path, top: int) -> None:
    """A row for each clip; or, where there are windows, a row for each span of each clip."""
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
        listed(label for label, _ in ranked),
        "|".join(f"{share:.{DIGITS}f}" for _, share in ranked),
    ]


def _span_rows(predictions: Iterable[Prediction]) -> Iterator[list[object]]:
    for prediction in predictions:
        for span in timeline(prediction):
            times = (f"{seconds:.{TIME_DIGITS}f}" for seconds in (span.start, span.end))
            yield [prediction.file, *times, span.label, f"{span.confidence:.{DIGITS}f}"]
