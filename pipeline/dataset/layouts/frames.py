"""Layout `frames`: videos that were cut into pictures.

Either each video has a folder of its own, <label>/<video>/<frame>.jpg, or the frames of many videos
lie together in <label>/. There they are put together again: by their names, or, where those are
only a running number, by the cuts between one picture and the next.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.dataset.layouts.contents import find_media
from pipeline.dataset.layouts.found_clip import Findings, FoundClip
from pipeline.dataset.layouts.groups import groups_of
from pipeline.dataset.layouts.labels import read_labels
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.walk import by_folder
from pipeline.errors import DatasetError
from pipeline.frames.images import IMAGE_EXTENSIONS
from pipeline.wording import some

# Each finds the video in the name of a frame without its extension.
FRAME_PATTERNS = {
    "ucf": r"(v_\w+?_g\d+_c\d+)",  # v_Archery_g01_c02_0005
    # daria_walk_0012, daria_walk-frame12, walk (12): what stands before the last number
    "number": r"^(.*?)[\W_]*(?:frames?|img|image)?[\W_]*\d+\W*$",
}


MOST_NOTES = 10  # folders up to which each has a sentence of its own


@dataclass(frozen=True, slots=True)
class _Scattered:
    folder: str
    frames: int
    videos: int
    by_cuts: bool


@dataclass(frozen=True, slots=True)
class _Video:
    clip_id: str
    files: list[str]
    by_cuts: bool = False


def find(params: DatasetParams) -> Findings:
    """Every video that was cut into frames is a clip; its frames are in natural order.

    Raises
    ------
    DatasetError
        When there is no image or one class, the name of a frame tells no video, or a group cannot
        be told.
    """
    notes: list[str] = []
    names = find_media(params, IMAGE_EXTENSIONS, notes)
    labels, splits = read_labels(params, names, notes)
    label_of = dict(zip(names, labels, strict=True))
    split_of = dict(zip(names, splits, strict=True))
    videos: list[_Video] = []
    scattered: list[_Scattered] = []
    for folder, files in by_folder(names).items():
        if folder.count("/") > bool(split_of[files[0]]):  # below the label
            videos.append(_Video(folder, files))
            continue
        together = _put_together(folder, files, params)
        scattered.append(_Scattered(folder, len(files), len(together), together[0].by_cuts))
        videos += together
    _check_apart(videos)
    videos.sort(key=lambda video: video.clip_id)
    groups = _groups(videos, label_of, params)
    return Findings(
        [
            FoundClip(
                video.clip_id, label_of[video.files[0]], group, images=tuple(video.files),
                split=split_of[video.files[0]],
            )
            for video, group in zip(videos, groups, strict=True)
        ],
        notes + _notes(scattered),
    )  # fmt: skip


def _notes(scattered: list[_Scattered]) -> list[str]:
    """What was put together: a sentence for each folder, or, of many, one for each way."""
    ways = {True: "the cuts between pictures", False: "their names"}
    if len(scattered) <= MOST_NOTES:
        return [
            f"{one.folder}: {one.frames:,} frames that lie together were put together to "
            f"{one.videos:,} {'video' if one.videos == 1 else 'videos'} by {ways[one.by_cuts]}."
            for one in scattered
        ]
    notes = []
    for by_cuts, way in ways.items():
        those = [one for one in scattered if one.by_cuts == by_cuts]
        if those:
            each = some([f"{one.videos:,} in {one.folder}" for one in those])
            notes.append(
                f"{sum(one.frames for one in those):,} frames that lie together in {len(those):,} "
                f"folders were put together to {sum(one.videos for one in those):,} videos by "
                f"{way}: {each}."
            )
    return notes


def _put_together(folder: str, files: list[str], params: DatasetParams) -> list[_Video]:
    """The videos whose frames lie together in one folder."""
    rule = params.frames_pattern
    if rule != "cuts":
        names = _videos_by_name(files, "number" if rule == "auto" else rule)
        if rule != "auto":
            without = [file for file, name in zip(files, names, strict=True) if not name]
            if without:
                raise DatasetError(
                    f"dataset.frames_pattern is {rule!r}, which finds no video in the names of "
                    f"{some(without)}: set it to a preset that fits (ucf, number), to a regular "
                    "expression with one (...) group, or to cuts where names are only a running "
                    "number."
                )
        if rule != "auto" or _tell_apart(names, files):
            videos: dict[str, list[str]] = {}
            for file, name in zip(files, names, strict=True):
                videos.setdefault(name, []).append(file)
            return [_Video(f"{folder}/{name}", video) for name, video in videos.items()]
    from pipeline.dataset.layouts.cuts import find_cuts

    starts = [int(start) for start in find_cuts([Path(params.folder, file) for file in files])]
    starts = [start for start in starts if start]
    return [
        _Video(between(files[start:end]), files[start:end], by_cuts=True)
        for start, end in zip([0, *starts], [*starts, len(files)], strict=True)
    ]


def _videos_by_name(files: list[str], rule: str) -> list[str]:
    """The video that each file's name tells; "" where it tells none."""
    search = re.compile(FRAME_PATTERNS.get(rule, rule)).search
    matches = (search(PurePosixPath(file).stem) for file in files)
    return [(match[1] or "") if match else "" for match in matches]


def _tell_apart(names: list[str], files: list[str]) -> bool:
    """Whether names tell videos apart, and are not one word before a running number."""
    return all(names) and (len(set(names)) > 1 or all(_videos_by_name(files[:1], "ucf")))


def between(files: list[str]) -> str:
    """A name for consecutive files: "walk/0001.jpg..0087.jpg"; of a single one, its own."""
    last = PurePosixPath(files[-1]).name
    return files[0] if len(files) == 1 else f"{files[0]}..{last}"


def _check_apart(videos: list[_Video]) -> None:
    seen: set[str] = set()
    twice = [video.clip_id for video in videos if video.clip_id in seen or seen.add(video.clip_id)]  # type: ignore[func-returns-value]
    if twice:
        raise DatasetError(
            f"{some(twice)} is a folder of frames, and the frames beside it are of a video of that "
            "name too: move them together, or see dataset.frames_pattern."
        )


def _groups(
    videos: list[_Video], label_of: dict[str, str], params: DatasetParams
) -> list[str]:  # fmt: skip
    nameless = sorted({label_of[video.files[0]] for video in videos if video.by_cuts})
    if nameless and params.group in ("ucf", "hmdb", "person_first"):
        raise DatasetError(
            f"dataset.group is {params.group!r}, but the videos of {some(nameless)} were told apart"
            " by cuts between pictures and have no names: set it to none."
        )
    labels = [label_of[video.files[0]] for video in videos]
    return groups_of([video.clip_id for video in videos], labels, params.group)
