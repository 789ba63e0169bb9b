"""What a folder holds, and which layout would read it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.dataset.params import DatasetParams
from pipeline.dataset.walk import Links, find_files
from pipeline.errors import DatasetError
from pipeline.frames.images import IMAGE_EXTENSIONS
from pipeline.frames.storage import is_url
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.wording import count, some

TABLE_EXTENSIONS = frozenset((".csv", ".tsv"))
ARCHIVE_EXTENSIONS = frozenset((".zip", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z"))
LAYOUTS = {
    "folders": "videos as <label>/<video>",
    "frames": "videos cut into frames",
    "images": "still images",
    "csv": "a table that lists the clips",
    "timeline": "long videos with files of an annotation tool",
}
READS = {
    "folders": "video",
    "csv": "video",
    "frames": "image",
    "images": "image",
    "timeline": "video",
}
EXAMPLE = {"video": "anna_walk.mp4", "image": "anna_walk_0001.jpg"}
FRAMES_IN_A_FOLDER = 8  # on average, from which a folder of images reads like a video


@dataclass(frozen=True)
class Contents:
    """The files of a folder by what they are, as relative paths.

    Attributes
    ----------
    links : that lead out of the folder, or nowhere
    """

    videos: list[str]
    images: list[str]
    tables: list[str]
    archives: list[str]
    links: Links


def look_into(folder: Path) -> Contents:
    """Sort the files below a folder; nothing is opened."""
    kinds = {"videos": VIDEO_EXTENSIONS, "images": IMAGE_EXTENSIONS,
             "tables": TABLE_EXTENSIONS, "archives": ARCHIVE_EXTENSIONS}  # fmt: skip
    found: dict[str, list[str]] = {kind: [] for kind in kinds}
    links = Links()
    for name in find_files(folder, links=links):
        suffix = PurePosixPath(name).suffix.lower()
        for kind, extensions in kinds.items():
            if suffix in extensions:
                found[kind].append(name)
                break  # a GIF is a video
    return Contents(**found, links=links)


def passed_over(contents: Contents) -> list[str]:
    """What a folder holds in which clips may be that people miss: ends of "<raw> holds ..."."""
    if not contents.archives:
        return []
    return [
        f"archives, which are not looked into ({some(contents.archives)}): unpack them there if "
        "they hold clips"
    ]


def leading_nowhere(links: Links) -> list[str]:
    """Ends of "<raw> holds ..." about broken links, which are clips that were lost."""
    if not links.broken:
        return []
    return [
        f"{count(len(links.broken), 'link')} to nowhere ({some(sorted(links.broken))}): `dvc "
        "checkout` brings back what DVC keeps, else connect the disk or mend them"
    ]


def suggested_layouts(contents: Contents) -> list[str]:
    """Layouts that may read such a folder, the likeliest first."""
    tables = ["csv"] if any("/" not in name for name in contents.tables) else []
    if len(contents.videos) >= len(contents.images):
        return ["folders", *tables] if contents.videos else tables
    frames = has_frame_folders(contents) or _numbered(contents.images)
    return [*(["frames", "images"] if frames else ["images", "frames"]), *tables]


def has_frame_folders(contents: Contents) -> bool:
    """Whether there are folders of many images below the labels, as of videos cut into frames."""
    folders = Counter(name.rpartition("/")[0] for name in contents.images)
    labels = {folder.partition("/")[0] for folder in folders}
    return len(folders) > len(labels) and len(contents.images) >= FRAMES_IN_A_FOLDER * len(folders)


def _numbered(names: list[str]) -> bool:
    """Whether most names end in a number, as frames do."""
    return sum(PurePosixPath(name).stem[-1:].isdigit() for name in names) > len(names) / 2


def named(layouts: list[str]) -> str:
    """ "frames (videos cut into frames) or images (still images)"."""
    return " or ".join(f"{layout} ({LAYOUTS[layout]})" for layout in layouts)


def check_raw(params: DatasetParams) -> None:
    """Refuse a ``dataset.raw`` that is no folder; a URL is one to the layout csv.

    Raises
    ------
    DatasetError
    """
    if params.layout == "csv" and is_url(params.raw):
        return
    if not params.folder.is_dir():
        where = "" if Path(params.raw).is_absolute() else f" in {Path.cwd()}"
        mend = (
            f"name the folder that the paths in {params.table} start from."
            if params.layout == "csv"
            else "put videos there as <label>/<clip>, name another folder, or render some with "
            f"`clipcache sample {params.raw}`."
        )
        raise DatasetError(f"dataset.raw is {params.raw}, which is not a folder{where}: {mend}")


def find_media(
    params: DatasetParams, extensions: frozenset[str], notes: list[str]
) -> list[str]:  # fmt: skip
    """The files that the layout reads, as sorted relative paths; links that leave it are followed.

    Parameters
    ----------
    notes : filled with sentences on what was left out, and what came from outside

    Raises
    ------
    DatasetError
        When ``dataset.raw`` is no folder or holds none; the message says what it holds instead.
    """
    check_raw(params)
    links = Links()
    names = find_files(params.folder, extensions, links)
    if not names:
        raise DatasetError(" ".join(_nothing(params)))
    notes += [f"{params.raw} holds {part}." for part in leading_nowhere(links)]
    if links.outward:
        notes.append(links_note(params.raw, sorted(links.outward)))
    return names


def links_note(raw: str, links: Sequence[str]) -> str:
    """What is said of links that are followed out of the folder of clips."""
    return (
        f"{count(len(links), 'link')} of {raw} {'leads' if len(links) == 1 else 'lead'} out of it, "
        f"and {'is' if len(links) == 1 else 'are'} followed: {some(links)}."
    )


def _nothing(params: DatasetParams) -> Iterator[str]:
    kind = READS[params.layout]
    contents = look_into(params.folder)
    others = contents.images if kind == "video" else contents.videos
    layouts = [name for name in suggested_layouts(contents) if name != params.layout]
    if layouts:
        other = ("image" if kind == "video" else "video") + "s" * (len(others) != 1)
        there = f"{len(others):,} {other}: {some(others)}" if others else some(contents.tables)
        yield (
            f"{params.raw} holds no {kind}, which the layout {params.layout} reads, but {there}; "
            f"set dataset.layout to {named(layouts)}."
        )
        return
    if parts := passed_over(contents) + leading_nowhere(contents.links):
        yield f"{params.raw} holds no {kind}, but {'; and '.join(parts)}."
        return
    extensions = ".avi .mp4 .mov .mkv .webm" if kind == "video" else ".jpg .png .bmp .webp"
    yield (
        f"{params.raw} holds no {kind}: put clips there as <label>/<clip>, for example "
        f"{params.raw}/walk/{EXAMPLE[kind]} (known extensions: {extensions}, ...)."
    )
