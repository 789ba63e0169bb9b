"""The `backbone` section of params.yaml."""

from pydantic import Field

from pipeline.section import Section


class BackboneParams(Section):
    weights: str = Field(
        "imagenet", description="imagenet, or a path to MobileNetV2 weights in Keras's HDF5 format"
    )
    input_size: int = Field(
        224, ge=32, le=512, description="side of the square picture that the CNN sees, pixels"
    )
