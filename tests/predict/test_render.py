"""The answer drawn on the picture: videos that play, in their own size and at their own rate."""

import functools
import http.server
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import chromium, visit
from conftest import turn

from pipeline.annotations.formats import write_annotations
from pipeline.annotations.stretch import Recording, Stretch
from pipeline.errors import ClipError, DiskError
from pipeline.frames.images import ImageReader
from pipeline.frames.video import VideoReader
from pipeline.predict.overlay import draw_answer
from pipeline.predict.prediction import Span
from pipeline.predict.render import render_video


def spans(*labels: str, seconds: float = 1.0) -> list[Span]:
    return [Span(i * seconds, (i + 1) * seconds, label, 0.9) for i, label in enumerate(labels)]


def read(path: Path) -> tuple[VideoReader, list[np.ndarray]]:
    reader = VideoReader(path)
    return reader, [frame for _, frame in reader.frames(lambda index, seconds: True)]


@pytest.mark.parametrize(("size", "fps"), [((64, 48), 25.0), ((320, 240), 29.97), ((90, 160), 10)])
def test_a_rendered_video_has_the_size_rate_and_length_of_the_original(
    make_video, tmp_path, size, fps
) -> None:
    original = make_video("clip.mp4", frames=30, size=size, fps=fps)
    codec = render_video(VideoReader(original), spans("walk", "run"), tmp_path / "out.mp4")
    assert codec in ("H.264", "VP9", "MPEG-4 part 2")
    reader, frames = read(tmp_path / "out.mp4")
    assert (reader.width, reader.height) == size
    assert reader.fps == pytest.approx(fps, rel=1e-3)
    assert len(frames) == 30
    np.testing.assert_allclose(reader.timeline, read(original)[0].timeline, atol=0.002)


def test_the_label_of_the_moment_is_on_the_picture_and_the_rest_is_as_it_was(
    make_video, tmp_path
) -> None:
    original = make_video("clip.mp4", frames=50, size=(320, 240))
    render_video(VideoReader(original), spans("jumping", "i"), tmp_path / "out.mp4")
    before, after = read(original)[1], read(tmp_path / "out.mp4")[1]
    difference = [cv2.absdiff(a, b).max(axis=2) for a, b in zip(before, after, strict=True)]
    for frame in difference:
        assert frame[120:].max() < 40  # encoding again
        assert frame[:20, :40].max() > 100
    long, short = after[10][:30], after[40][:30]
    assert (long > 200).sum() > 1.3 * (short > 200).sum()  # a longer word has more white


def test_a_video_turned_by_its_metadata_is_upright(make_video, tmp_path) -> None:
    rotated = make_video(size=(160, 120))
    turn(rotated, 90)
    original, frames = read(rotated)
    assert (original.width, original.height) == (120, 160)
    render_video(VideoReader(rotated), spans("x", seconds=60), tmp_path / "out.mp4")
    reader, rendered = read(tmp_path / "out.mp4")
    assert (reader.width, reader.height) == (original.width, original.height)
    half = reader.height // 2
    assert np.abs(rendered[0][half:].astype(int) - frames[0][half:]).mean() < 20


def test_image_files_become_a_video(tmp_path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((48 + 2 * i, 64, 3), 90, np.uint8))
    render_video(ImageReader(paths, 10), spans("x"), tmp_path / "out.mp4")
    reader, frames = read(tmp_path / "out.mp4")
    assert (len(frames), reader.fps, reader.height) == (5, 10, 48)


def test_a_failed_rendering_leaves_what_was_there(make_video, tmp_path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"before")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(make_video("clip.mp4").read_bytes()[:700])
    with pytest.raises(ClipError):
        render_video(VideoReader(broken), spans("x"), target)
    with pytest.raises(ClipError, match=r"should end with \.mp4 or \.webm"):
        render_video(VideoReader(broken), spans("x"), tmp_path / "out.gif")
    assert target.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "broken.mp4", "clip.mp4", "out.mp4"]  # fmt: skip


PLAY = """source => new Promise(answer => {
    const video = document.createElement('video')
    const track = document.createElement('track')
    track.src = source.replace(/[^.]+$/, 'vtt')
    track.track.mode = 'hidden'
    video.muted = true
    video.onerror = () => answer({error: video.error.message})
    video.onended = () => answer({
        size: [video.videoWidth, video.videoHeight], seconds: video.duration,
        frames: video.getVideoPlaybackQuality().totalVideoFrames,
        cues: Array.from(track.track.cues || []).map(cue => [cue.startTime, cue.endTime, cue.text]),
    })
    video.append(track)
    video.src = source
    video.play().catch(() => null)
})"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a browser finds what is in `tmp_path`."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_browser_plays_it_to_its_end_and_shows_the_subtitles(
    make_video, tmp_path: Path, address: str
) -> None:
    original = make_video("clip.mp4", frames=40, size=(320, 240))
    stretches = tuple(
        Stretch("clip.mp4", label, start, start + 0.8)
        for label, start in (("walk", 0.0), ("<b> & so on -->", 0.8))
    )
    (tmp_path / "page.html").write_text("<!doctype html><link rel=icon href=data:,>")
    codecs = {}
    for name in ("out.mp4", "out.webm"):
        codecs[name] = render_video(VideoReader(original), spans("walk"), tmp_path / name)
    write_annotations([Recording("clip.mp4", 1.6, 25.0, stretches)], tmp_path / "out.vtt")
    with chromium() as browser, visit(browser, f"{address}page.html", own=address) as opened:
        for name, codec in codecs.items():
            assert codec in ("H.264", "VP9", "VP8")
            played = opened.page.evaluate(PLAY, address + name)
            assert played["size"] == [320, 240], played
            assert played["seconds"] == pytest.approx(1.6, abs=0.05)
            assert played["frames"] == pytest.approx(40, abs=2)
            cues = [(0, 0.8, "walk"), (0.8, 1.6, "&lt;b&gt; &amp; so on --&gt;")]
            assert [tuple(cue) for cue in played["cues"]] == cues


@pytest.mark.parametrize("shape", [(16, 16), (144, 180), (1080, 1920), (480, 120)])
def test_any_label_fits_on_any_picture(shape: tuple[int, int]) -> None:
    for label in ("walk", "a label that is far too long for a small picture", "走る", "unsure"):
        picture = np.full((*shape, 3), 255, np.uint8)
        draw_answer(picture, label, 1.0, "25 frames/s, 40 ms")
        assert picture[0, 0].max() < 100
        assert (picture[:, -1] == 255).all() or shape[1] < 200  # the band ends with its text


def test_a_full_disk_is_not_blamed_on_the_codec(make_video, tmp_path: Path) -> None:
    source = make_video("noisy.avi", frames=60, size=(320, 240))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(DiskError, match=r"out\.mp4 cannot be written \(File too large\): make"):
            render_video(VideoReader(source), spans("walk", seconds=9.0), tmp_path / "out.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "out.mp4").exists()
