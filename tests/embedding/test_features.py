"""The stage `features`, with the real CNN where its numbers matter."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from extraction import Project, shards

from pipeline.dataset.clips import read_rejected
from pipeline.embedding.engines import load_engine
from pipeline.errors import FeaturesError, TooManyRejectedError
from pipeline.frames.video import RateSampler, Sampling, VideoReader, resize
from pipeline.stages.features import extract_features
from pipeline.store.feature_files import FeatureSet


@pytest.fixture
def real(tmp_path: Path, backbone_folder: Path, few_clips: Path, own_cache: Path) -> Project:
    """Sample clips and the real CNN, two frames a second, mirrored too."""
    views = ("identity", "hflip")
    settings = {"fps": 2, "engine": "litert", "views": views}
    project = Project(tmp_path / "project", few_clips, settings)
    shutil.copytree(backbone_folder, project.folder / "models/backbone", dirs_exist_ok=True)
    return project


def test_a_feature_is_what_the_cnn_says_of_that_frame(real: Project) -> None:
    done = real.extract()
    features = FeatureSet.open(real.folder / "features")
    assert len(features) == done.clips == 12
    assert done.embedded == 4 * features.lengths.sum()  # picture and difference in two views
    assert done.flows == features.lengths.sum()
    assert features.views == ("identity", "hflip")
    engine = load_engine("litert", real.folder / "models/backbone")
    for i in (0, 7):
        reader = VideoReader(real.raw / str(features.clip_ids[i]))
        frames = dict(reader.frames(RateSampler(Sampling(2))))
        assert list(frames) == features.frames(i).tolist()
        assert features.times(i) == pytest.approx([reader.timeline[j] for j in frames])
        pictures = np.stack([resize(frame, 224, "stretch") for frame in frames.values()])
        mirrored = np.ascontiguousarray(pictures[:, :, ::-1])
        for view, seen in (("identity", pictures), ("hflip", mirrored)):
            embedded = engine(seen)
            assert np.array_equal(features.embeddings(i, view), embedded[:, :1280])
            assert np.array_equal(features.embeddings(i, view, "place"), embedded[:, 1280:])


def test_the_same_clips_give_the_same_bytes_from_an_empty_cache(
    real: Project, own_cache: Path
) -> None:
    real.extract()
    before = real.feature_bytes()
    shutil.rmtree(own_cache)
    shutil.rmtree(real.folder / "features")
    real.set(workers=1)
    assert real.extract().cached == 0
    assert real.feature_bytes() == before


def test_the_feature_file_says_what_it_was_made_with(real: Project) -> None:
    real.extract()
    features = FeatureSet.open(real.folder / "features")
    described = json.loads((real.folder / "models/backbone/backbone.json").read_text())
    assert features.extractor["backbone"] == described["digest"]
    assert features.extractor["input_size"] == 224
    assert features.extractor["resize"] == "stretch"
    assert features.sampling == {"fps": 2.0, "max_frames": 512}


def test_real_ucf101_clips_are_all_read(shared_data: Path, tmp_path: Path, own_cache: Path) -> None:
    project = Project(tmp_path / "project", shared_data / "ucf101_samples", {"fps": 2})
    assert project.extract().rejected == []


def test_the_robustness_set_ends_by_itself_and_gives_reasons(
    shared_data: Path, tmp_path: Path, own_cache: Path
) -> None:
    settings = {"fps": 1, "views": ("identity",)}
    project = Project(tmp_path / "project", shared_data / "robustness", settings)
    done = project.extract()
    assert done.clips > 50
    assert len(done.rejected) <= 3
    assert all("codec" in row.reason or "video" in row.reason for row in done.rejected)
    assert read_rejected(project.folder / "reports/rejected.csv") == sorted(
        done.rejected, key=lambda row: row.clip_id
    )


@pytest.fixture
def half_broken(tmp_path: Path, make_dataset, own_cache: Path) -> Project:
    """Six clips of which two are not videos."""
    raw = make_dataset()
    (raw / "walk/anna_walk.avi").write_bytes(b"not a video")
    (raw / "walk/ben_walk.avi").write_bytes(b"")
    return Project(tmp_path / "project", raw, {})


def test_too_many_rejected_clips_fail_the_run_after_everything_is_written(
    half_broken: Project,
) -> None:
    with pytest.raises(TooManyRejectedError, match=r"2 of 6 clips were rejected.*rejected\.csv"):
        half_broken.extract()
    assert len(FeatureSet.open(half_broken.folder / "features")) == 4
    reasons = {
        row.clip_id: row.reason
        for row in read_rejected(half_broken.folder / "reports/rejected.csv")
    }
    assert reasons == {
        "walk/anna_walk.avi": "is not a video that can be opened (damaged, or another format)",
        "walk/ben_walk.avi": "is empty",
    }
    half_broken.set(max_rejected=0.4)
    done = half_broken.extract()
    assert (done.cached, len(done.rejected), done.embedded) == (4, 2, 0)


def test_copies_of_a_broken_clip_are_all_in_rejected_csv(half_broken: Project) -> None:
    shutil.copy(half_broken.raw / "walk/anna_walk.avi", half_broken.raw / "wave/copy.avi")
    half_broken.set(max_rejected=0.5)
    assert len(half_broken.extract().rejected) == 3


def test_a_set_without_one_readable_clip_is_an_error_and_leaves_its_reasons(
    half_broken: Project,
) -> None:
    for path in half_broken.raw.rglob("*.avi"):
        path.write_bytes(b"no video " + path.name.encode())
    half_broken.set(max_rejected=1)
    with pytest.raises(TooManyRejectedError, match="None of the 6 clips could be read"):
        half_broken.extract()
    assert len(read_rejected(half_broken.folder / "reports/rejected.csv")) == 6
    assert not (half_broken.folder / "features").exists()


def test_made_up_numbers_never_share_a_key_with_real_ones(real: Project, own_cache: Path) -> None:
    engine = real.settings.pop("engine")
    real.extract()
    dummy = set(shards(own_cache))
    real.set(engine=engine)
    assert real.extract().cached == 0
    assert dummy < set(shards(own_cache))


def test_without_a_backbone_the_command_to_run_is_named(
    half_broken: Project, tmp_path: Path
) -> None:
    with pytest.raises(FeaturesError, match="run `clipcache backbone` first"):
        extract_features(
            half_broken.params, half_broken.index(), backbone=tmp_path / "nowhere",
            folder=tmp_path / "features", rejected=tmp_path / "rejected.csv",
        )  # fmt: skip


def test_bfloat16_prints_its_error_and_has_a_key_of_its_own(
    real: Project, own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not importlib.util.find_spec("openvino"):
        pytest.skip("the extra `fast` (openvino) is not installed")
    real.set(engine="openvino")
    exact = real.extract()
    assert "Relative error" not in capsys.readouterr().err
    real.set(precision="bfloat16")
    rounded = real.extract()
    assert "Relative error of bfloat16 to float32" in capsys.readouterr().err
    assert rounded.embedded == exact.embedded > 0
    assert len(list((own_cache / "embeddings").iterdir())) == 7  # flow knows no precision
