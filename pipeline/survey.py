"""A first look at a folder of clips: what the videos' headers say, copies, and what looks odd.

Nothing is embedded and hardly anything decoded, so that mistakes in the layout show in seconds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.clips import Rejected
from pipeline.dataset_params import DatasetParams
from pipeline.errors import ClipError
from pipeline.executors.processes import CrashedError, TooSlowError, run_in_processes
from pipeline.files import sha256
from pipeline.layouts import Found, find_clips
from pipeline.layouts.contents import look_into
from pipeline.layouts.hints import group_hints, layout_hints
from pipeline.progress import Progress
from pipeline.storage import is_url
from pipeline.video import VideoReader

HEADER_TIMEOUT = 30.0  # seconds for one file
HASH_THREADS = 4
MOST_FILES = 20_000  # of which the header is read; of more, so many are picked evenly


@dataclass(frozen=True)
class Header:
    """What a container says of its video, after one frame of it was decoded.

    Attributes
    ----------
    width, height : pixels
    fps : frames/s
    frames : often off by one or two; None where the container gives no number
    """

    width: int
    height: int
    fps: float
    frames: int | None

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

    found: Sequence[Found]
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
        """Frames per second, "25" or "29.97" -> files."""
        return Counter(f"{round(header.fps, 2):g}" for header in self.headers.values())

    def length(self, clip: Found) -> tuple[int | None, float | None]:
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
    files = {file_of(clip): clip for clip in findings.clips if not is_url(clip.path)}
    notes = list(findings.notes)
    shown = list(files.values())
    if len(shown) > MOST_FILES:
        step = len(shown) / MOST_FILES
        shown = [shown[int(i * step)] for i in range(MOST_FILES)]
        notes.append(
            f"The headers of {MOST_FILES:,} files, evenly picked from {len(files):,}, were read; "
            "sizes, rates, frames and seconds are of those."
        )
    headers: dict[str, Header] = {}
    unreadable: list[Rejected] = []
    with Progress("explore", len(shown), "files") as progress:
        for clip, result in _read_headers(shown, params.folder, workers):
            if isinstance(result, Header):
                headers[file_of(clip)] = result
            else:
                unreadable.append(Rejected(file_of(clip), "explore", result))
            progress.advance()
    contents = look_into(params.folder)
    hints = [
        *layout_hints(params, contents, findings.clips),
        *group_hints(params, findings.clips),
    ]
    unreadable.sort(key=lambda row: row.clip_id)
    copies = find_copies(list(files.values()), params.folder)
    return Survey(findings.clips, headers, unreadable, copies, notes, hints)


def file_of(clip: Found) -> str:
    """What the segments of one video have in common: its file; the clip_id of an image clip."""
    return clip.path or clip.clip_id


def read_header(path: Path) -> Header:
    """Size, rate and length of a video by its header, once its first frame was decoded.

    Raises
    ------
    ClipError
        When the file cannot be opened or holds no frame that can be decoded.
    """
    reader = VideoReader(path)
    for _ in reader.frames(lambda index, _: index == 0):
        break
    return Header(reader.width, reader.height, reader.fps, reader.claimed_frames)


def find_copies(files: Sequence[Found], raw: Path) -> list[list[str]]:
    """Clips with equal bytes; only files of equal size are read."""
    by_size: dict[int, list[Found]] = defaultdict(list)
    for clip in files:
        by_size[(raw / clip.path).stat().st_size].append(clip)
    alike = [clip for clips in by_size.values() if len(clips) > 1 for clip in clips]
    by_digest: dict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(HASH_THREADS) as pool:
        digests = pool.map(lambda clip: clip.digest or sha256(raw / clip.path), alike)
        for clip, digest in zip(alike, digests, strict=True):
            by_digest[digest].append(file_of(clip))
    return [names for names in by_digest.values() if len(names) > 1]


def _read_headers(
    found: Sequence[Found], raw: Path, workers: int
) -> Iterator[tuple[Found, Header | str]]:
    """The header of each clip, or why there is none; in any order."""
    clips = {raw / clip.path: clip for clip in found}
    for path, answer in run_in_processes(
        read_header, clips, workers=workers, timeout=HEADER_TIMEOUT
    ):
        if isinstance(answer, Header):
            yield clips[path], answer
        elif isinstance(answer, ClipError):
            yield clips[path], str(answer)
        elif isinstance(answer, TooSlowError):
            yield clips[path], f"did not open within {HEADER_TIMEOUT:g} s"
        elif isinstance(answer, CrashedError):
            yield clips[path], f"crashed the decoder ({answer})"
        else:
            raise answer
