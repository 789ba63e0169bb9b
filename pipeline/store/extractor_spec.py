"""What determines an embedding: the part of the cache key that is not the clip."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.backbone.folder import DIMENSION, PLACE_DIMENSION, PLACE_LAYER, Backbone
from pipeline.frames.neighbours import SIZE
from pipeline.frames.streams import DIFFERENCE, FLOW, PLACE, RGB

# Part of every cache key. Raise one when its numbers change for a reason the fields do not show:
DECODE_VERSION = 2  # decoded or resized pixels (pipeline.frames); 2: PyAV beside OpenCV
EXTRACTOR_VERSION = 1  # embeddings (pipeline.backbone, pipeline.embedding)
STREAM_VERSIONS = {PLACE: 1, FLOW: 1, DIFFERENCE: 1}  # what those streams are made of

# Numbers of a frame in each stream; those of flow: pipeline.frames.flow
DIMENSIONS = {RGB: DIMENSION, PLACE: PLACE_DIMENSION, FLOW: 384, DIFFERENCE: DIMENSION}


@dataclass(frozen=True)
class ExtractorSpec:
    """Everything that turns a frame into numbers. Two extractors that differ never share entries.

    The engine is not a field: all engines produce the same numbers up to float32 rounding, and a
    switch of engine must not throw the cache away.
    """

    backbone: str  # SHA-256 of the weights, see pipeline.backbone.weights
    input_size: int  # pixels
    resize: str  # "stretch", "crop" or "pad"
    precision: str  # arithmetic of the CNN: "float32" or "bfloat16"
    architecture: str = "MobileNetV2-1.0, global average pooling"
    colour: str = "RGB"
    preprocessing: str = "pixel / 127.5 - 1"
    decode_version: int = DECODE_VERSION
    version: int = EXTRACTOR_VERSION

    @classmethod
    def of(cls, backbone: Backbone, resize: str, precision: str) -> "ExtractorSpec":
        """What a backbone makes of frames with these settings."""
        return cls(backbone.digest, backbone.input_size, resize, precision)

    @property
    def fields(self) -> dict[str, Any]:
        """What the cache's fingerprint is made of."""
        return asdict(self)


@dataclass(frozen=True)
class StreamSpec:
    """The same for a stream beside rgb: what of the settings decides its numbers.

    Flow knows nothing of the CNN: another backbone leaves what is cached of it as it is.
    """

    stream: str
    resize: str
    input_size: int  # pixels
    backbone: str | None = None
    precision: str | None = None
    layer: str | None = None
    decode_version: int = DECODE_VERSION
    version: int = 1

    @property
    def fields(self) -> dict[str, Any]:
        """What the cache's fingerprint is made of."""
        return asdict(self)


Spec = ExtractorSpec | StreamSpec


def stream_spec(stream: str, rgb: ExtractorSpec) -> Spec:
    """How a stream is made where the embeddings themselves are made like this."""
    if stream == RGB:
        return rgb
    version, decoded = STREAM_VERSIONS[stream], rgb.decode_version
    if stream == FLOW:
        return StreamSpec(stream, rgb.resize, SIZE, decode_version=decoded, version=version)
    size, layer = (rgb.input_size, PLACE_LAYER) if stream == PLACE else (SIZE, None)
    return StreamSpec(
        stream, rgb.resize, size, rgb.backbone, rgb.precision, layer, decoded, version
    )


def fingerprint(fields: Mapping[str, Any]) -> str:
    """SHA-256 of a specification's fields as canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(fields).encode()).hexdigest()


def canonical(fields: Mapping[str, Any]) -> str:
    """The fields as JSON with sorted keys."""
    return json.dumps(fields, sort_keys=True)
