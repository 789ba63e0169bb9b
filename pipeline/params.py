"""params.yaml -> typed, validated settings.

Every setting has a sentence of help; an unknown key, a wrong type or a value out of range is
reported with its place in the file and that sentence.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from pipeline.dataset_params import DatasetParams, SplitParams
from pipeline.errors import ParamsError
from pipeline.train_params import CrossvalParams, TrainParams
from pipeline.video import RESIZE_RULES, Sampling

if TYPE_CHECKING:
    from pipeline.executors import RayCluster

PARAMS = Path("params.yaml")

Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of params.yaml: unknown keys are errors, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FramesParams(Section):
    clips_per_class: int = Field(2, ge=1, description="clips of each class on the contact sheets")


class BackboneParams(Section):
    weights: str = Field(
        "imagenet", description="imagenet, or a path to MobileNetV2 weights in Keras's HDF5 format"
    )
    input_size: int = Field(
        224, ge=32, le=512, description="side of the square picture that the CNN sees, pixels"
    )


class FeaturesParams(Section):
    fps: Annotated[float, Field(gt=0)] | None = Field(
        8.0, description="frames embedded per second of video; null: every frame"
    )
    max_frames: Annotated[int, Field(ge=1)] | None = Field(
        512,
        description="most frames embedded of one clip; a longer one is sampled at 1/2, 1/4, ... of "
        "the rate; null: no limit",
    )
    resize: str = Field("stretch", description=f"one of {', '.join(RESIZE_RULES)}")
    views: tuple[str, ...] = Field(
        ("identity", "hflip"), description="cached views; training draws one per clip and epoch"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="arithmetic of the CNN; bfloat16 is less exact, openvino only"
    )
    engine: Literal["auto", "litert", "openvino", "keras", "dummy", "synthetic"] = Field(
        "auto", description="what runs the CNN; auto picks by what the machine has"
    )
    workers: Annotated[int, Field(ge=1)] | None = Field(
        None, description="worker processes; null: one per core, or all that Ray has room for"
    )
    executor: Literal["local", "ray"] = Field(
        "local", description="where clips are embedded: processes here, or ray (the extra `scale`)"
    )
    ray_address: str | None = Field(
        None,
        description="Ray cluster to join: auto, ray://host:port or host:port; null: a Ray on this "
        "machine, for this run",
    )
    ray_cpus: float = Field(1.0, gt=0, description="processors that Ray sets aside for a worker")
    ray_gpus: float = Field(
        0.0, ge=0, description="GPUs that Ray sets aside for a worker; needs `engine: keras`"
    )
    clip_timeout: float = Field(
        300.0, gt=0, description="seconds after which one clip is given up and rejected"
    )
    max_rejected: Fraction = Field(
        0.1, description="share of clips that may be rejected before the run counts as failed"
    )
    shards: int = Field(1, ge=1, le=1024, description="number of feature files")

    @field_validator("resize")
    @classmethod
    def _known_rule(cls, value: str) -> str:
        if value not in RESIZE_RULES:
            raise ValueError(f"must be one of {', '.join(RESIZE_RULES)}")
        return value

    @field_validator("views")
    @classmethod
    def _known_views(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from pipeline.views import VIEWS

        unknown = [view for view in value if view not in VIEWS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a view; there are {', '.join(VIEWS)}")
        if "identity" not in value or len(set(value)) < len(value):
            raise ValueError("must name identity, and no view twice")
        return value

    @model_validator(mode="after")
    def _exact_engine(self) -> "FeaturesParams":
        if self.precision == "bfloat16" and self.engine != "openvino":
            raise ValueError("precision bfloat16 needs `engine: openvino` (the extra `fast`)")
        return self

    @model_validator(mode="after")
    def _engine_for_gpus(self) -> "FeaturesParams":
        if self.executor == "ray" and self.ray_gpus and self.engine not in ("keras", "dummy"):
            raise ValueError("ray_gpus above 0 needs `engine: keras`, which is the one for GPUs")
        return self

    @property
    def sampling(self) -> Sampling:
        """The sampling rule."""
        return Sampling(self.fps, self.max_frames)

    @property
    def cluster(self) -> "RayCluster | None":
        """The Ray cluster to embed on; None: worker processes of this machine."""
        from pipeline.executors import RayCluster

        if self.executor == "local":
            return None
        return RayCluster(self.ray_address, self.ray_cpus, self.ray_gpus)


class EvaluateParams(Section):
    top_k: int = Field(5, ge=1, description="labels listed per clip in predictions.csv")
    bootstrap: int = Field(
        2000, ge=0, description="resamplings behind the confidence intervals; 0: none"
    )
    seed: int = Field(0, ge=0, description="of the resampling")


class Params(Section):
    """All settings, as in params.yaml."""

    dataset: DatasetParams = DatasetParams()
    split: SplitParams = SplitParams()
    frames: FramesParams = FramesParams()
    backbone: BackboneParams = BackboneParams()
    features: FeaturesParams = FeaturesParams()
    train: TrainParams = TrainParams()
    evaluate: EvaluateParams = EvaluateParams()
    crossval: CrossvalParams = CrossvalParams()


def load_params(path: Path = PARAMS, changes: Sequence[str] = ()) -> Params:
    """Read and validate a settings file.

    Parameters
    ----------
    changes : settings to use instead of the file's, each as "section.key=value", the value in YAML

    Raises
    ------
    ParamsError
        When the file is missing, not YAML, or holds an unknown key or a bad value; the message
        names every one of them.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.is_file():
        raise ParamsError(
            f"{path} is not there: run in the project's folder, or copy one from configs/."
        )
    try:
        content = YAML(typ="safe").load(path)  # YAML 1.2, as DVC reads it: 1e-3 is a number
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is not readable as YAML: {_one_line(error)}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{path} must hold sections such as `dataset:` and `train:`.")
    for change in changes:
        _apply(change, content)
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        problems = [_sentence(detail) for detail in error.errors()]
        raise ParamsError(f"{path}: " + "\n".join(problems)) from None


