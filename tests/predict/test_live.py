"""Live sources: the newest frame, each frame embedded once, and no delay that grows."""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from clone import ROOT
from sample_model import unseen_clip

from pipeline.errors import ClipError
from pipeline.frames import capture as capture_module
from pipeline.frames.capture import Frame, LiveCapture, shown
from pipeline.predict.live import Answer, follow
from pipeline.predict.predictor import Predictor


@pytest.fixture(scope="module")
def predictor(sample_model: Path) -> Predictor:
    return Predictor(sample_model)


@pytest.fixture
def clip(sample_model: Path) -> Path:
    return unseen_clip(sample_model, "wave")


def test_a_file_as_fast_as_it_goes_gives_the_answers_of_the_file(predictor, clip, tmp_path) -> None:
    twice = _write(tmp_path / "twice.avi", 2 * list(_frames(clip)))  # longer than a window
    answers: list[Answer] = []
    capture = LiveCapture(str(twice), as_fast=True)
    summary = follow(predictor, capture, on_answer=lambda answer: not answers.append(answer))
    expected = predictor.file(twice, window=predictor.card.window / 8, stride=1 / 8)
    assert summary.seen == summary.taken == 2 * len(list(_frames(clip)))
    assert summary.dropped == 0
    assert summary.embedded == len(answers) == expected.frames
    full = [answer.window for answer in answers][predictor.card.window - 1 :]
    assert full
    for window, theirs in zip(full, expected.windows, strict=False):
        np.testing.assert_allclose(window.probabilities, theirs.probabilities, atol=1e-4)


def test_the_last_answer_on_a_short_clip_is_that_of_the_whole_clip(
    predictor, clip, tmp_path
) -> None:
    """No longer than a window, so that the newest window is the clip."""
    short = _write(tmp_path / "short.avi", list(_frames(clip))[:48])
    answers: list[Answer] = []
    follow(predictor, LiveCapture(str(short), as_fast=True),
           on_answer=lambda answer: not answers.append(answer))  # fmt: skip
    whole = predictor.file(short)
    assert len(answers) == whole.frames == 16 <= predictor.card.window
    chances = dict(zip(predictor.labels, answers[-1].window.probabilities, strict=True))
    card = predictor.card  # windows and clips have a temperature each
    powers = [
        chances[label] ** (card.decoder.temperature / card.temperature) for label in whole.labels
    ]
    assert powers / np.sum(powers) == pytest.approx(whole.probabilities, abs=1e-4)


def test_who_is_slow_misses_frames_and_never_falls_behind(predictor, make_video) -> None:
    video = make_video(frames=75, fps=25)
    delays: list[float] = []
    frames: list[Frame] = []

    def slow(frame: Frame, answer: Answer | None) -> bool:
        frames.append(frame)
        time.sleep(0.2)  # five frames long: without dropping the delay would grow to 12 s
        delays.append(time.monotonic() - frame.due)
        return True

    summary = follow(predictor, LiveCapture(str(video)), on_frame=slow)
    assert summary.seen == 75
    assert summary.dropped > 25
    assert summary.taken + summary.dropped == 75
    assert summary.embedded <= summary.taken
    assert max(delays) < 2
    assert [frame.seconds for frame in frames] == sorted({frame.seconds for frame in frames})


def test_a_file_plays_at_its_own_pace(predictor, make_video) -> None:
    began = time.monotonic()
    summary = follow(predictor, LiveCapture(str(make_video(frames=26, fps=25))))
    assert time.monotonic() - began >= 0.96  # never faster; how much slower is the machine's affair
    assert summary.seen == 26
    assert summary.embedded <= 8 + 1


def test_smoothing_keeps_the_answer_from_jumping(predictor, clip, sample_model) -> None:
    other = unseen_clip(sample_model, "jumping_jacks")
    both = []
    for smoothing in (0.0, 1.0):
        stream = predictor.stream(smoothing=smoothing)
        chances, start = [], 0.0
        for video in (clip, other):
            for frame in LiveCapture(str(video), as_fast=True).__enter__():
                window = stream.add(frame.picture, start + frame.seconds, bgr=True)
                if window:
                    chances.append(window.probabilities)
            start += frame.seconds + 0.04
        both.append(np.abs(np.diff(chances, axis=0)).max())
    assert both[1] < both[0]


def test_after_a_long_gap_the_stream_begins_anew(predictor, clip) -> None:
    frames = list(_frames(clip))[:20]
    stream = predictor.stream(smoothing=1.0)
    for index, frame in enumerate(frames):
        stream.add(frame, index / 25)
    later = stream.add(frames[0], 100.0) or stream.end()
    stream = predictor.stream()
    fresh = stream.add(frames[0], 0.0) or stream.end()
    assert later is not None
    assert fresh is not None
    assert later.start == 100.0
    np.testing.assert_allclose(later.probabilities, fresh.probabilities, atol=1e-6)


def _frames(video: Path) -> Iterator[np.ndarray]:
    with LiveCapture(str(video), as_fast=True) as capture:
        yield from (frame.picture for frame in capture)


def _write(path: Path, pictures: list[np.ndarray]) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 24, (320, 240))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


@pytest.mark.parametrize(
    ("source", "reason"),
    [("87", "Camera 87 cannot be opened"), ("gone.mp4", "no such file"),
     ("http://127.0.0.1:9/x", "cannot be opened")],
)  # fmt: skip
def test_a_source_that_does_not_open_is_one_sentence(source: str, reason: str) -> None:
    with pytest.raises(ClipError, match=reason), LiveCapture(source):
        pass


