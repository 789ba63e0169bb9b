"""The card of a model: what a head needs to be used, and where it comes from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pipeline.backbone.folder import DIMENSION
from pipeline.head.build import NETWORK_BRANCH, HeadShape, shape_from_dict
from pipeline.head.calibration import sigmoid, softmax
from pipeline.head.sequences import Windowing
from pipeline.head.streams import MIRROR

SCHEMA = 3
SCHEMA_OF_SEVERAL_LABELS = 4  # which earlier releases would take for one label
SCHEMA_OF_ONE_NETWORK = 2  # of earlier releases, whose network was all and read rgb alone


@dataclass(frozen=True)
class Branch:
    """What a branch of a head counts.

    Attributes
    ----------
    name : "network", or a stream and a descriptor such as "flow order"
    share : of its scores in the logits; shares do not sum to 1
    accuracy : over training clips that it had not seen; None where that was not measured
    ordered_share : of a linear branch in the ordered baseline; None where the head has not all
    """

    name: str
    share: float
    accuracy: float | None = None
    ordered_share: float | None = None


@dataclass(frozen=True)
class Decoder:
    """How windows of a long video become stretches (`pipeline.timeline`).

    Attributes
    ----------
    window : seconds of each window
    cost : nats that a stretch must gain over its neighbours' labels to be one
    typical : seconds; a stretch that is shorter costs more
    spread : deviation of the logarithm of a stretch's length
    temperature : divides the logits of a window before the softmax
    oddness : by how much stretches are odder than clips as a rule (`pipeline.head.held_out`); None
        where there was nothing to learn it from, so that none can be called "none of these"
    """

    window: float
    cost: float
    typical: float
    spread: float
    temperature: float = 1.0
    oddness: float | None = None


@dataclass(frozen=True)
class ModelCard:
    """What a head needs to be used, and where it comes from.

    Attributes
    ----------
    labels : class names, in the order of the logits
    extractor, sampling : how the embeddings that it was trained on were made
    readings : what the head reads of a clip, with the length of the rows
    streams : how the streams beside rgb were made
    window : frames of a window where a long clip is cut up, and of a live stream: as many as the
        median training clip has, for a network alone those that it reads at a time
    views : over which the network's logits are averaged
    mirror : whether the linear branches see clips mirrored too
    branches : what the logits are summed from, the network first where there is one
    windowing : how clips are cut into windows
    temperature : divides the logits before the softmax, or the sigmoid where several may hold
    shape : what the head was built from
    longest : seconds of the longest training clip: in a much longer one several things may happen;
        None in models of earlier releases
    decoder : by which its windows become stretches; None in models of earlier releases
    held_out : clips that a new one is held against, in a file of its own; None where there is no
        such file, as in models of earlier releases; filled in when it is saved
    thresholds : the probability from which on each label holds, where several may hold for a clip;
        None where one does
    versions : of the packages that trained it
    files : SHA-256 of the other files of the folder, by name; filled in when it is saved
    """

    labels: tuple[str, ...]
    extractor: dict[str, Any]
    sampling: dict[str, Any]
    readings: dict[str, int]
    streams: dict[str, dict[str, Any]]
    window: int
    views: tuple[str, ...]
    mirror: bool
    branches: tuple[Branch, ...]
    windowing: Windowing
    temperature: float
    shape: HeadShape
    longest: float | None = None
    decoder: Decoder | None = None
    held_out: int | None = None
    thresholds: tuple[float, ...] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def backbone(self) -> str:
        """SHA-256 of the backbone's weights."""
        return str(self.extractor.get("backbone", ""))

    @property
    def several(self) -> bool:
        """Whether several labels may hold for a clip."""
        return self.thresholds is not None

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Of logits (..., K), same shape, float64: they sum to 1, or each label stands by itself
        where several may hold.
        """
        return (sigmoid if self.several else softmax)(logits, self.temperature)

    def hold(self, probabilities: np.ndarray) -> np.ndarray:
        """Which labels hold by probabilities (..., K), where several may: bool, same shape."""
        return probabilities >= np.array(self.thresholds)

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON-ready values."""
        schema, values = SCHEMA_OF_SEVERAL_LABELS, asdict(self)
        if not self.several:
            schema = SCHEMA
            del values["thresholds"]
        return {"schema": schema, "backbone": self.backbone, **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelCard":
        """The reverse of `to_dict`; cards of earlier releases are read as well.

        Raises
        ------
        ValueError, KeyError, TypeError
            When something is missing, or of a schema that is not known.
        """
        if values["schema"] not in (SCHEMA_OF_ONE_NETWORK, SCHEMA, SCHEMA_OF_SEVERAL_LABELS):
            raise ValueError(f"it has schema {values['schema']}, not {SCHEMA}")
        if values["schema"] == SCHEMA_OF_ONE_NETWORK:
            values = {
                **values,
                "readings": dict.fromkeys(values["views"], DIMENSION),
                "streams": {},
                "window": values["windowing"]["steps"],
                "mirror": MIRROR in values["views"],
                "branches": [asdict(Branch(NETWORK_BRANCH, 1.0))],
            }
        windowing = dict(values["windowing"], rates=tuple(values["windowing"]["rates"]))
        return cls(
            labels=tuple(values["labels"]),
            extractor=dict(values["extractor"]),
            sampling=dict(values["sampling"]),
            readings=dict(values["readings"]),
            streams=dict(values["streams"]),
            window=int(values["window"]),
            views=tuple(values["views"]),
            mirror=bool(values["mirror"]),
            branches=tuple(Branch(**branch) for branch in values["branches"]),
            windowing=Windowing(**windowing),
            temperature=float(values["temperature"]),
            shape=shape_from_dict(values["shape"]),
            longest=values.get("longest"),
            decoder=Decoder(**values["decoder"]) if values.get("decoder") else None,
            held_out=values.get("held_out"),
            thresholds=tuple(values["thresholds"])
            if values["schema"] == SCHEMA_OF_SEVERAL_LABELS
            else None,
            versions=dict(values["versions"]),
            files=dict(values["files"]),
        )
