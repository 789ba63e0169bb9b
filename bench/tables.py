"""What a comparison hands back: tables for people, ratios that are wanted, both as JSON too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH = 130  # characters, where there is no terminal that says

Cell = str | int | float | None
Rows = list[list[Cell]]


@dataclass(frozen=True)
class Table:
    """Rows under named columns, and what has to be known to read them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: every row by the names of its columns."""
        rows = [dict(zip(self.columns, map(_plain, row), strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": list(self.notes)}


@dataclass(frozen=True)
class Wanted:
    """A measured number beside the one that is wanted of it."""

    name: str
    value: float
    wanted: float
    unit: str = ""
    at_least: bool = True

    @property
    def holds(self) -> bool:
        """Whether the measured number is as good as the wanted one."""
        return self.value >= self.wanted if self.at_least else self.value <= self.wanted

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.name,
            "value": _plain(self.value),
            "at least" if self.at_least else "at most": self.wanted,
            "unit": self.unit,
            "holds": self.holds,
        }


@dataclass
class Outcome:
    """All that one comparison found."""

    tables: list[Table] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "tables": [table.to_dict() for table in self.tables],
            "wanted": [number.to_dict() for number in self.wanted],
        }


def show(outcomes: Mapping[str, Outcome], *, judge: bool = True) -> None:
    """Print the tables, and last how the wanted numbers stand; no verdict without `judge`."""
    from rich.console import Console
    from rich.table import Table as Grid

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    for outcome in outcomes.values():
        for table in outcome.tables:
            grid = Grid(title=table.title, title_justify="left", title_style="bold")
            for i, column in enumerate(table.columns):
                numbers = all(not isinstance(row[i], str) for row in table.rows)
                grid.add_column(column, justify="right" if numbers else "left", overflow="fold")
            for row in table.rows:
                grid.add_row(*map(text, row))
            console.print(grid)
            for note in table.notes:
                console.print(f"  {note}", style="dim", markup=False)
            console.print()
    rows = [number for outcome in outcomes.values() for number in outcome.wanted]
    if not rows:
        return
    grid = Grid(
        title="Wanted" if judge else "Wanted, of a full run: this one was too small to tell",
        title_justify="left",
        title_style="bold",
    )
    for column in ("", "measured", "wanted", ""):
        grid.add_column(column)
    for number in rows:
        verdict = "holds" if number.holds else "FALLS SHORT"
        bound = f"{'at least' if number.at_least else 'at most'} {text(number.wanted)}"
        grid.add_row(
            number.name,
            f"{text(number.value)} {number.unit}".strip(),
            f"{bound} {number.unit}".strip(),
            verdict if judge else "",
        )
    console.print(grid)


def text(value: Cell) -> str:
    """A cell for people: three significant digits, thousands apart."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else value
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def _plain(value: Cell) -> Cell:
    return float(f"{value:.4g}") if isinstance(value, float) else value
