"""The model folder: a head with everything that is needed to use it, on any machine.

``head.keras`` and ``head.tflite`` hold the network, ``branches.npz`` the linear branches,
``held_out.npz`` what new clips are held against, the files of the backbone folder beside them the
CNN, ``model.json`` (the card) the labels, how embeddings are made, how windows are cut, which views
are averaged, what each branch counts, the temperature, and the digests of the other files. Equal
weights give equal bytes, so that DVC sees a new model only where there is one.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
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
from pipeline.errors import ModelError, how_to_have, mended_by
from pipeline.files import replacing_folder, sha256, write_json
from pipeline.frames.streams import RGB
from pipeline.head.branch_file import read_branches, write_branches
from pipeline.head.build import NETWORK_BRANCH
from pipeline.head.card_check import read_values
from pipeline.head.file_check import check_backbone_files, check_contents, check_sizes
from pipeline.head.held_out import Reference, read_reference, write_reference
from pipeline.head.inference import Head, forward_function
from pipeline.head.linear import LinearBranch, OrderedBaseline
from pipeline.head.litert_check import NetworkSize
from pipeline.head.model_card import ModelCard
from pipeline.head.network_files import load_keras, load_litert, write_keras, write_litert
from pipeline.head.streams import Clip, network_streams
from pipeline.store.extractor_spec import ExtractorSpec, stream_spec

if TYPE_CHECKING:
    import keras

MODEL = Path("models/head")
NETWORK = "head.keras"
LITERT_NETWORK = "head.tflite"
LINEAR = "branches.npz"
HELD_OUT = "held_out.npz"
CARD = "model.json"
BACKBONE_FILES = (DESCRIPTION_FILE, LITERT_FILE, WEIGHTS_FILE)
Runtime = Literal["keras", "litert"]


@dataclass(frozen=True)
class Model:
    """A head ready for use.

    Attributes
    ----------
    head : what scores clips
    folder : where it was loaded from; a backbone folder too
    reference : what a new clip is held against; None in models of earlier releases
    """

    card: ModelCard
    head: Head
    folder: Path
    reference: Reference | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities."""
        return self.card.labels

    @property
    def ordered_baseline(self) -> OrderedBaseline | None:
        """Its linear branches by themselves; None where it has not all of them."""
        shares = tuple(
            branch.ordered_share
            for branch in self.card.branches
            if branch.ordered_share is not None
        )
        return OrderedBaseline(self.head.linear, shares, self.head.mirror) if shares else None

    def sets(self, logits: np.ndarray, level: float) -> np.ndarray:
        """Sets of labels that hold the true one at `level`: (n, K) bool; see `Reference.sets`.

        Raises
        ------
        ModelError
            When the folder does not say how held-out clips were scored.
        """
        if self.card.several:
            raise ModelError(
                f"Several labels may hold for a clip by {self.folder}, and which do is its answer: "
                "leave out the set."
            )
        if self.reference is None:
            raise ModelError(
                f"{self.folder} does not say how clips were scored that were held out in training, "
                "so there are no sets of labels: run `clipcache train` again."
            )
        return self.reference.sets(logits, level)

    def score(self, clip: Clip) -> dict[str, np.ndarray]:
        """What each branch says of a clip, before its share: name -> (K,) float32."""
        return self.head.score(clip)


