"""With what is all this tried where there is no data?

Short videos of people who act, rendered on the spot: familiar actions (`FAMILIAR`), and pairs of
which only order, only motion or only place tells the one from the other (`PAIRS`). Clips of the
actions in `REVERSALS` are each other played backwards.
"""

from pipeline.sample.actions import ACTIONS, FAMILIAR, PAIRED, PAIRS, REVERSALS
from pipeline.sample.movements import FPS
from pipeline.sample.write import write_sample

__all__ = ["ACTIONS", "FAMILIAR", "FPS", "PAIRED", "PAIRS", "REVERSALS", "write_sample"]