def _apply(change: str, content: dict[str, Any]) -> None:
    """Put one "section.key=value" into what a settings file holds."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    name, equals, text = change.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and key):
        raise ParamsError(
            f"{change!r} is no change of a setting: write it as section.key=value, "
            "for example train.units=64."
        )
    try:
        value = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise ParamsError(f"The value of {change!r} is not YAML: {_one_line(error)}") from None
    settings = content.setdefault(section, {})
    if isinstance(settings, dict):  # else the validation says what is wrong with the section
        settings[key] = value


def _sentence(detail: Any) -> str:
    """One validation error in words, with the help of the setting that it is about."""
    place = [part for part in detail["loc"] if isinstance(part, str)]
    sections, known = _walk(place)
    path = ".".join([*sections, *place[len(sections) : len(sections) + 1]])
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(place[-1], list(known), 1)
        hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(known)}."
        return f"`{'.'.join(place)}` is not a setting; {hint}"
    field = known.get(place[len(sections)]) if len(place) > len(sections) else None
    reason = detail["msg"].removeprefix("Value error, ")
    value = "" if isinstance(detail["input"], dict) else f" (it is {detail['input']!r})"
    text = f"`{path}`: {reason[0].lower()}{reason[1:]}{value}"
    return f"{text}; {path} is the {field.description}." if field and field.description else text


def _walk(place: list[str]) -> tuple[list[str], dict[str, FieldInfo]]:
    """The leading parts of `place` that are sections, and the settings of the innermost one."""
    sections: list[str] = []
    known: dict[str, FieldInfo] = dict(Params.model_fields)
    for part in place:
        inner = known.get(part)
        candidates = (inner.annotation, *get_args(inner.annotation)) if inner else ()
        model = next(
            (c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None
        )
        if model is None:
            break
        sections.append(part)
        known = dict(model.model_fields)
    return sections, known


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
