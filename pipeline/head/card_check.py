"""What the card of a model folder, and of the backbone in it, may say.

A model folder may come from anybody. Its cards are held against a schema before anything in them is
used; what is refused is refused in a sentence.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from pipeline.frames.streams import (
    DIFFERENCE,
    FLOW,
    PLACE,
    RGB,
    STREAMS,
    reading,
    stream_and_view,
)

MOST_CARD_BYTES = 16 << 20
# As in pipeline.frames, which takes OpenCV to import and which training does not depend on.
VIEWS = (
    "identity",
    "hflip",
    "rotate_left",
    "rotate_right",
    "zoom",
    "bright",
    "dark",
    "contrast_up",
    "contrast_down",
)
RESIZE_RULES = ("stretch", "crop", "pad")


def _known_reading(name: str) -> str:
    stream, view = stream_and_view(name)
    if stream not in STREAMS or view not in VIEWS:
        raise ValueError("it names no stream in a view")
    return name


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Label = Annotated[
    str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Share = Annotated[float, Field(ge=0, le=1000)]
Reading = Annotated[str, AfterValidator(_known_reading)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, strict=True)


class _Extractor(_Part):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    backbone: Text = ""
    input_size: int = Field(224, ge=32, le=1024)
    resize: Literal[RESIZE_RULES] = "stretch"  # type: ignore[valid-type]
    precision: Literal["float32", "bfloat16"] = "float32"
    architecture: Text = ""
    colour: Text = ""
    preprocessing: Text = ""
    decode_version: int = Field(1, ge=0)
    version: int = Field(1, ge=0)


class _Stream(_Part):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    stream: Text = ""
    resize: Literal[RESIZE_RULES] = "stretch"  # type: ignore[valid-type]
    input_size: int = Field(160, ge=32, le=1024)
    backbone: Text | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    layer: Text | None = None
    decode_version: int = Field(1, ge=0)
    version: int = Field(1, ge=0)


class _Sampling(_Part):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    fps: Annotated[float, Field(gt=0, le=1000)] | None
    max_frames: Annotated[int, Field(ge=1, le=10_000_000)] | None


class _Windowing(_Part):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    steps: int = Field(ge=1, le=100_000)
    rates: list[Annotated[float, Field(gt=0, le=1000)]] = Field(min_length=2, max_length=2)
    count: int = Field(ge=1, le=10_000)


class _Branch(_Part):
    name: Text
    share: Share
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    ordered_share: Share | None = None


class _Decoder(_Part):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    window: float = Field(gt=0, le=1e6)
    cost: float = Field(ge=0, le=1e6)
    typical: float = Field(gt=0, le=1e6)
    spread: float = Field(ge=1e-3, le=1e3)
    temperature: float = Field(ge=1e-3, le=1e3)
    oddness: Annotated[float, Field(ge=0, le=1e6)] | None = None


class _CardOfOneNetwork(_Part):
    """Of earlier releases, and what later ones have as well."""

    labels: list[Label] = Field(min_length=1, max_length=100_000)
    extractor: _Extractor
    sampling: _Sampling
    views: list[Literal[VIEWS]] = Field(min_length=1, max_length=100)  # type: ignore[valid-type]
    windowing: _Windowing
    temperature: float = Field(ge=1e-3, le=1e3)
    shape: dict[str, Any]
    versions: dict[Text, Text] = Field(max_length=100)
    files: dict[Name, Digest] = Field(max_length=100)


class _Card(_CardOfOneNetwork):
    readings: dict[Reading, Annotated[int, Field(ge=1, le=100_000)]] = Field(min_length=1)
    streams: dict[Literal[PLACE, FLOW, DIFFERENCE], _Stream]  # type: ignore[valid-type]
    branches: list[_Branch] = Field(min_length=1, max_length=1000)
    mirror: bool
    window: Annotated[int, Field(ge=1, le=10_000_000)]
    longest: Annotated[float, Field(gt=0, le=1e9)] | None = None
    decoder: _Decoder | None = None
    held_out: Annotated[int, Field(ge=1, le=10_000_000)] | None = None


class _CardOfSeveralLabels(_Card):
    thresholds: list[Annotated[float, Field(ge=0, le=1)]]


SCHEMAS: dict[int, type[_CardOfOneNetwork]] = {
    2: _CardOfOneNetwork, 3: _Card, 4: _CardOfSeveralLabels
}  # fmt: skip


def read_values(path: Path) -> dict[str, Any]:
    """The JSON of a card, once it is known to make sense.

    A card of a schema that is not known is given as it is, for whoever reads it to refuse.

    Raises
    ------
    ValueError
        With the place and what is wrong there, as part of a sentence.
    """
    if path.stat().st_size > MOST_CARD_BYTES:
        raise ValueError(f"it is larger than {MOST_CARD_BYTES >> 20} MiB")
    try:
        values = json.loads(path.read_text("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, dict) or "schema" not in values:
        raise ValueError("it names no schema")
    if type(values["schema"]) is not int or values["schema"] not in SCHEMAS:
        return values
    try:
        card = SCHEMAS[values["schema"]].model_validate(values)
    except ValidationError as error:
        raise ValueError(_first(error)) from None
    for name, several in (("labels", card.labels), ("views", card.views)):
        if len(set(several)) < len(several):
            raise ValueError(f"{name}: one is there twice")
    if isinstance(card, _CardOfSeveralLabels) and len(card.thresholds) != len(card.labels):
        raise ValueError("thresholds: there is not one for each label")
    if isinstance(card, _Card):
        _check_streams(card)
    _check_plain(values["shape"], "shape")
    return values


def _check_streams(card: _Card) -> None:
    """Each stream that is read is described."""
    for name in card.readings:
        stream, _ = stream_and_view(name)
        if stream != RGB and stream not in card.streams:
            raise ValueError(f"streams.{stream}: it is not described")
    if reading(RGB) not in card.readings:
        raise ValueError(f"readings.{reading(RGB)}: it is not there")


class _Description(_Part):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    digest: Text
    input_size: int = Field(ge=32, le=1024)
    source: Text = ""
    dimension: Literal[1280] = 1280


def check_description(path: Path) -> None:
    """Refuse a backbone's card that makes no sense.

    Raises
    ------
    ValueError
        As part of a sentence.
    """
    if path.stat().st_size > MOST_CARD_BYTES:
        raise ValueError("it is too large")
    try:
        _Description.model_validate(
            json.loads(path.read_text("utf-8"), parse_constant=_refuse_constant)
        )
    except ValidationError as error:
        raise ValueError(_first(error)) from None


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    odd = first["type"] == "string_pattern_mismatch"
    return f"{place[:100]}: {'it has letters that are not allowed' if odd else first['msg']}"


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _check_plain(value: Any, place: str, depth: int = 0) -> None:
    """Settings of a network: few, small, and not nested deeply."""
    if depth > 4 or (isinstance(value, dict | list) and len(value) > 100):
        raise ValueError(f"{place}: too much is in it")
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_plain(item, place, depth + 1)
    elif isinstance(value, str) and len(value) > 100:
        raise ValueError(f"{place}: a text is too long")
    elif isinstance(value, int | float) and not -1e6 <= value <= 1e6:
        raise ValueError(f"{place}: {value} is out of range")
