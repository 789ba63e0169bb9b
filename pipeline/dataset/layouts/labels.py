"""Labels and splits from the folders of a path, and what is wrong with the folders."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from pipeline.dataset.clips import NO_LABEL, UNLABELLED
from pipeline.dataset.params import DatasetParams
from pipeline.errors import DatasetError
from pipeline.wording import some

# Names of folders on top of the labels, in lower case, and the split that each stands for.
SPLIT_FOLDERS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def read_labels(
    params: DatasetParams, names: Sequence[str], notes: list[str]
) -> tuple[list[str], list[str]]:
    """The label and the split of each file, by the folders that it lies in.

    The label is the first folder below ``dataset.raw``. Where all folders there are called train,
    val or test and hold folders in turn, they are the split, and the label is the second one.
    What lies in a folder `UNLABELLED` in the place of a label, or beside the split, has none.

    Parameters
    ----------
    names : relative paths of files
    notes : what was left out so far; sentences on labels that are nearly the same are added

    Raises
    ------
    DatasetError
        When a file lies in no label folder, or there is one class only.
    """
    loose = [name for name in names if "/" not in name]
    if loose:
        raise DatasetError(
            f"Not in a folder named after its action, but directly in {params.raw}: {some(loose)}; "
            "move each to <label>/<clip>, or list them in a table and set dataset.layout to csv."
        )
    if has_split_folders(names):
        parts = [name.split("/", 2) for name in names]
        splits = [SPLIT_FOLDERS.get(part[0].lower(), "") for part in parts]
        folders = [part[split != ""] for part, split in zip(parts, splits, strict=True)]
    else:
        splits = [""] * len(names)
        folders = [name.split("/", 1)[0] for name in names]
    labels = [NO_LABEL if folder.lower() == UNLABELLED else folder for folder in folders]
    below = {"/".join(name.split("/")[1:2]) for name in names if name.count("/") >= 2}
    if (
        params.layout == "folders"
        and len(set(labels)) == 1
        and len(below) > 1
        and not (any(splits) or labels[0] == NO_LABEL)
    ):
        raise DatasetError(
            f"{params.raw} holds one class only, {labels[0]}, and in it the folders "
            f"{some(sorted(below))}: if those are the labels, set dataset.raw to "
            f"{params.raw.rstrip('/')}/{labels[0]}."
        )
    check_classes(labels, params.raw, notes)
    return labels, splits


def has_split_folders(names: Iterable[str]) -> bool:
    """Whether the topmost folders are a split (train/, val/, test/) with labels below them."""
    placed = [name for name in names if name.partition("/")[0].lower() != UNLABELLED]
    return bool(placed) and all(
        name.count("/") >= 2 and name.partition("/")[0].lower() in SPLIT_FOLDERS for name in placed
    )


def check_classes(labels: Iterable[str], where: str, notes: list[str]) -> None:
    """Refuse a single class, and find labels that are probably meant to be one.

    Where clips wait for a label, a single class or none is a beginning, and worth a note only.

    Parameters
    ----------
    notes : what was left out so far, which is said first; sentences on the labels are added

    Raises
    ------
    DatasetError
        Naming it.
    """
    classes = set(labels)
    waiting = NO_LABEL in classes
    classes -= {NO_LABEL}
    if len(classes) < 2 and waiting:
        notes.append(
            f"{where} holds {f'one class only, {classes.pop()},' if classes else 'no class'} and "
            "clips without a label: all can be embedded, but a classifier needs at least two "
            "labels."
        )
        return
    if len(classes) < 2:
        holds = "What remains holds" if notes else f"{where} holds"
        raise DatasetError(
            " ".join([*notes, f"{holds} one class only, {classes.pop()}: a classifier needs at "
                      "least two labels; if these are no labels, see dataset.raw and "
                      "dataset.layout."])
        )  # fmt: skip
    notes += alike(classes)


def alike(labels: Iterable[str]) -> list[str]:
    """A sentence on each set of labels of which people may think that they are the same."""
    same: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        folded = unicodedata.normalize("NFKC", label).casefold()
        same[re.sub(r"[\s_-]+", " ", folded).strip()].append(label)
    return [
        f"The labels {', '.join(map(ascii, group))} differ only in case, blanks or the composition "
        "of letters, and are classes of their own: give them one name if they are one action."
        for group in same.values() if len(group) > 1
    ]  # fmt: skip
