"""What in a data set carries the label: appearance, place, motion, change; with or without order.

A head weighs branches, each of which has read one stream in one way. Their shares in the decision,
and how often each is right by itself, say what tells the classes of this data set apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.plots import BLUE, GREEN, INK, MUTED, ORANGE, new_figure, style
from pipeline.head.model_card import Branch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# stream: what its evidence is called
EVIDENCE = {"rgb": "appearance", "place": "place", "motion": "motion", "flow": "motion",
            "difference": "change", "network": "the recurrent network"}  # fmt: skip
KINDS = {"statistics": ("without order", BLUE), "order": ("by order", ORANGE), "": ("", GREEN)}
NAMED = 0.05  # smallest share that the sentence names
NEAR_CHANCE = 0.1  # of the way from chance to all right
ROW, GAP = 0.26, 0.16  # inches of a row, and more between two kinds of evidence
PANEL, BETWEEN = 2.7, 0.7  # inches, width of each half of the picture and of what parts them


@dataclass(frozen=True)
class Evidence:
    """The branches that read one stream.

    Attributes
    ----------
    name : "appearance", "motion", ...; a stream that is not in `EVIDENCE` goes by its own name
    rows : (kind, share, accuracy) of each; the shares of all branches of a head sum to 1
    """

    name: str
    rows: tuple[tuple[str, float, float], ...]

    @property
    def share(self) -> float:
        return sum(share for _, share, _ in self.rows)

    @property
    def accuracy(self) -> float:
        """Of its best branch."""
        return max(accuracy for _, _, accuracy in self.rows)


def evidence_of(branches: Sequence[Branch]) -> list[Evidence]:
    """The branches by what they read, in the order of `EVIDENCE`, unknown streams last."""
    total = sum(branch.share for branch in branches) or 1.0
    rows: dict[str, list[tuple[str, float, float]]] = {name: [] for name in EVIDENCE.values()}
    for branch in branches:
        stream, _, kind = branch.name.partition(" ")
        row = (kind, branch.share / total, branch.accuracy or 0.0)
        rows.setdefault(EVIDENCE.get(stream, stream), []).append(row)
    place = {kind: i for i, kind in enumerate(KINDS)}
    return [
        Evidence(name, tuple(sorted(found, key=lambda row: place.get(row[0], len(place)))))
        for name, found in rows.items()
        if found
    ]


def evidence_in_words(branches: Sequence[Branch], chance: float) -> str:
    """One sentence, or two: what carries the label, what adds to it, what does not.

    Parameters
    ----------
    branches : at least one
    chance : accuracy of always naming the most frequent class
    """
    found = evidence_of(branches)
    first, *others = sorted(found, key=lambda one: -one.share)
    if all(_near(one.accuracy, chance) for one in found):
        return (
            f"Nothing here tells the classes apart: by itself, {first.name}, which has the largest "
            f"share, is right for {_percent(first.accuracy)}, near chance ({_percent(chance)})."
        )
    verb = ("carries the label" if first.share >= 0.75 else "carries most of the label"
            if first.share > 0.5 else "carries the largest part of the label")  # fmt: skip
    text = (
        f"{first.name[0].upper()}{first.name[1:]} {verb}{_by_order(first)} "
        f"({_percent(first.share)} of the head's decision; alone it is right for "
        f"{_percent(first.accuracy)})"
    )
    adding = [f"{one.name} ({_percent(one.share)}; alone {_percent(one.accuracy)})"
              for one in others if one.share >= NAMED]  # fmt: skip
    if adding:
        text += f", then {' and '.join([*filter(None, [', '.join(adding[:-1])]), adding[-1]])}"
    useless = [words for one in others for words in _near_chance(one, chance)]
    if useless:
        text += f"; near chance ({_percent(chance)}) alone: {', '.join(useless)}"
    return text + "."


def evidence(branches: Sequence[Branch], chance: float) -> "Figure":
    """Each branch's share in the head beside its own accuracy, grouped by what it reads.

    Parameters
    ----------
    branches : at least one
    chance : accuracy of always naming the most frequent class, drawn as a line
    """
    found = evidence_of(branches)
    places, top = [], 0.0
    for one in found:
        places.append(top - ROW * np.arange(len(one.rows)))
        top = places[-1][-1] - ROW - GAP
    bottom = places[-1][-1]
    width = PANEL / (2 * PANEL + BETWEEN)
    with style():
        figure, shares = new_figure(2 * PANEL + BETWEEN, ROW - bottom)
        shares.set_position((0, 0, width, 1))
        alone = figure.add_axes((1 - width, 0, width, 1))
        alone.axvline(chance, color=MUTED, linewidth=1, linestyle=":")
        for one, rows in zip(found, places, strict=True):
            strong = "bold" if one.share == max(other.share for other in found) else "normal"
            shares.annotate(one.name, (0, rows.mean()), (-78, 0), textcoords="offset points",
                            ha="right", va="center", fontweight=strong)  # fmt: skip
            for (kind, share, accuracy), place in zip(one.rows, rows, strict=True):
                words, colour = KINDS.get(kind, (kind, GREEN))
                shares.barh(place, share, ROW * 0.72, color=colour)
                alone.plot([chance, accuracy], [place, place], color=colour, linewidth=2)
                alone.plot(accuracy, place, "o", color=colour, markersize=6, clip_on=False)
                shares.annotate(words, (0, place), (-6, 0), textcoords="offset points",
                                ha="right", va="center", fontsize=8.5, color=INK)  # fmt: skip
                _write(shares, share, share, place)
                _write(alone, accuracy, max(accuracy, chance), place)
        titles = ("share in the decision", f"right by itself; dotted: chance, {_percent(chance)}")
        for axes, title in zip((shares, alone), titles, strict=True):
            axes.set_title(title, fontsize=9, fontweight="normal")
            axes.set_xlim(0, 1)
            axes.set_ylim(bottom - ROW * 0.7, ROW * 0.7)
            axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
            axes.set_yticks([])
    return figure


def _write(axes: "Axes", value: float, end: float, place: float) -> None:
    """Write a share beside where its bar ends."""
    axes.annotate(_percent(value), (end, place), (7, 0), textcoords="offset points",
                  va="center", fontsize=8, color=MUTED)  # fmt: skip


def _by_order(one: Evidence) -> str:
    """Which kind of its branches a stream's share is mostly in, where there is a choice."""
    ordered = sum(share for kind, share, _ in one.rows if kind == "order")
    if len(one.rows) < 2 or 1 / 3 <= ordered / (one.share or 1.0) <= 2 / 3:
        return ""
    return ", mostly by its order" if ordered > one.share / 2 else ", mostly without order"


def _near_chance(one: Evidence, chance: float) -> list[str]:
    """What of it says nothing by itself: all, or a part of what single pictures show."""
    if _near(one.accuracy, chance):
        return [f"{one.name} {_percent(one.accuracy)}"]
    if one.name != EVIDENCE["rgb"]:
        return []
    return [f"{one.name} {KINDS.get(kind, (kind,))[0]} {_percent(accuracy)}"
            for kind, _, accuracy in one.rows if _near(accuracy, chance)]  # fmt: skip


def _near(accuracy: float, chance: float) -> bool:
    return accuracy <= chance + NEAR_CHANCE * (1 - chance)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
