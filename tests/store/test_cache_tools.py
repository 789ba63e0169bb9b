"""`clipcache cache info`, `verify` and `gc`."""

import os
import shutil
import time
from pathlib import Path

import pytest
from extraction import Project, shards

from pipeline.commands.cache import gc, info, verify
from pipeline.errors import CacheError, FeaturesError
from pipeline.frames.streams import STREAMS
from pipeline.store.cache import LEFTOVER_SECONDS


@pytest.fixture
def project(tmp_path: Path, make_dataset, own_cache: Path) -> Project:
    project = Project(tmp_path / "project", make_dataset(frames=25), {"fps": 4})
    project.extract()
    return project


READINGS = len(STREAMS)  # with one view


def spoil(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[-50] ^= 0xFF
    shard.write_bytes(data)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.h5"))


def test_info_lists_clips_and_frames_by_extractor_and_view(
    project: Project, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    project.set(resize="crop", views=("identity",))
    project.extract()
    info()
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if "identity" in line]
    assert len(lines) == 2 * READINGS
    for rule in ("stretch", "crop"):
        of_rule = [line for line in lines if rule in line]
        streams = [name for line in of_rule for name in STREAMS if f" {name}/identity " in line]
        assert sorted(streams) == sorted(STREAMS)
    assert all(" 6 " in line for line in lines)  # clips


def test_info_of_an_empty_cache_says_so(own_cache: Path, capsys: pytest.CaptureFixture) -> None:
    info()
    assert "is empty" in " ".join(capsys.readouterr().out.split())


def test_info_of_a_damaged_shard_goes_on(
    project: Project, own_cache: Path, capsys: pytest.CaptureFixture
) -> None:
    shard = shards(own_cache)[0]
    shard.write_bytes(shard.read_bytes()[:1000])
    info()
    out = capsys.readouterr().out
    assert f"{shard.name} is damaged" in out
    assert "cache verify" in out


def test_verify_finds_every_damaged_shard_and_the_next_run_mends_it(
    project: Project, own_cache: Path, capsys: pytest.CaptureFixture
) -> None:
    verify()
    assert f"{READINGS} shards, all sound" in capsys.readouterr().out
    before = project.feature_bytes()
    for shard in shards(own_cache):
        spoil(shard)
    with pytest.raises(CacheError, match=f"{READINGS} of {READINGS} shards were damaged"):
        verify()
    assert shards(own_cache) == []
    verify()
    assert project.extract().cached == 0
    assert project.feature_bytes() == before


def test_gc_first_says_what_it_would_drop_and_changes_nothing(
    project: Project, own_cache: Path, capsys: pytest.CaptureFixture
) -> None:
    shutil.rmtree(project.raw / "walk/")
    shutil.copytree(project.raw / "wave", project.raw / "other")
    project.extract()
    there = {path: path.read_bytes() for path in own_cache.rglob("*.h5")}
    gc([project.folder / "features"], yes=False)
    out = capsys.readouterr().out
    assert f"Would drop {3 * READINGS} entries" in out
    assert "--yes does it" in out
    assert {path: path.read_bytes() for path in own_cache.rglob("*.h5")} == there


def test_gc_drops_what_no_features_folder_uses_and_nothing_else(
    project: Project, own_cache: Path, capsys: pytest.CaptureFixture
) -> None:
    project.set(resize="crop")
    project.extract()
    project.set(resize="stretch")
    (project.raw / "walk/anna_walk.avi").unlink()
    project.extract()
    before, bytes_before = size(own_cache), project.feature_bytes()
    gc([project.folder / "features"], yes=True)
    # six cropped clips, and one that was removed
    assert f"Dropped {7 * READINGS} entries" in capsys.readouterr().out
    assert size(own_cache) < 0.6 * before
    shutil.rmtree(project.folder / "features")
    assert project.extract().embedded == 0
    assert project.feature_bytes() == bytes_before
    gc([project.folder / "features"], yes=True)
    assert "Dropped 0 entries" in capsys.readouterr().out


def test_gc_keeps_what_any_of_the_named_folders_uses(project: Project) -> None:
    shutil.copytree(project.folder / "features", project.folder / "old")
    project.set(fps=8)
    project.extract()
    gc([project.folder / "old", project.folder / "features"], yes=True)
    assert project.extract().embedded == 0
    project.set(fps=4)
    assert project.extract().embedded == 0


def test_gc_does_not_need_the_description_of_an_extractor(
    project: Project, own_cache: Path
) -> None:
    for path in own_cache.rglob("extractor.json"):
        path.write_text("damaged")
    gc([project.folder / "features"], yes=True)
    assert project.extract().embedded == 0


def test_gc_removes_damaged_and_unfinished_shards(project: Project, own_cache: Path) -> None:
    shard = shards(own_cache)[0]
    spoil(shard)
    with pytest.raises(CacheError):
        verify()
    unfinished = shard.with_name(".unfinished.h5")
    unfinished.write_bytes(b"half")
    os.utime(unfinished, (time.time() - 2 * LEFTOVER_SECONDS,) * 2)
    project.extract()
    gc([project.folder / "features"], yes=True)
    assert not list(own_cache.rglob("damaged/*.h5"))
    assert not unfinished.exists()
    assert project.extract().embedded == 0


def test_gc_does_not_pass_off_a_part_of_a_damaged_shard_as_sound(
    project: Project, own_cache: Path, capsys: pytest.CaptureFixture
) -> None:
    (project.raw / "walk/anna_walk.avi").unlink()
    project.extract()
    for shard in shards(own_cache):
        spoil(shard)
    gc([project.folder / "features"], yes=True)
    assert "left alone" in capsys.readouterr().out
    with pytest.raises(CacheError, match=f"{READINGS} of {READINGS} shards"):
        verify()


def test_gc_without_a_features_folder_drops_nothing(project: Project, tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match="Nothing was dropped"):
        gc([tmp_path / "nowhere"], yes=True)
    assert project.extract().embedded == 0
