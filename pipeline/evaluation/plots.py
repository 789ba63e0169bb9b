"""Pictures of data and results, drawn by matplotlib without a display.

Every function returns a `Figure`; `save_png` and `to_svg` write it so that equal figures give
equal bytes. Colours are Okabe and Ito's, which stay apart for the colour-blind
(https://jfly.uni-koeln.de/color/).
"""

import csv
import io
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.dataset.clips import SPLIT_NAMES
from pipeline.evaluation.metrics import ClassScores, Reliability
from pipeline.evaluation.multi_label.scores import LabelRow
from pipeline.files import replacing
from pipeline.lettering import choose_fonts, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1c2733", "#5f6b7a", "#dde2e8", "#ffffff"
ON_BLUE = "#fefefe"  # not PAPER: it stays light on a dark page
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
SPLIT_COLOURS = {"train": BLUE, "val": ORANGE, "test": GREEN}
# In an SVG the same colours become CSS variables, so that a page can give them dark values.
CSS_COLOURS = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper",
               BLUE: "--blue", ORANGE: "--orange", GREEN: "--green"}  # fmt: skip

DPI = 160  # pixels per inch of a PNG
PANEL = (4.6, 3.1)  # inches, of a plot with two axes
BAR = 0.24  # inches from one horizontal bar to the next
MOST_WITH_COUNTS = 40  # classes up to which a confusion matrix shows numbers
SHADE = 0.6  # power of a share that becomes its shade; below 1 a single mistake stays visible


@dataclass(frozen=True)
class Curve:
    """One line of a training plot.

    Attributes
    ----------
    name : what it shows: "train", "val", or "" where there is only one of its kind
    steps : (E,) float64, epochs from 1
    values : (E,) float64
    """

    name: str
    steps: np.ndarray
    values: np.ndarray


def read_curves(folder: Path) -> dict[str, list[Curve]]:
    """Read the training curves that DVCLive wrote below ``folder/plots/metrics``.

    Returns
    -------
    metric ("loss", "accuracy", ...) -> its curves, train before val; empty without a file
    """
    curves = defaultdict(list)
    for path in sorted((folder / "plots" / "metrics").rglob("*.tsv")):
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = [*csv.reader(stream, delimiter="\t")] or [[]]
        if "step" not in header or len(header) < 2 or not rows:
            continue
        step = header.index("step")
        value = next(column for column in reversed(range(len(header))) if column != step)
        numbers = np.array([[row[step], row[value]] for row in rows], np.float64)
        numbers[:, 0] += 1  # DVCLive counts from 0
        metric, name = path.stem, path.parent.name if path.parent.name != "metrics" else ""
        curves[metric].append(Curve(name, numbers[:, 0], numbers[:, 1]))
    order = sorted(curves, key=lambda metric: (["loss", "accuracy", metric].index(metric), metric))
    return {metric: curves[metric] for metric in order}


def confusion_matrix(
    counts: np.ndarray, labels: Sequence[str], clips: np.ndarray | None = None
) -> "Figure":
    """Rows are actual classes, columns predicted ones; the darker, the larger the share of the row.

    Parameters
    ----------
    counts : (K, K) int, clips
    clips : (K,) int, of each row, where a clip may be in several cells; None takes the row's sum
    """
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    classes = len(labels)
    cell = float(np.interp(classes, [6, 12, 25, 60, 101], [0.58, 0.44, 0.3, 0.19, 0.13]))  # inches
    size = min(9.0, cell * 72 * 0.72)  # points
    whole = counts.sum(axis=1) if clips is None else clips
    shades = (counts / np.maximum(whole, 1)[:, None]) ** SHADE
    # From transparent to blue, so that the matrix sits on a light page as well as on a dark one.
    blues = LinearSegmentedColormap.from_list("", [(*to_rgb(BLUE), 0.0), (*to_rgb(BLUE), 1.0)])
    names = shorten(labels)
    with style():
        figure, axes = new_figure(classes * cell, classes * cell)
        axes.imshow(shades, cmap=blues, vmin=0, vmax=1, interpolation="none", zorder=1)
        upright = max(map(len, names)) * size * 0.65 > cell * 72  # wider than a cell
        axes.set_xticks(range(classes), names, rotation=90 if upright else 0, fontsize=size)
        axes.set_yticks(range(classes), names, fontsize=size)
        axes.set_xlabel("predicted")
        axes.set_ylabel("actual")
        axes.tick_params(length=0)
        axes.set_xticks(np.arange(-0.5, classes), minor=True)
        axes.set_yticks(np.arange(-0.5, classes), minor=True)
        axes.grid(which="major", visible=False)
        axes.grid(which="minor", color=GRID, linewidth=0.6 if classes <= 40 else 0.2, zorder=2)
        axes.tick_params(which="minor", length=0)
        if classes <= MOST_WITH_COUNTS:
            for row, column in np.argwhere(counts).tolist():
                text = str(counts[row, column])
                shade = ON_BLUE if shades[row, column] > 0.55 else INK
                fits = min(size + 1, cell * 72 * 1.3 / max(len(text), 2))
                axes.text(column, row, text, color=shade, fontsize=fits, ha="center",
                          va="center_baseline", zorder=3)  # fmt: skip
    return figure


