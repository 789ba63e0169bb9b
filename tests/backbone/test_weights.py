"""Where the weights come from, and what is said when they do not."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from clone import ROOT

from pipeline.backbone.weights import (
    IMAGENET_SHA256,
    TENSORS,
    load_weights,
    read_tensors,
    tensors_sha256,
)
from pipeline.errors import WeightsError


def test_the_prepared_backbone_has_the_pinned_weights(backbone_folder: Path) -> None:
    tensors = read_tensors(backbone_folder / "backbone.h5")
    assert len(tensors) == TENSORS
    assert tensors_sha256(tensors) == IMAGENET_SHA256


def test_a_path_to_weights_is_read(backbone_folder: Path) -> None:
    tensors, source = load_weights(str(backbone_folder / "backbone.h5"))
    assert tensors_sha256(tensors) == IMAGENET_SHA256
    assert source.endswith("backbone.h5")


def test_one_changed_number_changes_the_digest(backbone_folder: Path) -> None:
    tensors = read_tensors(backbone_folder / "backbone.h5")
    name = next(iter(tensors))
    tensors[name] = tensors[name] + np.float32(1e-6)
    assert tensors_sha256(tensors) != IMAGENET_SHA256


def test_a_missing_file_a_foreign_file_and_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"backbone\.weights names .*nowhere\.h5"):
        load_weights(str(tmp_path / "nowhere.h5"))
    text = tmp_path / "weights.h5"
    text.write_text("not HDF5")
    with pytest.raises(WeightsError, match="not a Keras weight file"):
        load_weights(str(text))
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["dense/kernel"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError, match="holds 0 of MobileNetV2's 260 tensors"):
        load_weights(str(other))
    with h5py.File(other, "w") as file:
        file["loose"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError, match="holds 0 of MobileNetV2's 260 tensors"):
        load_weights(str(other))


def test_where_nothing_is_reachable_all_three_ways_are_named(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"  # nothing listens on the discard port
    environment = {
        "HOME": str(tmp_path / "home"),
        "CLIPCACHE_DIR": str(tmp_path / "cache"),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
        "PIP_INDEX_URL": f"{nowhere}/simple",
        "http_proxy": nowhere,
        "https_proxy": nowhere,
        "PATH": "",
    }
    script = """
import sys
from pipeline.errors import WeightsError
from pipeline.backbone.weights import load_weights
try:
    load_weights("imagenet")
except WeightsError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment,
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    first, *tried = done.stdout.splitlines()
    assert "Any one of three ways mends it" in first
    for way in (str(tmp_path / "home/.keras/models"), "Keras's download server", "package index"):
        assert way in first
    assert len(tried) == 4
    assert not list(tmp_path.rglob("*.h5"))


def test_the_home_of_nobody_is_one_sentence() -> None:
    with pytest.raises(WeightsError, match=r"~nobody-here/w.h5, which is not a file"):
        load_weights("~nobody-here/w.h5")
