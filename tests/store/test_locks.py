"""Locks of others, and file systems without any: neither is damage, and neither is needed."""

import ctypes.util
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clone import ROOT
from small_features import SmallProject, write_small_project
from test_shards import entry

from pipeline.errors import CacheError, FeaturesError, ModelError
from pipeline.files import replacing_folder
from pipeline.head.network_files import load_litert
from pipeline.store.cache import EmbeddingCache, ShardWriter
from pipeline.store.cache_tools import collect, describe, verify
from pipeline.store.extractor_spec import ExtractorSpec
from pipeline.store.shards import DamagedShardError, check_shard, read_entries

EXTRACTOR = ExtractorSpec("0" * 64, 224, "stretch", "float32")
HOLD = """
import sys, time, h5py
files = [h5py.File(path, "r+") for path in sys.argv[1:]]
print("held", flush=True)
time.sleep(60)
"""
WORK = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
import pytest
from test_shards import entry
from small_features import write_small_project
from pipeline.files import replacing_folder
from pipeline.head.network_files import load_litert
from pipeline.store.cache import EmbeddingCache, ShardWriter
from pipeline.store.cache_tools import verify
from pipeline.store.extractor_spec import ExtractorSpec
cache = EmbeddingCache(ExtractorSpec("0" * 64, 224, "stretch", "float32"), "identity", print)
with ShardWriter(cache.folder) as writer:
    writer.add(entry(1))
cache.refresh()
print(verify(), cache.check([entry(1).digest]), cache.read(entry(1).digest, entry(1).frame).shape)
with replacing_folder(Path("made")) as folder:
    (folder / "whole").touch()
print(len(write_small_project(Path("project")).features()), Path("made/whole").exists())
"""
NO_LOCKS = "#include <errno.h>\nint flock(int fd, int op) { errno = ENOLCK; return -1; }\n"


@pytest.fixture
def cache(own_cache: Path) -> EmbeddingCache:
    cache = EmbeddingCache(EXTRACTOR, "identity", pytest.fail)
    with ShardWriter(cache.folder) as writer:
        writer.add(entry(1))
    cache.refresh()
    return cache


@pytest.fixture
def shard(cache: EmbeddingCache) -> Path:
    (path,) = cache.folder.glob("*.h5")
    return path


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return write_small_project(tmp_path / "project")


@pytest.fixture(params=["held", "left open by a killed program"])
def opened(
    shard: Path, project: SmallProject, request: pytest.FixtureRequest
) -> Iterator[list[Path]]:
    """A shard and a feature file that another program has, or had, open for writing."""
    paths = [shard, *project.features_folder.glob("*.h5")]
    command = [sys.executable, "-c", HOLD, *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        if request.param != "held":
            holder.kill()
            holder.wait()
        yield paths
        holder.kill()


def test_what_another_program_has_open_is_read(
    opened: list[Path], project: SmallProject, cache: EmbeddingCache
) -> None:
    again = EmbeddingCache(EXTRACTOR, "identity", pytest.fail)
    assert again.check([entry(1).digest])
    assert (again.read(entry(1).digest, entry(1).frame) == entry(1).embedding).all()
    assert [len(one.frame) for one in read_entries(opened[0])] == [3]
    done = verify()
    assert (done.shards, done.damaged, done.unreadable) == (1, [], [])
    assert describe()[1] == []
    assert len(project.features()) == 32
    assert all(path.exists() for path in opened)


@pytest.mark.parametrize("locking", [None, "FALSE"])
def test_a_file_system_without_locks_serves(tmp_path: Path, locking: str | None) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or ctypes.util.find_library("c") is None:
        pytest.skip("needs a C compiler, to take the locks away")
    (tmp_path / "nolock.c").write_text(NO_LOCKS)
    library = tmp_path / "nolock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "nolock.c"], check=True)
    environment = os.environ | {
        "LD_PRELOAD": str(library), "CLIPCACHE_DIR": str(tmp_path / "cache"),
    } | ({"HDF5_USE_FILE_LOCKING": locking} if locking else {})  # fmt: skip
    paths = [str(ROOT), *(str(ROOT / "tests" / room) for room in ("", "store"))]
    done = subprocess.run(
        [sys.executable, "-c", WORK.format(paths=paths)],
        check=False, cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Verified(shards=1, damaged=[], unreadable=[]) True (3, 1280)",
        "32 True",
    ]


def test_leftovers_go_after_a_while_where_nothing_can_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    old, new = tmp_path / ".made.0123456789ab", tmp_path / ".made.0123456789ac"
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (1e9, 1e9))
    with replacing_folder(tmp_path / "made"):
        pass
    assert not old.exists()
    assert new.exists()  # somebody may be writing it


@pytest.mark.parametrize("reason", ["Too many levels of symbolic links", "Is a directory"])
def test_what_the_system_does_not_hand_out_is_not_damaged(
    cache: EmbeddingCache, shard: Path, reason: str
) -> None:
    sound = shard.read_bytes()
    shard.unlink()
    shard.mkdir() if reason == "Is a directory" else shard.symlink_to(shard)
    said: list[str] = []
    reader = EmbeddingCache(EXTRACTOR, "identity", said.append)
    reader.refresh()
    assert reader.find(entry(1).digest) is None
    assert len(said) == 1
    assert f"{shard.name} cannot be read: {reason}. It stays where it is" in said[0]
    done = verify()
    assert (done.shards, done.damaged, len(done.unreadable)) == (1, [], 1)
    assert [sentence.count("damaged") for sentence in describe()[1]] == [0]
    assert [path.name for path in shard.parent.iterdir()] == [shard.name]
    shard.rmdir() if reason == "Is a directory" else shard.unlink()
    shard.write_bytes(sound)
    assert verify().damaged == []


def test_too_many_open_files_are_no_damage(shard: Path, project: SmallProject) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    check_shard(shard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(CacheError, match="cannot be read: Too many open files") as raised:
            check_shard(shard)
        with pytest.raises(FeaturesError) as features:
            project.features()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not isinstance(raised.value, DamagedShardError)
    assert "delete" not in str(features.value)


def test_a_length_that_was_damaged_is_no_lack_of_memory(shard: Path) -> None:
    import h5py

    with h5py.File(shard, "r+") as file:
        digests = file["digest"][()]
        del file["digest"]
        file.create_dataset("digest", (1 << 40,), digests.dtype)
    with pytest.raises(DamagedShardError, match="digest is larger than the file"):
        check_shard(shard)


def test_collecting_leaves_alone_what_cannot_be_read(shard: Path, project: SmallProject) -> None:
    shard.unlink()
    shard.symlink_to(shard)
    done = collect([project.features_folder], really=True)
    assert len(done.left_alone) == 1
    assert "damaged" not in done.left_alone[0]
    assert shard.is_symlink()


def test_a_model_that_the_system_does_not_hand_out_need_not_be_trained_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "head.tflite"
    path.symlink_to(path)
    with pytest.raises(ModelError, match="as far as is known the file is sound") as raised:
        load_litert(path)
    assert "train again" not in str(raised.value)
