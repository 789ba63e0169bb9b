"""No frame is embedded twice: what the stage says it embedded, over the life of a data set."""

import shutil
from pathlib import Path

import pytest
from extraction import Project, embedded_frames

from pipeline.store.feature_files import FeatureSet

CLIPS, SECONDS = 6, 2  # of 25 frames a second
AT_4_FPS, AT_8_FPS = 8, 16  # frames of each clip
PASSES = 2  # of the CNN for a frame: the picture, and what changes


@pytest.fixture
def project(tmp_path: Path, make_video, own_cache: Path) -> Project:
    """Six clips of two seconds, extracted once at 4 frames a second."""
    for i in range(CLIPS):
        label = ("walk", "wave")[i % 2]
        make_video(f"raw/{label}/clip {i}.avi", frames=25 * SECONDS, seed=i)
    project = Project(tmp_path / "project", tmp_path / "raw", {"fps": 4})
    done = project.extract()
    assert (done.embedded, done.decoded, done.cached) == (CLIPS * AT_4_FPS * PASSES, CLIPS, 0)
    return project


def test_the_same_again_embeds_and_decodes_nothing(project: Project) -> None:
    before = project.feature_bytes()
    done = project.extract()
    assert (done.embedded, done.decoded, done.cached) == (0, 0, CLIPS)
    assert project.feature_bytes() == before


def test_a_clip_added_is_the_only_one_embedded(project: Project, make_video) -> None:
    make_video("raw/walk/new.avi", frames=25 * SECONDS, seed=99)
    done = project.extract()
    assert (done.embedded, done.decoded, done.cached) == (AT_4_FPS * PASSES, 1, CLIPS)


def test_a_clip_removed_leaves_the_features_but_not_the_cache(project: Project) -> None:
    clip = project.raw / "walk/clip 0.avi"
    before, data = project.feature_bytes(), clip.read_bytes()
    clip.unlink()
    assert project.extract().embedded == 0
    assert len(FeatureSet.open(project.folder / "features")) == CLIPS - 1
    clip.write_bytes(data)
    assert project.extract().embedded == 0
    assert project.feature_bytes() == before


def test_renaming_relabelling_and_duplicating_embed_nothing(project: Project) -> None:
    walk, wave = project.raw / "walk", project.raw / "wave"
    (walk / "clip 0.avi").rename(walk / "another name.AVI")
    (walk / "clip 2.avi").rename(wave / "clip 2.avi")
    shutil.copy(walk / "clip 4.avi", wave / "copy.avi")
    done = project.extract()
    assert (done.embedded, done.decoded, done.cached) == (0, 0, CLIPS + 1)
    features = FeatureSet.open(project.folder / "features")
    assert {"walk/another name.AVI", "wave/clip 2.avi", "wave/copy.avi"} <= set(features.clip_ids)
    same = features.embeddings(features.position("wave/copy.avi"))
    assert (same == features.embeddings(features.position("walk/clip 4.avi"))).all()


def test_two_new_clips_with_the_same_bytes_are_embedded_once(project: Project, make_video) -> None:
    new = make_video("raw/walk/new.avi", frames=25 * SECONDS, seed=99)
    shutil.copy(new, project.raw / "wave/same.avi")
    done = project.extract()
    assert (done.embedded, done.decoded) == (AT_4_FPS * PASSES, 1)


def test_a_clip_replaced_by_another_video_is_embedded_anew(project: Project, make_video) -> None:
    make_video("raw/walk/clip 0.avi", frames=25 * SECONDS, seed=77)
    assert project.extract().embedded == AT_4_FPS * PASSES


def test_a_clip_replaced_after_it_was_indexed_is_rejected_by_name(
    project: Project, make_video
) -> None:
    path = make_video("raw/walk/new.avi", frames=25 * SECONDS, seed=98)
    project.index()
    make_video("raw/walk/new.avi", frames=25 * SECONDS, seed=99)
    project.set(max_rejected=0.5)
    run = project.run()
    assert run.returncode == 0, run.stderr
    rejected = (project.folder / "reports/rejected.csv").read_text()
    assert f"walk/{path.name},features,has changed since it was indexed" in rejected


def test_a_denser_rate_embeds_the_missing_frames_only_and_back_embeds_none(
    project: Project,
) -> None:
    sparse = project.feature_bytes()
    project.set(fps=8)
    assert project.extract().embedded == CLIPS * (AT_8_FPS - AT_4_FPS) * PASSES
    dense = project.feature_bytes()
    for fps, expected in ((4, sparse), (8, dense), (4, sparse)):
        project.set(fps=fps)
        done = project.extract()
        assert (done.embedded, done.decoded) == (0, 0)
        assert project.feature_bytes() == expected
    project.set(fps=None)
    assert project.extract().embedded == CLIPS * (25 * SECONDS - AT_8_FPS) * PASSES


