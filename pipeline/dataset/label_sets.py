"""Several labels in one text: `jump|wave`, as tables, data/index.csv and predictions.csv have them.

With `dataset.multi_label` the label of a clip is such a text: `NO_LABEL` of a clip that waits for
labels, and `NONE_HOLDS` of one of which it is known that none holds.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.csv_tables import listed
from pipeline.dataset.clips import NO_LABEL

NONE_HOLDS = "|"
PARTS = re.compile(r"(?:[^|\\]|\\.|\\$)+")  # between the |; behind a backslash it is a letter


def split_labels(text: str) -> tuple[str, ...]:
    """The labels in a text, sorted, each once; blanks around them do not count."""
    parts = (re.sub(r"\\([|\\])", r"\1", part).strip() for part in PARTS.findall(text))
    return tuple(sorted({part for part in parts if part}))


def join_labels(labels: Iterable[str]) -> str:
    """The reverse of `split_labels`, of labels that are known: `NONE_HOLDS` where there is none."""
    return listed(sorted(set(labels))) or NONE_HOLDS


def labels_of(text: str, *, multi_label: bool) -> tuple[str, ...]:
    """The labels of a clip, by what index.csv says; none of one that waits for some."""
    if multi_label:
        return split_labels(text)
    return () if text == NO_LABEL else (text,)


def normalised(text: str) -> str:
    """The one way to write the labels of a text."""
    return NO_LABEL if not text.strip() else join_labels(split_labels(text))


def members_of(texts: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Which labels are in which text: (n, K) bool, and the names of the K, sorted."""
    sets = [split_labels(text) for text in texts]
    names = sorted({label for labels in sets for label in labels})
    number = {label: i for i, label in enumerate(names)}
    members = np.zeros((len(sets), len(names)), bool)
    for row, labels in enumerate(sets):
        members[row, [number[label] for label in labels]] = True
    return members, names
