"""What determines an embedding: the part of the cache key that is not the clip."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from pipeline.backbone.folder import Backbone

# Part of every cache key. Raise one when its numbers change for a reason the fields do not show:
DECODE_VERSION = 1  # decoded or resized pixels (pipeline.frames)
EXTRACTOR_VERSION = 1  # embeddings (pipeline.backbone, pipeline.embedding)


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

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the fields as canonical JSON, 64 hexadecimal digits."""
        return fingerprint(asdict(self))

    def to_json(self) -> str:
        """The fields as JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)


def fingerprint(fields: Mapping[str, Any]) -> str:
    """SHA-256 of an extractor's fields, as feature files keep them; 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
