"""Tables in which several labels hold for a clip: as one text, or in a row for each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.dataset.clips import NO_LABEL
from pipeline.dataset.label_sets import join_labels, normalised, split_labels
from pipeline.dataset.layouts.table_file import lines_of
from pipeline.errors import DatasetError
from pipeline.wording import some

if TYPE_CHECKING:
    import pyarrow as pa


def single_labels(texts: Sequence[str]) -> list[str]:
    """The labels in these texts, and that of a clip that waits for some."""
    labels = {label for text in texts for label in split_labels(text)}
    return [*sorted(labels), *([NO_LABEL] if "" in map(normalised, texts) else [])]


def joined_by_hand(texts: Sequence[str], where: str) -> list[str]:
    """A sentence where labels look like several in one."""
    known = set(texts)
    joined = [text for text in sorted(known) if len(parts := split_labels(text)) > 1
              and known.intersection(parts)]  # fmt: skip
    return [
        f"{where}: {some(joined)} are labels of their own, beside those between the |: set "
        "dataset.multi_label to true if several labels hold for such a clip."
    ] if joined else []  # fmt: skip


def one_row_a_clip(columns: "pa.Table", where: str) -> "pa.Table":
    """The first row of each clip, with the labels of all of its rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = columns["clip_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.unique(encoded, return_index=True)[1]  # codes count up as clips come
    written = columns["label"].combine_chunks().dictionary_encode()
    texts = written.dictionary.to_pylist()
    sets = [split_labels(text) for text in texts]
    one_way = [normalised(text) for text in texts]
    codes = written.indices.to_numpy()
    labels = [one_way[code] for code in codes[first]]
    splits = columns["split"].to_pylist() if len(first) < len(columns) else []
    several: dict[int, list[int]] = {}
    for row in np.flatnonzero(np.bincount(encoded)[encoded] > 1):
        several.setdefault(int(encoded[row]), []).append(int(row))
    for clip, rows in several.items():
        if len({splits[row] for row in rows}) > 1:
            lines = lines_of(where, sorted(columns["row"].take(pa.array(rows)).to_pylist()))
            raise DatasetError(
                f"{where} has {columns['clip_id'][rows[0]].as_py()} in more than one split, on the "
                f"lines {some(lines)}: give all rows of a clip the same split."
            )
        if any(one_way[codes[row]] for row in rows):
            labels[clip] = join_labels(label for row in rows for label in sets[codes[row]])
    columns = columns.take(pa.array(first))
    place = columns.schema.get_field_index("label")
    return columns.set_column(place, "label", pc.cast(pa.array(labels), columns["label"].type))
