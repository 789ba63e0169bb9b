"""What goes to a worker and what comes back, and how it is told as JSON."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.predict.contract import EXAMPLE, PredictionAnswer, Ranked
from pipeline.predict.prediction import DIGITS, TIME_DIGITS, Prediction
from pipeline.serve.content import Kind
from pipeline.serve.refusals import Refusal

TOP = 5  # labels of an answer, as many as `clipcache predict` gives

# What a worker calls with the frames it has passed, those there are (0: unknown), and seconds.
Report = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Task:
    """One clip to recognise.

    Attributes
    ----------
    name : as its sender calls it
    paths : the file; of "frames", the pictures in order
    frame_rate : of such pictures, how many are a second
    deciding : whether to find the frames that decided
    preview : whether to keep small pictures of the video
    """

    name: str
    paths: tuple[Path, ...]
    kind: Kind | Literal["frames"]
    frame_rate: float = 25.0
    deciding: bool = False
    preview: bool = False


@dataclass(frozen=True)
class Picture:
    """A small picture of a video.

    Attributes
    ----------
    seconds : its time, from the first frame
    jpeg : the picture
    """

    seconds: float
    jpeg: bytes


@dataclass(frozen=True)
class DecidingPicture(Picture):
    """A frame without which the answer would have been less sure.

    Attributes
    ----------
    share : probability of the answer in the window that the frame is of
    without : the same, where its neighbours stand in for the frame
    """

    share: float
    without: float


@dataclass(frozen=True)
class Recognised:
    """What came of a task."""

    prediction: Prediction
    deciding: tuple[DecidingPicture, ...] | None = None
    preview: tuple[Picture, ...] | None = None


class Start(BaseModel):
    """What this is, and where to go on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "clipcache", "version": "0.1.0",
                    "links": {"predict": "/v1/predict", "docs": "/docs", "ui": "/ui"},
                }
            ]
        }
    )  # fmt: skip

    name: str
    version: str
    links: dict[str, str] = Field(description="Paths on this server.")


DIGEST = "f068e584c6a1d24b4f8c7d0a3b5a9d1f6c2e8b7a4d3c9e5f1a0b6d8c7e4f2a19"


class Health(BaseModel):
    """How the server is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"ready": True, "model": DIGEST, "workers": 2}]}
    )

    ready: bool = Field(description="Whether a file sent now would be answered.")
    model: str = Field(description="SHA-256 over the files of the model folder.")
    workers: int = Field(description="Processes that have the model loaded.")


class Classes(BaseModel):
    """The labels that the model knows."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"classes": ["jumping_jacks", "pick_up", "walk", "wave"]}]}
    )

    classes: list[str] = Field(description="In the order of the model's outputs.")


class Example(BaseModel):
    """A clip to try."""

    name: str
    path: str = Field(description="On this server.")


class ModelAnswer(BaseModel):
    """What the model knows, and what the server takes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "labels": ["jumping_jacks", "pick_up", "walk", "wave"], "digest": DIGEST,
                    "threshold": 0.0, "false_alarms": 0.05,
                    "window_seconds": 2.0, "frames_per_second": 8.0,
                    "most_bytes": 67108864, "most_seconds": 300.0, "most_files": 64,
                    "examples": [{"name": "somebody_waves.mp4", "path": "/v1/examples/0"}],
                }
            ]
        }
    )  # fmt: skip

    labels: list[str] = Field(description="In the order of the model's outputs.")
    digest: str = Field(description="SHA-256 over the files of the model folder.")
    threshold: float = Field(description="Below this confidence an answer is `unsure`.")
    false_alarms: float = Field(
        description="Share of clips of known labels that may be answered with `none of these`."
    )
    thresholds: list[float] | None = Field(
        None,
        description="Probability from which on each label holds, where several may; null where one "
        "does.",
    )
    window_seconds: float = Field(description="What the model looks at, at a time.")
    frames_per_second: float | None = Field(description="That it looks at; null: all there are.")
    most_bytes: int = Field(description="Of one file.")
    most_seconds: float = Field(description="Of one video.")
    most_files: int = Field(description="Of one request.")
    examples: list[Example]


class PictureAnswer(BaseModel):
    """A small picture of a video."""

    seconds: float = Field(description="From the first frame.", ge=0)
    jpeg: str = Field(description="In base64.", json_schema_extra={"contentEncoding": "base64"})


class DecidingAnswer(PictureAnswer):
    """A frame without which the answer would have been less sure."""

    confidence: float = Field(description="Of the answer, in the window that it is of.")
    without: float = Field(description="The same without this frame.")


class Answer(PredictionAnswer):
    """What is seen in a clip, with the pictures that were asked for."""

    deciding: list[DecidingAnswer] | None = Field(
        None, description="Frames that decided, in order of time; none where no single one did."
    )
    preview: list[PictureAnswer] | None = Field(None, description="Evenly through the video.")


class Action(Ranked):
    """One label; `action` says the same as `label`."""

    action: str


SEED_EXAMPLE: dict[str, Any] = EXAMPLE | {
    "all_predictions": [{"action": one["label"], **one} for one in EXAMPLE["top"]]
}


class SeedAnswer(PredictionAnswer):
    """The answer of version 1, with every label."""

    model_config = ConfigDict(json_schema_extra={"examples": [SEED_EXAMPLE]})

    all_predictions: list[Action] = Field(description="Every label, most probable first.")


class Problem(BaseModel):
    """Why there is no prediction."""

    detail: str = Field(description="One sentence: what is wrong, and what to do.")


class FileProblem(Problem):
    """Why there is no prediction of one file of several."""

    file: str = Field(description="As it was named.")
    status: int = Field(description="That a request for this file alone would be answered with.")


class Answers(BaseModel):
    """What is seen in several files, in the order in which they were sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "results": [
                        EXAMPLE,
                        {"file": "notes.txt", "status": 415, "detail": "The file is neither ..."},
                    ]
                }
            ]
        }
    )

    results: list[Answer | FileProblem]


def as_answer(recognised: Recognised) -> dict[str, Any]:
    """A prediction as the API tells it: that of `clipcache predict --json`, and its pictures."""
    values = recognised.prediction.as_dict(TOP)
    for name, pictures in (("deciding", recognised.deciding), ("preview", recognised.preview)):
        if pictures is not None:
            values[name] = [_picture(picture) for picture in pictures]
    return values


def as_seed_answer(recognised: Recognised) -> dict[str, Any]:
    """As `as_answer`, with every label in `all_predictions`."""
    prediction = recognised.prediction
    every = prediction.top(len(prediction.labels))
    return as_answer(recognised) | {
        "all_predictions": [
            {"action": label, "label": label, "confidence": round(share, DIGITS)}
            for label, share in every
        ]
    }


def as_problem(name: str, refusal: Refusal) -> dict[str, Any]:
    """A refusal of one file of several."""
    return {"file": name, "status": refusal.status, "detail": str(refusal)}


def _picture(picture: Picture) -> dict[str, Any]:
    values: dict[str, Any] = {
        "seconds": round(picture.seconds, TIME_DIGITS),
        "jpeg": base64.b64encode(picture.jpeg).decode("ascii"),
    }
    if isinstance(picture, DecidingPicture):
        values["confidence"] = round(picture.share, DIGITS)
        values["without"] = round(picture.without, DIGITS)
    return values
