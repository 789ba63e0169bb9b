"""How BORIS lays the files of an observation behind each other, and pairs what starts and stops."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.annotations.stretch import Stretch

NO_SUBJECT = "No focal subject"  # as exports name it
MEANT = ("START", "STOP", "POINT")


@dataclass(frozen=True)
class Event:
    """One line of an observation.

    Attributes
    ----------
    seconds : from the start of the observation
    status : START or STOP of a state, or POINT
    """

    seconds: float
    subject: str
    behaviour: str
    modifiers: str
    status: str


@dataclass(frozen=True)
class Media:
    """The files that the first player plays, one after the other.

    The other players show the same time from elsewhere.

    Attributes
    ----------
    files : their names
    lengths : seconds of each file; those of all but the last must be known
    offset : seconds that BORIS adds to the time of the media
    """

    files: Sequence[str]
    lengths: Mapping[str, float] = field(default_factory=dict)
    offset: float = 0.0

    def stretches(self, label: str, start: float, end: float, subject: str) -> Iterator[Stretch]:
        """The stretch in the time of its file; in several files, one in each."""
        start, end = max(start - self.offset, 0.0), max(end - self.offset, 0.0)
        begins = 0.0
        for place, name in enumerate(self.files):
            is_last = place == len(self.files) - 1
            ends = float("inf") if is_last else begins + self._length(name)
            first, last = max(start, begins), min(end, ends)
            if first < last or (first == last == start == end and first < ends):
                yield Stretch(name, label, first - begins, last - begins, subject)
            begins = ends

    def _length(self, name: str) -> float:
        if name not in self.lengths:
            raise ValueError(
                f"{name} is followed by other files, and its length is not told; read the project "
                "file in BORIS, so that it measures the length, or use one file an observation"
            )
        return self.lengths[name]


def paired(events: Iterable[Event], media: Media) -> tuple[list[Stretch], list[str]]:
    """The stretches between start and stop, and the point events; and what never stops.

    As in BORIS, a stop belongs to the start of the same subject, behaviour and modifiers.

    Returns
    -------
    stretches : in order of their end
    unpaired : words on each start or stop that is alone
    """
    open_since: dict[tuple[str, str, str], float] = {}
    stretches: list[Stretch] = []
    unpaired = []
    for event in events:
        subject = "" if event.subject == NO_SUBJECT else event.subject
        key = (subject, event.behaviour, event.modifiers)
        start = event.seconds
        if event.status == "START":
            if key in open_since:
                unpaired.append(f"{event.behaviour} at {open_since[key]:g} s")
            open_since[key] = event.seconds
            continue
        if event.status == "STOP":
            if key not in open_since:
                unpaired.append(f"{event.behaviour} at {event.seconds:g} s")
                continue
            start = open_since.pop(key)
        stretches += media.stretches(event.behaviour, start, event.seconds, subject)
    unpaired += [f"{behaviour} at {start:g} s" for (_, behaviour, _), start in open_since.items()]
    return stretches, unpaired
