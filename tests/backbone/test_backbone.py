"""The backbone folder."""

import hashlib
from pathlib import Path

import pytest

from pipeline.backbone.folder import read_backbone, write_backbone
from pipeline.backbone.params import BackboneParams
from pipeline.backbone.weights import IMAGENET_SHA256, read_tensors
from pipeline.errors import FeaturesError, WeightsError
from pipeline.stages.backbone import prepare_backbone


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_same_weights_give_the_same_bytes(backbone_folder: Path, tmp_path: Path) -> None:
    prepare_backbone(BackboneParams(), tmp_path / "again")
    assert digests(tmp_path / "again") == digests(backbone_folder)
    assert set(digests(backbone_folder)) == {"backbone.h5", "backbone.tflite", "backbone.json"}


def test_the_description_names_the_weights_but_no_place_on_this_machine(
    backbone_folder: Path,
) -> None:
    backbone = read_backbone(backbone_folder)
    assert backbone.digest == IMAGENET_SHA256
    assert (backbone.input_size, backbone.dimension) == (224, 1280)
    assert backbone.source == "imagenet"


def test_a_missing_folder_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match="run `clipcache backbone` first"):
        read_backbone(tmp_path)


def test_weights_of_a_narrower_mobilenet_are_refused(backbone_folder: Path, tmp_path: Path) -> None:
    tensors = read_tensors(backbone_folder / "backbone.h5")
    tensors["Conv1/kernel"] = tensors["Conv1/kernel"][..., :16]
    with pytest.raises(WeightsError, match=r"Conv1/kernel with the shape \(3, 3, 3, 16\)"):
        write_backbone(tmp_path / "out", tensors, source="test", input_size=96)


def test_weights_that_lack_a_layer_are_refused_and_the_old_folder_stays(
    backbone_folder: Path, tmp_path: Path
) -> None:
    tensors = read_tensors(backbone_folder / "backbone.h5")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    del tensors["Conv1/kernel"]
    with pytest.raises(WeightsError, match="the weights lack Conv1/kernel"):
        write_backbone(tmp_path / "out", tensors, source="test", input_size=96)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]
