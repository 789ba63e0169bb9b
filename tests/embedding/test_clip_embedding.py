"""One clip in, its embeddings out: videos, segments of videos, image files."""

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.embedding.clip_embedding import BATCH, ClipEmbeddings, embed_clip, embed_frames
from pipeline.errors import ClipError
from pipeline.frames.images import ImageReader
from pipeline.frames.sources import Source
from pipeline.frames.video import WHOLE, Sampling, VideoReader, sample_frames
from pipeline.store.extractor_spec import ExtractorSpec

EXTRACTOR = ExtractorSpec("dummy", 32, "stretch", "float32")
EVERY = Sampling()

Embed = Callable[..., ClipEmbeddings]


class Seen:
    """An engine whose "embedding" of a frame is its mean colour, and which counts its frames."""

    def __init__(self) -> None:
        self.frames = 0
        self.calls: list[int] = []  # frames in each call

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        self.frames += len(frames)
        self.calls.append(len(frames))
        return frames.mean((1, 2)).astype(np.float16)


@pytest.fixture
def video(make_video) -> Source:
    """100 frames at 25 a second: 4 seconds."""
    return Source(str(make_video("long.avi", frames=100)))


def embed(source: Source, sampling: Sampling = EVERY, *segments: tuple[float, float]):
    return embed_clip(source, Seen(), EXTRACTOR, sampling, {"identity": None}, segments)


def test_a_segment_gets_what_the_whole_video_has_there(video: Source) -> None:
    whole, part = embed(video), embed(video, EVERY, (1.0, 2.0))
    assert part.frames["identity"].tolist() == list(range(25, 50))
    assert np.array_equal(part.embeddings["identity"], whole.embeddings["identity"][25:50])
    assert np.array_equal(part.timeline, whole.timeline)


def test_frames_of_a_segment_are_sampled_from_its_own_start(video: Source) -> None:
    part = embed(video, Sampling(5), (0.6, 1.6))
    assert part.frames["identity"].tolist() == [15, 20, 25, 30, 35]
    limited = embed(video, Sampling(5, 2), (0.6, 1.6), (2, 2.2))
    assert limited.frames["identity"].tolist() == [15, 35, 50]


def test_many_segments_are_one_pass_and_shared_frames_are_embedded_once(video: Source) -> None:
    engine = Seen()
    segments = ((2.0, 3.0), (0.0, 1.0), (2.5, 3.5), (2.0, 3.0))
    done = embed_clip(video, engine, EXTRACTOR, EVERY, {"identity": None}, segments)
    assert done.frames["identity"].tolist() == [*range(25), *range(50, 88)]
    assert engine.frames == done.embedded == 63


@pytest.mark.parametrize("views", [("identity",), ("identity", "hflip", "zoom")])
def test_however_long_a_clip_is_only_a_batch_of_it_is_in_memory(video: Source, views) -> None:
    engine = Seen()
    done = embed_clip(video, engine, EXTRACTOR, EVERY, dict.fromkeys(views))
    assert done.embedded == sum(engine.calls) == 100 * len(views)
    assert max(engine.calls) < BATCH + len(views)  # all views of a frame are in one call
    assert min(engine.calls[:-1]) >= BATCH


@pytest.mark.parametrize("sampling", [Sampling(8), Sampling(None, 7), Sampling(3, 2)])
def test_segments_together_give_what_each_alone_gives(video: Source, sampling: Sampling) -> None:
    random = np.random.default_rng(0)
    segments = [tuple(sorted(random.uniform(0, 4.5, 2))) for _ in range(8)] + [WHOLE]
    together = embed(video, sampling, *segments)
    rows = dict(
        zip(together.frames["identity"], together.embeddings["identity"].tolist(), strict=True)
    )
    needed = set()
    for segment in segments:
        alone = embed(video, sampling, segment)
        frames = alone.frames["identity"]
        assert np.array_equal(frames, sample_frames(alone.timeline, sampling, *segment))
        assert alone.embeddings["identity"].tolist() == [rows[frame] for frame in frames]
        needed |= set(frames.tolist())
    assert set(rows) == needed


