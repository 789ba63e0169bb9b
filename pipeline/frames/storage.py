"""Videos on object storage: an fsspec URL in, a bounded temporary local file out.

OpenCV needs a local file that it may read back and forth. So whoever decodes a clip fetches its
file first, checks its digest on the way, and removes it as soon as the clip is done.
"""

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from pipeline.errors import ClipError, StorageError
from pipeline.files import scratch_folder

MAX_BYTES = 32 << 30  # of one file; a longer video has no place among clips
RESERVE_BYTES = 1 << 30  # left free on the disk of temporary files, for everybody else
CHECK_BYTES = 64 << 20  # bytes fetched between two looks at the free space
READ_BLOCK = 8 << 20  # bytes asked for at a time, where the storage allows parts
HASH_BLOCK = 1 << 20  # bytes hashed and written at a time
ATTEMPTS = 3  # at reading a file; networks fail for a moment
PAUSE_SECONDS = 1.0  # before the second attempt; twice that before the third

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
EXTENSION = re.compile(r"\.\w{1,8}(?=$|\?)")  # also before the signature of a signed address
Result = TypeVar("Result")

# Storages that hand out single files. fsspec knows more protocols, which look into archives, run
# git or join addresses to others: a table from anybody should not make this machine do that.
PROTOCOLS = frozenset(
    {
        "abfs", "abfss", "az", "file", "ftp", "gcs", "gs", "hdfs", "hf", "http", "https", "local",
        "memory", "oss", "s3", "s3a", "sftp", "smb", "ssh", "webhdfs",
    }
)  # fmt: skip
INSTALL = {  # protocols whose package fsspec does not bring
    "abfs": "adlfs",
    "az": "adlfs",
    "gcs": "gcsfs",
    "gs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "s3": "s3fs",
    "s3a": "s3fs",
    "sftp": "paramiko",
    "ssh": "paramiko",
}


def is_url(path: str) -> bool:
    """Whether `path` is a URL such as ``s3://bucket/clip.mp4`` and not a path of this machine."""
    return URL.match(path) is not None


@contextlib.contextmanager
def local_copies(urls: Sequence[str]) -> Iterator[list[tuple[Path, str]]]:
    """The files behind fsspec URLs as local ones with the same endings; gone afterwards.

    A process that is killed leaves its copies behind; the next one on that machine removes them.

    Parameters
    ----------
    urls : any protocol of fsspec: s3://, gs://, https://, file://, ...

    Yields
    ------
    For each URL: the path, and the SHA-256 of what came, computed while it streamed.

    Raises
    ------
    ClipError
        When one cannot be read, they have more than `MAX_BYTES` together, or the disk of temporary
        files has no room for them.
    StorageError
        When the protocol is unknown, or its package is not installed.
    """
    with scratch_folder("download") as folder:
        copies, total = [], 0
        for number, url in enumerate(urls):
            extension = EXTENSION.search(url)
            path = folder / f"{number}{extension[0] if extension else ''}"
            copies.append((path, _patiently(_fetch, url, path, total)))
            total += path.stat().st_size
        yield copies


def url_digest(url: str) -> tuple[str, int]:
    """SHA-256 (64 hexadecimal digits) and bytes of the file behind an fsspec URL; keeps nothing.

    Raises
    ------
    ClipError
        When it cannot be read.
    StorageError
        When the protocol is unknown, or its package is not installed.
    """
    return _patiently(_digest, url)


class _InterruptedError(Exception):
    """A failure that may pass: the connection, not the file."""


def _patiently(read: Callable[..., Result], *arguments: object) -> Result:
    """What `read` gives, also when the network fails for a moment."""
    for attempt in range(1, ATTEMPTS):
        try:
            return read(*arguments)
        except _InterruptedError:
            time.sleep(PAUSE_SECONDS * attempt)
    try:
        return read(*arguments)
    except _InterruptedError as error:
        raise ClipError(f"cannot be read ({error})") from None


