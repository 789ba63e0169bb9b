"""Nothing is lost: kills, full disks, damaged shards and rivals leave the same bytes behind."""

import contextlib
import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import only_one
from extraction import ALONE, Project, embedded_frames, shards

from pipeline.files import write_json

KILLS = 10
SETTINGS = {**ALONE, "fps": None, "views": ("identity", "hflip")}


@pytest.fixture
def project(tmp_path: Path, few_clips: Path, own_cache: Path) -> Project:
    """Twelve short clips, every frame of which is taken, in two views."""
    project = Project(tmp_path / "project", few_clips, {**SETTINGS})
    project.index()
    return project


@pytest.fixture
def undisturbed(
    project: Project, tmp_path: Path, session_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Bytes of the feature files of a run that nothing happened to; the same for all tests here."""
    known = session_folder / "undisturbed.json"
    with only_one(session_folder / "undisturbed.lock"):
        if not known.exists():
            with monkeypatch.context() as patch:
                patch.setenv("CLIPCACHE_DIR", str(tmp_path / "undisturbed"))
                run = project.run()
                assert run.returncode == 0, run.stderr
            write_json(known, project.feature_bytes())
            shutil.rmtree(project.folder / "features")
    return json.loads(known.read_text())


def is_one_sentence(stderr: str) -> bool:
    """True where an error stands alone on the last line, with no traceback or HDF5 diagnostics."""
    lines = [line for line in stderr.splitlines() if not line.startswith("Embedding ")]
    return len(lines) == 1 and lines[0].startswith("Error: ") and "Traceback" not in stderr


def test_a_run_killed_at_any_moment_is_finished_by_the_next(
    project: Project, undisturbed: dict[str, str], own_cache: Path
) -> None:
    moments = random.Random(0)
    longest, kills = 60.0, 0  # seconds that a run may take before it is killed
    for _ in range(3 * KILLS):
        started = time.monotonic()
        process = project.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0.2, 1) * longest)
        killed = process.poll() is None
        process.kill()
        process.communicate()
        if killed:
            kills += 1
        else:  # it was done: begin again, and be quicker
            assert project.feature_bytes() == undisturbed
            longest = min(longest, time.monotonic() - started)
            shutil.rmtree(own_cache)
        if kills == KILLS:
            break
    assert kills == KILLS
    run = project.run()
    assert run.returncode == 0, run.stderr
    assert project.feature_bytes() == undisturbed
    assert not list(project.folder.glob(".features*"))  # and no litter of the killed ones


# Runs the command, but dies by SIGKILL at the n-th call of a function.
DIE_AT = """
import importlib, os, signal, sys
import pipeline.store.cache
from MODULE import main

pipeline.store.cache.SHARD_CLIPS = 4
moment, name, module = int(sys.argv.pop()), sys.argv.pop(), importlib.import_module(sys.argv.pop())
owner = module
for part in name.split(".")[:-1]:
    owner = getattr(owner, part)
name = name.split(".")[-1]
function, calls = getattr(owner, name), 0

def dying(*args, **named):
    global calls
    calls += 1
    if calls == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*args, **named)

