"""Stage `frames`: what the CNN will see, and what is seen of motion, for people to look at."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from pipeline.dataset.clips import Clip
from pipeline.dataset.label_sets import labels_of
from pipeline.dataset.sources import ClipFiles, Images
from pipeline.errors import ClipError, DatasetError
from pipeline.files import as_file_name, replacing_folder
from pipeline.frames.contact_sheet import INK, THUMBNAIL, gap, line, strip, write_picture
from pipeline.frames.flow_arrows import draw_arrows, fast_speed, flow_grid
from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.motion import difference_of, flow_field_of
from pipeline.frames.neighbours import Moment, Neighbourhood
from pipeline.frames.sampled import SampledFrame, sampled_frames
from pipeline.frames.sources import FAR, entered, fetched_source
from pipeline.frames.streams import DIFFERENCE, FLOW
from pipeline.frames.video import Sampling, sample_frames
from pipeline.params import Params
from pipeline.progress import Progress
from pipeline.wording import count, some

SHEETS = Path("reports/frames")
FRAMES_PER_CLIP = 10  # pictures in a row of a contact sheet
MOST_HELD = 256  # pictures of one clip held in memory to choose the shown ones from
JPEG_QUALITY = 90
DARKENED = 0.5  # of a frame's brightness, below arrows
WRITTEN = re.compile(r"\d{6,}_\d+\.\d{3}s\.jpg")  # names that `write_frames` gives


@dataclass
class _Seen:
    """What is seen of a sampled frame.

    Attributes
    ----------
    picture : as the CNN sees it
    flow, difference : of the movement around it; None where the settings lack the stream
    """

    index: int
    picture: np.ndarray
    flow: np.ndarray | None = None
    difference: np.ndarray | None = None


def write_contact_sheets(
    params: Params, clips: Sequence[Clip], folder: Path = SHEETS, *, images: Images | None = None
) -> list[Path]:
    """Write ``folder/<label>.jpg``: a few clips per class, a row of sampled frames with times each.

    Below each frame what the streams of the settings see of motion: the flow as arrows, and the
    difference picture. All is decoded, sampled and made by the code that feeds the head. A clip
    that cannot be read is passed over here; the features stage reports it.

    Parameters
    ----------
    images : clip_id -> files of the clips of images, as images.csv has them
    """
    by_label: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        for label in labels_of(clip.label, multi_label=params.dataset.multi_label):
            by_label[label].append(clip)
    sheets = []
    with (
        replacing_folder(folder) as temporary,
        Progress("frames", len(by_label), "classes") as progress,
        ThreadPoolExecutor() as pool,
    ):

        def sheet(label: str) -> None:
            rows = list(
                _rows(params, _spread(by_label[label], params.frames.clips_per_class), images)
            )
            if rows:
                write_picture(
                    temporary / f"{as_file_name(label)}.jpg", np.vstack(rows), JPEG_QUALITY
                )

        for label, _ in zip(by_label, pool.map(sheet, by_label), strict=True):
            sheets.append(folder / f"{as_file_name(label)}.jpg")
            progress.advance()
    return [path for path in sheets if path.exists()]


def write_frames(
    params: Params, clips: Iterable[Clip], folder: Path, *, images: Images | None = None
) -> dict[str, int]:
    """Write every sampled frame of the clips as ``folder/<clip_id>/<index>_<seconds>s.jpg``.

    A clip's folder is there with all of its frames or not at all. They are written through to disk
    once, at the end: to wait for each JPEG takes longer than to decode and write it.

    Returns
    -------
    clip_id -> number of frames written

    Raises
    ------
    ClipError
        When a clip cannot be decoded; frames of clips before it stay.
    DatasetError
        When a clip's folder holds other files than frames that were written out earlier, or lies
        in `dataset.raw`.
    """
    raw = Path(params.dataset.raw).resolve()
    if folder.resolve().is_relative_to(raw):
        raise DatasetError(
            f"{folder} lies in {params.dataset.raw}, whose clips are read: name a folder outside "
            "of it with --out."
        )
    written = {}
    sampling = params.features.sampling
    try:
        for clip in clips:
            _check_replaceable(folder / clip.clip_id)
            with replacing_folder(folder / clip.clip_id, durable=False) as temporary:
                timeline: list[float] = []
                try:
                    for frame in _sampled(params, clip, sampling, images, timeline):
                        path = temporary / f"{frame.index}.jpg"
                        write_picture(path, frame.picture(), JPEG_QUALITY)
                except ClipError as error:
                    raise ClipError(f"{clip.clip_id} {error}.") from None
                sampled = sample_frames(np.asarray(timeline), sampling, clip.start, clip.end)
                for index in sampled:
                    name = f"{index:06d}_{timeline[index]:.3f}s.jpg"
                    os.replace(temporary / f"{index}.jpg", temporary / name)
                for path in temporary.glob("[!.]*"):  # picked before the length was known
                    if not WRITTEN.fullmatch(path.name):
                        path.unlink()
            written[clip.clip_id] = len(sampled)
    finally:
        os.sync()
    return written


def named_clips(clips: Sequence[Clip], names: Sequence[str]) -> list[Clip]:
    """The clips with these clip_ids.

    Raises
    ------
    DatasetError
        When one is not in the index.
    """
    by_id = {clip.clip_id: clip for clip in clips}
    unknown = [name for name in names if name not in by_id]
    if unknown:
        raise DatasetError(
            f"{some(unknown)}: not in data/index.csv; a clip is named by its path below "
            f"dataset.raw, for example {next(iter(by_id))}."
        )
    return [by_id[name] for name in names]


def _check_replaceable(folder: Path) -> None:
    """Only frames that were written out earlier are ever replaced, and no data set."""
    files = [folder, *folder.rglob("*")]
    others = [str(path) for path in files if path.is_file() and not WRITTEN.fullmatch(path.name)]
    if others:
        raise DatasetError(
            f"{some(others)} would be replaced, and is no frame that was written out earlier: name "
            "another folder with --out."
        )


def _sampled(
    params: Params,
    clip: Clip,
    sampling: Sampling,
    images: Images | None,
    timeline: list[float],
    *,
    neighbours: bool = False,
    numbered: bool = True,
) -> Iterator[SampledFrame]:
    """The frames that may be sampled, and those around them where `neighbours` are wanted.

    `timeline` is filled with the seconds of every frame, up to the first behind a segment's end.
    Where they need not be `numbered` from the beginning of the video, what lies far before the
    segment is left out.
    """
    source = ClipFiles.of(params.dataset, images).source(clip)
    source = source if numbered else entered(source, clip.segment[0])
    with fetched_source(source, clip.digest) as local:
        reader = IsolatedReader(local)
        yield from sampled_frames(
            reader,
            sampling,
            params.backbone.input_size,
            params.features.resize,
            [clip.segment],
            neighbours=neighbours,
            to_the_end=False,
        )
        timeline += reader.timeline


def _spread(clips: Sequence[Clip], count: int) -> list[Clip]:
    """`count` clips, evenly over the list, so that they tend to be of different groups."""
    picked = np.linspace(0, len(clips) - 1, min(count, len(clips))).round().astype(int)
    return [clips[i] for i in np.unique(picked)]


def _rows(params: Params, clips: Iterable[Clip], images: Images | None) -> Iterator[np.ndarray]:
    sampling = params.features.sampling
    few = replace(sampling, max_frames=MOST_HELD)
    for clip in clips:
        seconds: list[float] = []
        try:
            seen = _seen(params, clip, few, images, seconds)
        except (ClipError, OSError):
            continue
        timeline = np.asarray(seconds)
        sampled = len(sample_frames(timeline, sampling, clip.start, clip.end))
        shown = sample_frames(timeline, few, clip.start, clip.end)
        if not len(shown):
            continue
        title = f"{clip.clip_id}   {count(sampled, 'frame')} sampled"
        shown = shown[np.linspace(0, len(shown) - 1, min(FRAMES_PER_CLIP, len(shown))).astype(int)]
        numbered = clip.segment[0] <= FAR
        yield _row(title, [(seconds[i], seen[int(i)]) for i in shown], numbered)


def _seen(
    params: Params, clip: Clip, sampling: Sampling, images: Images | None, timeline: list[float]
) -> dict[int, _Seen]:
    """What is seen of each frame that may be sampled, by its index; `timeline` as in `_sampled`."""
    streams = params.features.streams
    moving = FLOW in streams or DIFFERENCE in streams
    around = Neighbourhood(params.features.resize)
    seen: dict[int, _Seen] = {}

    def see(moments: Iterable[Moment]) -> None:
        for moment in moments:
            one = seen[moment.index]
            if FLOW in streams:
                one.flow = flow_grid(flow_field_of(moment))
            if DIFFERENCE in streams:
                one.difference = difference_of(moment, "identity")

    frames = _sampled(
        params, clip, sampling, images, timeline, neighbours=moving, numbered=False
    )  # fmt: skip
    for frame in frames:
        if frame.picked:
            seen[frame.index] = _Seen(frame.index, frame.picture())
        if moving:
            see(around.add(frame.index, frame.image, frame.seconds, frame.picked))
    see(around.end())
    return seen


def _row(title: str, frames: Sequence[tuple[float, _Seen]], numbered: bool) -> np.ndarray:
    """A row of the sheet: a title, frames side by side, what is seen of motion, and their times."""
    captions = {
        i: f"{seconds:.2f} s" + (f"  #{one.index}" if numbered else "")
        for i, (seconds, one) in enumerate(frames)
    }
    seen = [one for _, one in frames]
    parts = [line({0: title}, FRAMES_PER_CLIP, INK)]
    for pictures in filter(None, ([one.picture for one in seen], _arrows(seen), _changes(seen))):
        parts += [strip(pictures, FRAMES_PER_CLIP), gap(FRAMES_PER_CLIP)]
    return np.vstack([*parts, line(captions, FRAMES_PER_CLIP)])


def _arrows(seen: Sequence[_Seen]) -> list[np.ndarray]:
    """The frames, dark, with arrows for what moves in them; none where nothing does."""
    grids = [one.flow for one in seen if one.flow is not None]
    if not np.any(grids):
        return []
    fast = fast_speed(np.stack(grids))
    large = (2 * THUMBNAIL, 2 * THUMBNAIL)  # for lines finer than a pixel of the sheet
    return [
        draw_arrows(cv2.resize(cv2.convertScaleAbs(one.picture, None, DARKENED), large), grid, fast)
        for one, grid in zip(seen, grids, strict=True)
    ]


def _changes(seen: Sequence[_Seen]) -> list[np.ndarray]:
    """The difference pictures; none where all are black, as of still images."""
    pictures = [one.difference for one in seen if one.difference is not None]
    return pictures if np.any(pictures) else []