def _digest(url: str) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with _open(url) as stream:
        while block := stream.read(HASH_BLOCK):
            digest.update(block)
            size += len(block)
            if size > MAX_BYTES:
                raise ClipError(f"is larger than {MAX_BYTES >> 30} GiB, the most that is fetched")
    return digest.hexdigest(), size


def _fetch(url: str, path: Path, before: int) -> str:
    """Stream a file to disk, after files of `before` bytes; its SHA-256."""
    digest, size, checked = hashlib.sha256(), before, before
    with _open(url) as stream, path.open("wb") as copy:
        expected = getattr(stream, "size", None) or 0
        _bound(before + expected, expected, path.parent)
        while block := stream.read(HASH_BLOCK):
            digest.update(block)
            size += len(block)
            if size - checked >= CHECK_BYTES:
                checked = size
                _bound(size, len(block), path.parent)
            try:
                copy.write(block)
            except OSError as error:
                raise ClipError(
                    f"cannot be fetched to {path.parent.parent} ({os.strerror(error.errno or 0)}): "
                    "make room there, or set TMPDIR to another folder"
                ) from None
        _bound(size, 0, path.parent)
    if size - before < expected:
        raise _InterruptedError(f"{size - before:,} of its {expected:,} bytes came")
    return digest.hexdigest()


def _bound(size: int, upcoming: int, folder: Path) -> None:
    """Refuse a file that is too large, or too large for the disk."""
    if size > MAX_BYTES:
        raise ClipError(f"is larger than {MAX_BYTES >> 30} GiB, the most that is fetched")
    free = shutil.disk_usage(folder).free
    if upcoming and free < upcoming + RESERVE_BYTES:
        raise ClipError(
            f"cannot be fetched: {folder.parent} has only {free / 1e9:.1f} GB free; make room "
            "there, or set TMPDIR to another folder"
        )


@contextlib.contextmanager
def _open(url: str) -> Iterator[BinaryIO]:
    """Open for reading in sequence; every failure in our own words."""
    import fsspec

    protocol = url.partition("://")[0].lower()
    known = protocol in PROTOCOLS and "::" not in url
    if not known and protocol in fsspec.available_protocols():
        raise StorageError(
            f"{url} is on {protocol}://, which is no storage of single files: unpack or copy the "
            "file, and name it by its path, or by a URL such as s3:// or https://."
        )
    try:
        filesystem, path = fsspec.url_to_fs(url)
    except ImportError as error:
        package = INSTALL.get(protocol)
        advice = f"`pip install {package}`" if package else str(error)
        raise StorageError(f"{url} is on {protocol}://, which needs one more package: "
                           f"{advice}.") from None  # fmt: skip
    except ValueError as error:
        if protocol in PROTOCOLS:
            raise ClipError(f"cannot be read ({error})") from None
        raise StorageError(
            f"{url} is on {protocol}://, which fsspec does not know: see its list of protocols, "
            "or copy the file to a folder."
        ) from None
    except Exception as error:  # each storage reads addresses in its own way
        raise ClipError(f"cannot be read ({type(error).__name__}: {error})") from None
    if protocol in ("file", "local") and not Path(path).is_file() and Path(path).exists():
        raise ClipError("cannot be read (it is no regular file)")
    try:
        with filesystem.open(path, "rb", block_size=READ_BLOCK) as stream:
            yield stream
    except (ClipError, StorageError):
        raise
    except FileNotFoundError:
        raise ClipError("cannot be read (No such file or directory)") from None
    except PermissionError as error:
        raise ClipError(f"cannot be read ({error.strerror or 'Permission denied'})") from None
    except Exception as error:  # every storage raises errors of its own
        first = (str(error).strip().splitlines() or [""])[0]
        raise _InterruptedError(f"{type(error).__name__}: {first}" if first
                                else type(error).__name__) from None  # fmt: skip
