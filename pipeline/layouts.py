"""From a folder of videos to clips with a label and a group."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.dataset_params import DatasetParams
from pipeline.errors import DatasetError, some
from pipeline.video import VIDEO_EXTENSIONS

IGNORED_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin"})

# Each finds the group in a clip's path below the raw folder, with forward slashes.
GROUP_PATTERNS = {
    "ucf": r"_g(\d+)_",  # v_Basketball_g01_c01.avi: clips cut from one source video share gXX
    "hmdb": r"([^/]+?)_[a-z]+_[fhlu]_(?:cm|nm)_np\d_(?:ba|bo|fr|le|ri)_(?:bad|med|goo)_\d+\.\w+$",
    "person_first": r"([^/_]+)_[^/]*$",  # daria_walk.avi
}
GROUPS_WITHIN_LABEL = frozenset({"ucf"})  # g01 of one class has nothing to do with g01 of another


@dataclass(frozen=True, slots=True)
class Found:
    """A clip's file before it was read: path on disk, clip_id, label and group."""

    path: Path
    clip_id: str
    label: str
    group: str


def find_clips(params: DatasetParams) -> list[Found]:
    """The clips below ``dataset.raw``, sorted by clip_id.

    Raises
    ------
    DatasetError
        When the folder is missing, holds no clips or one class, or a group cannot be told.
    """
    raw = params.folder
    if not raw.is_dir():
        raise DatasetError(
            f"dataset.raw is {params.raw}, which is not a folder: put videos there as "
            "<label>/<clip>, name another folder, or render some with `clipcache sample`."
        )
    videos = _videos(raw, (raw.resolve(),))
    paths = sorted(videos, key=lambda path: path.relative_to(raw).as_posix())
    if not paths:
        raise DatasetError(
            f"{params.raw} holds no video: put clips there as <label>/<clip>, for example "
            f"{params.raw}/walk/anna_walk.mp4 (known extensions: {' '.join(EXAMPLES)}, ...)."
        )
    loose = [path.name for path in paths if path.parent == raw]
    if loose:
        raise DatasetError(
            f"{some(loose)} lie directly in {params.raw}: move each into a folder named after its "
            "action, as <label>/<clip>."
        )
    clip_ids = [path.relative_to(raw).as_posix() for path in paths]
    foreign = [repr(clip_id) for clip_id in clip_ids if not _is_text(clip_id)]
    if foreign:
        raise DatasetError(
            f"{some(foreign)} below {params.raw} has a name that is not valid UTF-8, or holds "
            "control characters such as line ends: rename it."
        )
    labels = [clip_id.split("/", 1)[0] for clip_id in clip_ids]
    if len(set(labels)) < 2:
        raise DatasetError(
            f"{params.raw} holds one class only, {labels[0]}: a classifier needs at least two "
            "label folders."
        )
    groups = _groups(clip_ids, labels, params.group)
    return [Found(*row) for row in zip(paths, clip_ids, labels, groups, strict=True)]


EXAMPLES = (".avi", ".mp4", ".mov", ".mkv", ".webm")


def _videos(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Video files below `folder`; links are followed only where they stay inside the raw folder.

    `above` are the real paths from the raw folder down to `folder`: a link to one of them loops.
    """
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        raise DatasetError(
            f"{folder} cannot be read ({error.strerror}): mend its permissions, or remove it."
        ) from None
    for path in paths:
        if path.name.startswith(".") or path.name.lower() in IGNORED_NAMES:
            continue
        real = path.resolve() if path.is_symlink() else above[-1] / path.name
        if not real.is_relative_to(above[0]) or real in above:
            continue
        if real.is_dir():
            yield from _videos(path, (*above, real))
        elif path.suffix.lower() in VIDEO_EXTENSIONS and real.is_file():
            yield path


def _is_text(name: str) -> bool:
    """False for a name that is no text (Python keeps its bytes as lone surrogates) of one line."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in name)


def _groups(clip_ids: list[str], labels: list[str], rule: str) -> list[str]:
    if rule == "none":
        return clip_ids
    pattern = re.compile(GROUP_PATTERNS.get(rule, rule))
    matches = [pattern.search(clip_id) for clip_id in clip_ids]
    without = [clip_id for clip_id, match in zip(clip_ids, matches, strict=True) if not match]
    if without:
        raise DatasetError(
            f"dataset.group is {rule!r}, which finds no group in {some(without)}: set it to a "
            "preset that fits (ucf, hmdb, person_first), to a regular expression with one (...) "
            "group, or to none."
        )
    groups = [match[1] for match in matches if match]
    if rule in GROUPS_WITHIN_LABEL:
        return [f"{label}/g{group}" for label, group in zip(labels, groups, strict=True)]
    return groups
