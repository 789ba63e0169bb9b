"""Videos behind fsspec URLs."""

import functools
import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from clone import ROOT

from pipeline.errors import ClipError, StorageError
from pipeline.files import sha256
from pipeline.frames import storage
from pipeline.frames.storage import is_url, local_copies, url_digest
from pipeline.frames.video import VideoReader

CONTENT = os.urandom(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; must be empty after every clip."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def stored() -> Iterator[str]:
    """A URL in the memory of this process."""
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/bucket/clip.avi", CONTENT)
    yield "memory://bucket/clip.avi"
    filesystem.rm("/bucket", recursive=True)


class Flaky(SimpleHTTPRequestHandler):
    """Breaks the first connections off in the middle of a file."""

    failures = 0

    def do_GET(self) -> None:
        if Flaky.failures:
            Flaky.failures -= 1
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"RIFF")
            self.wfile.flush()
            self.connection.close()
            return
        super().do_GET()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serves the folder ``web`` over HTTP."""
    (tmp_path / "web").mkdir()
    handler = functools.partial(Flaky, directory=str(tmp_path / "web"))
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    http.server_close()


@pytest.mark.parametrize(
    ("path", "url"),
    [("s3://bucket/a.mp4", True), ("file:///a.mp4", True), ("a/b.mp4", False), ("/a://b", False)],
)
def test_urls_are_told_from_paths(path: str, url: bool) -> None:
    assert is_url(path) is url


def test_a_copy_has_the_bytes_and_the_ending_and_goes_away(stored: str, scratch: Path) -> None:
    with local_copies([stored]) as ((path, digest),):
        assert digest == DIGEST
        assert path.read_bytes() == CONTENT
        assert path.suffix == ".avi"
        assert scratch in path.parents
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not list(scratch.iterdir())


def test_digest_and_bytes_are_those_of_the_file(stored: str) -> None:
    assert url_digest(stored) == (DIGEST, len(CONTENT))


def test_a_video_from_a_web_server_decodes_as_from_the_disk(
    make_video, server: str, scratch: Path
) -> None:
    make_video("web/clip.mp4", frames=9)
    with local_copies([f"{server}/clip.mp4"]) as ((copy, _),):
        reader = VideoReader(copy)
        assert len(list(reader.frames(lambda index, seconds: True))) == 9
    assert not list(scratch.iterdir())


def test_a_signed_address_as_long_as_they_come_is_a_file_with_its_ending(
    make_video, server: str, scratch: Path
) -> None:
    make_video("web/a.b.mp4", frames=2)
    with local_copies([f"{server}/a.b.mp4?signature={'0f' * 200}.x"]) as ((copy, _),):
        assert copy.name == "0.mp4"


def test_a_connection_that_breaks_is_tried_again(
    make_video, server: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PAUSE_SECONDS", 0.01)
    path = make_video("web/clip.mp4", frames=9)
    Flaky.failures = 2
    with local_copies([f"{server}/clip.mp4"]) as ((copy, _),):
        assert copy.read_bytes() == path.read_bytes()
    Flaky.failures = 2
    assert url_digest(f"{server}/clip.mp4") == (sha256(path), path.stat().st_size)
    Flaky.failures = 100
    with (
        pytest.raises(ClipError, match=r"cannot be read \(\w+"),
        local_copies([f"{server}/clip.mp4"]),
    ):
        pass
    Flaky.failures = 0
    assert not list(scratch.iterdir())


def refused(*urls: str) -> str:
    with pytest.raises(ClipError) as caught, local_copies(urls):
        pass
    return str(caught.value)


def test_a_missing_file_is_refused_at_once(scratch: Path, tmp_path: Path, server: str) -> None:
    assert refused(f"file://{tmp_path}/none.avi") == "cannot be read (No such file or directory)"
    assert refused(f"{server}/none.avi") == "cannot be read (No such file or directory)"


def test_files_over_the_limit_are_refused(
    stored: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "MAX_BYTES", 1 << 20)
    assert "is larger than" in refused(stored)
    monkeypatch.setattr(storage, "MAX_BYTES", 4 << 20)
    with local_copies([stored]):
        pass
    assert "is larger than" in refused(stored, stored)  # the frames of one clip count together
    assert not list(scratch.iterdir())


def test_a_disk_without_room_is_said_with_the_way_out(
    stored: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "RESERVE_BYTES", 1 << 62)
    reason = refused(stored)
    assert "free" in reason
    assert "TMPDIR" in reason
    assert not list(scratch.iterdir())


def test_a_storage_without_its_package_is_one_sentence() -> None:
    try:
        import s3fs  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("s3fs is installed here")
    with pytest.raises(StorageError, match=r"s3://.*`pip install s3fs`\.$"):
        url_digest("s3://bucket/clip.avi")


def test_an_unknown_protocol_is_one_sentence() -> None:
    with pytest.raises(StorageError, match="carrier://, which fsspec does not know"):
        url_digest("carrier://pigeon/clip.avi")


def test_what_a_killed_process_left_is_removed_by_the_next(
    tmp_path: Path, stored: str, scratch: Path
) -> None:
    source = tmp_path / "clip.avi"
    source.write_bytes(CONTENT)
    script = (
        "import sys, time\nfrom pipeline.frames.storage import local_copies\n"
        f"with local_copies(['file://{source}']) as ((path, _),):\n"
        "    print(path, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())
    with local_copies([stored]):
        assert left.exists()  # it is still in use
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert left.exists()
    with local_copies([stored]):
        assert not left.exists()
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    "url",
    ["zip://a.avi::file:///etc/x.zip", "reference://a", "tar://a.avi", "git://a:b@c", "github://a",
     "simplecache://a", "dir://a", "https://example.org/a.zip::zip://a"],
)  # fmt: skip
def test_a_protocol_that_is_no_storage_of_files_is_one_sentence(url: str) -> None:
    with pytest.raises((StorageError, ClipError)) as raised:
        url_digest(url)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", "/etc"])
def test_what_is_no_regular_file_is_not_read(path: str) -> None:
    assert refused(f"file://{path}") == "cannot be read (it is no regular file)"


def test_an_endless_stream_ends(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "web/clip.avi").write_bytes(CONTENT)
    monkeypatch.setattr("pipeline.frames.storage.MAX_BYTES", 10)
    with pytest.raises(ClipError, match="is larger than"):
        url_digest(f"{server}/clip.avi")
