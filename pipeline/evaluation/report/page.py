"""From values to a page: the template environment and how numbers are written."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.metrics import Interval
from pipeline.files import write_text
from pipeline.wording import count

if TYPE_CHECKING:
    from jinja2 import Environment

NONE = "-"  # where there is no value


PACKAGE = "pipeline.evaluation.report"  # whose folder templates/ all pages build upon


def write_page(path: Path, template: str, values: dict[str, Any], package: str = PACKAGE) -> None:
    """Fill a template and write the page, whole or not at all.

    Parameters
    ----------
    package : the one with the template in its folder templates/
    """
    write_text(path, _environment(package).get_template(template).render(values))


def percent(share: float | None, digits: int = 1) -> str:
    """0.9234 -> "92.3 %"."""
    return NONE if share is None else f"{100 * share:.{digits}f} %"


def points(difference: float, digits: int = 1) -> str:
    """0.0312 -> "+3.1"; percentage points with their sign."""
    text = f"{abs(100 * difference):.{digits}f}"
    if not float(text):
        return text
    return f"{'+' if difference > 0 else '-'}{text}"


def between(interval: Interval | None, digits: int = 1) -> str:
    """An interval of shares -> "88.1 to 95.0 %"."""
    if interval is None:
        return NONE
    return f"{100 * interval.low:.{digits}f} to {100 * interval.high:.{digits}f} %"


def between_points(interval: Interval | None, digits: int = 1) -> str:
    """An interval of differences -> "-1.2 to +4.0"."""
    if interval is None:
        return NONE
    return f"{points(interval.low, digits)} to {points(interval.high, digits)}"


def number(value: float | None) -> str:
    """12345.6 -> "12,346"; a small number that is not whole keeps one digit."""
    if value is None:
        return NONE
    return f"{value:,.1f}" if value < 100 and value != int(value) else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Seconds in words: "42 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def bar(parts: Sequence[tuple[float, str]], whole: float) -> Any:
    """A horizontal bar as inline SVG, as wide as its box.

    Parameters
    ----------
    parts : (length, class of the CSS), from left to right
    whole : length of a full bar
    """
    from markupsafe import Markup

    rectangles, start = "", 0.0
    for length, name in parts:
        width = 100 * length / whole if whole else 0.0
        rectangles += f'<rect class="{name}" x="{start:.2f}" width="{width:.2f}" height="6"/>'
        start += width
    return Markup(
        '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        f"{rectangles}</svg>"
    )


def with_code(text: str) -> Any:
    """Plain text with `commands` between backquotes -> HTML with them in <code>."""
    from markupsafe import Markup, escape

    parts = enumerate(text.split("`"))
    return Markup().join(Markup("<code>{}</code>").format(part) if i % 2 else escape(part)
                         for i, part in parts)  # fmt: skip


@cache
def _environment(package: str) -> "Environment":
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, PACKAGE))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (percent, points, between, between_points, number, duration, count, with_code)
    environment.filters.update({function.__name__: function for function in filters})
    environment.globals.update(bar=bar)
    return environment