def curve_panel(metric: str, curves: Sequence[Curve], best: int | None = None) -> "Figure":
    """One metric over the epochs.

    Parameters
    ----------
    best : step whose weights were kept, marked by a line
    """
    with style():
        figure, axes = new_figure(*PANEL)
        _draw_curves(axes, metric, curves, best)
    return figure


def training_curves(metrics: Mapping[str, Sequence[Curve]], best: int | None = None) -> "Figure":
    """All metrics over the epochs, side by side; an empty figure says that nothing was logged."""
    with style():
        width, height = PANEL
        figure, first = new_figure(width * max(len(metrics), 1) + 0.6 * (len(metrics) - 1), height)
        if not metrics:
            first.text(0.5, 0.5, "no training log", ha="center", color=MUTED)
            first.set_axis_off()
            return figure
        first.remove()
        grid = figure.add_gridspec(1, len(metrics), wspace=0.28)
        for place, (metric, curves) in enumerate(metrics.items()):
            _draw_curves(figure.add_subplot(grid[place]), metric, curves, best)
    return figure


def class_bars(scores: Sequence[ClassScores | LabelRow]) -> "Figure":
    """F1 of every class as horizontal bars, the best above; a dot marks recall."""
    ranked = sorted(scores, key=lambda row: (row.f1, row.recall))
    places = np.arange(len(ranked))
    with style():
        figure, axes = new_figure(5.2, BAR * max(len(ranked), 4))
        axes.barh(places, [row.f1 for row in ranked], height=0.68, color=BLUE, label="F1")
        axes.plot([row.recall for row in ranked], places, "o", markersize=4, color=ORANGE,
                  linestyle="none", label="recall", clip_on=False, zorder=3)  # fmt: skip
        for place, row in enumerate(ranked):
            axes.text(1.03, place, f"{row.f1:.2f}   n = {row.clips}", va="center", fontsize=8,
                      color=MUTED)  # fmt: skip
        _name_bars(axes, [row.label for row in ranked])
        axes.set_xlim(0, 1)
        _legend_above(axes, 2)
    return figure


def reliability_diagram(binned: Reliability, error: float) -> "Figure":
    """Accuracy over confidence, with the diagonal of perfect calibration.

    Parameters
    ----------
    error : expected calibration error, shown above the plot
    """
    filled = binned.clips > 0
    width = np.diff(binned.edges)[filled]
    left = binned.edges[:-1][filled]
    with style():
        figure, axes = new_figure(PANEL[0] * 0.86, PANEL[0] * 0.86)
        axes.plot([0, 1], [0, 1], "--", color=MUTED, linewidth=1, zorder=2)
        axes.bar(left, binned.accuracy[filled], width, align="edge", color=BLUE, alpha=0.85,
                 edgecolor=PAPER, linewidth=0.8, zorder=1)  # fmt: skip
        area = 18 + 130 * binned.clips[filled] / binned.clips.sum()
        axes.scatter(binned.confidence[filled], binned.accuracy[filled], area, color=ORANGE,
                     edgecolor=PAPER, linewidth=0.8, clip_on=False, zorder=3)  # fmt: skip
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.set_xlabel("confidence")
        axes.set_ylabel("share right")
        axes.set_title(f"expected calibration error {error:.3f}", fontsize=9, fontweight="normal")
    return figure


