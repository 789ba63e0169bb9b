"""The model folder: a head with everything that is needed to use it, on any machine.

``head.keras`` and ``head.tflite`` hold the network, the files of the backbone folder beside them
the CNN, ``model.json`` (the card) the labels, how embeddings are made, how windows are cut, which
views are averaged, the temperature, and the digests of the other files. Equal weights give equal
bytes, so that DVC sees a new model only where there is one.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.backbone.folder import (
    BACKBONE,
    DESCRIPTION_FILE,
    LITERT_FILE,
    WEIGHTS_FILE,
    read_backbone,
)
from pipeline.errors import ModelError
from pipeline.files import replacing_folder, sha256, write_json
from pipeline.head.build import HeadShape, shape_from_dict
from pipeline.head.calibration import softmax
from pipeline.head.inference import Forward, Views, clip_logits, forward_function
from pipeline.head.network_files import load_keras, load_litert, write_keras, write_litert
from pipeline.head.sequences import Windowing

if TYPE_CHECKING:
    import keras

MODEL = Path("models/head")
NETWORK = "head.keras"
LITERT_NETWORK = "head.tflite"
CARD = "model.json"
BACKBONE_FILES = (DESCRIPTION_FILE, LITERT_FILE, WEIGHTS_FILE)
SCHEMA = 2

Runtime = Literal["keras", "litert"]


@dataclass(frozen=True)
class ModelCard:
    """What a head needs to be used, and where it comes from.

    Attributes
    ----------
    labels : class names, in the order of the logits
    extractor, sampling : how the embeddings that it was trained on were made
    views : cached views whose logits are averaged, where they are there
    windowing : how clips are cut into windows
    temperature : divides the logits before the softmax
    shape : what the head was built from
    versions : of the packages that trained it
    files : SHA-256 of the other files of the folder, by name; filled in when it is saved
    """

    labels: tuple[str, ...]
    extractor: dict[str, Any]
    sampling: dict[str, Any]
    views: tuple[str, ...]
    windowing: Windowing
    temperature: float
    shape: HeadShape
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def readings(self) -> tuple[str, ...]:
        """Streams in views that the head reads."""
        return self.views

    @property
    def window(self) -> int:
        """Frames of a window, where a long clip is cut into windows."""
        return self.windowing.steps

    @property
    def backbone(self) -> str:
        """SHA-256 of the backbone's weights."""
        return str(self.extractor.get("backbone", ""))

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON-ready values."""
        return {"schema": SCHEMA, "backbone": self.backbone, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelCard":
        """The reverse of `to_dict`."""
        windowing = dict(values["windowing"], rates=tuple(values["windowing"]["rates"]))
        return cls(
            labels=tuple(values["labels"]),
            extractor=dict(values["extractor"]),
            sampling=dict(values["sampling"]),
            views=tuple(values["views"]),
            windowing=Windowing(**windowing),
            temperature=float(values["temperature"]),
            shape=shape_from_dict(values["shape"]),
            versions=dict(values["versions"]),
            files=dict(values["files"]),
        )


@dataclass(frozen=True)
class Model:
    """A head ready for use.

    Attributes
    ----------
    forward : (embeddings (B, T, D) float32, mask (B, T) bool) -> logits (B, K) float32
    folder : where it was loaded from; a backbone folder too
    """

    card: ModelCard
    forward: Forward
    folder: Path

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities."""
        return self.card.labels


def save_model(
    network: "keras.Model", card: ModelCard, folder: Path = MODEL, backbone: Path = BACKBONE
) -> None:
    """Write the model folder, whole or not at all.

    Parameters
    ----------
    network : (embeddings (B, T, D), mask (B, T)) -> logits (B, K)
    backbone : the folder whose files are copied beside the head

    Raises
    ------
    ModelError
        When the backbone is not the one that made the embeddings.
    """
    check_backbone(card.extractor, backbone)
    with replacing_folder(folder) as temporary:
        write_keras(network, temporary / NETWORK)
        write_litert(network, temporary / LITERT_NETWORK)
        for name in BACKBONE_FILES:
            shutil.copyfile(backbone / name, temporary / name)
        files = {path.name: sha256(path) for path in sorted(temporary.iterdir())}
        write_json(temporary / CARD, replace(card, files=files).to_dict())


def check_backbone(extractor: Mapping[str, Any], folder: Path = BACKBONE) -> None:
    """Refuse a backbone that did not make these embeddings, or that is not whole.

    Raises
    ------
    ModelError
        Naming both sides, or the file that is missing.
    FeaturesError
        When there is no backbone at all.
    """
    backbone = read_backbone(folder)
    for name, there in (("backbone", backbone.digest), ("input_size", backbone.input_size)):
        if (made := extractor.get(name, there)) != there:
            raise ModelError(
                f"The features were made with {name} = {_short(made)}, but {folder} has "
                f"{_short(there)}: run `clipcache features` again (or `dvc repro`)."
            )
    for name in BACKBONE_FILES:
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name} is not there: run `clipcache backbone` again.")


