"""Commands that take a model elsewhere, or look into it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.options import (
    DEFAULT_MODEL,
    DEFAULT_PARAMS,
    Changes,
    ModelFolder,
    ParamsFile,
    load_settings,
)
from pipeline.terminal import say, show_table, tell
from pipeline.wording import some

if TYPE_CHECKING:
    from pipeline.exporting.export import Exported


class Format(StrEnum):
    """What `--format` takes."""

    saved_model = "saved_model"
    tflite = "tflite"
    onnx = "onnx"


class Precision(StrEnum):
    """What `--precision` takes."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


def export(
    kind: Annotated[
        Format, typer.Option("--format", help="onnx needs the extra `onnx`.")
    ] = Format.tflite,
    precision: Annotated[
        Precision, typer.Option(help="Of the weights; float16 and int8 are for tflite.")
    ] = Precision.float32,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder to write.", show_default="models/export/FORMAT-PRECISION"),
    ] = None,
    clips: Annotated[
        list[Path] | None,
        typer.Option(
            help="A video or a folder of videos to compare on; may be repeated.",
            show_default="the test split",
        ),
    ] = None,
    model: ModelFolder = DEFAULT_MODEL,
    params: ParamsFile = DEFAULT_PARAMS,
    changes: Changes = None,
) -> None:
    """Write the whole model, a window of a clip in and probabilities out, for another runtime.

    The export is loaded again and compared with the model on real clips, window by window. It is
    kept only where the labels stay: at most 1 % of the windows may change theirs, 3 % with int8.
    """
    from pipeline.exporting.clips import clips_of_files, clips_of_test_split, evenly
    from pipeline.exporting.export import export as run

    if clips:
        found, place = clips_of_files(clips), "named with --clips"
    else:
        found = clips_of_test_split(load_settings(params, changes).dataset)
        place = "of the test split"
    used = evenly(found)
    done = run(kind.value, precision.value, used, out=out, model=model)
    many = f"{len(used)} of the {len(found)}" if len(used) < len(found) else str(len(used))
    _print_exported(done, f"{many} clips {place}")


def _print_exported(done: "Exported", where: str) -> None:
    """A table of how far the export is from its original."""
    from rich.table import Table

    comparison = done.comparison
    table = Table(box=None, header_style="bold")
    for column in ("", "size", "windows", "other label", "largest diff.", "mean diff."):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    table.add_row(
        f"{done.kind} {done.precision}",
        f"{done.bytes / 1e6:.1f} MB",
        str(comparison.windows),
        f"{comparison.changed} ({comparison.changed / comparison.windows:.1%})",
        f"{comparison.largest:.1e}",
        f"{comparison.mean:.1e}",
    )
    say(f"Compared with the model on {comparison.windows} windows of {where}:")
    show_table(table)
    if comparison.skipped:
        say(f"Left out: {some(comparison.skipped)}.")
    say(f"-> {done.path}")


def explain(
    file: Annotated[Path, typer.Argument(help="A video.")],
    label: Annotated[
        str | None, typer.Option(help="What to explain.", show_default="the predicted label")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write.", show_default="reports/explain/FILE")
    ] = None,
    model: ModelFolder = DEFAULT_MODEL,
) -> None:
    """Show what speaks for a label: which places, frames and parts of the clip, and which stream.

    Every frame with an overlay (Grad-CAM), an overview of them, and what each frame and stream
    counts.
    """
    from pipeline.explaining.explain import explain as run
    from pipeline.explaining.output import (
        EXPLAINED,
        OVERVIEW,
        check_replaceable,
        summary,
        write_explanation,
    )
    from pipeline.files import check_apart
    from pipeline.predict.inputs import check_inputs

    folder = out or EXPLAINED / file.stem
    check_inputs([file])
    check_replaceable(folder)  # said before any work is done
    check_apart([folder], [file])
    found = run(file, label, model, say=tell)
    write_explanation(found, folder)
    other = "" if found.predicted == found.label else f", predicted is {found.predicted}"
    say(f"{found.label} {found.probability:.1%}{other}; {len(found.pictures)} frames")
    say(f"{summary(found)} -> {folder / OVERVIEW}")
