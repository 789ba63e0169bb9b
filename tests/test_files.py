"""Files and folders are whole or not there."""

import errno
import fcntl
import os
import resource
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import ClipcacheError, DiskError
from pipeline.files import (
    check_apart,
    check_writable,
    replacing,
    replacing_folder,
    replacing_within,
    sha256,
    write_json,
    write_text,
)


def everything_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert everything_in(path.parent) == ["a.txt"]


def test_a_failure_keeps_the_old_file_and_leaves_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(FileNotFoundError), replacing(path) as temporary:
        temporary.unlink(missing_ok=temporary.write_text("half") > 0)
    assert path.read_text() == "old"
    assert everything_in(tmp_path) == ["a.txt"]


def test_a_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for name in ("first", "second"):
        with replacing_folder(folder) as temporary:
            write_text(temporary / name, name)
    assert everything_in(folder) == ["second"]
    assert everything_in(tmp_path) == ["out"]


def test_a_failure_keeps_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with replacing_folder(folder) as temporary:
        write_text(temporary / "old", "")
    with pytest.raises(ZeroDivisionError), replacing_folder(folder) as temporary:
        write_text(temporary / "new", str(1 / 0))
    assert everything_in(folder) == ["old"]
    assert everything_in(tmp_path) == ["out"]


