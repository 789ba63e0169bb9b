"""The `evaluate` and `crossval` sections of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.section import Section


class EvaluateParams(Section):
    top_k: int = Field(5, ge=1, description="labels listed per clip in predictions.csv")
    bootstrap: int = Field(
        2000,
        ge=0,
        description="resamplings behind the intervals of the difference to the baseline; 0: none",
    )
    seed: int = Field(0, ge=0, description="of the resampling")


class CrossvalParams(Section):
    folds: Annotated[int, Field(ge=2)] | None = Field(
        None, description="grouped folds; null: leave one group out where there are at most 10 "
        "groups, else 5",
    )  # fmt: skip
    seeds: int = Field(1, ge=1, description="trainings per fold, from train.seed upwards")
    workers: Annotated[int, Field(ge=1)] | None = Field(
        None, description="processes; null: one per core"
    )
