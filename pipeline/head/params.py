"""The `train` section of params.yaml."""

import logging
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.head.build import NETWORK_BRANCH, PRESETS, Dense, HeadShape
from pipeline.head.sequences import Windowing
from pipeline.section import FractionBelowOne, Section

Branch = Literal["network", "statistics", "order"]


# Settings of earlier releases with their defaults; what they set is learnt.
FORMER = {
    "shortcut": None, "shortcut_dropout": None, "shortcut_share": None, "branch_loss": 0.5,
    "views": None, "test_views": None,
}  # fmt: skip

logger = logging.getLogger("clipcache.train")


class DenseParams(Section):
    units: int = Field(ge=1, description="units of the dense layer")
    batch_norm: bool = Field(False, description="batch normalisation before its ReLU")
    dropout: FractionBelowOne = Field(0.0, description="dropout after its ReLU")


class TrainParams(Section):
    head: str = Field("default", description=f"preset to start from: {', '.join(PRESETS)}")
    normalisation: Literal["layer", "root", "unit", "none"] | None = Field(
        None, description="of every embedding: layer, root, unit or none; null: as the preset says"
    )
    input_dropout: FractionBelowOne | None = Field(
        None,
        description="dropout on the rows that the network reads; null: as the preset says",
    )
    differences: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None, description="lags of the difference channels, in steps; null: as the preset says"
    )
    projection: Annotated[int, Field(ge=0)] | None = Field(
        None, description="units of the linear layer before the recurrent one, 0: none; null: as "
        "the preset says",
    )  # fmt: skip
    recurrent: Literal["lstm", "bilstm", "gru", "none"] | None = Field(
        None, description="recurrent layer: lstm, bilstm, gru or none; null: as the preset says"
    )
    units: Annotated[int, Field(ge=1)] | None = Field(
        None, description="units of the recurrent layer per direction; null: as the preset says"
    )
    pooling: Literal["last", "mean", "attention"] | None = Field(
        None, description="over time: last, mean or attention; null: as the preset says"
    )
    dropout: FractionBelowOne | None = Field(
        None, description="dropout after pooling; null: as the preset says"
    )
    dense: tuple[DenseParams, ...] | None = Field(
        None, description="dense layers before the scores, each with units, batch_norm and "
        "dropout; null: as the preset says",
    )  # fmt: skip
    branches: Annotated[tuple[Branch, ...], Field(min_length=1)] | None = Field(
        None, description="what the logits are summed from: network, statistics, order; null: as "
        "the preset says",
    )  # fmt: skip

    steps: int = Field(16, ge=1, le=512, description="embedded frames in a window")
    rates: tuple[float, float] = Field(
        (0.7, 1.4), description="slowest and fastest rate at which training reads a clip"
    )
    test_windows: int = Field(
        4, ge=1, description="windows averaged for a clip that is longer than one window"
    )
    frame_dropout: FractionBelowOne = Field(
        0.0, description="chance that a training step repeats the frame before"
    )
    noise: float = Field(
        0.0, ge=0, description="Gaussian noise in training, in deviations of an embedding"
    )
    mixup: float = Field(0.0, ge=0, description="strength of mixup between training clips, 0: none")

    epochs: int = Field(40, ge=1, description="passes over the training clips")
    batch_size: Annotated[int, Field(ge=1)] | None = Field(
        None, description="clips in a batch; null: a 24th of the training clips, but 8 to 32"
    )
    learning_rate: float = Field(2e-3, gt=0, description="highest learning rate of the schedule")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="learning rate after the warm-up: cosine decay to 0, or constant"
    )
    warmup: FractionBelowOne = Field(
        0.05, description="share of the training over which the rate rises"
    )
    weight_decay: float = Field(0.02, ge=0, description="AdamW's decoupled weight decay")
    averaging: FractionBelowOne = Field(
        0.98, description="decay of the moving average of the weights that is kept, 0: none"
    )
    patience: int | None = Field(
        15, ge=1, description="epochs without a better validation loss before training stops; "
        "null: train all epochs, and keep the best",
    )  # fmt: skip
    loss: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy", description="cross_entropy, or focal for many easy clips"
    )
    focal_gamma: float = Field(2.0, ge=0, description="exponent of the focal loss")
    label_smoothing: FractionBelowOne = Field(
        0.0, description="share of each target spread over all labels"
    )
    imbalance: Literal["none", "class_weights", "balanced"] = Field(
        "class_weights", description="classes of unequal size: none, class_weights in the loss, or "
        "balanced sampling",
    )  # fmt: skip
    calibrate: bool = Field(
        True, description="fit a temperature on the validation clips, so that confidence can be "
        "trusted",
    )  # fmt: skip
    seed: int = Field(0, ge=0, description="of the initial weights, the batches and dropout")

    @model_validator(mode="before")
    @classmethod
    def _without_former_settings(cls, values: Any) -> Any:
        """The settings files of earlier releases are still read."""
        if not isinstance(values, dict):
            return values
        if former := [name for name in values if name in FORMER]:
            if told := [name for name in former if values[name] != FORMER[name]]:
                logger.warning(
                    "train.%s is no setting any more and is passed over: what a branch counts, and "
                    "whether clips are seen mirrored, is learnt from the training clips.",
                    ", train.".join(told),
                )
            return {name: value for name, value in values.items() if name not in former}
        return values

    @field_validator("head")
    @classmethod
    def _known_preset(cls, value: str) -> str:
        if value not in PRESETS:
            raise ValueError(f"must be one of {', '.join(PRESETS)}")
        return value

    @field_validator("rates")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("must be two numbers above 0, the slowest first")
        return value

    @model_validator(mode="after")
    def _pools_what_is_there(self) -> "TrainParams":
        shape = self.shape
        if (
            NETWORK_BRANCH in shape.branches
            and shape.recurrent == "none"
            and shape.pooling == "last"
        ):
            raise ValueError("pooling last needs a recurrent layer; use mean or attention")
        return self

    @property
    def shape(self) -> HeadShape:
        """The preset with what this section changes about it."""
        preset = PRESETS[self.head]
        names = (name for name in HeadShape.__dataclass_fields__ if name != "dense")
        changes: dict[str, Any] = {
            name: getattr(self, name) for name in names if getattr(self, name) is not None
        }
        if self.dense is not None:
            changes["dense"] = tuple(Dense(**layer.model_dump()) for layer in self.dense)
        return HeadShape(**{**vars(preset), **changes})

    @property
    def windowing(self) -> Windowing:
        """How windows are cut."""
        return Windowing(self.steps, self.rates, self.test_windows)