def save_model(
    network: "keras.Model | None",
    linear: Sequence[LinearBranch],
    card: ModelCard,
    folder: Path = MODEL,
    backbone: Path = BACKBONE,
    reference: Reference | None = None,
) -> None:
    """Write the model folder, whole or not at all.

    Parameters
    ----------
    network : (embeddings (B, T, sum of D), mask (B, T)) -> logits (B, K); None where the head has
        none
    linear : its other branches
    backbone : the folder whose files are copied beside the head
    reference : what a new clip is held against, where there is such

    Raises
    ------
    ModelError
        When the backbone is not the one that made the embeddings.
    """
    check_backbone(card.extractor, backbone)
    with replacing_folder(folder) as temporary:
        if network is not None:
            write_keras(network, temporary / NETWORK)
            write_litert(network, temporary / LITERT_NETWORK)
        if linear:
            write_branches(linear, temporary / LINEAR)
        if reference is not None:
            write_reference(reference, temporary / HELD_OUT)
        for name in BACKBONE_FILES:
            shutil.copyfile(backbone / name, temporary / name)
        files = {path.name: sha256(path) for path in sorted(temporary.iterdir())}
        held_out = None if reference is None else len(reference)
        card = replace(card, files=files, held_out=held_out)
        write_json(temporary / CARD, card.to_dict())


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
            f"{how_to_have(folder, 'clipcache train')}."
        )
    try:
        return ModelCard.from_dict(read_values(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        mend = mended_by(error, "run `clipcache train` again")
        raise ModelError(f"{path} cannot be read ({error}): {mend}.") from None


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
    card = read_card(folder)
    network = NETWORK if runtime == "keras" else LITERT_NETWORK
    names = [branch.name for branch in card.branches]
    parts = [
        *([network] if NETWORK_BRANCH in names else []),
        *([LINEAR] if set(names) - {NETWORK_BRANCH} else []),
        *([HELD_OUT] if card.held_out else []),
        *([DESCRIPTION_FILE, LITERT_FILE] if runtime == "litert" else []),
    ]
    card = checked_card(folder, *parts)
    forward = None
    if NETWORK_BRANCH in names:
        forward = (
            forward_function(load_keras(folder / network))
            if runtime == "keras"
            else load_litert(folder / network)
        )
    linear = [name for name in names if name != NETWORK_BRANCH]
    head = Head(
        classes=len(card.labels),
        readings=card.readings,
        shares={branch.name: branch.share for branch in card.branches},
        linear=read_branches(folder / LINEAR, linear, card.readings, len(card.labels)),
        forward=forward,
        views=card.views,
        mirror=card.mirror,
        windowing=card.windowing,
    )
    reference = None
    if card.held_out:
        size = card.held_out, len(names), len(card.labels)
        reference = read_reference(folder / HELD_OUT, *size)
    return Model(card, head, folder, reference)


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
    check_sizes(folder, {*card.files, *needed})
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
    width = sum(network_streams(card.readings).values())
    check_contents(folder, needed, NetworkSize(card.windowing.steps, width, len(card.labels)))
    return card


def check_embedding(card: ModelCard, folder: Path = MODEL) -> None:
    """Refuse a model whose embeddings this version would make in another way.

    Raises
    ------
    ModelError
        Naming what differs, or a file of the backbone that is damaged.
    """
    check_backbone_files(folder, card.extractor, card.readings)
    resize, precision = card.extractor["resize"], card.extractor["precision"]
    here = ExtractorSpec.of(read_backbone(folder), resize, precision)
    streams = {name: stream_spec(name, here).fields for name in (RGB, *card.streams)}
    check_fits(card, streams, card.sampling, folder, "this version")


def check_fits(
    card: ModelCard,
    streams: Mapping[str, Mapping[str, Any]],
    sampling: Mapping[str, Any],
    model: str | Path = MODEL,
    other: str | Path = "features",
) -> None:
    """Refuse embeddings that were made in another way than those the model was trained on.

    Parameters
    ----------
    streams : "rgb" and the others -> how the embeddings at hand were made
    sampling : which frames
    model, other : what to call the two sides in the message

    Raises
    ------
    ModelError
        Naming the first setting that differs, with its value on both sides.
    """
    trained_on = {RGB: card.extractor, **card.streams}
    sides = [
        ("features" if stream == RGB else stream, made, streams[stream])
        for stream, made in trained_on.items() if stream in streams
    ]  # fmt: skip
    sides.append(("sampling", card.sampling, sampling))
    for section, trained, given in sides:
        for name in sorted({*trained, *given}):
            if trained.get(name) != given.get(name):
                raise ModelError(
                    f"{model} was trained on embeddings with {section} {name} = "
                    f"{_short(trained.get(name))}, but {other} has {name} = "
                    f"{_short(given.get(name))}: train again on these features "
                    "(`dvc repro`), or restore the settings of the model."
                )


def predict_logits(model: Model, clips: Iterable[Clip]) -> np.ndarray:
    """Logits of whole clips, (n, K) float32: `predict_probabilities` before the temperature."""
    return model.head.logits(clips)


def predict_probabilities(model: Model, clips: Iterable[Clip]) -> np.ndarray:
    """Class probabilities of whole clips: (n, K) float64, see `ModelCard.probabilities`.

    The sum over branches of share x score is divided by the temperature and put through a softmax,
    or a sigmoid where several labels may hold.

    Parameters
    ----------
    clips : per clip, reading -> (T, D) rows; any length from 1

    Raises
    ------
    ModelError
        When a clip lacks what the model reads.
    """
    return model.card.probabilities(predict_logits(model, clips))


def versions() -> dict[str, str]:
    """Versions of what decides the numbers of a training."""
    return {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")}


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) > 60 else text