setattr(owner, name, dying)
main()
"""
# 12 clips in 2 views are 6 shards, whose embeddings are written at once, as those of each view of
# the feature file are, which comes last.
DEATHS = {
    "in the middle of the first shard": ("h5py", "Dataset.__setitem__", 1),
    "in the middle of a later shard": ("h5py", "Dataset.__setitem__", 4),
    "before a shard is on disk": ("os", "fsync", 6),
    "before a shard has its name": ("os", "replace", 5),
    "at the start of the feature file": ("pipeline.store.feature_files", "_narrow", 1),
    "in the middle of the feature file": ("h5py", "Dataset.__setitem__", 6 + 2),
    "before the features folder has its name": ("os", "replace", 12),
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_kill_in_the_middle_of_writing_leaves_nothing_half_written(
    project: Project, undisturbed: dict[str, str], death: str
) -> None:
    module, name, moment = DEATHS[death]
    dead = project.start("features", module, name, str(moment), script=DIE_AT)
    dead.communicate(timeout=100)
    assert dead.returncode == -signal.SIGKILL
    assert not (project.folder / "features").exists()
    run = project.run()
    assert run.returncode == 0, run.stderr
    assert project.feature_bytes() == undisturbed
    assert not list(project.folder.glob(".features*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets no one mount a small disk (tmpfs)")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_below_the_cache_is_one_sentence_and_loses_nothing(
    project: Project,
    undisturbed: dict[str, str],
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLIPCACHE_DIR", str(small_disk))
    full = project.run()
    assert full.returncode == 2
    assert is_one_sentence(full.stderr), full.stderr
    assert "No space left on device" in full.stderr
    assert "CLIPCACHE_DIR" in full.stderr
    assert not (project.folder / "features").exists()
    kept = shards(small_disk)
    assert kept
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    run = project.run()
    assert run.returncode == 0, run.stderr
    assert "damaged" not in run.stderr
    assert set(kept) <= set(shards(small_disk))  # what was written before the disk was full
    assert project.feature_bytes() == undisturbed


def test_a_full_disk_below_the_features_folder_keeps_the_old_files(
    project: Project, undisturbed: dict[str, str], small_disk: Path
) -> None:
    there = Project(small_disk / "project", project.raw, {**SETTINGS, "fps": 1})
    assert there.index()
    assert there.run().returncode == 0
    before = there.feature_bytes()
    there.set(fps=None)
    full = there.run()
    assert full.returncode == 2
    assert is_one_sentence(full.stderr), full.stderr
    assert "No space left on device" in full.stderr
    assert there.feature_bytes() == before
    assert not list(there.folder.glob(".features*"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    run = there.run()
    assert run.returncode == 0, run.stderr
    assert embedded_frames(run) == 0
    assert there.feature_bytes() == undisturbed


def test_a_limit_on_the_size_of_files_is_one_sentence_too(
    project: Project, undisturbed: dict[str, str]
) -> None:
    limited = project.start(
        "features",
        script="import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "from MODULE import main; main()",
    )
    err = limited.communicate(timeout=100)[1]
    assert limited.returncode == 2
    assert is_one_sentence(err), err
    assert "File too large" in err
    assert project.run().returncode == 0
    assert project.feature_bytes() == undisturbed


def damage(path: Path, how: str) -> None:
    """Spoil a shard in one of the ways that disks and people do."""
    data = bytearray(path.read_bytes())
    places = {"header": 9, "first quarter": len(data) // 4, "payload": len(data) // 2, "end": -3}
    if how in places:
        data[places[how]] ^= 0xFF
    elif how == "an index":
        at = data.index(bytes(range(0, 1)) + b"\0\0\0\1\0\0\0\2\0\0\0\3")  # int32 0, 1, 2, 3
        data[at + 4] ^= 0x10
    elif how == "zeros in the middle":
        data[len(data) // 3 : len(data) // 3 + 4096] = bytes(4096)
    else:
        data = data[: {"truncated": len(data) * 2 // 3, "one byte short": -1, "empty": 0}[how]]
    path.write_bytes(data)


HOW = ["header", "first quarter", "payload", "end", "an index", "zeros in the middle",
       "truncated", "one byte short", "empty"]  # fmt: skip


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_shard_is_set_aside_and_only_its_clips_are_embedded_again(
    project: Project, undisturbed: dict[str, str], own_cache: Path, how: str
) -> None:
    whole = project.extract().embedded
    damaged = random.Random(how).choice(shards(own_cache))
    damage(damaged, how)
    run = project.run()
    assert run.returncode == 0, run.stderr
    assert f"{damaged.name} is damaged" in run.stderr
    assert "embedded again" in run.stderr
    assert 0 < embedded_frames(run) <= whole / 2  # the other view is in another shard
    assert project.feature_bytes() == undisturbed
    assert (damaged.parent / "damaged" / damaged.name).exists()
    assert project.extract().embedded == 0


def test_every_shard_in_turn_may_be_damaged_or_deleted(
    project: Project, undisturbed: dict[str, str], own_cache: Path
) -> None:
    project.run()
    for turn, path in enumerate(shards(own_cache)):
        if turn % 3 == 0:
            path.unlink()
        else:
            damage(path, HOW[turn % len(HOW)])
        done = project.extract()
        assert done.embedded > 0
        assert project.feature_bytes() == undisturbed
    for path in shards(own_cache):
        damage(path, "payload")
    assert project.extract().cached == 0
    assert project.feature_bytes() == undisturbed


def test_two_runs_at_once_on_one_cache_are_both_right(
    project: Project, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    rival = Project(tmp_path / "rival", project.raw, {**SETTINGS})
    rival.index()
    runs = [project.start(), rival.start()]
    for run in runs:
        err = run.communicate(timeout=200)[1]
        assert run.returncode == 0, err
    assert project.feature_bytes() == rival.feature_bytes() == undisturbed


def test_two_runs_at_once_in_one_folder_leave_whole_files(
    project: Project, undisturbed: dict[str, str]
) -> None:
    project.run()  # from here on both only write the feature files, at about the same moment
    for _ in range(3):
        for run in [project.start(), project.start(), project.start()]:
            err = run.communicate(timeout=200)[1]
            assert run.returncode == 0, err
        assert project.feature_bytes() == undisturbed
    assert not list(project.folder.glob(".features*"))


def test_shards_that_another_process_removes_meanwhile_are_made_again(
    project: Project, undisturbed: dict[str, str], own_cache: Path
) -> None:
    project.run()
    run = project.start()
    for path in shards(own_cache)[:2]:
        time.sleep(0.7)
        path.unlink(missing_ok=True)
    out, err = run.communicate()
    assert run.returncode == 0, err
    assert "frames embedded" in out
    assert project.feature_bytes() == undisturbed
