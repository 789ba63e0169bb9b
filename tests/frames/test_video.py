"""Decoding, sampling and resizing, on real encoded videos."""

import contextlib
import itertools
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import turn

from pipeline.errors import ClipError
from pipeline.frames.video import (
    MAX_FRAMES,
    RateSampler,
    Sampling,
    VideoReader,
    resize,
    sample_frames,
)


def read(path: Path, fps: float | None = None) -> tuple[VideoReader, dict[int, np.ndarray]]:
    reader = VideoReader(path)
    return reader, dict(reader.frames(RateSampler(Sampling(fps))))


def picked_by_rate(timeline: np.ndarray, sampling: Sampling) -> set[int]:
    sampler = RateSampler(sampling)
    return {i for i, seconds in enumerate(timeline) if sampler(i, float(seconds))}


def random_timelines(count: int):
    """Strictly increasing times: constant rates, jitter, gaps, late starts, one frame only."""
    random = np.random.default_rng(0)
    for _ in range(count):
        length = int(random.integers(1, 400))
        gaps = np.full(length, 1 / random.choice([5, 12.5, 24, 25, 30000 / 1001, 60]))
        if random.random() < 0.6:
            gaps *= random.uniform(0.01, 2, length)
        if random.random() < 0.3:
            gaps[random.integers(length)] += random.uniform(0, 30)
        fps = random.choice([None, 0.3, 1.0, 4.0, 8.0, 25.0, 100.0])
        limit = random.choice([None, 1, 2, 7, 16, 512])
        yield random.choice([0.0, 5.3]) + np.cumsum(gaps), Sampling(fps, limit)


def test_what_is_picked_while_streaming_holds_all_that_the_finished_clip_needs() -> None:
    for timeline, sampling in random_timelines(500):
        needed = sample_frames(timeline, sampling)
        assert set(needed.tolist()) <= picked_by_rate(timeline, sampling)
        assert len(needed) >= 1
        assert needed[0] == 0
        assert sampling.max_frames is None or len(needed) <= sampling.max_frames


def test_a_clip_keeps_its_frames_when_it_is_sampled_twice_as_densely() -> None:
    for timeline, sampling in random_timelines(300):
        if sampling.fps is not None:
            sparse = sample_frames(timeline, Sampling(sampling.fps))
            dense = sample_frames(timeline, Sampling(2 * sampling.fps))
            assert set(sparse.tolist()) <= set(dense.tolist())


def test_eight_samples_a_second_of_25_frames_a_second_are_an_eighth_of_a_second_apart() -> None:
    timeline = np.arange(100) / 25
    picked = timeline[sample_frames(timeline, Sampling(8))]
    assert len(picked) == 32
    assert np.all(picked - np.arange(32) / 8 < 1 / 25)


def test_a_long_clip_is_thinned_over_its_whole_length() -> None:
    timeline = np.arange(1000) / 25
    assert sample_frames(timeline, Sampling(None, 1000)).tolist() == list(range(1000))
    assert sample_frames(timeline, Sampling(None, 999)).tolist() == list(range(0, 1000, 2))
    assert sample_frames(timeline, Sampling(None, 250)).tolist() == list(range(0, 1000, 4))
    assert sample_frames(timeline, Sampling(None, 1)).tolist() == [0]


def test_the_rate_sampler_never_holds_much_more_than_the_limit() -> None:
    picked = picked_by_rate(np.arange(20_000) / 25, Sampling(None, 64))
    assert len(picked) < 64 * 10


def test_every_frame_is_read_once_and_in_order(make_video) -> None:
    reader, pictures = read(make_video(frames=30, size=(64, 48)))
    assert list(pictures) == list(range(30))
    assert {picture.shape for picture in pictures.values()} == {(48, 64, 3)}
    assert reader.timeline == pytest.approx([i / 25 for i in range(30)], abs=1e-3)


def test_a_frame_without_a_time_of_its_own_comes_one_frame_after_the_last(make_video) -> None:
    path = make_video("clip.mkv", frames=12, fps=20)
    content = bytearray(path.read_bytes())
    for i in range(5, 12):  # a block: track 1, int16 milliseconds, flags (RFC 9559, 10.2)
        block = struct.pack(">Bh", 0x81, 50 * i)
        assert content.count(block) == 1
        struct.pack_into(">h", content, content.index(block) + 1, 50 * 4)
    path.write_bytes(content)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    stamps = []
    while capture.grab():
        stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    assert stamps[4:] == [200] * 8  # the stream says the same of the last eight frames
    reader, _ = read(path)
    assert reader.timeline == pytest.approx([i / 20 for i in range(12)], abs=1e-6)


def test_frames_that_are_not_wanted_are_the_same_as_when_all_are_read(make_video) -> None:
    path = make_video(frames=30)
    _, every = read(path)
    _, some = read(path, fps=5)
    assert list(some) == [0, 5, 10, 15, 20, 25]
    assert all(np.array_equal(picture, every[index]) for index, picture in some.items())


