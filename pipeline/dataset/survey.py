"""A first look at a folder of clips: what the videos' headers say, copies, and what looks odd.

Nothing is embedded and hardly anything decoded, so that mistakes in the layout show in seconds.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.dataset.clips import Damaged, Rejected, read_damaged, read_rejected
from pipeline.dataset.layouts import FoundClip, find_clips
from pipeline.dataset.layouts.contents import look_into
from pipeline.dataset.layouts.hints import copy_hints, group_hints, layout_hints
from pipeline.dataset.params import DatasetParams
from pipeline.errors import ClipError
from pipeline.frames.inspection import inspect
from pipeline.frames.loss import cut_frames
from pipeline.frames.sources import Source, open_source, source_digest
from pipeline.frames.storage import is_url
from pipeline.frames.video import MAX_PIXELS, VideoReader
from pipeline.processes import CrashedError, TooSlowError, run_in_processes
from pipeline.progress import Progress
from pipeline.wording import count, some

Task = TypeVar("Task")

HEADER_TIMEOUT = 30.0  # seconds for one file
HASH_THREADS = 4
HEADER_ERROR = 1.0  # seconds that a header may be off before it is worth a word
MOST_FILES = 20_000  # of which the header is read; of more, so many are picked evenly


@dataclass(frozen=True)
class Header:
    """What a container says of its video, or what is known of a clip of images.

    One frame of it was decoded.

    Attributes
    ----------
    width, height : pixels
    fps : frames/s
    frames : often off by one or two; None where the container gives no number
    missing : of them, that stood behind the place where the file was cut off
    """

    width: int
    height: int
    fps: float
    frames: int | None
    missing: int = 0

    @property
    def seconds(self) -> float | None:
        """Length by the header."""
        return None if self.frames is None else self.frames / self.fps


@dataclass(frozen=True)
class Survey:
    """What a data set holds.

    Attributes
    ----------
    found : the clips
    headers : file of a clip (see `file_of`) -> header, of the readable ones
    unreadable : the others, with the reason
    copies : files with equal bytes
    notes : sentences of the layout on what it left out or put together
    hints : sentences on what looks like a mistake
    """

    found: Sequence[FoundClip]
    headers: dict[str, Header]
    unreadable: list[Rejected]
    copies: list[list[str]]
    notes: list[str]
    hints: list[str]

    @property
    def resolutions(self) -> Counter[str]:
        """ "320 x 240" -> files."""
        return Counter(f"{header.width} x {header.height}" for header in self.headers.values())

    @property
    def rates(self) -> Counter[str]:
        """Frames per second, "25" or "29.97" -> files; a single picture has no rate."""
        return Counter(
            f"{round(header.fps, 2):g}" for header in self.headers.values() if header.frames != 1
        )

    def length(self, clip: FoundClip) -> tuple[int | None, float | None]:
        """Frames and seconds of a clip by its header; None where unknown."""
        header = self.headers.get(file_of(clip))
        if header is None:
            return None, None
        if clip.start is None:
            return header.frames, header.seconds
        end = header.seconds if clip.end is None else clip.end
        if end is None:
            return None, None
        seconds = max(min(end, header.seconds or end) - clip.start, 0.0)
        return round(seconds * header.fps), seconds


def survey_clips(params: DatasetParams, workers: int) -> Survey:
    """Look at every clip that the layout finds.

    A file that crashes or hangs the decoder is one unreadable clip: headers are read in worker
    processes. Files behind URLs are not looked at.

    Raises
    ------
    DatasetError
        When the layout finds no usable clips; the message says which layout might fit.
    """
    findings = find_clips(params)
    notes = list(findings.notes)
    raw = params.folder.absolute()
    files = {
        file_of(clip): Source(
            path=str(raw / clip.path) if clip.path else "",
            images=tuple(str(raw / image) for image in clip.images),
            fps=params.frames_fps,
        )
        for clip in findings.clips
        if not is_url(clip.path)
    }
    shown = files
    if len(files) > MOST_FILES:
        picked = np.linspace(0, len(files) - 1, MOST_FILES).astype(int)
        listed = list(files)
        shown = {listed[i]: files[listed[i]] for i in picked}
        notes.append(
            f"The headers of {MOST_FILES:,} files, evenly picked from {len(files):,}, were read; "
            "sizes, rates, frames and seconds are of those."
        )
    headers: dict[str, Header] = {}
    unreadable: list[Rejected] = []
    with Progress("explore", len(shown), "files") as progress:
        names = {source: name for name, source in shown.items()}
        for source, result in read_headers(names, workers, read_header):
            name = names[source]
            if isinstance(result, Header):
                headers[name] = result
            else:
                unreadable.append(Rejected(name, "explore", result))
            progress.advance()
    unreadable.sort(key=lambda row: row.clip_id)
    copies = find_copies(files)
    hints = [*group_hints(params, findings.clips), *copy_hints(copies, findings.clips)]
    hints += damage_hints(headers, read_damaged(), read_rejected())
    hints += late_segments(findings.clips, headers, params.table)
    if raw.is_dir():  # a table may start from a URL
        hints = [*layout_hints(params, look_into(raw), findings.clips), *hints]
    return Survey(findings.clips, headers, unreadable, copies, notes, hints)


def damage_hints(
    headers: Mapping[str, Header], damaged: Sequence[Damaged], rejected: Sequence[Rejected]
) -> list[str]:
    """Sentences on files that are cut off, and on what the last run of `features` found."""
    hints = []
    cut = [
        f"{name} ({header.missing} of {header.frames} frames)"
        for name, header in headers.items() if header.missing
    ]  # fmt: skip
    if cut:
        hints.append(f"{count(len(cut), 'file')} cut off, with frames missing: {some(cut)}.")
    if damaged or rejected:
        missing = sum(row.claimed - row.decoded for row in damaged)
        hints.append(
            f"The last run of `clipcache features` rejected {count(len(rejected), 'clip')} and "
            f"used {count(len(damaged), 'clip')} with {count(missing, 'frame')} missing: see "
            "reports/rejected.csv and reports/damaged.csv."
        )
    return hints


def late_segments(
    clips: Iterable[FoundClip], headers: Mapping[str, Header], table: str
) -> list[str]:
    """A sentence on segments that begin or end after their video does, by its header."""
    late, long = [], []
    for clip in clips:
        header = headers.get(file_of(clip)) if clip.start is not None else None
        seconds = header.seconds if header else None
        if seconds is None:
            continue
        if (clip.start or 0) >= seconds:
            late.append(f"{clip.clip_id} ({seconds:.1f} s)")
        elif clip.end is not None and clip.end > seconds + HEADER_ERROR:
            long.append(f"{clip.clip_id} ({seconds:.1f} s)")
    hints = []
    if late:
        hints.append(
            f"{table} has segments that begin after the end of their video and cannot be used: "
            f"{some(late)}; mend start and end, which are seconds."
        )
    if long:
        hints.append(
            f"{table} has segments that go on after the end of their video, and are cut there: "
            f"{some(long)}; see end, which is in seconds."
        )
    return hints


def file_of(clip: FoundClip) -> str:
    """What the segments of one video have in common: its file; the clip_id of an image clip."""
    return clip.path or clip.clip_id


def read_header(source: Source) -> Header:
    """Size, rate and length by the header of a video, or by the first of a clip's images.

    Raises
    ------
    ClipError
        When the file cannot be opened or holds no frame that can be decoded.
    """
    reader = open_source(source)
    height, width = 0, 0
    for _, picture in reader.frames(lambda index, _: index == 0):
        height, width = picture.shape[:2]
        break
    if isinstance(reader, VideoReader):
        missing = cut_frames(reader.path, inspect(reader.path, MAX_PIXELS))
        return Header(reader.width, reader.height, reader.fps, reader.claimed_frames, missing)
    return Header(width, height, source.fps, len(source.images))


def find_copies(files: Mapping[str, Source]) -> list[list[str]]:
    """Names of files, or clips of images, with equal bytes; only those of equal size are read."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for name, source in files.items():
        by_size[sum(Path(file).stat().st_size for file in source.files)].append(name)
    alike = [name for names in by_size.values() if len(names) > 1 for name in names]
    by_digest: dict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(HASH_THREADS) as pool:
        digests = pool.map(source_digest, (files[name] for name in alike))
        for name, digest in zip(alike, digests, strict=True):
            by_digest[digest].append(name)
    return [names for names in by_digest.values() if len(names) > 1]


def read_headers(
    tasks: Iterable[Task], workers: int, read: Callable[[Task], Header]
) -> Iterator[tuple[Task, Header | str]]:
    """Read headers in worker processes, in any order; of each, the header or why there is none."""
    for task, answer in run_in_processes(read, tasks, workers=workers, timeout=HEADER_TIMEOUT):
        match answer:
            case Header():
                yield task, answer
            case ClipError():
                yield task, str(answer)
            case TooSlowError():
                yield task, f"did not open within {HEADER_TIMEOUT:g} s"
            case CrashedError():
                yield task, f"crashed the decoder ({answer})"
            case _:
                raise answer
