"""The one path from a clip to its labels, with a model of sample videos."""

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from clone import ROOT
from sample_model import UNSEEN, unseen_clip

from pipeline.errors import ClipcacheError, ClipError, ModelError
from pipeline.frames.video import VideoReader
from pipeline.head.model_folder import load_model, predict_probabilities
from pipeline.predict.prediction import Prediction, timeline
from pipeline.predict.predictor import Predictor
from pipeline.sample import FPS
from pipeline.store.feature_files import FeatureSet

LONG = ("walk", "pick_up", "wave", "jumping_jacks")


@pytest.fixture(scope="module")
def predictor(sample_model: Path) -> Predictor:
    return Predictor(sample_model)


def by_label(prediction: Prediction) -> np.ndarray:
    return np.array([p for _, p in sorted(prediction.top(99))])


def lossless_frames(video: Path) -> np.ndarray:
    """(T, height, width, 3) uint8 RGB, every frame."""
    frames = [image for _, image in VideoReader(video).frames(lambda index, seconds: True)]
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in frames])


def twice(model: Path, label: str) -> np.ndarray:
    """(T, height, width, 3) uint8 RGB: both takes of an unseen person, one after the other."""
    return np.concatenate([lossless_frames(unseen_clip(model, label, take)) for take in (1, 2)])


def test_a_clip_gets_the_numbers_of_evaluate(predictor, sample_model) -> None:
    features = FeatureSet.open(sample_model.parents[1] / "features")
    videos = sample_model.parents[1] / "data/raw"
    model = load_model(sample_model)
    clips = [f"{label}/{UNSEEN}_take1.mp4" for label in predictor.labels]
    positions = [features.position(clip) for clip in clips]
    expected = predict_probabilities(model, map(features.clip, positions))
    for clip, row in zip(clips, expected, strict=True):
        for windows in (False, True):
            prediction = predictor.file(videos / clip, windows=windows)
            np.testing.assert_allclose(by_label(prediction), row, atol=1e-4)
            assert prediction.label == clip.split("/")[0]


