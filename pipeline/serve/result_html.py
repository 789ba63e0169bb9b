"""What the page shows of a prediction beside the confidences: a timeline and a few frames."""

import base64
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pipeline.predict.clock import short_clock, ticks
from pipeline.predict.prediction import Prediction
from pipeline.predict.windows import borders, timeline
from pipeline.serve.answers import Recognised

if TYPE_CHECKING:
    from jinja2 import Template

TOP = 5  # labels shown, and those beside them that are the answer somewhere
MOST_CURVES = 15
HEIGHT = 10  # of a curve, in the units of its SVG; it is 100 wide
MOST_TICKS = 6  # of the axis: few enough to be read on a phone


@dataclass(frozen=True)
class Curve:
    """How probable a label is over time.

    Attributes
    ----------
    probability : for the whole clip
    path : of an SVG, 100 wide and `HEIGHT` high
    """

    label: str
    probability: float
    path: str


def result_html(recognised: Recognised, labels: tuple[str, ...]) -> str:
    """A part of a page.

    Parameters
    ----------
    labels : in the order of the windows' probabilities
    """
    prediction = recognised.prediction
    video = recognised.kind == "video"
    return _template().render(
        curves=curves(prediction, labels) if video else [],
        spans=timeline(prediction) if video else [],
        ticks=[(tick, short_clock(tick)) for tick in ticks(prediction.seconds, MOST_TICKS)],
        seconds=prediction.seconds,
        frames=prediction.frames,
        pictures=[
            {
                "jpeg": base64.b64encode(frame.jpeg).decode("ascii"),
                "seconds": frame.seconds,
                "weight": frame.weight,
            }
            for frame in recognised.deciding
        ],
    )


def curves(prediction: Prediction, labels: tuple[str, ...]) -> list[Curve]:
    """The most probable labels and all of the timeline's, in the order of their probability.

    Each is an area of steps; where windows overlap, as `timeline`.
    """
    seconds = prediction.seconds
    edges = [100 * edge / seconds for edge in borders(prediction.windows, seconds)]
    drawn = []
    answers = {span.label for span in timeline(prediction)}
    ranked = enumerate(prediction.top(len(labels)))
    shown = [entry for place, entry in ranked if place < TOP or entry[0] in answers]
    for label, probability in shown[:MOST_CURVES]:
        index = labels.index(label)
        steps = "".join(
            f"V{HEIGHT * (1 - window.probabilities[index]):.2f}H{edge:.2f}"
            for window, edge in zip(prediction.windows, edges[1:], strict=True)
        )
        drawn.append(Curve(label, probability, f"M0 {HEIGHT}{steps}V{HEIGHT}Z"))
    return drawn


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipeline.serve"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("result.html")
