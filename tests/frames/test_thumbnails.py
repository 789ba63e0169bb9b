"""Pictures for people: of a long video without all that comes before, and still the right ones."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import ClipError
from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.sources import FAR, entered, file_source, open_source
from pipeline.frames.thumbnails import thumbnails

FPS, SECONDS = 10, 60
KINDS = [("mp4", "libx264"), ("mkv", "libvpx-vp9"), ("avi", "mpeg4"), ("ts", "mpeg2video")]


def shade(index: int) -> int:
    return 20 + 37 * index % 200


def long_video(path: Path, codec: str) -> Path:
    """A minute in which each frame has a shade of its own."""
    fps = 25 if codec == "mpeg2video" else FPS  # it knows a few rates only
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.gop_size = 20
        for index in range(SECONDS * fps):
            image = np.full((48, 64, 3), shade(index), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("ending", "codec"), KINDS)
def test_late_frames_are_those_that_a_whole_pass_gives(
    tmp_path: Path, ending: str, codec: str
) -> None:
    source = file_source(long_video(tmp_path / f"long.{ending}", codec))
    whole = open_source(source)
    seen = dict(whole.frames(lambda index, seconds: index % 50 == 7))
    chosen = [index for index in seen if whole.timeline[index] > FAR + 5]
    pictures = thumbnails(source, [whole.timeline[index] for index in chosen], 48, "stretch")
    assert len(pictures) == len(chosen) > 1
    for index, picture in zip(chosen, pictures, strict=True):
        assert abs(picture.mean() - seen[index].mean()) < 3


def test_what_comes_long_before_is_not_decoded(tmp_path: Path) -> None:
    source = file_source(long_video(tmp_path / "long.mp4", "libx264"))
    reader = IsolatedReader(entered(source, 50.0))
    assert any(True for _ in reader.frames(lambda index, seconds: seconds > 49))
    assert 40 < reader.timeline[0] <= 49
    assert len(reader.timeline) < 20 * FPS
    assert entered(source, 10.0) is source


def test_a_file_that_cannot_be_entered_gives_no_wrong_picture(tmp_path: Path) -> None:
    path = long_video(tmp_path / "long.mkv", "mpeg4")
    raw = tmp_path / "long.m4v"
    with av.open(str(path)) as container, av.open(str(raw), "w", format="m4v") as bare:
        stream = bare.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                bare.mux(packet)
    try:
        pictures = thumbnails(file_source(raw), [50.0, 51.0], 48, "stretch")
    except ClipError:
        return
    expected = [shade(500), shade(510)][: len(pictures)]
    assert [round(picture.mean()) for picture in pictures] == pytest.approx(expected, abs=3)