def test_the_timeline_is_whole_although_the_segment_ends_early(video: Source) -> None:
    """A later segment that reaches further is told by it which frames it needs."""
    early = embed(video, Sampling(5), (0.0, 0.5))
    assert len(early.timeline) == 100
    later = sample_frames(early.timeline, Sampling(5), 3.0, math.inf)
    assert later.tolist() == [75, 80, 85, 90, 95]
    done = embed_clip(video, Seen(), EXTRACTOR, Sampling(5), {"identity": later})
    assert done.frames["identity"].tolist() == later.tolist()


def test_a_segment_beyond_the_end_has_no_frames_and_harms_no_other(video: Source) -> None:
    assert embed(video, EVERY, (9.0, 12.0)).embeddings["identity"].shape[0] == 0
    both = embed(video, EVERY, (9.0, 12.0), (3.8, 60.0))
    assert both.frames["identity"].tolist() == [95, 96, 97, 98, 99]


def test_a_view_with_named_frames_stands_beside_one_by_segments(video: Source) -> None:
    wanted = {"identity": None, "hflip": np.array([3, 60], np.int32)}
    done = embed_clip(video, Seen(), EXTRACTOR, EVERY, wanted, ((0.0, 0.2),))
    assert done.frames["identity"].tolist() == [0, 1, 2, 3, 4]
    assert done.frames["hflip"].tolist() == [3, 60]


@pytest.fixture
def dump(video: Source, tmp_path: Path) -> Source:
    """The frames of the video as PNG files."""
    paths = []
    for index, image in VideoReader(Path(video.path)).frames(lambda index, seconds: True):
        paths.append(str(tmp_path / f"frame_{index}.png"))
        cv2.imwrite(paths[-1], image)
    return Source(images=tuple(paths))


def test_a_dump_of_all_frames_gives_what_the_video_gives(video: Source, dump: Source) -> None:
    for sampling in (Sampling(8), Sampling(None, 30)):
        one, other = embed(video, sampling), embed(dump, sampling)
        assert np.array_equal(one.frames["identity"], other.frames["identity"])
        assert np.array_equal(one.embeddings["identity"], other.embeddings["identity"])
        assert one.timeline == pytest.approx(other.timeline, abs=1e-3)


def test_images_taken_once_a_second_are_all_sampled(dump: Source) -> None:
    slow = Source(images=dump.images[:10], fps=1)
    done = embed(slow, Sampling(8))
    assert done.frames["identity"].tolist() == list(range(10))
    assert done.timeline.tolist() == list(range(10))


def test_a_still_image_is_a_clip_of_one_frame(dump: Source) -> None:
    done = embed(Source(images=dump.images[7:8]), Sampling(8, 512))
    assert done.frames["identity"].tolist() == [0]
    assert done.timeline.tolist() == [0.0]
    assert np.array_equal(done.embeddings["identity"], embed(dump).embeddings["identity"][7:8])


def test_a_damaged_image_is_named(dump: Source) -> None:
    Path(dump.images[5]).write_bytes(Path(dump.images[5]).read_bytes()[:60])
    with pytest.raises(ClipError, match=r"frame_5\.png is damaged"):
        embed(dump)
    with pytest.raises(ClipError, match=r"^is damaged"):
        embed(Source(images=dump.images[5:6]))


def test_images_of_several_sizes_are_one_clip(tmp_path: Path) -> None:
    paths = []
    for i, (width, height) in enumerate([(64, 48), (7, 300), (640, 480)]):
        paths.append(tmp_path / f"{i}.png")
        cv2.imwrite(str(paths[-1]), np.full((height, width, 3), 80 * i, np.uint8))
    done = embed_frames(ImageReader(paths), Seen(), EXTRACTOR, EVERY, {"identity": None})
    assert done.embeddings["identity"][:, 0].tolist() == [0, 80, 160]
