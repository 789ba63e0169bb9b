"""The `features` section of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.embedding.workers import RayCluster, WorkerPool
from pipeline.frames.streams import DIFFERENCE, FLOW, PLACE, RGB, STREAMS, reading
from pipeline.frames.video import RESIZE_RULES, Sampling
from pipeline.frames.views import VIEWS
from pipeline.section import Fraction, Section


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
    streams: tuple[str, ...] = Field(
        (RGB, FLOW, DIFFERENCE),
        description=f"what is read of each moment: {RGB}, the picture; {FLOW}, how things move; "
        f"{DIFFERENCE}, what changes",
    )
    pooling: tuple[Literal["mean", "place"], ...] = Field(
        ("mean", "place"), description="of the picture's activations: mean, what there is; place, "
        "where it is",
    )  # fmt: skip
    views: tuple[str, ...] = Field(
        ("identity",), description="cached views of every picture that the CNN sees"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="arithmetic of the CNN; bfloat16 is less exact, openvino only"
    )
    engine: Literal["auto", "litert", "openvino", "keras"] = Field(
        "auto", description="what runs the CNN; auto takes the fastest, measured once"
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
    max_damaged: Fraction = Field(
        0.5, description="share of a clip's frames that may be missing; more of them rejects it"
    )
    shards: int = Field(1, ge=1, le=1024, description="number of feature files")

    @field_validator("resize")
    @classmethod
    def _known_rule(cls, value: str) -> str:
        if value not in RESIZE_RULES:
            raise ValueError(f"must be one of {', '.join(RESIZE_RULES)}")
        return value

    @field_validator("streams")
    @classmethod
    def _known_streams(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = (RGB, FLOW, DIFFERENCE)
        if unknown := [stream for stream in value if stream not in known]:
            raise ValueError(f"{unknown[0]!r} is not a stream; there are {', '.join(known)}")
        if RGB not in value or len(set(value)) < len(value):
            raise ValueError(f"must name {RGB}, and no stream twice")
        return value

    @field_validator("pooling")
    @classmethod
    def _has_mean(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "mean" not in value or len(set(value)) < len(value):
            raise ValueError("must name mean, and nothing twice")
        return value

    @field_validator("views")
    @classmethod
    def _known_views(cls, value: tuple[str, ...]) -> tuple[str, ...]:
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
        if self.executor == "ray" and self.ray_gpus and self.engine != "keras":
            raise ValueError("ray_gpus above 0 needs `engine: keras`, which is the one for GPUs")
        return self

    @property
    def sampling(self) -> Sampling:
        """The sampling rule."""
        return Sampling(self.fps, self.max_frames)

    @property
    def readings(self) -> tuple[str, ...]:
        """What is cached of each frame: names of streams in views, "identity" first.

        Flow is the same in all views but the mirrored one, where it is known from the other.
        """
        streams = [*self.streams, PLACE] if PLACE in self.pooling else self.streams
        return tuple(
            reading(stream, view)
            for stream in STREAMS if stream in streams
            for view in (self.views if stream != FLOW else ("identity",))
        )  # fmt: skip

    @property
    def pool(self) -> WorkerPool:
        """Who embeds."""
        cluster = None
        if self.executor == "ray":
            cluster = RayCluster(self.ray_address, self.ray_cpus, self.ray_gpus)
        return WorkerPool(self.workers, self.clip_timeout, cluster)
