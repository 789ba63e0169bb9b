"""The one pass over a clip: which frames come, and as what."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import ClipError
from pipeline.frames.images import ImageReader
from pipeline.frames.sampled import Pictures, SampledFrame, sampled_frames
from pipeline.frames.video import Sampling, VideoReader, resize, sample_frames
from pipeline.frames.views import apply_view


def test_frames_come_with_their_time_and_as_the_cnn_sees_them(make_video) -> None:
    path = make_video(frames=50)
    reader = VideoReader(path)
    frames = list(sampled_frames(reader, Sampling(5), 32, "pad"))
    wanted = sample_frames(np.array(reader.timeline), Sampling(5))
    assert [frame.index for frame in frames] == wanted.tolist()
    assert [frame.seconds for frame in frames] == [reader.timeline[i] for i in wanted]
    assert all(frame.picked for frame in frames)
    assert len(reader.timeline) == 50  # to the end, whatever was sampled last
    for frame in frames:
        assert np.array_equal(frame.picture(), resize(frame.image, 32, "pad"))


def test_named_frames_alone_end_the_pass_and_beside_a_sampling_are_told_apart(make_video) -> None:
    path = make_video(frames=50)
    reader = VideoReader(path)
    frames = list(sampled_frames(reader, None, 32, "stretch", named={3, 20}))
    assert [(frame.index, frame.picked) for frame in frames] == [(3, False), (20, False)]
    assert len(reader.timeline) == 21
    both = sampled_frames(VideoReader(path), Sampling(1), 32, "stretch", named={0, 20})
    assert [(frame.index, frame.picked) for frame in both] == [(0, True), (20, False), (25, True)]


def test_segments_share_frames_and_may_end_the_pass(make_video) -> None:
    reader = VideoReader(make_video(frames=50))
    segments = [(0.0, 0.2), (0.16, 0.4)]
    frames = sampled_frames(reader, Sampling(), 32, "stretch", segments, to_the_end=False)
    assert [frame.index for frame in frames] == list(range(10))
    assert len(reader.timeline) == 11  # the first behind the last segment is seen, and no more


def test_pictures_are_those_of_the_sampling_and_views_are_made_of_them(make_video) -> None:
    path = make_video(frames=50)
    reader = VideoReader(path)
    found = list(sampled_frames(reader, Sampling(5), 32, "stretch", [(0.4, 2.0)]))
    indices = np.array([frame.index for frame in found], np.int32)
    times = np.array(reader.timeline)
    assert indices.tolist() == sample_frames(times, Sampling(5), 0.4, 2.0).tolist()
    pictures = Pictures(indices, times[indices], np.stack([frame.picture() for frame in found]))
    assert len(pictures) == 8
    every = sampled_frames(VideoReader(path), Sampling(), 32, "stretch")
    alone = {frame.index: frame.picture() for frame in every}
    for index, picture in zip(indices.tolist(), pictures.pictures, strict=True):
        assert np.array_equal(alone[index], picture)
    mirrored = pictures.seen("hflip", slice(1, 3))
    assert np.array_equal(mirrored[0], apply_view(pictures.pictures[1], "hflip"))
    assert len(mirrored) == 2


def test_a_picture_that_opencv_cannot_resize_is_a_sentence() -> None:
    frame = SampledFrame(0, 0.0, np.empty((0, 4, 3), np.uint8), 32, "stretch")
    with pytest.raises(ClipError, match="made OpenCV fail"):
        frame.picture()


def test_images_are_frames_too(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(10)]
    for i, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((20, 30, 3), 20 * i, np.uint8))
    frames = list(sampled_frames(ImageReader(paths, 10.0), Sampling(5), 8, "crop"))
    assert [frame.index for frame in frames] == [0, 2, 4, 6, 8]
    assert [int(frame.picture().mean()) for frame in frames] == [0, 40, 80, 120, 160]
