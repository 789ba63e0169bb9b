"""Layout `images`: still images, each a clip of one frame, or some consecutive ones a clip."""

from collections import Counter
from pathlib import Path

from pipeline.dataset.components import joined
from pipeline.dataset.layouts.contents import find_media
from pipeline.dataset.layouts.found_clip import Findings, FoundClip
from pipeline.dataset.layouts.frames import between
from pipeline.dataset.layouts.groups import groups_of
from pipeline.dataset.layouts.labels import read_labels
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.walk import by_folder
from pipeline.frames.images import IMAGE_EXTENSIONS


def find(params: DatasetParams) -> Findings:
    """Every ``dataset.images_per_clip`` consecutive images of a folder are a clip.

    The last clip of a folder may have fewer. Images that look alike
    (``dataset.near_duplicates``) make their clips one group, whatever their labels.

    Raises
    ------
    DatasetError
        When there is no image or one class, or a group cannot be told.
    """
    found: list[str] = []
    names = find_media(params, IMAGE_EXTENSIONS, found)
    labels, splits = read_labels(params, names, found)
    label_of = dict(zip(names, labels, strict=True))
    split_of = dict(zip(names, splits, strict=True))
    size = params.images_per_clip
    clips = [
        files[start : start + size]
        for files in by_folder(names).values()
        for start in range(0, len(files), size)
    ]
    clips.sort(key=between)
    groups, notes = _groups(clips, names, label_of, params)
    return Findings(
        [
            FoundClip(between(files), label_of[files[0]], group, images=tuple(files),
                  split=split_of[files[0]])
            for files, group in zip(clips, groups, strict=True)
        ],
        found + notes,
    )  # fmt: skip


def _groups(
    clips: list[list[str]], names: list[str], label_of: dict[str, str], params: DatasetParams
) -> tuple[list[str], list[str]]:
    """The group of each clip, and what is worth a note."""
    members: list[list[object]] = [[] for _ in clips]
    named = [between(files) for files in clips]
    if params.group != "none":
        of_name = dict(zip(names, groups_of(names, [label_of[name] for name in names],
                                            params.group), strict=True))  # fmt: skip
        members = [[of_name[file] for file in files] for files in clips]
        named = [of_name[files[0]] for files in clips]
    notes = []
    if params.near_duplicates is not None:
        from pipeline.dataset.layouts.near_duplicates import near_duplicate_groups

        files = [file for clip in clips for file in clip]
        paths = [Path(params.folder, file) for file in files]
        number = dict(
            zip(files, near_duplicate_groups(paths, params.near_duplicates).tolist(), strict=True)
        )
        members = [
            [*keys, *(number[file] for file in clip)]
            for keys, clip in zip(members, clips, strict=True)
        ]
        notes = _notes(number, label_of, params.near_duplicates)
    first: dict[object, int] = {}
    pairs = [(first.setdefault(key, i), i) for i, keys in enumerate(members) for key in keys]
    one, other = zip(*pairs, strict=True) if pairs else ((), ())
    return [named[i] for i in joined(one, other, len(clips))], notes


def _notes(number: dict[str, int], label_of: dict[str, str], bits: int) -> list[str]:
    """Sentences on the images that look alike: `number` is the same for those."""
    sizes = Counter(number.values())
    if len(sizes) == len(number):
        return []
    most = max(sizes.values())
    notes = [
        f"{len(number) - len(sizes):,} of {len(number):,} images look like another one (hashes "
        f"that differ in at most {bits} of 64 bits: dataset.near_duplicates), at most {most:,} of "
        "them alike; those that look alike form one group."
    ]
    if most > len(number) / 2:
        notes.append(
            "Most of the images look alike: if they are frames of videos, set dataset.layout to "
            "frames; if not, set dataset.near_duplicates to a smaller distance."
        )
    first: dict[int, str] = {}
    for file, key in number.items():
        other = first.setdefault(key, file)
        if label_of[other] and label_of[file] and label_of[other] != label_of[file]:
            notes.append(
                f"Images that look alike have more than one label, such as {other} and {file}: "
                "remove what is wrong, or set dataset.near_duplicates to a smaller distance."
            )
            break
    return notes
