"""What the routes share."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.serve.answers import ModelAnswer, Recognised, Report, Task
from pipeline.serve.metrics import Metrics
from pipeline.serve.prediction_workers import PredictionWorkers
from pipeline.serve.settings import Settings
from pipeline.serve.upload_room import UploadRoom


@dataclass(frozen=True)
class Served:
    """What the routes share.

    Attributes
    ----------
    room : for files that are being answered
    model : that is asked
    examples : clips to try, each with its path on this machine
    """

    settings: Settings
    workers: PredictionWorkers
    metrics: Metrics
    room: UploadRoom
    model: ModelAnswer
    examples: tuple[Path, ...] = ()

    async def recognise(self, task: Task, seen: Report | None = None) -> Recognised:
        """The one way to the model; whoever asks has a place in the queue."""
        recognised: Recognised = await self.workers.answer(task, seen)
        self.metrics.observe(recognised.prediction)
        return recognised