def test_the_timeline_rises_on_every_real_file(shared_data: Path) -> None:
    read_files = 0
    for path in sorted((shared_data / "robustness").rglob("*.*")):
        reader = VideoReader(path)
        try:
            for _ in reader.frames(lambda index, seconds: False):
                pass
        except ClipError:
            continue
        assert np.all(np.diff(reader.timeline) > 0), path.name
        read_files += 1
    assert read_files > 40


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_clip_with_rotation_metadata_comes_out_upright(make_video, degrees: int) -> None:
    path = make_video()
    turn(path, degrees)
    as_stored = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    as_stored.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    picture = as_stored.read()[1]
    reader, pictures = read(path)
    assert np.array_equal(pictures[0], np.rot90(picture, -degrees // 90))
    assert pictures[0].shape[:2] == (reader.height, reader.width)


def test_an_empty_file_a_text_file_and_a_missing_file_say_what_is_wrong(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.mp4", tmp_path / "text.mp4"
    empty.touch()
    text.write_text("not a video")
    with pytest.raises(ClipError, match="is empty"):
        read(empty)
    with pytest.raises(ClipError, match="not a video that can be opened"):
        read(text)
    with pytest.raises(ClipError, match="No such file"):
        read(tmp_path / "missing.mp4")


def test_a_truncated_file_gives_its_frames_or_a_reason(make_video) -> None:
    whole = make_video("whole.avi", frames=40)
    data = whole.read_bytes()
    for share in (0.02, 0.3, 0.9):
        path = whole.with_name(f"{share}.avi")
        path.write_bytes(data[: int(share * len(data))])
        with contextlib.suppress(ClipError):
            reader, pictures = read(path)
            assert 0 < len(pictures) == len(reader.timeline) < 40


def test_a_container_without_frames_is_refused(make_video, tmp_path: Path) -> None:
    with pytest.raises(ClipError):
        read(make_video("none.avi", frames=0))


def test_absurd_dimensions_are_refused_before_a_frame_is_decoded(make_video) -> None:
    path = make_video("huge.avi", frames=3)
    data = bytearray(path.read_bytes())
    at = data.index(b"strf") + 12  # width and height in the container
    data[at : at + 8] = (16_000).to_bytes(4, "little") * 2
    at = -1
    while (at := data.find(b"\xff\xc0", at + 1)) >= 0:  # and in each JPEG
        data[at + 5 : at + 9] = (16_000).to_bytes(2, "big") * 2
    path.write_bytes(data)
    with pytest.raises(ClipError, match="16000 x 16000 pixels"):
        read(path)


def test_a_frame_count_that_lies_is_not_believed(make_video) -> None:
    path = make_video("lies.avi", frames=9)
    data = bytearray(path.read_bytes())
    at = data.index(b"avih") + 8 + 16  # dwTotalFrames
    data[at : at + 4] = (MAX_FRAMES * 10).to_bytes(4, "little")
    at = data.index(b"strh") + 8 + 32  # dwLength of the stream
    data[at : at + 4] = (MAX_FRAMES * 10).to_bytes(4, "little")
    path.write_bytes(data)
    assert len(read(path)[1]) == 9


def test_stretch_fills_the_square_crop_cuts_it_out_and_pad_leaves_black_bars() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, :50], image[:, 50:150], image[:, 150:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # BGR
    stretched, cropped, padded = (resize(image, 64, rule) for rule in ("stretch", "crop", "pad"))
    assert stretched.shape == cropped.shape == padded.shape == (64, 64, 3)
    assert stretched[32, 2].tolist() == [0, 0, 255]  # blue, in RGB
    assert stretched[32, 61].tolist() == [255, 0, 0]
    assert cropped[32, 2].tolist() == cropped[32, 61].tolist() == [0, 255, 0]
    assert padded[2].max() == padded[61].max() == 0
    assert padded[32, 2].tolist() == [0, 0, 255]


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (3, 2000), (224, 224), (2160, 3840)])
@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
def test_any_shape_fits(shape: tuple[int, int], rule: str) -> None:
    picture = resize(np.full((*shape, 3), 200, np.uint8), 224, rule)
    assert picture.shape == (224, 224, 3)
    assert picture.flags.c_contiguous
    assert picture.max() == 200


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((448, 896, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(resize(stripes, 224, "stretch").astype(int)) < 8


def test_a_segment_is_sampled_like_a_clip_of_its_own_in_the_numbers_of_the_video() -> None:
    random = np.random.default_rng(3)
    for timeline, sampling in random_timelines(300):
        start, end = np.sort(random.uniform(timeline[0] - 1, timeline[-1] + 1, 2))
        inside = np.flatnonzero((timeline >= start) & (timeline < end))
        segment = sample_frames(timeline, sampling, start, end)
        assert segment.dtype == np.int32
        if len(inside):
            alone = sample_frames(timeline[inside], sampling)
            assert segment.tolist() == (alone + inside[0]).tolist()
        else:
            assert len(segment) == 0
        picked = RateSampler(sampling, start, end)
        taken = {i for i, seconds in enumerate(timeline) if picked(i, seconds)}
        assert set(segment.tolist()) <= taken <= set(inside.tolist())


def test_segments_that_adjoin_share_no_frame_and_lose_none_for_rounding() -> None:
    timeline = np.arange(300) / 30  # 0.1 + 0.2 is not 0.3 here either
    bounds = np.arange(0, 101) * 0.1
    parts = [
        sample_frames(timeline, Sampling(), start, end).tolist()
        for start, end in itertools.pairwise(bounds)
    ]
    assert {len(part) for part in parts} == {3}
    assert list(itertools.chain(*parts)) == list(range(300))
    assert sample_frames(timeline, Sampling(), None, 0.1).tolist() == [0, 1, 2]
    assert sample_frames(timeline, Sampling(10), 9.9).tolist() == [297]
