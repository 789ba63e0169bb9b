"""params.yaml -> typed, validated settings.

Every setting has a sentence of help; an unknown key, a wrong type or a value out of range is
reported with its place in the file and that sentence.
"""

import difflib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pipeline.backbone.params import BackboneParams
from pipeline.dataset.params import DatasetParams, SplitParams
from pipeline.embedding.params import FeaturesParams
from pipeline.errors import ParamsError
from pipeline.evaluation.params import CrossvalParams, EvaluateParams
from pipeline.frames.params import FramesParams
from pipeline.head.params import TrainParams
from pipeline.section import Section

PARAMS = Path("params.yaml")


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
            f"{path} is not there: run in the project's folder, or make one with `clipcache init`."
        )
    try:
        content = YAML(typ="safe").load(path)  # YAML 1.2, as DVC reads it: 1e-3 is a number
    except (YAMLError, ValueError, RecursionError) as error:  # also what Python cannot hold
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
    except (YAMLError, ValueError, RecursionError) as error:
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
    if detail["type"] == "string_type" and isinstance(detail["input"], int | float | date):
        text += ": put it in quotes"
    return f"{text}; it means: {field.description}." if field and field.description else text


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
