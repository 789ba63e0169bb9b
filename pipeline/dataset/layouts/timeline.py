"""Layout `timeline`: long videos, and files of annotation tools that say what happens when.

Each video is tiled into segments without holes, so that training takes the annotated ones as clips,
and all of them in a row are the video again.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby, pairwise
from pathlib import PurePosixPath

from pipeline.annotations.formats import read_annotations
from pipeline.annotations.stretch import Stretch
from pipeline.dataset.clips import BACKGROUND, NO_LABEL
from pipeline.dataset.layouts.contents import find_media
from pipeline.dataset.layouts.found_clip import Findings, FoundClip
from pipeline.dataset.layouts.groups import groups_of
from pipeline.dataset.layouts.labels import check_classes
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.segments import segment_id
from pipeline.dataset.walk import find_files
from pipeline.errors import ClipError, DatasetError
from pipeline.frames.inspection import Inspection, inspect
from pipeline.frames.video import FALLBACK_FPS, MAX_PIXELS, VIDEO_EXTENSIONS
from pipeline.wording import count, some

ANNOTATIONS = frozenset((".csv", ".tsv", ".boris", ".eaf", ".json"))
SEGMENT = 2.0  # seconds of most segments: about as long as the windows of long videos, see docs
TOUCHING = 0.1  # seconds; what lies closer together was meant to adjoin
TIME_DIGITS = 3  # of seconds

Part = tuple[str, float, float]  # label, start and end


def find(params: DatasetParams) -> Findings:
    """The segments of every video below ``dataset.raw`` that an annotation file there names.

    Where nothing is annotated the label is "background" with ``dataset.background``, and else "",
    as it is where annotations contradict each other.

    Raises
    ------
    DatasetError
        When a file of annotations is broken or names a video that is not there, or when there is
        one class.
    """
    notes: list[str] = []
    videos = find_media(params, VIDEO_EXTENSIONS, notes)
    files = find_files(params.folder, ANNOTATIONS)
    if not files:
        raise DatasetError(
            f"{params.raw} holds {count(len(videos), 'video')}, but no file of annotations: put "
            f"those there that your tool writes ({', '.join(sorted(ANNOTATIONS))}), or a table "
            "with the columns video,label,start,end."
        )
    names = _Names(videos, params.raw)
    looked: dict[str, Inspection] = {}

    def inspected(video: str) -> Inspection:
        if video not in looked:
            try:
                looked[video] = inspect(params.folder / video, MAX_PIXELS)
            except ClipError as error:
                raise DatasetError(f"{video} {error}: take it out of {params.raw}.") from None
        return looked[video]

    def rate(file: str, name: str) -> float:
        return inspected(names.find(name, file)).fps or FALLBACK_FPS

    stretches: dict[str, list[Stretch]] = defaultdict(list)
    for file in files:
        read = read_annotations(params.folder / file, partial(rate, file))
        notes += [f"{file}: {note}" for note in read.notes]
        for stretch in read.stretches:
            if params.annotator in (None, stretch.annotator):
                stretches[names.find(stretch.video, file)].append(stretch)
    if not stretches:
        who = f" by {params.annotator} (dataset.annotator)" if params.annotator else ""
        raise DatasetError(f"{some(files)} in {params.raw} annotate nothing{who}.")
    if silent := [video for video in videos if video not in stretches]:
        notes.append(
            f"{count(len(silent), 'video')} without an annotation left out: {some(silent)}."
        )
    annotated = sorted(stretches)
    groups = dict(
        zip(annotated, groups_of(annotated, [""] * len(annotated), params.group), strict=True)
    )
    disputed: dict[str, float] = {}
    clips = []
    for video in annotated:
        length = inspected(video).seconds or max(one.end for one in stretches[video])
        elsewhere = BACKGROUND if params.background else NO_LABEL
        parts, disputed[video] = timeline_of(stretches[video], length, elsewhere)
        clips += _segments(video, groups[video], parts)
    if sum(disputed.values()):
        worst = [f"{video} ({seconds:.1f} s)" for video, seconds in disputed.items() if seconds]
        notes.append(
            f"{sum(disputed.values()):.1f} s have annotations that contradict each other, and are "
            f"not learnt from: {some(worst)}; set dataset.annotator to follow one."
        )
    check_classes((clip.label for clip in clips), params.raw, notes)
    return Findings(clips, notes)


def timeline_of(
    stretches: Iterable[Stretch], length: float, elsewhere: str
) -> tuple[list[Part], float]:
    """What happens in a video from its first frame to its last, without a hole.

    Parameters
    ----------
    length : seconds; what lies beyond is cut off
    elsewhere : the label of what is not annotated

    Returns
    -------
    parts : in order, no two of one label side by side
    disputed : seconds in which several labels are given, which is `NO_LABEL` there
    """
    changes: list[tuple[float, int, str]] = []
    for one in stretches:
        start, end = (round(min(time, length), TIME_DIGITS) for time in (one.start, one.end))
        if start < end:
            changes += [(start, 1, one.label), (end, -1, one.label)]
    times = sorted({0.0, round(length, TIME_DIGITS), *(time for time, _, _ in changes)})
    changes.sort()
    here: Counter[str] = Counter()
    parts: list[Part] = []
    disputed, place = 0.0, 0
    for start, end in pairwise(times):
        while place < len(changes) and changes[place][0] <= start:
            here[changes[place][2]] += changes[place][1]
            place += 1
        labels = [label for label, number in here.items() if number]
        if len(labels) > 1:
            disputed += end - start
        label = labels[0] if len(labels) == 1 else NO_LABEL if labels else elsewhere
        if not labels and parts and end - start < TOUCHING and end < times[-1]:
            label = parts[-1][0]
        parts.append((label, start, end))
    runs = (list(run) for _, run in groupby(parts, key=lambda part: part[0]))
    return [(run[0][0], run[0][1], run[-1][2]) for run in runs], disputed


def cut(part: Part) -> list[Part]:
    """A part in pieces of `SEGMENT` seconds, the last of which is half as long at least."""
    label, start, end = part
    pieces = max(1, int((end - start) / SEGMENT + 0.5))
    edges = [round(start + i * SEGMENT, TIME_DIGITS) for i in range(pieces)]
    return [(label, left, right) for left, right in pairwise([*edges, end])]


def _segments(video: str, group: str, parts: Sequence[Part]) -> list[FoundClip]:
    """The clips of a video; the last one has no end, for a container may say too little."""
    pieces = [piece for part in parts for piece in cut(part)]
    ends = [*(end for _, _, end in pieces[:-1]), None]
    return [
        FoundClip(segment_id(video, start, end), label, group, path=video, start=start, end=end)
        for (label, start, _), end in zip(pieces, ends, strict=True)
    ]


class _Names:
    """Finds the videos that annotations name as another machine, or the tool, knew them."""

    def __init__(self, videos: Sequence[str], raw: str) -> None:
        self._raw, self._videos = raw, set(videos)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for video in videos:
            path = PurePosixPath(video)
            for name in {path.name, path.stem}:
                self._by_name[name].append(video)

    def find(self, name: str, file: str) -> str:
        """The video below the raw folder: by its path, its name, or its name without the ending.

        Raises
        ------
        DatasetError
            When there is none, or more than one.
        """
        path = PurePosixPath(re.sub(r"[\\/]+", "/", name))
        for known in (path, *(path.relative_to(parent) for parent in [*path.parents][::-1])):
            if str(known) in self._videos:
                return str(known)
        found = self._by_name.get(path.name) or self._by_name.get(path.stem) or []
        if len(found) == 1:
            return found[0]
        if found:
            raise DatasetError(
                f"{file} names {name}, which may be {some(found)} in {self._raw}: name it by its "
                "path from there."
            )
        raise DatasetError(
            f"{file} names {name}, but there is no such video in {self._raw}: put it there, or "
            "take it out of the annotations."
        )
