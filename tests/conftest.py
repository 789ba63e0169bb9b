"""Fixtures that more than one test module needs."""

import contextlib
import fcntl
import shutil
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from sample_model import ACTORS, LABELS, TAKES, train_sample_model, unseen_clip
from serving import Server, small_server

from pipeline.sample import write_sample

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

# The modules that take minutes, longest first: begun last, one would keep one core busy while the
# others idle. The rest of the order is pytest's.
LONGEST_FIRST = (
    "project/test_readme.py",
    "project/test_dvc.py",
    "embedding/test_crash_safety.py",
    "embedding/test_executor_ray.py",
    "exporting/test_exporting.py",
    "project/test_real_data.py",
    "dataset/test_layouts_on_real_data.py",
    "serve/test_predict_page.py",
    "serve/test_page.py",
    "serve/test_serve_robust.py",
    "embedding/test_fuzz.py",
    "project/test_bench.py",
)

# What is started in the background of a shell ignores Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

MakeVideo = Callable[..., Path]
Send = Callable[..., httpx.Response]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of `LONGEST_FIRST` first; xdist hands modules out in this order."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip("the real data sets (../shared/data) are not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one test session share, also under pytest-xdist."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if own.name.startswith("popen-") else own


@pytest.fixture(scope="session")
def backbone_folder(session_folder: Path) -> Path:
    """MobileNetV2 with its ImageNet weights, prepared once a session by the real stage."""
    from pipeline.backbone.params import BackboneParams
    from pipeline.stages.backbone import prepare_backbone

    folder = session_folder / "backbone"
    with only_one(session_folder / "backbone.lock"):
        if not folder.exists():
            prepare_backbone(BackboneParams(), folder)
    return folder


@pytest.fixture(scope="session")
def sample_videos(session_folder: Path) -> Path:
    """``<label>/actor<NN>_take<N>.mp4``, rendered once a session: 4 actions of 5 people, twice."""
    folder = session_folder / "sample_videos"
    with only_one(session_folder / "sample_videos.lock"):
        if not (folder / "whole").exists():
            write_sample(folder / "raw", actions=LABELS, actors=ACTORS, takes=TAKES, workers=1)
            (folder / "whole").touch()
    return folder / "raw"


@pytest.fixture(scope="session")
def sample_model(sample_videos: Path, backbone_folder: Path, session_folder: Path) -> Path:
    """The folder of a model that knows 4 sample actions, trained once a session by the real stages.

    It lies in models/head of a whole project, with data/raw/<label>/<clip>, features/, and its
    embedding cache in cache/.
    """
    project = session_folder / "sample_model"
    with only_one(session_folder / "sample_model.lock"):
        if not (project / "models/head").is_dir():
            train_sample_model(project, sample_videos, backbone_folder)
    return project / "models/head"


@pytest.fixture(scope="session")
def sample_project(sample_model: Path) -> Path:
    """The project in which that model lies."""
    return sample_model.parents[1]


@pytest.fixture
def in_project(sample_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder is that of `sample_project`, and its embedding cache is in use."""
    monkeypatch.chdir(sample_project)
    monkeypatch.setenv("CLIPCACHE_DIR", str(sample_project / "cache"))
    return sample_project


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty embedding cache for this test alone, also for the processes it starts."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CLIPCACHE_DIR", str(folder))
    return folder


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """Encodes a short real video with a moving square: ``make_video("a/b.mp4", frames=20)``."""

    def make(
        path: str | Path = "clip.mp4",
        *,
        frames: int = 12,
        size: tuple[int, int] = (64, 48),
        fps: float = 25.0,
        seed: int = 0,
    ) -> Path:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        codec = "MJPG" if target.suffix.lower() == ".avi" else "mp4v"
        writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*codec), fps, size)
        assert writer.isOpened()
        random = np.random.default_rng(seed)
        colour = [int(value) for value in random.integers(80, 255, 3)]
        dark = random.integers(0, 60, 3).astype(np.uint8)
        for i in range(frames):
            picture = np.full((size[1], size[0], 3), dark, np.uint8)
            left = (3 * i + 7 * seed) % (size[0] - 12)
            cv2.rectangle(picture, (left, 10), (left + 12, 30), colour, -1)
            writer.write(picture)
        writer.release()
        return target

    return make


def turn(mp4: Path, degrees: int) -> None:
    """Write into an MP4 by how much players are to turn it clockwise (ISO/IEC 14496-12, tkhd)."""
    content = bytearray(mp4.read_bytes())
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[degrees // 90]
    matrix = (cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30)
    assert content.count(b"tkhd") == 1
    struct.pack_into(">9i", content, content.index(b"tkhd") + 44, *matrix)
    mp4.write_bytes(content)


@pytest.fixture
def make_dataset(make_video: MakeVideo, tmp_path: Path) -> Callable[..., Path]:
    """Encodes ``raw/<label>/<person>_<label>.avi``, every clip with bytes of its own."""

    def make(
        labels: tuple[str, ...] = ("wave", "walk"),
        people: tuple[str, ...] = ("anna", "ben", "cleo"),
        *,
        folder: str = "raw",
        frames: int = 12,
    ) -> Path:
        for seed, (label, person) in enumerate((lb, pe) for lb in labels for pe in people):
            make_video(f"{folder}/{label}/{person}_{label}.avi", frames=frames + seed, seed=seed)
        return tmp_path / folder

    return make


@pytest.fixture
def few_clips(sample_videos: Path, tmp_path: Path) -> Path:
    """``raw/<label>/<clip>`` with four sample clips of each of three actions."""
    raw = tmp_path / "raw"
    for label in ("pick_up", "walk", "wave"):
        (raw / label).mkdir(parents=True)
        for clip in sorted((sample_videos / label).iterdir())[:4]:
            shutil.copy(clip, raw / label)
    return raw


@pytest.fixture(scope="module")
def server(sample_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with small_server(sample_model, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def clip(sample_model: Path) -> Path:
    """A clip of somebody who was not in the training set."""
    return unseen_clip(sample_model, "walk")


@pytest.fixture
def nothing_is_left(server: Server) -> Iterator[None]:
    """After every test: no file on the disk, and the server is as well as before."""
    yield
    deadline = time.monotonic() + 5
    while server.files() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.files() == []
    assert server.process.poll() is None, server.log


@pytest.fixture
def send(client: httpx.Client) -> Send:
    """Send bytes as a file."""

    def send(content: bytes, name: str = "clip.mp4", field: str = "file") -> httpx.Response:
        return client.post("/predict", files={field: (name, content)})

    return send


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Only one process at a time is inside."""
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
