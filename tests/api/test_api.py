"""`import clipcache`, as somebody uses it in a notebook."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from clone import ROOT
from sklearn.linear_model import LogisticRegression

import clipcache
from pipeline.evaluation.baseline import frame_means
from pipeline.frames.video import VideoReader
from pipeline.locations import cache_folder

CLIP = "wave/actor01_take1.mp4"
VIDEO = f"data/raw/{CLIP}"


def rgb_frames(video: str) -> np.ndarray:
    """(T, height, width, 3) uint8, every frame."""
    frames = [frame for _, frame in VideoReader(Path(video)).frames(lambda index, seconds: True)]
    return np.stack(frames)[..., ::-1]


def test_importing_it_loads_the_standard_library_and_no_more() -> None:
    script = (
        "import sys\nbefore = set(sys.modules)\nimport clipcache\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(names - set(sys.stdlib_module_names)))\n"
        "print(sorted(set(clipcache.__all__) - set(dir(clipcache))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["['clipcache', 'pipeline']", "[]"]


def test_every_public_name_is_there_and_no_other() -> None:
    for name in clipcache.__all__:
        assert getattr(clipcache, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'Predictr'"):
        clipcache.Predictr  # noqa: B018
    assert (ROOT / "clipcache/py.typed").exists()


def test_embed_gives_the_rows_of_the_features_stage(in_project: Path) -> None:
    features = clipcache.FeatureSet.open("features")
    position = features.position(CLIP)
    done = clipcache.embed(VIDEO, backbone="models/backbone")
    assert (done.embeddings.dtype, done.frames.dtype) == (np.float16, np.int32)
    np.testing.assert_array_equal(done.embeddings, features.embeddings(position))
    np.testing.assert_array_equal(done.frames, features.frames(position))
    np.testing.assert_allclose(done.times, features.times(position))
    assert len(done) == len(done.times) > 8


def test_embed_decodes_once_and_completes_what_is_there(
    sample_project: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = sample_project / "models/head"  # a model folder holds its backbone
    video = str(sample_project / VIDEO)
    few = clipcache.embed(video, fps=4, backbone=backbone)
    with monkeypatch.context() as patch:
        patch.setattr(VideoReader, "frames", lambda *_: pytest.fail("decoded again"))
        again = clipcache.embed(Path(video), fps=4, backbone=str(backbone))
        np.testing.assert_array_equal(again.embeddings, few.embeddings)
    many = clipcache.embed(video, fps=8, backbone=backbone)
    assert set(few.frames) < set(many.frames)
    np.testing.assert_array_equal(many.embeddings[np.isin(many.frames, few.frames)], few.embeddings)
    assert len(list(own_cache.glob("embeddings/*/identity/*.h5"))) == 2
    crop = clipcache.embed(video, fps=4, resize="crop", backbone=backbone)
    assert not np.array_equal(crop.embeddings, few.embeddings)


def test_embed_of_a_damaged_shard_computes_anew_and_logs_it(
    sample_project: Path, own_cache: Path
) -> None:
    video, backbone = sample_project / VIDEO, sample_project / "models/backbone"
    before = clipcache.embed(video, backbone=backbone)
    (shard,) = own_cache.glob("embeddings/*/identity/*.h5")
    shard.write_bytes(shard.read_bytes()[:-50])
    script = (
        "import sys, clipcache\n"
        "found = clipcache.embed(sys.argv[1], backbone=sys.argv[2])\nprint(len(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(video), str(backbone)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"{len(before)}\n"
    assert "is damaged" in done.stderr


def test_embed_makes_its_own_backbone_where_no_project_is(
    sample_project: Path, backbone_folder: Path, tmp_path: Path
) -> None:
    weights = cache_folder() / "weights"
    if weights.exists():  # or they are fetched once more
        shutil.copytree(weights, tmp_path / "cache/weights")
    script = "import sys, clipcache\nprint(clipcache.embed(sys.argv[1]).embeddings.tobytes().hex())"
    done = subprocess.run(
        [sys.executable, "-c", script, str(sample_project / VIDEO)],
        cwd=tmp_path, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "CLIPCACHE_DIR": str(tmp_path / "cache")},
    )  # fmt: skip
    features = clipcache.FeatureSet.open(str(sample_project / "features"))
    expected = features.embeddings(features.position(CLIP))
    assert bytes.fromhex(done.stdout) == expected.tobytes()
    (made,) = (tmp_path / "cache/backbones").iterdir()
    assert (made / "backbone.tflite").read_bytes() == (
        backbone_folder / "backbone.tflite"
    ).read_bytes()


def test_load_features_is_what_a_classifier_takes(in_project: Path) -> None:
    clips = clipcache.load_features()
    features = clipcache.FeatureSet.open(Path("features"))
    assert clips.X.shape == (len(features), 1280)
    assert clips.X.dtype == np.float32
    np.testing.assert_array_equal(clips.X, frame_means(features, range(len(features))))
    assert list(clips.y) == [clip_id.split("/")[0] for clip_id in clips.clip_ids]
    assert list(clips.groups) == [clip_id.split("/")[1].split("_")[0] for clip_id in clips.clip_ids]
    train, test = clips.of("train"), clips.of("test")
    assert not set(train.groups) & set(test.groups)
    assert len(train) + len(test) + len(clips.of("val")) == len(clips) == 40
    model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    assert model.score(train.X, train.y) == 1
    assert set(model.predict(test.X)) <= set(clips.y)


def test_sequences_are_those_of_the_feature_files(in_project: Path) -> None:
    clips = clipcache.load_features("features", index="data/index.csv", splits=None, sequences=True)
    features = clipcache.FeatureSet.open("features")
    assert set(clips.splits) == {""}
    for clip_id, sequence in zip(clips.clip_ids, clips.X, strict=True):
        np.testing.assert_array_equal(sequence, features.embeddings(features.position(clip_id)))
    motion = clipcache.load_features(view="flow/identity", sequences=True)
    assert motion.X[0].shape == (len(clips.X[0]), 384)
    assert len(motion.of("test").X) == len(motion.of("test").y)


def test_to_pandas_has_a_row_for_each_clip(in_project: Path) -> None:
    pytest.importorskip("pandas")
    clips = clipcache.load_features()
    table = clips.to_pandas()
    assert list(table.columns[:4]) == ["label", "group", "split", 0]
    assert table.shape == (len(clips), 3 + 1280)
    assert table.loc[CLIP, "label"] == "wave"
    assert table.loc[CLIP, 7] == clips.X[list(clips.clip_ids).index(CLIP), 7]
    assert clipcache.load_features(sequences=True).to_pandas().shape == (len(clips), 3)


def test_a_predictor_takes_text_and_pictures_in_rgb(in_project: Path) -> None:
    predictor = clipcache.Predictor("models/head")
    of_file = predictor.file(VIDEO)
    assert isinstance(of_file, clipcache.Prediction)
    frames = rgb_frames(VIDEO)
    np.testing.assert_allclose(
        predictor.array(frames, 24).probabilities, of_file.probabilities, atol=1e-4
    )
    embedded = predictor.embed(frames[0])["identity"]
    known = clipcache.embed(VIDEO, backbone="models/head").embeddings[0]
    np.testing.assert_allclose(embedded.astype(np.float32), known.astype(np.float32), atol=1e-2)
    swapped = predictor.embed(frames[0][..., ::-1])["identity"]
    np.testing.assert_array_equal(
        predictor.embed(frames[0][..., ::-1], bgr=True)["identity"], embedded
    )
    assert not np.array_equal(swapped, embedded)
    with pytest.raises(clipcache.ClipError, match=r"must be \(height, width, 3\) uint8"):
        predictor.stream().add(frames[0].astype(np.float32), 0.0)


def test_the_library_is_silent(in_project: Path, capfd: pytest.CaptureFixture) -> None:
    clipcache.Predictor("models/head").file(VIDEO)
    clipcache.embed(VIDEO, backbone="models/backbone")
    clipcache.load_features()
    assert capfd.readouterr() == ("", "")


def test_errors_are_full_sentences(in_project: Path, tmp_path: Path) -> None:
    predictor = clipcache.Predictor("models/head")
    (tmp_path / "no.mp4").write_bytes(b"no video")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    backbone = Path("models/backbone")
    for call in (
        lambda: predictor.file("gone.mp4"),
        lambda: predictor.file(tmp_path / "no.mp4"),
        lambda: predictor.images(["gone.png"]),
        lambda: predictor.images([tmp_path / "no.mp4", tmp_path / "a.png"]),
        lambda: predictor.images([]),
        lambda: clipcache.embed("gone.mp4", backbone=backbone),
        lambda: clipcache.embed(tmp_path / "no.mp4", backbone=backbone),
        lambda: clipcache.embed(VIDEO, backbone=tmp_path),
        lambda: clipcache.load_features(tmp_path),
        lambda: clipcache.load_features(view="zoom"),
        lambda: clipcache.load_features(index="gone.csv"),
        lambda: clipcache.load_features(splits=tmp_path / "gone.csv"),
        lambda: clipcache.Predictor(tmp_path),
        lambda: clipcache.FeatureSet.open("gone"),
    ):
        with pytest.raises(clipcache.ClipcacheError) as caught:
            call()
        text = str(caught.value)
        assert text[0].isupper() or text.startswith(("gone", str(tmp_path), "features", "data"))
        assert text.endswith("."), text
        assert len(text.split()) > 4
