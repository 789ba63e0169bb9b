"""What `clipcache explain` writes: pictures with what the model looked at, charts, numbers."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.csv_tables import write_rows
from pipeline.errors import ClipcacheError
from pipeline.evaluation.plots import BLUE, GREEN, MUTED, ORANGE, save_png, style
from pipeline.explaining.contributions import by_kind, by_stream
from pipeline.explaining.explain import Explanation
from pipeline.files import replacing_folder, write_json
from pipeline.frames.contact_sheet import INK, THUMBNAIL, TITLE, gap, line, strip, write_picture
from pipeline.frames.flow_arrows import draw_arrows, fast_speed
from pipeline.lettering import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXPLAINED = Path("reports/explain")
OVERVIEW, CHART, NUMBERS, TABLE = "overview.png", "weights.png", "explanation.json", "weights.csv"
COLUMN_NAMES = ("frame", "seconds", "activation", "effect")  # of the table
COLUMNS, MOST_SHOWN = 8, 24  # frames in a row of the overview, and in all of it
STRENGTH = 0.6  # of the colour where the evidence is greatest; the rest is the picture
JPEG_QUALITY = 92
LEAST_NAMED = 0.005  # part of what carries a label; below it rounds to 0 %


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
    ``weights.png`` and ``weights.csv`` what streams, frames and parts of the clip count,
    ``explanation.json`` the rest.

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
                "branches": _rounded(explanation.added),
                "streams": _rounded(by_stream(explanation.added)),
                "kinds": _rounded(by_kind(explanation.added)),
                "order": [
                    {"start": round(start, 3), "end": round(end, 3), "added": round(added, 6)}
                    for start, end, added in _order_parts(explanation)
                ],
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


def with_arrows(explanation: Explanation) -> list[np.ndarray]:
    """The frames with arrows for what moves, where the model reads flow; else as they are."""
    pictures = list(explanation.pictures.pictures)
    if explanation.flow is None:
        return pictures
    fast = fast_speed(explanation.flow)
    large = (2 * THUMBNAIL, 2 * THUMBNAIL)  # for lines finer than a pixel of the overview
    return [
        draw_arrows(cv2.resize(picture, large), grid, fast)
        for picture, grid in zip(pictures, explanation.flow, strict=True)
    ]


def summary(explanation: Explanation) -> str:
    """What carries the label: "motion 83%, place 15%; statistics 57%, order 42%".

    Largest first; what rounds to nothing is left out, and the kinds where there is only a network.
    """
    streams, kinds = by_stream(explanation.added), by_kind(explanation.added)
    texts = [
        ", ".join(
            f"{name} {part:.0%}"
            for name, part in sorted(parts.items(), key=lambda item: -item[1])
            if abs(part) >= LEAST_NAMED
        )
        for parts in (streams, _without(kinds, streams))
    ]
    return "; ".join(filter(None, texts))


def weights_chart(explanation: Explanation) -> "Figure":
    """What streams, frames and parts of the clip count for the label.

    Left the weight of each frame in time: share of the activation, effect of lacking it, and what
    the parts of the clip add in the branches that see order. Right, where the head has several
    branches, what streams and kinds add.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    times = explanation.pictures.times
    (label,) = shorten([explanation.label])
    ordered, branched = explanation.order.any(), len(explanation.added) > 1
    width = 0.8 * _step(times)
    panels = 3 if ordered else 2
    with style():
        figure = Figure(figsize=(8.2, 1.5 * panels + 0.4), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(
            panels, 2 if branched else 1, width_ratios=[2.3, 1][: 1 + branched]
        )
        axes = [figure.add_subplot(grid[0, 0])]
        axes += [figure.add_subplot(grid[row, 0], sharex=axes[0]) for row in range(1, panels)]
        axes[0].bar(times, 100 * explanation.activation, width, color=ORANGE)
        axes[0].set_title(f"Where {label} is seen: share of the activation")
        axes[0].set_ylabel("%")
        axes[1].bar(times, explanation.effect, width, color=BLUE)
        axes[1].set_title("What the log-odds lose without the frame")
        if ordered:
            for start, end, added in _order_parts(explanation):
                axes[2].bar(start, added, 0.94 * (end - start), align="edge", color=GREEN)
            axes[2].set_title("What each eighth of the clip adds by its order")
        for one in axes:
            one.grid(axis="x", visible=False)
            one.axhline(0, color=MUTED, linewidth=0.8)
            one.tick_params(labelbottom=one is axes[-1])
        axes[-1].set_xlabel("seconds")
        if branched:
            column = figure.add_subplot(grid[:, 1])
            _draw_parts(column, by_stream(explanation.added), by_kind(explanation.added))
            column.set_title("What carries the label")
    return figure


def _draw_parts(axes: "Axes", streams: dict[str, float], kinds: dict[str, float]) -> None:
    """Streams above kinds, as horizontal bars in per cent."""
    bars = [*streams.items(), *_without(kinds, streams).items()]
    places = -np.arange(len(bars)) - (np.arange(len(bars)) >= len(streams))  # a gap between them
    values = np.array([100 * value for _, value in bars])
    colours = [ORANGE] * len(streams) + [GREEN] * (len(bars) - len(streams))
    axes.barh(places, values, 0.56, color=colours)
    for place, value in zip(places, values, strict=True):
        side, align = (1, "left") if value >= 0 else (-1, "right")
        axes.annotate(f"{value:.0f}%", (value, place), (3 * side, 0), ha=align, va="center",
                      textcoords="offset points", fontsize=8.5)  # fmt: skip
    axes.set_yticks(places, [name for name, _ in bars])
    axes.axvline(0, color=MUTED, linewidth=0.8)
    low, high = min(values.min(), 0), max(values.max(), 0)
    axes.set_xlim(low - (0.25 * (high - low) if low < 0 else 0), high + 0.25 * (high - low))
    axes.tick_params(axis="both", length=0, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[["bottom", "left"]].set_visible(False)


def _order_parts(explanation: Explanation) -> list[tuple[float, float, float]]:
    """Start and end in seconds of each eighth of the clip, and what it adds; none of no order."""
    if not explanation.order.any():
        return []
    times = explanation.pictures.times
    edges = np.linspace(times[0], times[-1] + _step(times), len(explanation.order) + 1)
    return list(
        zip(edges[:-1].tolist(), edges[1:].tolist(), explanation.order.tolist(), strict=True)
    )


def _step(times: np.ndarray) -> float:
    """Seconds from one frame to the next."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.125


def _without(kinds: dict[str, float], streams: dict[str, float]) -> dict[str, float]:
    """The kinds but for the recurrent network, which stands among the streams."""
    return {name: part for name, part in kinds.items() if name not in streams}


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}


def _overview(explanation: Explanation, shown: list[np.ndarray], chart: Path) -> np.ndarray:
    """Frames above their overlays, a few rows of them, and the chart below."""
    count = len(shown)
    chosen = np.linspace(0, count - 1, min(count, MOST_SHOWN)).round().astype(int)
    title = f"{Path(explanation.file).name}: {explanation.label} {explanation.probability:.1%}"
    if explanation.predicted != explanation.label:
        title += f" (predicted: {explanation.predicted})"
    plain = with_arrows(explanation)
    arrows = "" if explanation.flow is None else "   Arrows: how things move."
    said = f"{summary(explanation)}.   Colours: what speaks for it in the pictures alone.{arrows}"
    parts = [line({0: title}, COLUMNS, INK, TITLE), line({0: said}, COLUMNS)]
    for first in range(0, len(chosen), COLUMNS):
        row = chosen[first : first + COLUMNS]
        captions = {
            column: f"{explanation.pictures.times[i]:.2f} s  {explanation.activation[i]:.0%}"
            for column, i in enumerate(row)
        }
        parts += [
            strip([plain[i] for i in row], COLUMNS),
            gap(COLUMNS),
            strip([shown[i] for i in row], COLUMNS),
            line(captions, COLUMNS),
        ]
    drawn = cv2.imdecode(np.fromfile(chart, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert drawn is not None  # it was written a moment ago
    width = parts[0].shape[1]
    height = round(drawn.shape[0] * width / drawn.shape[1])
    return np.vstack([*parts, cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)])
