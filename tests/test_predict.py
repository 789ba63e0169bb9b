"""The one path from a clip to its labels, with a model of real people."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.dataset import FeatureSet
from pipeline.inference import views_of
from pipeline.model import load_model, predict_probabilities
from pipeline.predict import Prediction, Predictor
from pipeline.video import VideoReader

UNSEEN = "ira"


@pytest.fixture(scope="module")
def predictor(weizmann_model: Path) -> Predictor:
    return Predictor(weizmann_model)


@pytest.fixture(scope="module")
def raw(weizmann_model: Path) -> Path:
    return weizmann_model.parents[1] / "raw"


def by_label(prediction: Prediction) -> np.ndarray:
    return np.array([p for _, p in sorted(prediction.top(99))])


def lossless_frames(video: Path) -> np.ndarray:
    """(T, height, width, 3) uint8 RGB, every frame."""
    frames = [image for _, image in VideoReader(video).frames(lambda index, seconds: True)]
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in frames])


def test_a_clip_gets_the_numbers_of_evaluate(predictor, weizmann_model, raw) -> None:
    features = FeatureSet.open(weizmann_model.parents[1] / "features")
    model = load_model(weizmann_model)
    clips = [f"{label}/{UNSEEN}_{label}.avi" for label in predictor.labels]
    positions = [features.position(clip) for clip in clips]
    expected = predict_probabilities(model, views_of(features, positions, model.card.views))
    for clip, row in zip(clips, expected, strict=True):
        for windows in (False, True):
            prediction = predictor.file(raw / clip, windows=windows)
            np.testing.assert_allclose(by_label(prediction), row, atol=1e-4)
            assert prediction.label == clip.split("/")[0]


def test_file_images_array_and_stream_agree(predictor, raw, tmp_path) -> None:
    video = raw / f"walk/{UNSEEN}_walk.avi"
    frames = lossless_frames(video)
    files = []
    for number, frame in enumerate(frames):
        files.append(tmp_path / f"{number:04d}.png")
        cv2.imwrite(str(files[-1]), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    stride = 1 / 8
    of_file = predictor.file(video, stride=stride)
    stream = predictor.stream()
    answers = [stream.add(cv2.cvtColor(f, cv2.COLOR_RGB2BGR), i / 25) for i, f in enumerate(frames)]
    for other in (
        predictor.images(files, stride=stride),
        predictor.array(frames, 25, stride=stride),
    ):
        assert other.labels == of_file.labels
        np.testing.assert_allclose(other.probabilities, of_file.probabilities, atol=1e-4)
        for mine, theirs in zip(of_file.windows, other.windows, strict=True):
            np.testing.assert_allclose(mine.probabilities, theirs.probabilities, atol=1e-4)
    rolled = [answer for answer in answers if answer]
    steps = predictor.card.windowing.steps
    assert stream.embedded == len(rolled) == of_file.frames
    for mine, theirs in zip(of_file.windows, rolled[steps - 1 :], strict=False):
        np.testing.assert_allclose(mine.probabilities, theirs.probabilities, atol=1e-4)
