"""What goes to a worker and what comes back, and how it is told as JSON."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from pipeline.predict.output import as_json
from pipeline.predict.prediction import Prediction
from pipeline.serve.content import Kind


@dataclass(frozen=True)
class Task:
    """One file to recognise."""

    path: Path
    kind: Kind
    deciding: bool = False  # whether to find the frames that decided


@dataclass(frozen=True)
class DecidingFrame:
    """A frame of a video, and what it was worth.

    Attributes
    ----------
    seconds : its time, from the first frame
    weight : what the answer loses without this frame, over what it loses without the frame that
        matters most; 0 to 1
    jpeg : the picture
    """

    seconds: float
    weight: float
    jpeg: bytes


@dataclass(frozen=True)
class Recognised:
    """What came of a task."""

    kind: Kind
    prediction: Prediction
    deciding: tuple[DecidingFrame, ...] = ()


class Start(BaseModel):
    """What this is, and where to go on."""

    name: str
    version: str
    links: dict[str, str] = Field(description="Paths on this server.")


class Health(BaseModel):
    """Ready or not."""

    ready: bool = Field(description="Whether a file sent now would be answered.")
    model: str = Field(description="SHA-256 over the files of the model folder.")
    workers: int = Field(description="Processes that have the model loaded.")


class Classes(BaseModel):
    """The labels that the model knows."""

    classes: list[str] = Field(description="In the order of the model's outputs.")


class Ranked(BaseModel):
    """One label."""

    label: str
    confidence: float = Field(description="Probability, 0 to 1.")


class WindowAnswer(Ranked):
    """One stretch of a video; stretches overlap."""

    start: float = Field(description="Seconds from the first frame.")
    end: float = Field(description="Seconds from the first frame.")


class Answer(BaseModel):
    """What is seen in a file."""

    action: str = Field(description="The most probable label.")
    confidence: float = Field(description="Its probability, 0 to 1.")
    all_predictions: list[Ranked] = Field(description="Every label, most probable first.")
    windows: list[WindowAnswer] | None = Field(
        None, description="What happens when; only for a video."
    )


class Problem(BaseModel):
    """Why there is no prediction."""

    detail: str = Field(description="One sentence: what is wrong, and what to do.")


def as_answer(recognised: Recognised) -> Answer:
    """A prediction as the API tells it, in the numbers of `clipcache predict --json`."""
    values = as_json(recognised.prediction, len(recognised.prediction.labels))
    return Answer(**values, all_predictions=values["top"])
