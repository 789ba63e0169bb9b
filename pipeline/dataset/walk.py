"""Files below a folder: what is ignored, which links are followed, in which order they stand."""

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import DatasetError
from pipeline.wording import some

IGNORED_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin"})


@dataclass
class Links:
    """Links that people may want to hear of, by their relative paths.

    Attributes
    ----------
    outward : those that lead out of the folder
    broken : those that lead nowhere, or to what is neither a file nor a folder
    """

    outward: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def find_files(
    folder: Path,
    extensions: Collection[str] | None = None,
    links: Links | None = None,
    *,
    leave: bool = True,
) -> list[str]:
    """Files below `folder`, at any depth, as sorted relative paths with forward slashes.

    Hidden files and what operating systems leave behind are passed over, at any depth. Links that
    loop or lead to a folder that holds `folder` are not followed, and others that lead out of it
    only if it may be left.

    Parameters
    ----------
    extensions : lower-case, with their dots; upper-case endings count too; None: all files
    links : filled with links of note
    leave : follow the links that lead out of `folder`; not where strangers may make links

    Raises
    ------
    DatasetError
        When a folder cannot be read, or a name is no text of one line.
    """
    root = os.path.realpath(folder)
    links = Links() if links is None else links
    names = sorted(_walk(str(folder), "", (root,), extensions, links, leave))
    foreign = [repr(name) for name in names if not is_text(name)]
    if foreign:
        raise DatasetError(
            f"{some(foreign)} below {folder} has a name that is not valid UTF-8, or holds control "
            "characters such as line ends: rename it."
        )
    return names


def _walk(
    folder: str, below: str, above: tuple[str, ...], extensions: Collection[str] | None,
    links: Links, leave: bool,
) -> Iterator[str]:  # fmt: skip
    """`above` are the real paths from the root down to `folder`: a link to one of them loops."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DatasetError(
            f"{folder} cannot be read ({error.strerror}): mend its permissions, or remove it."
        ) from None
    for entry in entries:
        if is_ignored(entry.name):
            continue
        name = below + entry.name
        real = f"{above[-1]}/{entry.name}"
        of_kind = extensions is None or extension(entry.name) in extensions
        is_folder, is_file = _kind(entry)
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            if of_kind and not is_folder and not is_file:
                links.broken.append(name)
            if not (is_folder or (is_file and of_kind)):
                continue
            if not inside(real, above[0]):
                links.outward.append(name)
                if not leave or inside(above[0], real):
                    continue
            if real in above:
                continue
        if is_folder:
            yield from _walk(entry.path, f"{name}/", (*above, real), extensions, links, leave)
        elif is_file and of_kind:
            yield name


def _kind(entry: "os.DirEntry[str]") -> tuple[bool, bool]:
    """Whether it is a folder, and whether a regular file; neither where a link leads nowhere."""
    try:
        return entry.is_dir(), entry.is_file()
    except OSError:  # a link to itself, a folder that may not be entered, a disk that is gone
        return False, False


def extension(name: str) -> str:
    """The extension in lower case, with its dot."""
    return f".{name.rpartition('.')[2].lower()}"


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or the operating system's own."""
    return name.startswith(".") or name.lower() in IGNORED_NAMES


def inside(path: str, folder: str) -> bool:
    """Whether a real path lies in a real folder, or is it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_text(name: str) -> bool:
    """False for a name that is no text (Python keeps its bytes as lone surrogates) of one line."""
    return name.isprintable() or not any(
        unicodedata.category(character) in ("Cc", "Cs") for character in name
    )


def natural_key(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers inside names by their value: frame2 before frame10."""
    return [
        (int(part), part) if part.isdigit() and part.isascii() else (-1, part)
        for part in re.split(r"(\d+)", name.casefold())
    ]


def by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    """The files of each folder, in natural order."""
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    return {folder: sorted(files, key=natural_key) for folder, files in folders.items()}
