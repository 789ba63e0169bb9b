"""What `clipcache explain` writes: pictures with what the model looked at, a chart, numbers."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.csv_tables import write_rows
from pipeline.errors import ClipcacheError
from pipeline.evaluation.plots import BLUE, MUTED, ORANGE, save_png, style
from pipeline.explaining.explain import Explanation
from pipeline.files import replacing_folder, write_json
from pipeline.frames.contact_sheet import INK, TITLE, gap, line, strip, write_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPLAINED = Path("reports/explain")
OVERVIEW, CHART, NUMBERS, TABLE = "overview.png", "weights.png", "explanation.json", "weights.csv"
COLUMN_NAMES = ("frame", "seconds", "activation", "effect")  # of the table
COLUMNS, MOST_SHOWN = 8, 24  # frames in a row of the overview, and in all of it
STRENGTH = 0.6  # of the colour where the evidence is greatest; the rest is the picture
JPEG_QUALITY = 92


def check_replaceable(folder: Path) -> None:
    """Only an earlier explanation is ever replaced.

    Raises
    ------
    ClipcacheError
        When the folder holds something else.
    """
    if folder.exists() and not (folder / NUMBERS).is_file():
        if folder.is_dir() and not any(folder.iterdir()):
            return
        raise ClipcacheError(
            f"{folder} is there and is no explanation, and would be replaced: name a new folder "
            "with --out."
        )


def write_explanation(explanation: Explanation, folder: Path) -> None:
    """Write the folder, whole or not at all.

    ``overview.png`` to look at, ``frames/<index>_<seconds>s.jpg`` every frame with its overlay,
    ``weights.png`` and ``weights.csv`` the weight of each frame, ``explanation.json`` the rest.

    Raises
    ------
    ClipcacheError
        When the folder holds something else than an earlier explanation.
    """
    check_replaceable(folder)
    pictures = explanation.pictures
    shown = list(map(overlay, pictures.pictures, explanation.maps))
    with replacing_folder(folder) as temporary:
        (temporary / "frames").mkdir()
        for picture, index, seconds in zip(shown, pictures.indices, pictures.times, strict=True):
            name = f"{index:06d}_{seconds:.3f}s.jpg"
            write_picture(temporary / "frames" / name, picture, JPEG_QUALITY)
        save_png(weights_chart(explanation), temporary / CHART)
        write_picture(temporary / OVERVIEW, _overview(explanation, shown, temporary / CHART))
        rows = [
            (index, round(seconds, 3), round(activation, 6), round(effect, 6))
            for index, seconds, activation, effect in zip(
                pictures.indices.tolist(),
                pictures.times.tolist(),
                explanation.activation.tolist(),
                explanation.effect.tolist(),
                strict=True,
            )
        ]
        write_rows(
            temporary / TABLE,
            COLUMN_NAMES,
            (
                (frame, f"{seconds:.3f}", f"{activation:.6f}", f"{effect:.6f}")
                for frame, seconds, activation, effect in rows
            ),
        )
        write_json(
            temporary / NUMBERS,
            {
                "file": explanation.file,
                "label": explanation.label,
                "probability": round(explanation.probability, 6),
                "predicted": explanation.predicted,
                "views": list(explanation.views),
                "frames": [
                    dict(zip(COLUMN_NAMES, row, strict=True)) | {"map": np.round(place, 4).tolist()}
                    for row, place in zip(rows, explanation.maps, strict=True)
                ],
            },
        )


def overlay(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A frame with its map laid over it in colours from blue to red.

    Parameters
    ----------
    picture : (size, size, 3) uint8 RGB
    places : (h, w) float32, 0 to 1; where it is 0 the picture stays as it is

    Returns
    -------
    (size, size, 3) uint8 RGB
    """
    size = picture.shape[0]
    smooth = np.clip(cv2.resize(places, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)
    colours = cv2.applyColorMap(np.rint(255 * smooth).astype(np.uint8), cv2.COLORMAP_TURBO)
    share = STRENGTH * np.sqrt(smooth)[..., np.newaxis]
    mixed = share * colours[:, :, ::-1] + (1 - share) * picture
    return np.rint(mixed).astype(np.uint8)


def weights_chart(explanation: Explanation) -> "Figure":
    """The weight of each frame in time: share of the activation, and effect of lacking it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    times = explanation.pictures.times
    width = 0.8 * float(np.median(np.diff(times))) if len(times) > 1 else 0.1
    with style():
        figure = Figure(figsize=(8.2, 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        above, below = figure.subplots(2, 1, sharex=True)
        above.bar(times, 100 * explanation.activation, width, color=ORANGE)
        above.set_title(f"Where the evidence for {explanation.label} is: share of the activation")
        above.set_ylabel("%")
        below.bar(times, explanation.effect, width, color=BLUE)
        below.axhline(0, color=MUTED, linewidth=0.8)
        below.set_title("What the label's log-odds lose with neighbours in the frame's place")
        below.set_xlabel("seconds")
        for axes in (above, below):
            axes.grid(axis="x", visible=False)
    return figure


def _overview(explanation: Explanation, shown: list[np.ndarray], chart: Path) -> np.ndarray:
    """Frames above their overlays, a few rows of them, and the chart below."""
    count = len(shown)
    chosen = np.linspace(0, count - 1, min(count, MOST_SHOWN)).round().astype(int)
    title = f"{Path(explanation.file).name}: {explanation.label} {explanation.probability:.1%}"
    if explanation.predicted != explanation.label:
        title += f" (predicted: {explanation.predicted})"
    parts = [line({0: title}, COLUMNS, INK, TITLE)]
    for first in range(0, len(chosen), COLUMNS):
        row = chosen[first : first + COLUMNS]
        captions = {
            column: f"{explanation.pictures.times[i]:.2f} s  {explanation.activation[i]:.0%}"
            for column, i in enumerate(row)
        }
        parts += [
            strip([explanation.pictures.pictures[i] for i in row], COLUMNS),
            gap(COLUMNS),
            strip([shown[i] for i in row], COLUMNS),
            line(captions, COLUMNS),
        ]
    drawn = cv2.imdecode(np.fromfile(chart, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert drawn is not None  # it was written a moment ago
    width = parts[0].shape[1]
    height = round(drawn.shape[0] * width / drawn.shape[1])
    return np.vstack([*parts, cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)])
