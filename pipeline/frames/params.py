"""The `frames` section of params.yaml."""

from pydantic import Field

from pipeline.section import Section


class FramesParams(Section):
    clips_per_class: int = Field(2, ge=1, description="clips of each class on the contact sheets")