def test_a_broken_file_is_one_sentence(tmp_path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0" * 4000)
    with LiveCapture(str(broken)) as capture, pytest.raises(ClipError, match="is not a video"):
        list(capture)


def test_passwords_are_not_shown() -> None:
    assert shown("rtsp://anna:secret@camera.local:554/a@b") == "rtsp://camera.local:554/a@b"
    assert shown("http://camera/x") == "http://camera/x"
    assert shown("clips/a@b.mp4") == "clips/a@b.mp4"


class _Camera(BaseHTTPRequestHandler):
    """A network camera that sends ten JPEGs and hangs up; MJPEG over HTTP, as many cameras do."""

    calls = 0
    frames = 10

    def do_GET(self) -> None:
        type(self).calls += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for level in range(self.frames):
            picture = cv2.imencode(".jpg", np.full((48, 64, 3), 20 * level, np.uint8))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            self.wfile.write(head.encode() + picture + b"\r\n")
            time.sleep(0.04)

    def log_message(self, *arguments: object) -> None:
        pass


class _OneFrame(_Camera):
    frames = 3


class _CutOff(BaseHTTPRequestHandler):
    """Promises a file and gives the first half of it."""

    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "video/x-msvideo")
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) // 2])

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_lost_network_source_is_connected_again(monkeypatch) -> None:
    monkeypatch.setattr(capture_module, "BACK_OFF", (0.05, 0.1))
    said: list[str] = []
    _Camera.calls = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://user:secret@127.0.0.1:{server.server_port}/video"
    times = []
    with LiveCapture(address, say=said.append) as capture:
        for frame in capture:
            assert frame.picture.shape == (48, 64, 3)
            times.append(frame.seconds)
            if capture.reconnected == 2:
                break
    server.shutdown()
    assert _Camera.calls >= 3
    assert times == sorted(times)
    assert "is lost; connecting again" in said[0]
    assert "is back after" in said[1]
    assert "secret" not in "".join(said)


def test_a_source_that_gives_a_frame_and_goes_is_asked_less_and_less_often(monkeypatch) -> None:
    """A few frames for each connection: the waits between them grow."""
    monkeypatch.setattr(capture_module, "BACK_OFF", (0.05, 10))
    waits: list[float] = []
    _Camera.calls = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _OneFrame)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with LiveCapture(f"http://127.0.0.1:{server.server_port}/video") as capture:
        wait = capture._stop.wait
        monkeypatch.setattr(
            capture._stop, "wait", lambda seconds: (waits.append(seconds), wait(0.01))[1]
        )
        for _ in capture:
            if capture.reconnected == 4:
                break
    server.shutdown()
    assert waits[:4] == [0.05, 0.1, 0.2, 0.4]


def test_a_file_behind_an_address_that_is_cut_off_is_told(make_video) -> None:
    video = make_video("clip.avi", frames=40, fps=100)
    _CutOff.content = video.read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _CutOff)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    said: list[str] = []
    address = f"http://user:secret@127.0.0.1:{server.server_port}/clip.avi"
    with LiveCapture(address, say=said.append) as capture:
        assert 0 < len(list(capture)) < 38
    server.shutdown()
    (told,) = said
    assert f"ended after {capture.seen} of its 40 frames: the connection was cut" in told
    assert "secret" not in told


def test_a_source_that_stays_away_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(capture_module, "BACK_OFF", (0.05, 0.1))
    monkeypatch.setattr(capture_module, "GIVE_UP_SECONDS", 0.3)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with LiveCapture(f"http://user:secret@127.0.0.1:{server.server_port}/video") as capture:
        frames = iter(capture)
        next(frames)
        server.shutdown()
        server.server_close()
        with pytest.raises(ClipError, match=r"^http://127\S+ was lost, and did not come back"):
            list(frames)


def test_a_file_behind_an_address_plays_at_its_pace_and_ends(make_video) -> None:
    video = make_video("clip.mp4", frames=20, fps=25)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=video.parent)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    began = time.monotonic()
    with LiveCapture(f"http://127.0.0.1:{server.server_port}/clip.mp4") as capture:
        times = [frame.seconds for frame in capture]
    server.shutdown()
    assert time.monotonic() - began >= 0.75
    assert capture.seen == len(times) + capture.dropped == 20
    assert capture.reconnected == 0
    assert times == sorted(times)


def start(model: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", "live", *arguments, "--model", str(model)],
        env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_lines_of_json_until_ctrl_c_and_then_a_summary(sample_model, make_video, end) -> None:
    process = start(sample_model, str(make_video(frames=1500)), "--json", "--threshold", "0.5")
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in range(4)]
    process.send_signal(end)
    rest, words = process.communicate(timeout=60)
    assert process.returncode == 0
    assert all(json.loads(line) for line in rest.splitlines())
    assert [set(line) for line in lines] == 4 * [
        {"time", "label", "confidence", "top", "fps", "delay_ms", "dropped"}
    ]
    assert [line["time"] for line in lines] == sorted({line["time"] for line in lines})
    assert len(words.splitlines()) == 1
    assert "frames seen" in words
    assert "at most" in words


def test_without_a_display_it_says_what_to_do(sample_model, clip) -> None:
    process = start(sample_model, str(clip))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.strip().count("\n") == 0
    assert "--json" in err


def test_a_display_that_is_gone_is_found_out_without_a_crash(sample_model, clip) -> None:
    process = start(sample_model, str(clip), DISPLAY=":4711")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--json" in err
    assert "qt" not in err.lower()
