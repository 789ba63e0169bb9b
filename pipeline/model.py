"""The model folder: a head with everything that is needed to use it on embeddings.

``head.keras`` holds the network, ``model.json`` (the card) the labels, how its embeddings were
made, how windows are cut, which views are averaged, and the temperature. Equal weights give equal
bytes, so that DVC sees a new model only where there is one.
"""

import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.calibration import softmax
from pipeline.errors import ModelError
from pipeline.files import replacing_folder, write_json
from pipeline.heads import HeadShape
from pipeline.inference import Forward, Views, clip_logits, forward_function
from pipeline.quiet import import_tensorflow
from pipeline.sequences import Windowing

if TYPE_CHECKING:
    import keras

MODEL = Path("models/head")
NETWORK = "head.keras"
CARD = "model.json"
SCHEMA = 1
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip archive can hold; written for every entry


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
    """

    labels: tuple[str, ...]
    extractor: dict[str, Any]
    sampling: dict[str, Any]
    views: tuple[str, ...]
    windowing: Windowing
    temperature: float
    shape: HeadShape
    versions: dict[str, str] = field(default_factory=dict)

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
        from pipeline.heads import shape_from_dict

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
        )


@dataclass(frozen=True)
class Model:
    """A head ready for use.

    Attributes
    ----------
    network : (embeddings (B, T, D), mask (B, T)) -> logits (B, K)
    forward : the same, compiled, from arrays to arrays
    """

    card: ModelCard
    network: "keras.Model"
    forward: Forward

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities."""
        return self.card.labels


def save_model(network: "keras.Model", card: ModelCard, folder: Path = MODEL) -> None:
    """Write the model folder, whole or not at all."""
    with replacing_folder(folder) as temporary:
        write_network(network, temporary / NETWORK)
        write_json(temporary / CARD, card.to_dict())


def write_network(network: "keras.Model", path: Path) -> None:
    """Save a Keras model so that equal weights give equal bytes.

    Keras writes the time of day and, as the ids of shared objects, addresses in memory; a head
    shares no layers, so both go.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        saved = Path(scratch) / NETWORK
        network.save(saved)
        with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
            for name in sorted(source.namelist()):
                content = source.read(name)
                if name.endswith(".json"):
                    content = json.dumps(_timeless(json.loads(content))).encode()
                target.writestr(zipfile.ZipInfo(name, EPOCH), content)


def _timeless(value: Any) -> Any:
    """JSON without what differs between two runs."""
    if isinstance(value, dict):
        kept = {name: _timeless(item) for name, item in value.items() if name != "shared_object_id"}
        return kept | {"date_saved": ""} if "date_saved" in kept else kept
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def read_card(folder: Path = MODEL) -> ModelCard:
    """The card of a model folder; needs no TensorFlow.

    Raises
    ------
    ModelError
        When it is missing or not readable.
    """
    path = folder / CARD
    if not path.is_file():
        raise ModelError(f"{path} is not there: run `clipcache train` first (or `dvc repro`).")
    try:
        values = json.loads(path.read_text("utf-8"))
        if values["schema"] != SCHEMA:
            raise ValueError(f"it has schema {values['schema']}, not {SCHEMA}")
        return ModelCard.from_dict(values)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} cannot be read ({error}): run `clipcache train` again.") from None


def load_model(folder: Path = MODEL) -> Model:
    """Load a model folder. No code from the file is run (Keras's safe mode).

    Raises
    ------
    ModelError
        When something is missing or damaged.
    """
    card = read_card(folder)
    path = folder / NETWORK
    if not path.is_file():
        raise ModelError(f"{path} is not there: run `clipcache train` again.")
    import_tensorflow()
    import keras

    from pipeline import layers  # noqa: F401  registers the layers that the file names

    try:
        network = keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} cannot be loaded ({reason}): train again.") from None
    return Model(card, network, forward_function(network))


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