def test_frames_embedded_in_two_steps_equal_those_embedded_at_once(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.set(fps=8)
    project.extract()
    in_steps = project.feature_bytes()
    monkeypatch.setenv("CLIPCACHE_DIR", str(tmp_path / "another cache"))
    assert project.extract().embedded == CLIPS * AT_8_FPS * PASSES
    assert project.feature_bytes() == in_steps


def test_a_limit_on_frames_there_and_back_embeds_nothing(project: Project) -> None:
    project.set(max_frames=3)
    assert project.extract().embedded == 0
    assert set(FeatureSet.open(project.folder / "features").lengths) == {2}
    project.set(max_frames=512)
    assert project.extract().embedded == 0


def test_another_resize_rule_is_another_key_and_back_is_free(project: Project) -> None:
    before = project.feature_bytes()
    project.set(resize="crop")
    assert project.extract().embedded == CLIPS * AT_4_FPS * PASSES
    project.set(resize="stretch")
    done = project.extract()
    assert (done.embedded, done.decoded) == (0, 0)
    assert project.feature_bytes() == before


def test_a_view_added_costs_that_view_only(project: Project) -> None:
    project.set(views=("identity", "bright"))
    done = project.extract()
    assert (done.embedded, done.flows) == (CLIPS * AT_4_FPS * PASSES, 0)
    project.set(views=("identity",))
    assert project.extract().embedded == 0
    assert FeatureSet.open(project.folder / "features").views == ("identity",)


def test_a_view_added_together_with_a_denser_rate_costs_what_is_missing(project: Project) -> None:
    project.set(views=("identity", "dark"), fps=8)
    missing = (AT_8_FPS - AT_4_FPS) * PASSES + AT_8_FPS * PASSES
    done = project.extract()
    assert (done.embedded, done.flows) == (CLIPS * missing, CLIPS * (AT_8_FPS - AT_4_FPS))


def test_a_stream_added_to_an_old_cache_costs_that_stream_only(
    tmp_path: Path, make_video, own_cache: Path
) -> None:
    for i in range(CLIPS):
        label = ("walk", "wave")[i % 2]
        make_video(f"raw/{label}/clip {i}.avi", frames=25 * SECONDS, seed=i)
    project = Project(
        tmp_path / "old", tmp_path / "raw", {"fps": 4, "streams": ("rgb",), "pooling": ("mean",)}
    )
    everything = CLIPS * AT_4_FPS
    done = project.extract()
    assert (done.embedded, done.flows) == (everything, 0)
    alone = project.feature_bytes()
    for settings, embedded, flows in (
        ({"streams": ("rgb", "flow")}, 0, everything),
        ({"streams": ("rgb", "flow", "difference")}, everything, 0),
        ({"pooling": ("mean", "place")}, everything, 0),
        ({"streams": ("rgb",), "pooling": ("mean",)}, 0, 0),
    ):
        project.set(**settings)
        done = project.extract()
        assert (done.embedded, done.flows) == (embedded, flows)
    assert project.feature_bytes() == alone


def test_streams_computed_one_by_one_equal_those_of_one_pass(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = project.feature_bytes()
    monkeypatch.setenv("CLIPCACHE_DIR", str(tmp_path / "another cache"))
    for streams in (("rgb",), ("rgb", "flow"), ("rgb", "flow", "difference")):
        project.set(streams=streams)
        project.extract()
    assert project.feature_bytes() == together


def test_more_shards_hold_the_same_clips_and_embed_nothing(project: Project) -> None:
    one = FeatureSet.open(project.folder / "features")
    project.set(shards=3)
    assert project.extract().embedded == 0
    assert len(project.feature_bytes()) == 3
    three = FeatureSet.open(project.folder / "features")
    assert three.clip_ids.tolist() == one.clip_ids.tolist()
    for i in range(len(one)):
        for name, rows in three.clip(i).items():
            assert (rows == one.clip(i)[name]).all()
        assert (three.times(i) == one.times(i)).all()


def test_a_clip_added_changes_the_bytes_of_one_of_many_feature_files(
    project: Project, make_video
) -> None:
    project.set(shards=8)
    project.extract()
    before = project.feature_bytes()
    make_video("raw/walk/new.avi", frames=25 * SECONDS, seed=99)
    project.extract()
    after = project.feature_bytes()
    assert sum(before[name] != after[name] for name in before) == 1


def test_a_second_clone_finds_everything_in_the_shared_cache(
    project: Project, tmp_path: Path
) -> None:
    shutil.copytree(project.raw, tmp_path / "elsewhere/videos")
    clone = Project(tmp_path / "elsewhere/clone", tmp_path / "elsewhere/videos", {"fps": 4})
    clone.index()
    assert embedded_frames(clone.run()) == 0
    assert clone.feature_bytes() == project.feature_bytes()
