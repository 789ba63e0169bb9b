"""With what is all this tried where there is no data?

Short videos of people who act, rendered on the spot.

Its actions come in part as pairs (`REVERSALS`) whose clips are each other played backwards, so
that nothing but the order of the frames tells them apart.
"""

from pipeline.sample.actions import ACTIONS, FPS, REVERSALS
from pipeline.sample.write import write_sample

__all__ = ["ACTIONS", "FPS", "REVERSALS", "write_sample"]
