"""Several clips of one video, and clips of images, through the whole stage `features`."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from extraction import ALONE, Project, shards

from pipeline.commands.cache import gc, verify
from pipeline.dataset.clips import Clip, read_rejected
from pipeline.dataset.sources import ClipFiles
from pipeline.files import sha256
from pipeline.frames.sources import source_digest
from pipeline.stages.features import Extraction, extract_features
from pipeline.store.feature_files import FeatureSet

FPS, SECONDS = 25, 4


@pytest.fixture
def project(tmp_path: Path, make_video, own_cache: Path) -> Project:
    """Two videos of four seconds, every frame embedded in one view; the engine is a null engine."""
    for seed, name in enumerate(("walk/long.avi", "wave/other.avi")):
        make_video(f"raw/{name}", frames=FPS * SECONDS, fps=FPS, seed=seed)
    return Project(tmp_path / "project", tmp_path / "raw", {**ALONE, "fps": None})


def clip(project: Project, path: str, start: float | None = None, end: float | None = None) -> Clip:
    """A clip, or a segment where it has a start or an end."""
    part = "" if (start, end) == (None, None) else f"#{start or 0:.2f}-{end or SECONDS:.2f}"
    file = project.raw / path
    return Clip(path + part, file.parent.name, path, sha256(file), 1,
                path=path, start=start, end=end)  # fmt: skip


def extract(project: Project, clips: list[Clip], **files: list[str]) -> Extraction:
    return extract_features(
        project.params, clips, images=files, setup=project.setup,
        folder=project.folder / "features", rejected=project.folder / "rejected.csv",
    )  # fmt: skip


def rows(project: Project, clip_id: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, times and embeddings of a clip."""
    features = FeatureSet.open(project.folder / "features")
    i = features.position(clip_id)
    return features.frames(i), features.times(i), np.array(features.embeddings(i))


LONG = "walk/long.avi"


