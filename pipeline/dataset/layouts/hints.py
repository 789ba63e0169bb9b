"""What looks odd about what a layout found, and which settings might fit better."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from pipeline.dataset.clips import NO_LABEL, SPLIT_NAMES
from pipeline.dataset.layouts.contents import (
    READS,
    Contents,
    has_frame_folders,
    named,
    passed_over,
    suggested_layouts,
)
from pipeline.dataset.layouts.found_clip import FoundClip
from pipeline.dataset.layouts.groups import GROUP_PATTERNS
from pipeline.dataset.layouts.labels import SPLIT_FOLDERS
from pipeline.dataset.params import DatasetParams
from pipeline.wording import some

FEW_CLASSES_AMONG = 0.5  # labels per clip from which the labels read like the clips' own names


def layout_hints(
    params: DatasetParams, contents: Contents, clips: Sequence[FoundClip]
) -> list[str]:
    """Sentences on files that the layout passes over, and on folders that are no labels."""
    hints = []
    read, others = contents.videos, contents.images
    if READS[params.layout] == "image":
        read, others = others, read
    likely = [name for name in suggested_layouts(contents) if name != params.layout]
    if params.layout != "csv" and len(others) > len(read) and likely:
        kind, other = ("videos", "images") if read is contents.videos else ("images", "videos")
        hints.append(
            f"{params.raw} holds more {other} than {kind} ({len(others):,} against {len(read):,}), "
            f"and the layout {params.layout} reads {kind} only: set dataset.layout to "
            f"{named(likely)}."
        )
    tables = [name for name in contents.tables if "/" not in name]
    if params.layout not in ("csv", "timeline") and tables:
        hints.append(
            f"{params.raw} holds the table {some(tables)}: if it lists the clips, set "
            "dataset.layout to csv and dataset.table to its path."
        )
    whole = not any(clip.split for clip in clips)
    if params.layout == "images" and whole and has_frame_folders(contents):
        hints.append(
            f"The images of {params.raw} lie in folders of many below the labels, which reads like "
            "videos cut into frames: if so, set dataset.layout to frames."
        )
    if params.layout == "frames" and sum(len(clip.images) == 1 for clip in clips) > len(clips) / 2:
        hints.append(
            "Most of the videos have a single frame, which reads like still images: set "
            "dataset.layout to images, or see dataset.frames_pattern."
        )
    if params.layout != "csv":
        hints += [f"{params.raw} holds {part}." for part in passed_over(contents)]
    hints += _folder_hints(params, clips)
    return hints


def copy_hints(copies: Iterable[Sequence[str]], clips: Iterable[FoundClip]) -> list[str]:
    """Sentences on files with equal bytes and unequal labels or groups.

    Parameters
    ----------
    copies : of each content, the names of its files; see `pipeline.dataset.survey.file_of`
    """
    copies = list(copies)
    alike = {name for names in copies for name in names}
    of_name = {name: clip for clip in clips if (name := clip.path or clip.clip_id) in alike}
    hints = []
    labels = [
        names for names in copies if len({of_name[name].label for name in names} - {NO_LABEL}) > 1
    ]
    if labels:
        hints.append(
            "The same bytes have more than one label: "
            f"{some([' = '.join(names) for names in labels])}; remove those that are wrong."
        )
    groups = [names for names in copies if len({of_name[name].group for name in names}) > 1]
    if groups:
        hints.append(
            "The same bytes are in more than one group: "
            f"{some([' = '.join(names) for names in groups])}; remove the copies, or choose a "
            "dataset.group that puts them together, since a split that tears them apart is refused."
        )
    return hints


def _folder_hints(params: DatasetParams, clips: Sequence[FoundClip]) -> list[str]:
    if params.layout == "csv":
        return []
    labels = {clip.label for clip in clips} - {NO_LABEL}
    if any(clip.split for clip in clips):
        sides = Counter(clip.split for clip in clips)
        counts = ", ".join(f"{name} {sides[name]:,}" for name in SPLIT_NAMES if sides[name])
        return [
            f"The folders of {params.raw} are taken for a split (clips: {counts}) and those below "
            "them for the labels; split.method: folders uses that split, any other deals anew."
        ]
    if parts := sorted(label for label in labels if label.lower() in SPLIT_FOLDERS):
        return [
            f"{some(parts)} reads like a split and not like an action: lay all clips out as "
            "train|val|test/<label>/<clip> and set split.method to folders, or as <label>/<clip>."
        ]
    if len(labels) > 3 and len(labels) > FEW_CLASSES_AMONG * len(clips):
        return [
            f"There are {len(labels):,} labels for {len(clips):,} clips ({some(sorted(labels))}), "
            "which read like the names of videos: point dataset.raw at the folder of the label "
            "folders."
        ]
    return []


def group_hints(params: DatasetParams, clips: Iterable[FoundClip]) -> list[str]:
    """Whether another grouping preset fits the names, and whether the chosen one groups at all."""
    hints = []
    groups: dict[str, set[str]] = defaultdict(set)
    fits = {rule: re.compile(GROUP_PATTERNS[rule]).search for rule in ("ucf", "hmdb")}
    fits.pop(params.group, None)
    for clip in clips:
        groups[clip.label].add(clip.group)
        fits = {rule: search for rule, search in fits.items() if search(clip.path or clip.clip_id)}
    for rule in fits:
        hints.append(
            f"All names look like {rule.upper()}: set dataset.group to {rule}, so that clips "
            "of one source video stay together."
        )
    single = sorted(label for label, names in groups.items() if label and len(names) == 1)
    if single:
        hints.append(
            f"All clips of {some(single)} are of one group each, so they cannot stand in both "
            "train and test: dataset.group may be the wrong rule for these names"
            f"{', or dataset.near_duplicates too large' if params.layout == 'images' else ''}."
        )
    return hints
