"""A first look at a folder of clips: what the videos' headers say, copies, and what looks odd.

Nothing is embedded and hardly anything decoded, so that mistakes in the layout show in seconds.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pipeline.clips import Rejected
from pipeline.dataset_params import DatasetParams
from pipeline.errors import ClipError, DatasetError, some
from pipeline.files import sha256
from pipeline.layouts import GROUP_PATTERNS, IGNORED_NAMES, Found, find_clips
from pipeline.processes import CrashedError, TooSlowError, run_in_processes
from pipeline.progress import Progress
from pipeline.video import VIDEO_EXTENSIONS, VideoReader

HEADER_TIMEOUT = 30.0  # seconds for one file
HASH_THREADS = 4
IMAGE_EXTENSIONS = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"))
TABLE_EXTENSIONS = frozenset((".csv", ".tsv"))
SPLIT_FOLDERS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing"))
# Layouts and what their folders hold, to suggest one; only those that exist here are named.
LAYOUTS = {
    "frames": "videos cut into frames",
    "images": "still images",
    "csv": "a table that lists the clips",
}


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
    """What a folder of clips holds.

    Attributes
    ----------
    headers : clip_id -> header, of the readable clips
    unreadable : the others, with the reason
    copies : clip_ids of files with equal bytes
    hints : sentences on what looks like a mistake
    """

    found: list[Found]
    headers: dict[str, Header]
    unreadable: list[Rejected]
    copies: list[list[str]]
    hints: list[str]

    @property
    def resolutions(self) -> Counter[str]:
        """ "320 x 240" -> clips."""
        return Counter(f"{header.width} x {header.height}" for header in self.headers.values())

    @property
    def rates(self) -> Counter[str]:
        """Frames per second, "25" or "29.97" -> clips."""
        return Counter(f"{round(header.fps, 2):g}" for header in self.headers.values())


def survey_clips(params: DatasetParams, workers: int) -> Survey:
    """Look at every clip below ``dataset.raw``.

    A file that crashes or hangs the decoder is one unreadable clip: headers are read in worker
    processes.

    Raises
    ------
    DatasetError
        When the layout finds no usable clips; the message says which layout might fit.
    """
    try:
        found = find_clips(params)
    except DatasetError as error:
        raise DatasetError(" ".join([str(error), *_layout_hints(params)])) from None
    headers: dict[str, Header] = {}
    unreadable: list[Rejected] = []
    with Progress("explore", len(found), "clips") as progress:
        for clip, result in _read_headers(found, workers):
            if isinstance(result, Header):
                headers[clip.clip_id] = result
            else:
                unreadable.append(Rejected(clip.clip_id, "explore", result))
            progress.advance()
    hints = [*_layout_hints(params), *_group_hints(params, found)]
    unreadable.sort(key=lambda row: row.clip_id)
    return Survey(found, headers, unreadable, find_copies(found), hints)


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


def find_copies(found: Sequence[Found]) -> list[list[str]]:
    """Clips with equal bytes; only files of equal size are read."""
    by_size: dict[int, list[Found]] = defaultdict(list)
    for clip in found:
        by_size[clip.path.stat().st_size].append(clip)
    alike = [clip for clips in by_size.values() if len(clips) > 1 for clip in clips]
    by_digest: dict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(HASH_THREADS) as pool:
        digests = pool.map(sha256, (clip.path for clip in alike))
        for clip, digest in zip(alike, digests, strict=True):
            by_digest[digest].append(clip.clip_id)
    return [clip_ids for clip_ids in by_digest.values() if len(clip_ids) > 1]


def _read_headers(found: Sequence[Found], workers: int) -> Iterator[tuple[Found, Header | str]]:
    """The header of each clip, or why there is none; in any order."""
    clips = {clip.path: clip for clip in found}
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


def _layout_hints(params: DatasetParams) -> list[str]:
    """What else the folder holds, and which layout might read it."""
    raw = params.folder
    if not raw.is_dir():
        return []
    endings = Counter(path.suffix.lower() for path in _files(raw))
    videos = sum(endings[suffix] for suffix in VIDEO_EXTENSIONS)
    images = sum(endings[suffix] for suffix in IMAGE_EXTENSIONS)
    tables = sum(endings[suffix] for suffix in TABLE_EXTENSIONS)
    hints = []
    if images > videos:
        hints.append(
            f"{params.raw} holds more images than videos ({images:,} against {videos:,}), and the "
            f"layout {params.layout} reads videos only{_suggestion(params, 'frames', 'images')}."
        )
    if tables and not videos and not images:
        hints.append(f"{params.raw} holds tables, but no videos{_suggestion(params, 'csv')}.")
    folders = sorted(path.name for path in raw.iterdir()
                     if path.is_dir() and not path.name.startswith("."))  # fmt: skip
    if folders and {name.lower() for name in folders} <= SPLIT_FOLDERS:
        hints.append(
            f"The folders of {params.raw} are called {some(folders)}, which reads like a split and "
            f"not like actions: point dataset.raw at one of them, or lay the clips out as "
            "<label>/<clip> and let the `split` stage deal them out."
        )
    return hints


def _suggestion(params: DatasetParams, *layouts: str) -> str:
    known = get_args(type(params).model_fields["layout"].annotation)
    named = [f"{name} ({LAYOUTS[name]})" for name in layouts if name in known]
    return f": set dataset.layout to {' or '.join(named)}" if named else ""


def _group_hints(params: DatasetParams, found: Sequence[Found]) -> list[str]:
    """Whether another grouping preset fits the names, and whether the chosen one groups at all."""
    hints = []
    names = [clip.clip_id for clip in found]
    for rule in ("ucf", "hmdb"):
        if rule != params.group and all(re.search(GROUP_PATTERNS[rule], name) for name in names):
            hints.append(
                f"All names look like {rule.upper()}: set dataset.group to {rule}, so that clips "
                "of one source video stay together."
            )
    groups: dict[str, set[str]] = defaultdict(set)
    for clip in found:
        groups[clip.label].add(clip.group)
    single = sorted(label for label, names_of in groups.items() if len(names_of) == 1)
    if single:
        hints.append(
            f"All clips of {some(single)} are of one group each, so they cannot stand in both "
            "train and test: dataset.group may be the wrong rule for these names."
        )
    return hints


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _ignored(name)]
        yield from (Path(place, name) for name in names if not _ignored(name))


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in IGNORED_NAMES
