"""The group of a clip: what must not be torn apart between train and test."""

import re
from collections.abc import Sequence

from pipeline.errors import DatasetError
from pipeline.wording import some

# Each finds the group in a clip's path below the raw folder, with forward slashes.
GROUP_PATTERNS = {
    "ucf": r"_g(\d+)_",  # v_Basketball_g01_c01.avi: clips cut from one source video share gXX
    # <source video>_<action>_<what is seen>_<camera>_<people>_<from where>_<quality>_<number>.avi
    "hmdb": r"([^/]+)_[fhlu]_(?:cm|nm)_np\d_(?:ba|bo|fr|le|ri)_(?:bad|med|goo)_\d+(?:\.\w+)?$",
    # daria_walk.avi; a space or a hyphen ends the first word only where nothing better does
    "person_first": r"([^/_]+?)(?:_|\s+(?=[^/_]*$)|-(?=[^/_\s]*$))[^/]*$",
}
GROUPS_WITHIN_LABEL = frozenset({"ucf"})  # g01 of one class has nothing to do with g01 of another


def groups_of(paths: Sequence[str], labels: Sequence[str], rule: str) -> list[str]:
    """The group of each path by ``dataset.group``.

    Raises
    ------
    DatasetError
        When the rule finds none in some path.
    """
    if rule == "none":
        return list(paths)
    search = re.compile(GROUP_PATTERNS.get(rule, rule)).search
    matches = [search(path) for path in paths]
    without = [
        path for path, match in zip(paths, matches, strict=True) if not match or not match[1]
    ]
    if without:
        raise DatasetError(
            f"dataset.group is {rule!r}, which finds no group in {some(without)}: set it to a "
            "preset that fits (ucf, hmdb, person_first), to a regular expression with one (...) "
            "group, or to none."
        )
    groups = [match[1] for match in matches if match]
    if rule in GROUPS_WITHIN_LABEL:
        return [
            f"{label}/g{group}".lstrip("/") for label, group in zip(labels, groups, strict=True)
        ]
    if rule == "hmdb":
        return [_source(group, label) for label, group in zip(labels, groups, strict=True)]
    return groups


def _source(name: str, label: str) -> str:
    """April_09_brush_hair -> April_09: what stands before the action, whose name may have a _."""
    if label and name.casefold().endswith(f"_{label.casefold()}"):
        return name[: -len(label) - 1]
    return name.rpartition("_")[0] or name
