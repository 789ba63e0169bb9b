"""Files that are either whole or not there: temporary name, fsync, rename."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import ClipcacheError, DiskError

NAME_LENGTH = 40  # characters of the final name in the temporary one; file systems allow 255 bytes
UNLOCKED_SECONDS = 7 * 24 * 3600.0  # age of leftovers that go where nothing can be locked
MOST_LINKS = 40  # that are followed, as in Linux
PROBE_BYTES = 1 << 20  # written to find out whether a disk is full
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_WRITABLE = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM,
        errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ENXIO,
    }
)  # fmt: skip


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`.

    The bytes are on disk (fsync) before the rename, so a reader sees the old file or the
    whole new one. On an exception the temporary file is removed and `path` stays as it was.
    A device, a pipe, or an open stream such as /dev/stdout is not replaced: on success the bytes
    go into it.

    Raises
    ------
    DiskError
        When there is no room, or no permission to write.
    """
    if _is_stream(path):
        with _writing(path), tempfile.TemporaryDirectory() as folder:
            yield (temporary := Path(folder, path.name))
            with temporary.open("rb") as source, _open_stream(path) as target:
                shutil.copyfileobj(source, target)
        return
    temporary = _beside(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
        except Exception:
            check_room(path)
            raise
        finally:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Find out, before the work whose result it is to hold, whether a file can be written.

    Nothing is left behind, no folder either.

    Raises
    ------
    DiskError
        When it cannot.
    """
    if _is_stream(path):
        if not os.access(path, os.W_OK):
            raise DiskError(path, os.strerror(errno.EACCES))
        return
    temporary = _beside(path)
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise DiskError(path, error.strerror or str(error)) from None
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it was not made, or another has used it since
                folder.rmdir()


def check_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse, before any work, an output that is one of the inputs or another output.

    Under another name too: through links, with another spelling. A folder as an output is replaced
    with all that is in it. Devices and pipes are let be.

    Raises
    ------
    ClipcacheError
        When one would be overwritten.
    """
    inputs = list(inputs)
    taken = {_identity(path): "what is read" for path in inputs}
    for path in outputs:
        if path.is_dir() and any(one.resolve().is_relative_to(path.resolve()) for one in inputs):
            raise ClipcacheError(
                f"{path} would be replaced, and what is read lies in it: name another folder."
            )
        if _is_stream(path):
            continue
        if use := taken.get(_identity(path)):
            raise ClipcacheError(
                f"{path} would be overwritten, and it is {use}: name another file to write."
            )
        taken[_identity(path)] = "another output of this command"


def _identity(path: Path) -> object:
    """The same for all names of a file; of one that is not there yet, its place."""
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return found.st_dev, found.st_ino


def leads_to_stdout(path: Path) -> bool:
    """Whether a path such as /dev/stdout names this process's standard output."""
    return _descriptor(path) == 1


def _is_stream(path: Path) -> bool:
    """Whether a path names a device, a pipe, a socket or an open stream."""
    try:
        kind = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)) or _descriptor(path) is not None


def _descriptor(path: Path) -> int | None:
    """The number of an open file of this process, of names that lead to one."""
    place = path.absolute()
    for _ in range(MOST_LINKS):
        if named := re.fullmatch(rf"/(?:proc/(?:self|{os.getpid()})|dev)/fd/(\d+)", str(place)):
            return int(named[1])
        try:
            place = place.parent.resolve() / place.readlink()
        except OSError:
            return None
    return None


def _open_stream(path: Path) -> BinaryIO:
    """A stream to write to, at the place where an open one stands."""
    descriptor = _descriptor(path)
    if descriptor is None:
        return path.open("wb")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return os.fdopen(os.dup(descriptor), "wb")


