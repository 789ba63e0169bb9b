"""A LiteRT file, read as far as its sizes go, before the interpreter is given it.

The layout is that of TensorFlow Lite's schema.fbs: in the table Model, `subgraphs` is field 2; in
SubGraph, `tensors`, `inputs` and `outputs` are 0, 1 and 2; in Tensor, `shape` and `type` are 0
and 1.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MARK = b"TFL3"
MOST_BYTES = 1 << 30  # of all tensors together
MOST_TENSORS = 20_000
LARGEST_ITEM = 8  # bytes of a number
SUBGRAPHS, TENSORS, INPUTS, OUTPUTS, SHAPE = 2, 0, 1, 2, 0


@dataclass(frozen=True)
class NetworkSize:
    """What the card says of a head's network.

    Attributes
    ----------
    steps, width : of the rows that it takes, (B, steps, width) beside a mask (B, steps)
    labels : how many numbers it gives
    """

    steps: int
    width: int
    labels: int

    def check_inputs(self, shapes: Iterable[Sequence[int | None]]) -> None:
        """Refuse other inputs, given with the batch first.

        Raises
        ------
        ValueError
            As part of a sentence.
        """
        wanted = [(self.steps,), (self.steps, self.width)]
        if sorted(tuple(shape[1:]) for shape in shapes) != wanted:
            raise ValueError(f"it does not take windows of {self.steps} rows of {self.width}")


def check_litert(content: bytes, size: NetworkSize | None = None) -> None:
    """Refuse a file whose tensors are absurd, or that does not fit the card beside it.

    Parameters
    ----------
    size : of a head's network; None for another file

    Raises
    ------
    ValueError
        As part of a sentence.
    """
    try:
        graph = next(_tables(_Table(content, _root(content)).field(SUBGRAPHS)))
        shapes = [
            _ints(content, tensor.field(SHAPE).place) if tensor.has(SHAPE) else ()
            for tensor in _tables(graph.field(TENSORS))
        ]
        ends = [
            [shapes[i] for i in _ints(content, graph.field(end).place)] for end in (INPUTS, OUTPUTS)
        ]
    except (struct.error, IndexError, StopIteration, LookupError):
        raise ValueError("it is damaged") from None
    taken = sum(LARGEST_ITEM * math.prod(max(1, side) for side in shape) for shape in shapes)
    if taken > MOST_BYTES:
        raise ValueError("its tensors are larger than those of any model")
    if size is None:
        return
    size.check_inputs(ends[0])
    if [shape[-1:] for shape in ends[1]] != [(size.labels,)]:
        raise ValueError(f"it does not give {size.labels} numbers, one for each label")


@dataclass(frozen=True)
class _Place:
    """Where a field's vector lies."""

    content: bytes
    place: int


@dataclass(frozen=True)
class _Table:
    content: bytes
    place: int

    def offset(self, number: int) -> int:
        """Of a field from the table's start; 0 where it is left out."""
        vtable = self.place - _int(self.content, self.place, "<i")
        entry = 4 + 2 * number
        return (
            _int(self.content, vtable + entry, "<H")
            if entry < _int(self.content, vtable, "<H")
            else 0
        )

    def has(self, number: int) -> bool:
        return self.offset(number) != 0

    def field(self, number: int) -> _Place:
        """What a field points to."""
        offset = self.offset(number)
        if not offset:
            raise LookupError
        at = self.place + offset
        return _Place(self.content, at + _int(self.content, at, "<I"))


def _root(content: bytes) -> int:
    if content[4:8] != MARK:
        raise ValueError("it is no LiteRT file")
    return _int(content, 0, "<I")


def _tables(vector: _Place) -> Iterator[_Table]:
    count = _int(vector.content, vector.place, "<I")
    if count > MOST_TENSORS:
        raise ValueError("it has more tensors than any model")
    for i in range(count):
        at = vector.place + 4 + 4 * i
        yield _Table(vector.content, at + _int(vector.content, at, "<I"))


def _ints(content: bytes, place: int) -> tuple[int, ...]:
    count = _int(content, place, "<I")
    if count > MOST_TENSORS:
        raise ValueError("it has a shape of more sides than any model")
    return struct.unpack_from(f"<{count}i", content, place + 4)


def _int(content: bytes, place: int, kind: str) -> int:
    if place < 0:
        raise IndexError
    return int(struct.unpack_from(kind, content, place)[0])