def class_distribution(clips: Mapping[str, Mapping[str, int]]) -> "Figure":
    """Clips per class as horizontal bars, the largest class above.

    Parameters
    ----------
    clips : class -> split -> number of clips; before there is a split, "" -> number
    """
    from matplotlib.ticker import MaxNLocator

    ranked = sorted(clips, key=lambda label: (sum(clips[label].values()), label))
    places = np.arange(len(ranked))
    start = np.zeros(len(ranked))
    shown = [name for name in ("", *SPLIT_NAMES) if any(clips[label].get(name) for label in ranked)]
    with style():
        figure, axes = new_figure(5.6, BAR * max(len(ranked), 4))
        for name in shown:
            length = np.array([clips[label].get(name, 0) for label in ranked], float)
            axes.barh(places, length, 0.68, start, color=SPLIT_COLOURS.get(name, BLUE), label=name)
            start += length
        for place, total in zip(places, start, strict=True):
            axes.annotate(f"{total:.0f}", (total, place), (4, 0), textcoords="offset points",
                          va="center", fontsize=8, color=MUTED)  # fmt: skip
        _name_bars(axes, ranked)
        axes.set_xlim(0, start.max(initial=1) * 1.08)
        axes.set_xlabel("clips")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        if shown not in ([], [""]):
            _legend_above(axes, len(shown))
    return figure


def save_png(figure: "Figure", path: Path) -> None:
    """Write a PNG, whole or not at all; no date and no program name inside."""
    with style(), replacing(path) as temporary:
        choose_fonts(figure)
        figure.savefig(temporary, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.15,
                       metadata={"Software": None})  # fmt: skip


def to_svg(figure: "Figure", title: str) -> str:
    """The figure as an ``<svg>`` element to put into a page.

    Text stays text in the page's own font, and colours are the variables of `CSS_COLOURS`. The
    background is transparent.

    Parameters
    ----------
    title : what a screen reader says
    """
    from html import escape

    stream = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with style():
        figure.savefig(stream, format="svg", bbox_inches="tight", pad_inches=0.05,
                       transparent=True, metadata=nothing)  # fmt: skip
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"(font: [^;\"]*?\dpx) [^;\"]*", r"\1 var(--font)", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", text)
    for colour, variable in CSS_COLOURS.items():
        text = text.replace(colour, f"var({variable})")
    match = re.search(r'width="([\d.]+)pt"', text)
    width = float(match[1]) if match else 400.0
    # A point becomes 1.25 pixels; where the page is narrower the picture shrinks to 0.9 at most.
    size = f"width:{width * 1.25:.0f}px;min-width:{width * 0.9:.0f}px"
    opening = f'<svg role="img" aria-label="{escape(title)}" style="{size}"'
    text = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", text, count=2)
    return text.replace("<svg", opening, 1).strip()


@contextmanager
def style() -> Iterator[None]:
    from matplotlib import rc_context

    settings = {
        "axes.axisbelow": True,
        "axes.edgecolor": GRID,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": MUTED,
        "axes.labelsize": 9,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "figure.facecolor": PAPER,
        "font.size": 9,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.labelcolor": INK,
        "svg.fonttype": "none",
        "svg.hashsalt": "clipcache",  # else element ids are random
        "text.color": INK,
        "text.parse_math": False,  # a class may be called "a_$b$"
        "xtick.color": GRID,
        "xtick.labelcolor": INK,
        "xtick.labelsize": 8.5,
        "ytick.color": GRID,
        "ytick.labelcolor": INK,
        "ytick.labelsize": 8.5,
    }
    with rc_context(settings), warnings.catch_warnings():
        # What no font has is told by `choose_fonts`, once and with what to install.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def new_figure(width: float, height: float) -> "tuple[Figure, Axes]":
    """A figure whose axes, without their labels, measure `width` by `height` inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.add_axes((0, 0, 1, 1))


def _draw_curves(axes: "Axes", metric: str, curves: Sequence[Curve], best: int | None) -> None:
    from matplotlib.ticker import MaxNLocator

    ordered = sorted(curves, key=lambda curve: ["train", "val", "", curve.name].index(curve.name))
    colours = {"train": BLUE, "val": ORANGE}
    spare = iter([GREEN, INK, MUTED] * len(ordered))
    for curve in ordered:
        colour = colours.get(curve.name) or next(spare)
        marker = "o" if len(curve.steps) == 1 else None
        axes.plot(curve.steps, curve.values, color=colour, linewidth=1.6, marker=marker,
                  label=curve.name)  # fmt: skip
    if best is not None:
        axes.axvline(best, color=MUTED, linewidth=1, linestyle=":", label=f"kept: epoch {best}")
    axes.set_title(metric.replace("_", " "), pad=24)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    if metric.endswith("accuracy"):
        axes.set_ylim(0, 1.02)
    if any(curve.name for curve in ordered) or best is not None:
        _legend_above(axes, len(ordered) + 1)


def _name_bars(axes: "Axes", labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), shorten(labels), fontsize=8.5)
    axes.set_ylim(-0.7, len(labels) - 0.3)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _legend_above(axes: "Axes", columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.3,
                handlelength=1.4, borderpad=0, columnspacing=1.4)  # fmt: skip
