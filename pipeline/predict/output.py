"""Predictions as a table, for programs, and as annotations, for annotation tools."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.annotations.stretch import Recording, Stretch
from pipeline.csv_tables import listed, write_rows
from pipeline.predict.prediction import DIGITS, TIME_DIGITS, UNANSWERED, Prediction

FILE_COLUMNS = ("file", "label", "confidence", "seconds", "frames")
SPAN_COLUMNS = ("file", "start", "end", "label", "confidence")
ANNOTATOR = "clipcache"  # of what a model says


def write_csv(
    predictions: Sequence[Prediction], path: Path, top: int, *, spans: bool = False
) -> None:
    """A row for each clip; or, with `spans`, a row for each span of each clip."""
    if spans:
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
        for span in prediction.timeline():
            times = (f"{seconds:.{TIME_DIGITS}f}" for seconds in (span.start, span.end))
            yield [prediction.file, *times, span.label, f"{span.confidence:.{DIGITS}f}"]


def recordings(
    predictions: Iterable[Prediction], rate: Callable[[str], float]
) -> list[Recording]:  # fmt: skip
    """The spans of each clip as stretches that clipcache annotated; "unsure" and
    "none of these" are none.

    Parameters
    ----------
    rate : gives the frames a second of a clip by its name
    """
    return [
        Recording(one.file, round(one.seconds, TIME_DIGITS), rate(one.file), _stretches(one))
        for one in predictions
    ]


def _stretches(prediction: Prediction) -> tuple[Stretch, ...]:
    return tuple(
        Stretch(
            prediction.file, span.label, round(span.start, TIME_DIGITS),
            round(span.end, TIME_DIGITS), ANNOTATOR, round(span.confidence, DIGITS),
        )
        for span in prediction.timeline()
        if span.label not in UNANSWERED
    )  # fmt: skip
