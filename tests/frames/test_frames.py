"""The stage `frames`, and the command that writes frames out."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.dataset.clips import Clip
from pipeline.dataset.params import DatasetParams
from pipeline.embedding.params import FeaturesParams
from pipeline.errors import ClipError, DatasetError
from pipeline.frames.contact_sheet import GAP, LINE, THUMBNAIL
from pipeline.frames.params import FramesParams
from pipeline.frames.video import RateSampler, VideoReader, resize
from pipeline.params import Params
from pipeline.stages.frames import named_clips, write_contact_sheets, write_frames
from pipeline.stages.index import index_clips


@pytest.fixture
def project(make_dataset, tmp_path: Path) -> tuple[Params, list[Clip]]:
    raw = make_dataset(labels=("wave", "walk", "golf swing"), frames=25)
    params = Params(
        dataset=DatasetParams(raw=str(raw)),
        frames=FramesParams(clips_per_class=2),
        features=FeaturesParams(fps=5),
    )
    return params, index_clips(params.dataset, tmp_path / "index.csv")


def test_there_is_a_sheet_for_each_class_with_a_row_for_each_clip(project, tmp_path: Path) -> None:
    params, clips = project
    sheets = write_contact_sheets(params, clips, tmp_path / "sheets")
    names = [path.name for path in sheets]
    assert sorted(names) == ["golf swing.jpg", "walk.jpg", "wave.jpg"]
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == sorted(names)
    two = cv2.imread(str(sheets[0]))
    one_row = params.model_copy(update={"frames": FramesParams(clips_per_class=1)})
    one = cv2.imread(str(write_contact_sheets(one_row, clips, tmp_path / "one")[0]))
    assert two.shape[0] == 2 * one.shape[0]
    assert two.std() > 20  # pictures, not paper


def test_below_a_frame_stands_what_the_streams_see_of_motion(project, tmp_path: Path) -> None:
    """The square moves to the right: yellow arrows over it, and a difference picture that is black
    but for it."""
    params, clips = project
    clips = named_clips(clips, ["wave/anna_wave.avi"])
    sheets = {}
    for motion in ((), ("flow",), ("difference",), ("flow", "difference")):
        streams = ("rgb", *motion)
        seen = params.model_copy(update={"features": FeaturesParams(fps=5, streams=streams)})
        (path,) = write_contact_sheets(seen, clips, tmp_path / "-".join(streams))
        sheets[streams] = cv2.imread(str(path)).astype(int)
    plain, both = sheets["rgb",], sheets["rgb", "flow", "difference"]
    row = THUMBNAIL + GAP
    heights = [len(sheet) - len(plain) for sheet in sheets.values()]
    assert heights == [0, row, row, 2 * row]
    flow, difference = both[LINE + row : LINE + 2 * row], both[LINE + 2 * row : LINE + 3 * row]
    for sheet, expected in (("flow", flow), ("difference", difference)):
        alone = sheets["rgb", sheet][LINE + row : LINE + 2 * row]
        assert np.abs(alone - expected).mean() < 0.5  # JPEG, in blocks that reach across
    blue, green, red = (flow[:THUMBNAIL, :THUMBNAIL, channel] for channel in range(3))
    assert ((red > blue + 60) & (green > blue + 60)).any()
    shown = difference[:THUMBNAIL, :THUMBNAIL].max(axis=2)
    assert (shown > 60).any()
    assert (shown < 30).mean() > 0.5


def test_below_a_still_image_stands_nothing(project, tmp_path: Path) -> None:
    params, clips = project
    moving = write_contact_sheets(params, clips[:1], tmp_path / "moving")[0]
    picture = next(VideoReader(params.dataset.folder / clips[0].clip_id).frames(lambda *_: True))[1]
    cv2.imwrite(str(params.dataset.folder / "still.png"), picture)
    still = Clip("still.png", clips[0].label, "anna", "0" * 64, 1, "images")
    images = {still.clip_id: ["still.png"]}
    (sheet,) = write_contact_sheets(params, [still], tmp_path / "still", images=images)
    heights = [len(cv2.imread(str(path))) for path in (moving, sheet)]
    assert heights[0] - heights[1] == 2 * (THUMBNAIL + GAP)


def test_sheets_are_the_same_bytes_every_time(project, tmp_path: Path) -> None:
    params, clips = project
    once = write_contact_sheets(params, clips, tmp_path / "once")
    twice = write_contact_sheets(params, clips, tmp_path / "twice")
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in twice]


def test_an_unreadable_clip_does_not_spoil_the_sheets(project, tmp_path: Path) -> None:
    params, clips = project
    for clip in clips:
        if clip.label == "walk":
            (params.dataset.folder / clip.clip_id).write_bytes(b"broken")
    sheets = write_contact_sheets(params, clips, tmp_path / "sheets")
    assert sorted(path.stem for path in sheets) == ["golf swing", "wave"]


def test_every_sampled_frame_is_written_as_the_cnn_sees_it(project, tmp_path: Path) -> None:
    params, clips = project
    (clip,) = named_clips(clips, ["wave/anna_wave.avi"])  # of 25 frames, one second
    assert write_frames(params, [clip], tmp_path / "out") == {clip.clip_id: 5}
    written = sorted((tmp_path / "out" / clip.clip_id).iterdir())
    assert [path.name for path in written] == [
        f"{index:06d}_{index / 25:.3f}s.jpg" for index in (0, 5, 10, 15, 20)
    ]
    reader = VideoReader(params.dataset.folder / clip.clip_id)
    for path, (_, image) in zip(
        written, reader.frames(RateSampler(params.features.sampling)), strict=False
    ):
        expected = resize(image, 224, "stretch")
        shown = cv2.imread(str(path))[:, :, ::-1]
        assert shown.shape == (224, 224, 3)
        assert np.abs(shown.astype(int) - expected).mean() < 6  # JPEG


def test_a_limit_on_frames_holds_for_what_is_written(project, tmp_path: Path) -> None:
    params, clips = project
    few = params.model_copy(update={"features": FeaturesParams(fps=None, max_frames=4)})
    write_frames(few, clips[:1], tmp_path / "out")
    assert len(list((tmp_path / "out" / clips[0].clip_id).iterdir())) == 4


def test_a_clip_that_cannot_be_read_is_named_and_leaves_no_folder(project, tmp_path: Path) -> None:
    params, clips = project
    (params.dataset.folder / clips[0].clip_id).write_bytes(b"broken")
    with pytest.raises(ClipError, match=clips[0].clip_id):
        write_frames(params, clips[:1], tmp_path / "out")
    assert not (tmp_path / "out" / clips[0].clip_id).exists()


def test_clips_are_named_by_their_path_below_the_raw_folder(project) -> None:
    _, clips = project
    assert named_clips(clips, [clips[2].clip_id, clips[0].clip_id]) == [clips[2], clips[0]]
    with pytest.raises(DatasetError, match=r"nope.avi: not in data/index.csv.*for example"):
        named_clips(clips, ["nope.avi"])


def test_of_a_segment_its_own_frames_are_shown_and_written(project, tmp_path: Path) -> None:
    params, clips = project
    (whole,) = named_clips(clips, ["wave/anna_wave.avi"])
    segment = replace(whole, clip_id="wave/anna_wave.avi#0.20-0.60", start=0.2, end=0.6)
    assert write_frames(params, [segment], tmp_path / "out") == {segment.clip_id: 2}
    written = sorted((tmp_path / "out" / segment.clip_id).iterdir())
    assert [path.name for path in written] == ["000005_0.200s.jpg", "000010_0.400s.jpg"]
    (sheet,) = write_contact_sheets(params, [segment], tmp_path / "sheets")
    (full,) = write_contact_sheets(params, [whole], tmp_path / "full")
    beyond = replace(segment, start=50.0, end=60.0)
    assert cv2.imread(str(sheet)).std() < cv2.imread(str(full)).std()
    assert write_contact_sheets(params, [beyond], tmp_path / "beyond") == []
    assert write_frames(params, [beyond], tmp_path / "beyond") == {beyond.clip_id: 0}


def test_only_frames_that_were_written_out_are_replaced(project, tmp_path: Path) -> None:
    params, clips = project
    raw = params.dataset.folder
    dump = Clip("wave/dump", "wave", "anna", "0" * 64, 1, "images")
    (raw / "wave/dump").mkdir()
    (raw / "wave/dump/1.png").write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3)))[1])
    for clip in (clips[0], dump):
        with pytest.raises(DatasetError, match=r"whose clips are read.*--out"):
            write_frames(params, [clip], raw, images={"wave/dump": ["wave/dump/1.png"]})
    assert (raw / clips[0].clip_id).is_file()
    assert (raw / "wave/dump/1.png").is_file()
    for _ in range(2):
        write_frames(params, clips[:1], tmp_path / "out")


def test_clips_of_images_are_shown_and_written(project, tmp_path: Path) -> None:
    params, clips = project
    raw = params.dataset.folder
    files = []
    for index, image in VideoReader(raw / clips[0].clip_id).frames(lambda index, seconds: True):
        files.append(f"golf swing/dump/{index}.png")
        (raw / files[-1]).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(raw / files[-1]), image)
    dump = Clip("golf swing/dump", "golf swing", "anna", "0" * 64, 1, "images")
    images = {dump.clip_id: files}
    number = write_frames(params, [dump, clips[0]], tmp_path / "out", images=images)
    assert number[dump.clip_id] == number[clips[0].clip_id] > 4
    pairs = zip(*(sorted((tmp_path / "out" / clip.clip_id).iterdir()) for clip in (dump, clips[0])),
                strict=True)  # fmt: skip
    for one, other in pairs:
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()
    assert write_contact_sheets(params, [dump], tmp_path / "sheets", images=images)
