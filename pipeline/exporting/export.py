"""`clipcache export`: write a format, load it again, compare it with the original, keep it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.embedding.engines import load_model_engine
from pipeline.errors import ModelError
from pipeline.exporting.clips import NamedClip
from pipeline.exporting.comparison import Comparison, compare
from pipeline.exporting.description import describe
from pipeline.exporting.formats import FORMATS, check_installed
from pipeline.exporting.graph import build_graph
from pipeline.exporting.inputs import DESCRIPTION
from pipeline.files import check_apart, replacing_folder, write_json
from pipeline.head.model_folder import MODEL, load_model
from pipeline.litert import Precision
from pipeline.progress import Progress
from pipeline.quiet import import_tensorflow

EXPORTS = Path("models/export")
ALLOWED = {"float32": 0.01, "float16": 0.01, "int8": 0.03}  # share of windows with another label
EXACT = 1e-3  # difference of a probability in float32 that rounding does not explain; 1e-5 is usual


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    path : the file, or the folder of a SavedModel
    kind, precision : of the weights
    bytes : size of the file or folder
    """

    path: Path
    kind: str
    precision: Precision
    bytes: int
    comparison: Comparison


def export(
    kind: str,
    precision: Precision | None,
    clips: Sequence[NamedClip],
    *,
    out: Path | None = None,
    model: Path = MODEL,
) -> Exported:
    """Write the folder `out` with the export and ``export.json``, whole or not at all.

    Parameters
    ----------
    kind : "saved_model", "tflite" or "onnx"
    precision : None for float32
    clips : to compare on
    out : None for models/export/<kind>-<precision>

    Raises
    ------
    ModelError
        When the model cannot be exported like this, or the export does not say what the original
        says; what was in `out` before is as it was.
    ClipError
        When no clip can be decoded.
    ClipcacheError
        When a clip lies in `out`.
    """
    chosen = FORMATS[kind]
    precision = precision or "float32"
    if precision not in chosen.precisions:
        raise ModelError(
            f"The format {kind} holds {' or '.join(chosen.precisions)} only: leave --precision "
            "out, or choose --format tflite."
        )
    out = out or EXPORTS / f"{kind}-{precision}"
    _check_replaceable(out)
    check_apart([out], [Path(file) for clip in clips for file in clip.source.files])
    check_installed(kind)
    original = load_model(model, "litert")
    engine = load_model_engine(original.card.extractor["precision"], model)
    import_tensorflow()
    graph = build_graph(original)
    description = describe(original.card, kind, precision)
    with replacing_folder(out) as temporary:
        path = temporary / chosen.file
        chosen.write(graph, precision, description, path)
        comparison = compare(original, engine, chosen.load(path), description, _counted(clips))
        _judge(comparison, kind, precision, out)
        compared = {
            "clips": comparison.clips,
            "windows": comparison.windows,
            "labels_changed": comparison.changed,
            "largest_difference": comparison.largest,
            "mean_difference": comparison.mean,
        }
        write_json(
            temporary / DESCRIPTION, {"file": chosen.file, **description, "compared": compared}
        )
    path = out / chosen.file
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    return Exported(path, kind, precision, size, comparison)


def _counted(clips: Sequence[NamedClip]) -> Iterator[NamedClip]:
    with Progress("comparing", len(clips), "clips") as progress:
        for clip in clips:
            yield clip
            progress.advance()


def _check_replaceable(out: Path) -> None:
    """Only an export is ever replaced."""
    if out.is_dir() and not any(out.iterdir()):
        return
    try:
        earlier = json.loads((out / DESCRIPTION).read_text("utf-8"))
        if earlier.keys() >= {"clipcache", "format", "file"}:
            return
    except (OSError, ValueError, AttributeError):
        if not out.exists():
            return
    raise ModelError(
        f"{out} is there and is no export, and would be replaced: name a new folder with --out."
    )


def _judge(comparison: Comparison, kind: str, precision: Precision, out: Path) -> None:
    share = comparison.changed / comparison.windows
    if share > ALLOWED[precision]:
        raise ModelError(
            f"The {kind} export in {precision} gives another label on {comparison.changed} of "
            f"{comparison.windows} windows ({share:.1%}), more than the {ALLOWED[precision]:.0%} "
            f"allowed, and is not kept; {out} is as it was: choose a higher precision."
        )
    if precision == "float32" and comparison.largest > EXACT:
        raise ModelError(
            f"The {kind} export in float32 differs from the model by {comparison.largest:.1e} in a "
            f"probability, more than the {EXACT:.0e} allowed, and is not kept; {out} is as it was: "
            "choose another --format, and please report it."
        )