def check_room(path: Path) -> None:
    """Find out, after something went wrong beside `path`, whether the reason was a full disk.

    Most libraries that write files have words of their own for it, or blame something else.

    Raises
    ------
    DiskError
        When it was.
    """
    probe = _beside(path)
    try:
        with probe.open("wb") as stream:
            stream.write(bytes(PROBE_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if error.errno in FULL:
            raise DiskError(path, os.strerror(error.errno)) from None
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A name of its own in the same folder, with the same ending."""
    return path.with_name(f".{path.stem[:NAME_LENGTH]}.{uuid.uuid4().hex[:12]}{path.suffix}")


@contextlib.contextmanager
def replacing_folder(folder: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; on success it takes the place of `folder`.

    What killed runs left behind is removed first. Where two processes write the same folder at
    once, each leaves a whole one, and the later one stays.

    Parameters
    ----------
    durable : wait until every file is on disk, before the rename. Without, a power cut may leave
        empty files; for whoever writes many folders, and calls `os.sync` once at the end

    Raises
    ------
    DiskError
        When there is no room, or no permission to write.
    """
    with _writing(folder), locked_folder(folder) as temporary:
        try:
            yield temporary
        except Exception:
            check_room(folder)
            raise
        for path in temporary.rglob("*") if durable else ():
            if path.is_file():
                sync(path)
        while True:
            old = folder.with_name(f"{temporary.name}.old")
            with contextlib.suppress(FileNotFoundError):
                os.replace(folder, old)
            try:
                os.replace(temporary, folder)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            finally:
                shutil.rmtree(old, ignore_errors=True)
        if durable:
            sync(folder.parent)


@contextlib.contextmanager
def replacing_within(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; on success what is in it takes the place of its namesakes in
    `folder`, one after the other, once all of it is on disk.

    Raises
    ------
    DiskError
        When there is no room, or no permission to write; nothing in `folder` has changed then.
    """
    with _writing(folder), locked_folder(folder / "written") as temporary:
        try:
            yield temporary
        except Exception:
            check_room(folder / "written")
            raise
        for path in temporary.rglob("*"):
            if path.is_file():
                sync(path)
        for path in sorted(temporary.iterdir()):
            old = temporary / f"{path.name}.old"
            if path.is_dir() and (folder / path.name).is_dir():
                os.replace(folder / path.name, old)
            os.replace(path, folder / path.name)
        sync(folder)


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`; removed afterwards, or by a later run.

    It is locked as long as this process lives and uses it, so that others leave it alone. Where
    the file system has no locks, others leave it alone for `UNLOCKED_SECONDS`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    name = f".{folder.name[:NAME_LENGTH]}."
    for path in folder.parent.iterdir():
        if re.fullmatch(re.escape(name) + r"[0-9a-f]{12}(\.old)?", path.name):
            _remove_unless_locked(path)
    temporary = folder.with_name(name + uuid.uuid4().hex[:12])
    unlocked = temporary.with_name(f"{temporary.name}.new")  # a name that no other run sweeps away
    unlocked.mkdir()
    descriptor = os.open(unlocked, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # no locks here: NFS, FUSE
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.replace(unlocked, temporary)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(descriptor)


@contextlib.contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """A temporary folder for this user alone; gone afterwards, or by the next of its purpose."""
    name = f"clipcache-{os.getuid()}-{purpose}"
    with locked_folder(Path(tempfile.gettempdir(), name)) as folder:
        folder.chmod(0o700)
        yield folder


def _remove_unless_locked(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # locked: it belongs to a run that is alive
    except OSError:  # no locks here
        if time.time() - _last_change(folder) > UNLOCKED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


def _last_change(folder: Path) -> float:
    """When a folder or anything in it last changed, in seconds since 1970."""
    with contextlib.suppress(FileNotFoundError):  # its run goes on
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    return time.time()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Put a full or read-only disk into words."""
    try:
        yield
    except OSError as error:
        nowhere = error.errno == errno.ENOENT and not path.parent.is_dir()  # nor can it be made
        if error.errno is None or (error.errno not in NOT_WRITABLE and not nowhere):
            raise
        raise DiskError(path, os.strerror(error.errno)) from None


def as_file_name(label: str) -> str:
    """A label as the name of a file; no two labels give the same."""
    return label.replace("%2", "%252").replace("/", "%2F")


def sync(path: Path) -> None:
    """Wait until what was written to a file or folder is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """SHA-256 of the bytes of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")