def test_what_moves_in_a_segment_is_what_moves_there_in_the_whole(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also at its ends, where the frames around a sampled one lie outside of the segment."""
    project.settings = {"fps": 12}
    project.set()
    whole, part = clip(project, LONG), clip(project, LONG, 1.0, 2.0)
    extract(project, [whole, clip(project, "wave/other.avi")])
    features = FeatureSet.open(project.folder / "features")
    expected = features.clip(features.position(LONG))
    inside = (features.frames(0) >= FPS) & (features.frames(0) < 2 * FPS)
    monkeypatch.setenv("CLIPCACHE_DIR", str(tmp_path / "another cache"))
    extract(project, [part, clip(project, "wave/other.avi")])
    features = FeatureSet.open(project.folder / "features")
    for name, rows_of_part in features.clip(features.position(part.clip_id)).items():
        np.testing.assert_array_equal(rows_of_part, expected[name][inside][: len(rows_of_part)])


def test_all_segments_of_a_video_are_decoded_once_and_hold_the_frames_of_the_whole(
    project: Project,
) -> None:
    parts = [clip(project, LONG, *ends) for ends in ((0.0, 1.0), (0.5, 2.0), (3.0, None))]
    whole, other = clip(project, LONG), clip(project, "wave/other.avi")
    done = extract(project, [*parts, whole, other])
    assert (done.clips, done.decoded, done.embedded) == (5, 2, 2 * FPS * SECONDS)
    frames, times, embeddings = rows(project, LONG)
    assert frames.tolist() == list(range(FPS * SECONDS))
    assert len(np.unique(embeddings[:, :200], axis=0)) > 20  # frames that can be told apart
    for part in parts:
        inside = (times >= part.start - 1e-5) & (times < (part.end or SECONDS) - 1e-5)
        here = rows(project, part.clip_id)
        assert here[0].tolist() == frames[inside].tolist()
        assert here[1] == pytest.approx(times[inside] - part.start, abs=1e-5)
        assert np.array_equal(here[2], embeddings[inside])
    before = project.feature_bytes()
    again = extract(project, [*parts, whole, other])
    assert (again.cached, again.decoded, again.embedded) == (5, 0, 0)
    assert project.feature_bytes() == before


def test_another_segment_of_a_cached_video_embeds_only_its_own_frames(
    project: Project, own_cache: Path, tmp_path: Path
) -> None:
    first, second = clip(project, LONG, 0.0, 1.0), clip(project, LONG, 0.6, 2.0)
    assert extract(project, [first]).embedded == FPS
    done = extract(project, [first, second])
    assert (done.cached, done.decoded, done.embedded) == (0, 1, FPS)
    before = project.feature_bytes()
    own_cache.rename(tmp_path / "set aside")
    at_once = extract(project, [first, second])
    assert (at_once.decoded, at_once.embedded) == (1, 2 * FPS)
    assert project.feature_bytes() == before


def test_a_segment_is_sampled_from_its_own_first_frame(project: Project) -> None:
    project.set(fps=5)
    part = clip(project, LONG, 0.5, 1.5)
    extract(project, [part, clip(project, LONG)])
    assert rows(project, LONG)[0].tolist() == list(range(0, FPS * SECONDS, 5))
    frames, times, embeddings = rows(project, part.clip_id)
    assert frames.tolist() == [13, 18, 23, 28, 33]
    assert times == pytest.approx([0.02, 0.22, 0.42, 0.62, 0.82], abs=1e-5)
    project.set(fps=None)
    extract(project, [clip(project, LONG)])
    assert np.array_equal(embeddings, rows(project, LONG)[2][frames])


def test_segments_without_a_frame_are_rejected_in_a_sentence_and_not_tried_again(
    project: Project,
) -> None:
    behind, between = clip(project, LONG, 9.0, 11.0), clip(project, LONG, 1.001, 1.002)
    good = [clip(project, LONG, i / 4, i / 4 + 1) for i in range(12)]
    project.set(max_rejected=0.2)
    for decoded in (1, 0):
        done = extract(project, [*good, behind, between])
        assert done.decoded == decoded
        assert len(FeatureSet.open(project.folder / "features")) == 12
        reasons = {
            row.clip_id: row.reason for row in read_rejected(project.folder / "rejected.csv")
        }
        assert reasons == {
            behind.clip_id: "starts at 9 s, but the last frame of the video is at 3.96 s",
            between.clip_id: "no frame of the video lies between 1.001 s and 1.002 s; the last "
            "frame of the video is at 3.96 s",
        }  # fmt: skip


def test_a_video_of_which_no_segment_holds_a_frame_is_decoded_once(project: Project) -> None:
    behind, other = clip(project, LONG, 9.0, 11.0), clip(project, "wave/other.avi")
    project.set(max_rejected=0.5)
    for decoded, embedded in ((2, FPS * SECONDS), (0, 0)):
        done = extract(project, [behind, other])
        assert (done.decoded, done.embedded) == (decoded, embedded)
        assert [row.clip_id for row in done.rejected] == [behind.clip_id]


def test_a_broken_video_rejects_all_of_its_segments(project: Project) -> None:
    (project.raw / LONG).write_bytes(b"no video")
    parts = [clip(project, LONG, i, i + 1) for i in range(3)]
    project.set(max_rejected=0.8)
    done = extract(project, [*parts, clip(project, "wave/other.avi")])
    assert done.decoded == 2
    assert {row.clip_id for row in done.rejected} == {part.clip_id for part in parts}


def test_the_cache_is_kept_for_segments_and_for_nothing_else(
    project: Project, own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [clip(project, LONG, 0.0, 1.0), clip(project, LONG, 2.0, 3.0)]
    extract(project, [*parts, clip(project, "wave/other.avi")])
    extract(project, parts)
    gc([project.folder / "features"], yes=True)
    assert "Dropped 1 entries with 100 frames" in capsys.readouterr().out
    verify()
    assert len(shards(own_cache)) == 1
    assert extract(project, parts).decoded == 0


def test_segments_of_copies_are_one_video(project: Project) -> None:
    copy = project.raw / "walk/copy.avi"
    copy.write_bytes((project.raw / LONG).read_bytes())
    done = extract(project, [clip(project, LONG, 0.0, 1.0), clip(project, "walk/copy.avi")])
    assert (done.decoded, done.embedded) == (1, FPS * SECONDS)


def test_clips_of_images_are_embedded_in_the_order_of_images_csv(project: Project) -> None:
    names = []
    for i in (2, 10, 1):  # not the order of their names
        picture = np.full((48, 64, 3), 20 * i, np.uint8)
        names.append(f"still/{i}.png")
        (project.raw / "still").mkdir(exist_ok=True)
        cv2.imwrite(str(project.raw / names[-1]), picture)
    images = Clip("still/seq", "still", "s", "0" * 64, 1, kind="images")
    source = ClipFiles(project.raw, {"still/seq": names}).source(images)
    images = replace(images, digest=source_digest(source))
    done = extract(project, [images, clip(project, LONG, 0.0, 1.0)], **{"still/seq": names})
    assert (done.decoded, done.embedded, done.rejected) == (2, 3 + FPS, [])
    frames, times, embeddings = rows(project, "still/seq")
    assert frames.tolist() == [0, 1, 2]
    assert times == pytest.approx([0, 0.04, 0.08])
    assert embeddings[:, 0].tolist() == [40, 200, 20]
