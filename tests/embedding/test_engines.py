"""All engines give the same numbers."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pipeline.embedding.engines import choose_engine, load_engine
from pipeline.errors import FeaturesError
from pipeline.frames.video import RateSampler, Sampling, VideoReader, resize


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


def test_the_choice_of_engine_comes_with_a_reason() -> None:
    assert choose_engine("keras") == ("keras", "features.engine asks for it")
    name, reason = choose_engine("auto")
    assert name in ("litert", "openvino", "keras")
    assert "CPU" in reason or "GPU" in reason