def test_what_killed_runs_left_is_removed_but_not_what_others_write_or_own(tmp_path: Path) -> None:
    names = [".out.0123456789ab", ".out.0123456789ac.old", ".out.0123456789ad", ".out.mine"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    descriptor = os.open(tmp_path / names[2], os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # as a run that is alive holds it
    with replacing_folder(tmp_path / "out"):
        pass
    os.close(descriptor)
    assert everything_in(tmp_path) == [".out.0123456789ad", ".out.mine", "out"]


def test_many_that_replace_one_folder_at_once_each_leave_it_whole(tmp_path: Path) -> None:
    folder, failures = tmp_path / "out", []

    def write(name: str) -> None:
        try:
            for _ in range(20):
                with replacing_folder(folder) as temporary:
                    (temporary / "a").write_text(name)
                    (temporary / "b").write_text(name)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(str(i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert (folder / "a").read_text() == (folder / "b").read_text()
    assert everything_in(tmp_path) == ["out"]


def test_a_full_disk_is_put_into_words(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(DiskError, match=r"a.txt cannot be written \(No space left.*make room"), \
            replacing(tmp_path / "a.txt"):  # fmt: skip
        raise full
    with pytest.raises(DiskError, match=r"out cannot be written"), \
            replacing_folder(tmp_path / "out"):  # fmt: skip
        raise full
    assert everything_in(tmp_path) == []


def test_a_place_that_is_none_is_put_into_words(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for path in (
        tmp_path / "folder.png",
        Path("/proc/nowhere/a.png"),
        tmp_path / f"{300 * 'a'}.png",
    ):
        with pytest.raises(DiskError, match="cannot be written"), replacing(path) as temporary:
            temporary.write_bytes(b"picture")
    assert everything_in(tmp_path) == ["folder.png"]


def test_other_errors_are_not_blamed_on_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        raise FileNotFoundError(errno.ENOENT, "gone")


def test_names_of_the_greatest_length_can_be_replaced(tmp_path: Path) -> None:
    name = "ü" * 125 + ".txt"
    write_text(tmp_path / name, "x")
    with replacing_folder(tmp_path / ("ü" * 127)):
        pass
    assert (tmp_path / name).read_text() == "x"


def test_json_is_readable_and_keeps_unicode(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"label": "Kopfstoß"})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n  "label": "Kopfstoß"\n}\n'


def test_the_digest_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_to_ask_whether_a_file_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("a.csv", "there/b.csv", "new/deep/c.csv"):
        check_writable(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DiskError, match=r"below\.csv cannot be written"):
        check_writable(tmp_path / "file/below.csv")


def library_blames_something_else(path: Path) -> None:
    """What TensorFlow, OpenCV and HDF5 do on a full disk."""
    try:
        path.write_bytes(bytes(1 << 22))
    except OSError:
        raise RuntimeError("the codec is not supported") from None


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file of this process may grow beyond 64 KiB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_found_whatever_a_library_says(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"a\.mp4 cannot be written"), \
            replacing(tmp_path / "a.mp4") as path:  # fmt: skip
        library_blames_something_else(path)
    with pytest.raises(DiskError, match="out cannot be written"), \
            replacing_folder(tmp_path / "out") as folder:  # fmt: skip
        library_blames_something_else(folder / "model")
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(DiskError, match="cannot be written"), \
            replacing_within(tmp_path) as folder:  # fmt: skip
        library_blames_something_else(folder / "a.txt")
    assert everything_in(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "before"


def test_other_failures_are_not_blamed_on_a_disk_with_room(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="codec"), replacing(tmp_path / "a.mp4"):
        raise RuntimeError("the codec is not supported")
    assert everything_in(tmp_path) == []


def test_several_files_and_folders_are_replaced_together(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    for text in ("one", "two"):
        with replacing_within(reports) as folder:
            (folder / "plots").mkdir()
            (folder / "plots" / text).write_text(text)
            (folder / "metrics.json").write_text(text)
    (reports / "other").write_text("stays")
    assert everything_in(reports) == ["metrics.json", "other", "plots"]
    assert everything_in(reports / "plots") == ["two"]
    assert (reports / "metrics.json").read_text() == "two"


def test_a_pipe_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    came: list[bytes] = []
    reader = threading.Thread(target=lambda: came.append(pipe.read_bytes()))
    reader.start()
    check_writable(pipe)
    write_text(pipe, "told")
    reader.join()
    assert came == [b"told"]
    assert pipe.is_fifo()
    assert everything_in(tmp_path) == ["pipe.txt"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes devices")
def test_a_device_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    device, link = tmp_path / "null", tmp_path / "link"
    os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    link.symlink_to(device)
    for path in (device, link):
        check_writable(path)
        write_text(path, "lost")
        assert path.is_char_device()


@pytest.mark.parametrize("form", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_an_open_file_is_written_to_where_it_stands(tmp_path: Path, form: str) -> None:
    with (tmp_path / "out").open("w+") as stream:
        stream.write("before ")
        stream.flush()
        path = Path(form.format(stream.fileno()))
        if form == "link":
            path = tmp_path / "link"
            path.symlink_to(f"/proc/self/fd/{stream.fileno()}")
        write_text(path, "told")
        stream.write(" after")
    assert (tmp_path / "out").read_text() == "before told after"


def test_a_failure_writes_nothing_to_a_stream(tmp_path: Path) -> None:
    with (
        (tmp_path / "out").open("w") as stream,
        pytest.raises(RuntimeError),
        replacing(Path(f"/dev/fd/{stream.fileno()}")) as path,
    ):
        raise RuntimeError(path.write_text("half"))
    assert (tmp_path / "out").read_text() == ""


def test_an_input_is_no_output_under_any_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    video = tmp_path / "clips/a.mp4"
    video.parent.mkdir()
    video.write_bytes(b"video")
    (tmp_path / "linked").symlink_to("clips")
    (tmp_path / "link.mp4").symlink_to(video)
    os.link(video, tmp_path / "hard.mp4")
    for name in ("clips/a.mp4", "linked/a.mp4", "link.mp4", "hard.mp4", "clips/../clips/a.mp4",
                 "clips", "linked", "."):  # fmt: skip
        with pytest.raises(ClipcacheError, match="name another"):
            check_apart([Path(name)], [Path("clips/a.mp4")])
    with pytest.raises(ClipcacheError, match="another output"):
        check_apart([Path("new.csv"), Path("linked/../new.csv")], [])
    check_apart([Path("/dev/null"), Path("/dev/null"), Path("clips/b.mp4")], [video])
