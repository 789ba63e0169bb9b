"""What the routes share."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.serve.answers import Recognised, Task
from pipeline.serve.metrics import Metrics
from pipeline.serve.prediction_workers import PredictionWorkers
from pipeline.serve.settings import Settings


@dataclass(frozen=True)
class Served:
    """What the routes share.

    Attributes
    ----------
    folder : for files that are being answered; empty otherwise
    labels : that the model knows
    digest : of the model
    """

    settings: Settings
    workers: PredictionWorkers
    metrics: Metrics
    folder: Path
    labels: tuple[str, ...]
    digest: str

    async def recognise(self, task: Task) -> Recognised:
        """The one way to the model, of the API and of the page."""
        recognised: Recognised = await self.workers.ask(task)
        self.metrics.observe_work(recognised.prediction.clock)
        return recognised