def test_file_images_array_and_stream_agree(predictor, sample_model, tmp_path) -> None:
    video = unseen_clip(sample_model, "walk")
    frames = lossless_frames(video)
    files = []
    for number, frame in enumerate(frames):
        files.append(tmp_path / f"{number:04d}.png")
        cv2.imwrite(str(files[-1]), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    rule = {"window": predictor.window_seconds(), "stride": 1 / 8}
    of_file = predictor.file(video, **rule)
    stream = predictor.stream()
    answers = [stream.add(frame, i / FPS) for i, frame in enumerate(frames)]
    for other in (
        predictor.images(files, fps=FPS, **rule),
        predictor.array(frames, FPS, **rule),
    ):
        assert other.labels == of_file.labels
        np.testing.assert_allclose(other.probabilities, of_file.probabilities, atol=1e-4)
        for mine, theirs in zip(of_file.windows, other.windows, strict=True):
            np.testing.assert_allclose(mine.probabilities, theirs.probabilities, atol=1e-4)
    rolled = [answer for answer in [*answers, stream.end()] if answer]
    steps = predictor.card.window
    assert stream.embedded == len(rolled) == of_file.frames
    for mine, theirs in zip(of_file.windows, rolled[steps - 1 :], strict=False):
        np.testing.assert_allclose(mine.probabilities, theirs.probabilities, atol=1e-4)


@pytest.fixture(scope="module")
def long_video(sample_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person does one thing after the other, each twice."""
    path = tmp_path_factory.mktemp("long") / "long.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (320, 240))
    for label in LONG:
        for frame in twice(sample_model, label):
            writer.write(frame[..., ::-1])
    writer.release()
    return path


def test_a_timeline_tells_what_happens_when(predictor, long_video, sample_model) -> None:
    prediction = predictor.file(long_video)
    spans = timeline(prediction)
    assert tuple(span.label for span in spans) == LONG
    assert spans[0].start == 0
    assert spans[-1].end == prediction.seconds
    lengths = [len(twice(sample_model, label)) / FPS for label in LONG]
    assert prediction.seconds == pytest.approx(sum(lengths), abs=0.01)
    for span, border in zip(spans, np.cumsum(lengths), strict=True):
        assert span.end == pytest.approx(border, abs=1.3)  # half a window and a stride


def test_a_window_is_classified_as_a_clip_of_its_own_would_be(predictor, sample_model) -> None:
    frames = twice(sample_model, "wave")
    window = predictor.array(frames, FPS, window=2, stride=1).windows[1]
    assert (window.start, window.end) == (1, 3)
    (cut,) = predictor.array(frames[FPS : 3 * FPS], FPS, window=2).windows
    np.testing.assert_allclose(cut.probabilities, window.probabilities, atol=1e-4)


def test_below_the_threshold_the_answer_is_unsure(sample_model, long_video) -> None:
    sure = Predictor(sample_model).file(long_video)
    limit = max(span.confidence for span in timeline(sure)) - 1e-9
    strict = Predictor(sample_model, threshold=limit).file(long_video)
    assert sure.label != "unsure"
    assert strict.label == "unsure"
    assert strict.labels == sure.labels
    assert {span.label for span in timeline(strict)} > {"unsure"}


def test_a_clip_of_something_else_is_none_of_these(sample_model) -> None:
    predictor = Predictor(sample_model, false_alarms=0.1)  # 24 clips were held out
    noise = np.random.default_rng(0).integers(0, 256, (2 * FPS, 240, 320, 3), dtype=np.uint8)
    for frames in (noise, np.zeros_like(noise)):
        odd = predictor.array(frames, FPS, windows=False)
        assert odd.label == odd.as_dict()["action"] == "none of these"
        assert odd.familiarity <= 0.1
        assert "It looks like none of the 4 labels" in odd.doubts()[0]
    known = predictor.file(unseen_clip(sample_model, "wave"), windows=False)
    assert known.label == "wave"
    assert known.as_dict()["familiarity"] > 0.1
    asked = Predictor(sample_model, false_alarms=0)
    assert asked.array(noise, FPS, windows=False).label in asked.labels


def test_a_set_of_labels_holds_the_answer(sample_model) -> None:
    predictor = Predictor(sample_model, level=0.9)
    prediction = copy.copy(predictor).file(unseen_clip(sample_model, "wave"), windows=False)
    assert prediction.as_dict()["set"] == {"level": 0.9, "labels": ["wave"]}
    with pytest.raises(ClipcacheError, match=r"held-out clips, and the model has \d+: ask for"):
        Predictor(sample_model, level=0.9999)


def test_a_model_of_an_earlier_release_tells_neither(sample_model, tmp_path) -> None:
    shutil.copytree(sample_model, tmp_path / "head")
    card = json.loads((tmp_path / "head/model.json").read_text())
    del card["held_out"], card["files"]["held_out.npz"]
    (tmp_path / "head/model.json").write_text(json.dumps(card))
    (tmp_path / "head/held_out.npz").unlink()
    prediction = Predictor(tmp_path / "head").array(np.zeros((24, 64, 64, 3), np.uint8), FPS)
    assert prediction.label in prediction.labels
    assert "familiarity" not in prediction.as_dict()
    with pytest.raises(ModelError, match="there are no sets of labels"):
        Predictor(tmp_path / "head", level=0.9)


def test_a_still_image_is_a_clip_of_one_frame(predictor, sample_model, tmp_path) -> None:
    frame = lossless_frames(unseen_clip(sample_model, "jumping_jacks"))[5]
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), frame[..., ::-1])
    prediction = predictor.file(path)
    assert prediction.frames == 1
    assert len(prediction.windows) == 1
    np.testing.assert_allclose(
        by_label(prediction), by_label(predictor.array(frame[None], 25)), atol=1e-6
    )


def test_a_long_clip_is_answered_from_as_many_frames_as_in_training(
    sample_model, tmp_path, long_video
) -> None:
    card = json.loads((sample_model / "model.json").read_text())
    card["sampling"]["max_frames"] = 20
    copy = tmp_path / "head"
    shutil.copytree(sample_model, copy)
    (copy / "model.json").write_text(json.dumps(card))
    predictor = Predictor(copy)
    whole = predictor.file(long_video, windows=False)
    assert whole.frames <= 20
    assert not whole.windows
    dense = predictor.file(long_video)
    assert dense.frames > 80
    assert len(timeline(dense)) >= 4
    assert dense.is_long
    assert not whole.is_long


def test_of_a_long_video_labels_have_their_shares_of_the_time(predictor, long_video) -> None:
    for windows in (False, True):
        prediction = predictor.file(long_video, windows=windows)
        shares = dict(prediction.top(99))
        for label in LONG:
            held = sum(s.end - s.start for s in timeline(prediction) if s.label == label)
            assert shares[label] == pytest.approx(held / prediction.seconds)
            assert 0.1 < shares[label] < 0.5  # never one label at 100 %
        assert sum(shares.values()) == pytest.approx(1)
        told = prediction.as_dict()
        assert sum(told["shares"].values()) == pytest.approx(1, abs=1e-5)
        assert told["timeline"]
        assert "shares of its time" in told["doubts"][0]
    assert predictor.array(lossless_frames(long_video)[: 2 * FPS], FPS).is_long is False


def test_a_copied_model_folder_is_all_that_is_needed(sample_model, tmp_path) -> None:
    """Without TensorFlow, the project, or the machine that trained it."""
    shutil.copytree(sample_model, tmp_path / "copied")
    (tmp_path / "copied/head.keras").unlink()
    script = (
        "import sys\nfrom pipeline.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print(sorted({'tensorflow', 'keras', 'sklearn', 'matplotlib', 'pyarrow', 'pandas'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "predict", str(unseen_clip(sample_model, "wave")),
         "--model", "copied"],
        check=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
        capture_output=True,
    )  # fmt: skip
    assert "wave" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_bad_pictures_and_models_are_one_sentence(predictor, sample_model, tmp_path) -> None:
    with pytest.raises(ClipError, match="no image"):
        predictor.images([])
    with pytest.raises(ClipError, match=r"\(height, width, 3\) uint8"):
        predictor.array(np.zeros((3, 8, 8, 3), np.float32), 25)
    with pytest.raises(ClipError, match="more than 0"):
        predictor.array(np.zeros((3, 8, 8, 3), np.uint8), 0)
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(ClipError, match="not a picture"):
        predictor.images([tmp_path / "no.png"])
    copy = tmp_path / "head"
    shutil.copytree(sample_model, copy)
    card = (copy / "model.json").read_text()
    (copy / "model.json").write_text(card.replace('"decode_version": ', '"decode_version": 9'))
    with pytest.raises(ModelError, match="decode_version = 9"):
        Predictor(copy)


def test_several_threads_may_use_one_predictor(predictor, sample_model) -> None:
    videos = [unseen_clip(sample_model, label) for label in predictor.labels]
    pictures = [lossless_frames(videos[0])[:size] for size in (1, 5)]  # stills and clips in turns
    alone = [by_label(predictor.file(video)) for video in videos]
    short = [by_label(predictor.array(frames, 25)) for frames in pictures]
    with ThreadPoolExecutor(6) as threads:
        many = list(threads.map(predictor.file, videos * 3))
        few = list(threads.map(lambda frames: predictor.array(frames, 25), pictures * 6))
    for number, prediction in enumerate(many):
        np.testing.assert_array_equal(by_label(prediction), alone[number % len(videos)])
    for number, prediction in enumerate(few):
        np.testing.assert_array_equal(by_label(prediction), short[number % 2])


def test_a_predictor_can_be_copied_and_pickled(predictor, sample_model, monkeypatch) -> None:
    video = unseen_clip(sample_model, "walk")
    monkeypatch.chdir("/")
    for other in (copy.copy(predictor), pickle.loads(pickle.dumps(predictor))):
        assert other.labels == predictor.labels
        np.testing.assert_array_equal(by_label(other.file(video)), by_label(predictor.file(video)))
