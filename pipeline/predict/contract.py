"""The one answer, described: of `predict --json`, `POST /v1/predict` and `Prediction.as_dict`.

Keys may be added to a version; a key that goes, or means something else, makes a new one.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

CONFIDENCE = Field(description="Probability, 0 to 1, six digits.", ge=0, le=1)
SECONDS = Field(description="From the first frame, three digits.", ge=0)


class Ranked(BaseModel):
    """One label."""

    label: str
    confidence: float = CONFIDENCE


class Part(BaseModel):
    """One stretch of a video."""

    start: float = SECONDS
    end: float = SECONDS
    label: str = Field(
        description="May be `unsure`; or `none of these`, and the confidence is that of the label "
        "that comes nearest."
    )
    confidence: float = CONFIDENCE


class LabelSet(BaseModel):
    """Labels that hold the truth in a given share of clips."""

    level: float = Field(description="That share, as it was asked for.", gt=0, lt=1)
    labels: list[str] = Field(description="Most probable first; may be empty.")


EXAMPLE: dict[str, Any] = {
    "schema": 1,
    "file": "day.avi",
    "action": "walk",
    "confidence": 0.947612,
    "top": [
        {"label": "walk", "confidence": 0.947612},
        {"label": "pick_up", "confidence": 0.031877},
    ],
    "seconds": 6.0,
    "frames": 48,
    "doubts": [],
    "timeline": [
        {"start": 0.0, "end": 4.5, "label": "walk", "confidence": 0.999812},
        {"start": 4.5, "end": 6.0, "label": "pick_up", "confidence": 0.936204},
    ],
    "windows": [
        {"start": 0.0, "end": 2.0, "label": "walk", "confidence": 0.999904},
        {"start": 2.0, "end": 4.0, "label": "walk", "confidence": 0.99972},
        {"start": 4.0, "end": 6.0, "label": "pick_up", "confidence": 0.936204},
    ],
}


class PredictionAnswer(BaseModel):
    """What is seen in one clip."""

    model_config = ConfigDict(
        populate_by_name=True, json_schema_extra={"examples": [EXAMPLE]}, serialize_by_alias=True
    )

    version: Literal[1] = Field(1, alias="schema", description="Of this answer.")
    file: str = Field(description="As it was named.")
    action: str = Field(
        description="The most probable label, `none of these` or `unsure`. Of a model by which "
        "several labels may hold, those in `labels` with `|` between them, or `none of these`."
    )
    confidence: float = Field(
        description="Probability of the most probable label, whether it is the answer or not. Of a "
        "long video (see `shares`) its share of the time, and so in `top`.",
        ge=0,
        le=1,
    )
    labels: list[Ranked] | None = Field(
        None,
        description="The labels that hold, most probable first; may be empty. Only of a model by "
        "which several may hold; probabilities do not sum to 1 then.",
    )
    top: list[Ranked] = Field(description="The most probable labels, best first.")
    seconds: float = Field(description="Length of the clip.", ge=0)
    frames: int = Field(description="That went through the CNN, in each view.", ge=1)
    doubts: list[str] = Field(
        [], description="Sentences on why the answer may be wrong; none where there is no sign."
    )
    familiarity: float | None = Field(
        None,
        description="Share of clips of known labels that are as odd or odder. Not for a video that "
        "is longer than the clips that the model learnt from, nor by models of earlier releases.",
        gt=0,
        le=1,
    )
    label_set: LabelSet | None = Field(
        None, alias="set", description="Where it was asked for (`predict --set`)."
    )
    shares: dict[str, float] | None = Field(
        None,
        description="Share of the time of each label that is seen, and of `none of these`. Only "
        "for a video that is longer than the clips that the model learnt from.",
    )
    timeline: list[Part] | None = Field(
        None, description="What happens when: spans without a gap. Only for a video."
    )
    windows: list[Part] | None = Field(
        None, description="What the spans were decoded from; they overlap. Only for a video."
    )
