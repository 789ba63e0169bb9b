"""What all sections of params.yaml have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
FractionBelowOne = Annotated[float, Field(ge=0, lt=1)]  # such as a dropout: 1 would leave nothing


class Section(BaseModel):
    """A part of params.yaml: unknown keys and numbers that are not finite are errors.

    Values never change after reading.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
