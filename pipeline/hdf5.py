"""HDF5 files without locks, and damage told apart from a machine that fails.

Our files are replaced whole and never changed, so that no reader needs a lock; and many file
systems (NFS, FUSE, Lustre) have none.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import h5py

from pipeline.errors import ClipcacheError

# What h5py raises on damage, and we where a stored value is of another type than written.
DAMAGE = (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError)


class DamagedFileError(ClipcacheError):
    """The bytes are there, but they are not HDF5, or not what was written."""


class UnreadableFileError(ClipcacheError):
    """The system does not hand out the bytes; nothing is known of whether they are sound."""


def create_hdf5(path: Path, *, libver: str | None = None) -> h5py.File:
    """A new file, open for writing, on which no lock is asked for."""
    return h5py.File(path, "w", libver=libver, locking=False)


def open_hdf5(path: Path) -> h5py.File:
    """A file open for reading, without a lock, also while another program has it open.

    Raises
    ------
    OSError
        With an errno where the system refuses, without one where the file is not HDF5.
    """
    with contextlib.suppress(OSError):
        return h5py.File(path, "r", locking=False)
    # A program that opened it for writing, and may have been killed since, left a mark in it for
    # which HDF5 refuses the file; and HDF5_USE_FILE_LOCKING=TRUE makes it ask for a lock after all.
    # Neither is so where Python does the reading.
    return h5py.File(path.open("rb"), "r")


@contextlib.contextmanager
def reading_hdf5(path: Path) -> Iterator[h5py.File]:
    """A file open for reading; whatever goes wrong meanwhile is said to be what it is.

    Raises
    ------
    DamagedFileError
        When the contents are not what was written; each message completes "<file> is damaged: ".
    UnreadableFileError
        When the system fails: no permission, no memory, too many open files, a failing disk, ...;
        each message completes "<file> cannot be read: ".
    FileNotFoundError
        When it is gone.
    """
    try:
        with open_hdf5(path) as file:
            _check_sizes(file, path)
            yield file
    except FileNotFoundError:
        raise
    except MemoryError:
        raise UnreadableFileError("there is not enough memory") from None
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadableFileError(os.strerror(error.errno)) from None
        reason = " ".join(str(error).split())
        if failure := _read_through(path):
            raise UnreadableFileError(failure) from None
        raise DamagedFileError(reason) from None


def _check_sizes(file: h5py.File, path: Path) -> None:
    """Find a length that was damaged before memory is asked for: nothing of ours is compressed."""
    size = path.stat().st_size

    def check(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.nbytes > size:
            raise ValueError(f"{name} is larger than the file")

    file.visititems(check)


def _read_through(path: Path) -> str:
    """Why the system does not hand out all bytes of a file; "" where it does."""
    try:
        with path.open("rb") as stream:
            while stream.read(1 << 20):
                pass
    except FileNotFoundError:
        raise
    except OSError as error:
        return error.strerror or str(error)
    return ""
