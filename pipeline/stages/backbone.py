"""Stage `backbone`: MobileNetV2 with its weights -> models/backbone/."""

from pathlib import Path

from pipeline.backbone.folder import BACKBONE, Backbone, write_backbone
from pipeline.backbone.params import BackboneParams
from pipeline.backbone.weights import load_weights


def prepare_backbone(params: BackboneParams, folder: Path = BACKBONE) -> Backbone:
    """Fetch or read the weights and write the backbone folder.

    Raises
    ------
    WeightsError
        When the weights cannot be had, with every way to mend it.
    """
    tensors, source = load_weights(params.weights)
    # DVC compares outputs by their bytes, so the folder must not tell where pinned weights were
    # found on this machine.
    name = params.weights if params.weights == "imagenet" else Path(source).name
    return write_backbone(folder, tensors, source=name, input_size=params.input_size)
