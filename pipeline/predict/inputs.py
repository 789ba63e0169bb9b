"""What is named on the command line: files, folders to search, and folders of frames."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.dataset.walk import find_files, is_ignored, natural_key
from pipeline.errors import ClipError
from pipeline.frames.images import IMAGE_EXTENSIONS, IMAGE_FPS
from pipeline.frames.sources import Source, file_source
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.wording import some

SAVE = "decoders go back and forth in a video, so save it to a file and name that"
SEARCHED = VIDEO_EXTENSIONS | IMAGE_EXTENSIONS


@dataclass(frozen=True)
class Input:
    """One clip: its name as it is shown, and where its frames are."""

    name: str
    source: Source


def find_inputs(paths: Sequence[Path]) -> list[Input]:
    """A clip for every file that is named, and for every video and image in the folders.

    What is named twice comes once.

    Raises
    ------
    ClipError
        When something is not there, or a folder holds neither videos nor images.
    """
    files = named_files(paths, SEARCHED, "no video and no image")
    return [Input(str(file), file_source(file)) for file in dict.fromkeys(files)]


def named_files(paths: Sequence[Path], extensions: Collection[str], none: str) -> list[Path]:
    """The files that are named, whatever their extension, and those below the folders.

    Folders are searched to their depths, in alphabetical order, and links followed: who names a
    folder means what it shows. Hidden files are passed over.

    Parameters
    ----------
    extensions : of the files in folders: lower-case, with their dots
    none : what a folder without such a file is said to hold

    Raises
    ------
    ClipError
        When something is not there, or there is no such file in a folder.
    """
    check_inputs(paths)
    files: list[Path] = []
    for path in paths:
        found = [path]
        if path.is_dir():
            found = [path / name for name in find_files(path, extensions, leave=True)]
        if not found:
            raise ClipError(f"{path} holds {none}.")
        files += found
    return files


def find_frames(paths: Sequence[Path], fps: float = IMAGE_FPS) -> list[Input]:
    """Image files as frames: each folder is one clip, and all files that are named are another.

    The frames of a folder are taken in natural order, 9.png before 10.png; files that are named
    keep their order.

    Parameters
    ----------
    fps : frames a second

    Raises
    ------
    ClipError
        When something is not there, a folder holds no image, or a file is no image.
    """
    check_inputs(paths)
    named = [path for path in paths if not path.is_dir()]
    others = [path for path in named if path.suffix.lower() not in IMAGE_EXTENSIONS]
    if others:
        raise ClipError(f"{some(others)} is not an image, so it cannot be a frame.")
    inputs = []
    for folder in (path for path in dict.fromkeys(paths) if path.is_dir()):
        frames = [path for path in folder.iterdir()
                  if path.suffix.lower() in IMAGE_EXTENSIONS
                  and not is_ignored(path.name) and path.is_file()]  # fmt: skip
        if not frames:
            raise ClipError(f"{folder} holds no image, so there are no frames in it.")
        inputs.append(
            _clip(str(folder), sorted(frames, key=lambda frame: natural_key(frame.name)), fps)
        )
    if named:
        inputs.append(_clip(some(named, 1), named, fps))
    return inputs


def _clip(name: str, frames: Iterable[Path], fps: float) -> Input:
    return Input(name, Source(images=tuple(str(frame.absolute()) for frame in frames), fps=fps))


def check_inputs(paths: Sequence[Path]) -> None:
    """Refuse what cannot be read, before any work is done.

    Raises
    ------
    ClipError
        When something is not there, or is neither a file nor a folder.
    """
    missing = [path for path in paths if not path.exists()]
    if missing == [Path("-")]:
        raise ClipError(f"Standard input cannot be read: {SAVE}.")
    if missing:
        raise ClipError(f"{some(missing)}: no such file or folder.")
    others = [path for path in paths if not (path.is_file() or path.is_dir())]
    if others:
        raise ClipError(f"{some(others)} is a pipe or a device and no file: {SAVE}.")
