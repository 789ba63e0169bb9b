"""All engines give the same numbers."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.embedding.engines import choose_engine, load_engine
from pipeline.errors import FeaturesError
from pipeline.frames.video import RateSampler, Sampling, VideoReader, resize
from pipeline.processes import processor_name


@pytest.fixture(scope="module")
def frames(sample_videos: Path) -> np.ndarray:
    """(12, 224, 224, 3) uint8 RGB: frames of different videos."""
    pictures = []
    for path in sorted(sample_videos.rglob("*_take1.mp4"))[::3][:6]:
        reader = VideoReader(path)
        for index, image in reader.frames(RateSampler(Sampling(1))):
            pictures.append(resize(image, 224, "stretch"))
            if index > 0:
                break
    return np.stack(pictures)


@pytest.fixture(scope="module")
def reference(backbone_folder: Path, frames: np.ndarray) -> np.ndarray:
    return load_engine("keras", backbone_folder)(frames)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    a, b = one.astype(np.float64), other.astype(np.float64)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("name", ["litert", "openvino"])
def test_an_engine_agrees_with_keras(
    backbone_folder: Path, frames: np.ndarray, reference: np.ndarray, name: str
) -> None:
    if name == "openvino" and not importlib.util.find_spec("openvino"):
        pytest.skip("the extra `fast` (openvino) is not installed")
    embeddings = load_engine(name, backbone_folder)(frames)
    assert embeddings.shape == reference.shape == (len(frames), 2432)
    assert embeddings.dtype == reference.dtype == np.float16
    assert cosines(embeddings, reference).min() >= 0.99999
    assert cosines(embeddings[1:], embeddings[:-1]).min() < 0.99  # and frames do differ


def test_a_frame_has_one_embedding_whatever_it_is_embedded_with(
    backbone_folder: Path, frames: np.ndarray
) -> None:
    engine = load_engine("litert", backbone_folder)
    together = engine(frames)
    assert np.array_equal(engine(frames[::-1])[::-1], together)
    assert np.array_equal(engine(frames[3:4])[0], together[3])
    assert load_engine("litert", backbone_folder)(frames[:0]).shape == (0, 2432)


def test_bfloat16_is_refused_where_the_engine_has_none(backbone_folder: Path) -> None:
    with pytest.raises(FeaturesError, match="litert cannot compute in bfloat16: use openvino"):
        load_engine("litert", backbone_folder, precision="bfloat16")


def test_an_engine_that_is_named_is_taken(tmp_path: Path) -> None:
    assert choose_engine("keras", tmp_path) == ("keras", "features.engine asks for it")


def test_the_fastest_engine_is_measured_once(
    backbone_folder: Path, own_cache: Path, tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    name, reason = choose_engine("auto", backbone_folder)
    ((machine, speeds),) = json.loads((own_cache / "engines.json").read_text()).items()
    assert name == max(speeds, key=speeds.get)
    assert all(f"{engine} {speed:.0f}" in reason for engine, speed in speeds.items())
    assert processor_name() in machine
    assert choose_engine("auto", tmp_path) == (name, reason)  # without a backbone: remembered
    slowest = min(speeds, key=speeds.get)
    speeds[slowest] = 1e6
    (own_cache / "engines.json").write_text(json.dumps({machine: speeds}))
    assert choose_engine("auto", tmp_path)[0] == slowest


def test_an_engine_that_does_not_run_is_not_chosen_and_not_remembered(
    backbone_folder: Path, own_cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "backbone.json").write_bytes((backbone_folder / "backbone.json").read_bytes())
    assert choose_engine("auto", tmp_path)[0] == "litert"
    assert not (own_cache / "engines.json").exists()


@pytest.mark.parametrize("damage", ["", "[1]", '{"a": 1}', "null", "{"])
def test_a_damaged_memory_is_measured_anew(
    backbone_folder: Path, own_cache: Path, damage: str
) -> None:
    own_cache.mkdir()
    (own_cache / "engines.json").write_text(damage)
    assert choose_engine("auto", backbone_folder)[0] in ("litert", "openvino", "keras")
