"""The labels of the sample data: which movement each is, and how it is played and placed.

A movement is drawn once for all actions that consist of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.sample import movements, pairs
from pipeline.sample.figure import Actor
from pipeline.sample.movements import GROUP_OF_PICTURES, LENGTHS, Movement


@dataclass(frozen=True)
class Action:
    """A label: which movement, whether it is played backwards, and where it happens.

    Attributes
    ----------
    aside : picture widths by which the person stands to the right
    """

    movement: str
    backwards: bool = False
    aside: float = 0.0


FAMILIAR = {
    "jumping_jacks": Action("jumping_jacks"),
    "pick_up": Action("lift"),
    "punch": Action("punch"),
    "put_down": Action("lift", backwards=True),
    "sit_down": Action("seat"),
    "stand_up": Action("seat", backwards=True),
    "walk": Action("walk"),
    "wave": Action("wave"),
}
PAIRED = {
    "bow_stretch": Action("bow_and_stretch"),
    "hoist": Action("haul"),
    "lower": Action("haul", backwards=True),
    "stretch_bow": Action("bow_and_stretch", backwards=True),
    "wave_left": Action("wave_aside", aside=-pairs.ASIDE),
    "wave_right": Action("wave_aside", aside=pairs.ASIDE),
}
ACTIONS = FAMILIAR | PAIRED
# Each other's reversal: in order, and most also in the direction of what moves.
REVERSALS = (
    ("pick_up", "put_down"),
    ("sit_down", "stand_up"),
    ("bow_stretch", "stretch_bow"),
    ("hoist", "lower"),
)
# The only kind of evidence that tells the two apart, see pipeline.sample.pairs.
PAIRS = {
    "order": ("bow_stretch", "stretch_bow"),
    "motion": ("hoist", "lower"),
    "place": ("wave_left", "wave_right"),
}

MOVEMENTS: dict[str, Callable[[Actor, int, np.random.Generator], Movement]] = {
    "seat": movements.seat,
    "lift": movements.lift,
    "wave": movements.wave,
    "jumping_jacks": movements.jumping_jacks,
    "walk": movements.walk,
    "punch": movements.punch,
    "bow_and_stretch": pairs.bow_and_stretch,
    "haul": pairs.haul,
    "wave_aside": pairs.wave_aside,
}
MOVEMENTS_OF_PAIRS = {action.movement for action in PAIRED.values()}
LENGTHS_OF_PAIRS = tuple(GROUP_OF_PICTURES * groups + 1 for groups in (3, 4, 5, 6, 7, 8))  # frames


def move(name: str, actor: Actor, rng: np.random.Generator) -> Movement:
    """Draw the movement called `name` (`Action.movement`) at random."""
    lengths = LENGTHS_OF_PAIRS if name in MOVEMENTS_OF_PAIRS else LENGTHS
    return MOVEMENTS[name](actor, int(rng.choice(lengths)), rng)