def read_card(folder: Path = MODEL) -> ModelCard:
    """The card of a model folder; needs no TensorFlow.

    Raises
    ------
    ModelError
        When it is missing or not readable.
    """
    path = folder / CARD
    if not path.is_file():
        raise ModelError(
            f"{folder} is no model folder, as there is no {CARD} in it: name one with --model, or "
            "run `clipcache train` first (or `dvc repro`)."
        )
    try:
        values = json.loads(path.read_text("utf-8"))
        if values["schema"] != SCHEMA:
            raise ValueError(f"it has schema {values['schema']}, not {SCHEMA}")
        return ModelCard.from_dict(values)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} cannot be read ({error}): run `clipcache train` again.") from None


def load_model(folder: Path = MODEL, runtime: Runtime = "keras") -> Model:
    """Load a model folder; both runtimes give the same logits, to 1e-5.

    Parameters
    ----------
    runtime : "litert" imports no TensorFlow and starts in a fraction of a second; no code from
        the folder is run by either

    Raises
    ------
    ModelError
        When something is missing or damaged.
    """
    if runtime == "keras":
        card = checked_card(folder, NETWORK)
        return Model(card, forward_function(load_keras(folder / NETWORK)), folder)
    card = checked_card(folder, LITERT_NETWORK, DESCRIPTION_FILE, LITERT_FILE)
    return Model(card, load_litert(folder / LITERT_NETWORK), folder)


def checked_card(folder: Path, *needed: str) -> ModelCard:
    """The card, once all files that are there have the digests that it names.

    Parameters
    ----------
    needed : names of files that must be there; a folder may lack what its user does not need

    Raises
    ------
    ModelError
        Naming the file that is missing, or both digests.
    """
    card = read_card(folder)
    for name in sorted({*card.files, *needed}):
        path = folder / name
        if path.is_file():
            there, expected = sha256(path), card.files.get(name)
            if there != expected:
                raise ModelError(
                    f"{path} has the SHA-256 {_short(there)}, but {folder / CARD} names "
                    f"{_short(expected)}: it is damaged or of another model; copy the whole "
                    "folder again, or run `clipcache train` again."
                )
        elif name in needed:
            raise ModelError(
                f"{path} is not there: copy the whole folder, or run `clipcache train` again."
            )
    return card


def check_fits(
    card: ModelCard,
    extractor: Mapping[str, Any],
    sampling: Mapping[str, Any],
    model: str | Path = MODEL,
    other: str | Path = "features",
) -> None:
    """Refuse embeddings that were made in another way than those the model was trained on.

    Parameters
    ----------
    extractor, sampling : of the embeddings at hand
    model, other : what to call the two sides in the message

    Raises
    ------
    ModelError
        Naming the first setting that differs, with its value on both sides.
    """
    sides = (
        ("features", card.extractor, extractor),
        ("sampling", card.sampling, sampling),
    )
    for section, trained, given in sides:
        for name in sorted({*trained, *given}):
            if trained.get(name) != given.get(name):
                raise ModelError(
                    f"{model} was trained on embeddings with {section} {name} = "
                    f"{_short(trained.get(name))}, but {other} has {name} = "
                    f"{_short(given.get(name))}: train again on these features "
                    "(`dvc repro`), or restore the settings of the model."
                )


def predict_logits(model: Model, clips: Iterable[Views]) -> np.ndarray:
    """Logits of whole clips, (n, K) float32: `predict_probabilities` before the temperature."""
    chosen = (_known_views(clip, model.card.views) for clip in clips)
    return clip_logits(model.forward, chosen, model.card.windowing, len(model.labels))


def predict_probabilities(model: Model, clips: Iterable[Views]) -> np.ndarray:
    """Class probabilities of whole clips: (n, K) float64, rows sum to 1.

    The logits of all windows and of all views that both the clip and the model have are averaged,
    divided by the temperature and put through a softmax.

    Parameters
    ----------
    clips : per clip, view -> (T, D) embeddings; any length from 1, memory maps are read in parts
    """
    return softmax(predict_logits(model, clips), model.card.temperature)


def versions() -> dict[str, str]:
    """Versions of what decides the numbers of a training."""
    import keras
    import numpy
    import tensorflow

    return {
        "tensorflow": tensorflow.__version__,
        "keras": keras.__version__,
        "numpy": numpy.__version__,
    }


def _known_views(clip: Views, views: tuple[str, ...]) -> Views:
    return {view: clip[view] for view in views if view in clip} or clip


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) > 60 else text
