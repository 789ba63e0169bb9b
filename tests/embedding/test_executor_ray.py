"""The Ray executor, on a real Ray: one of this machine, and a cluster of two nodes on it."""

import functools
import importlib.util
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clone import ROOT
from extraction import Project
from test_executor_local import NULL, behave

from pipeline.backbone.folder import Backbone
from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.executors import (
    EmbeddingSetup,
    Job,
    RayCluster,
    WorkerPool,
    cluster,
    ray_actors,
    run_jobs,
)
from pipeline.embedding.executors.cluster import import_ray
from pipeline.embedding.executors.jobs import outcome
from pipeline.embedding.executors.ray_actors import run_in_actors
from pipeline.errors import ClipcacheError, ClipError
from pipeline.files import sha256, write_json
from pipeline.frames.sources import Source
from pipeline.processes import CrashedError, TooSlowError

if importlib.util.find_spec("ray") is None:  # found, not imported: it reads settings as it is
    pytest.skip("the extra `scale` (ray) is not installed", allow_module_level=True)

STORE_BYTES = 100 << 20  # of shared memory, for each node


def ray_processes(session: str) -> list[int]:
    """Processes of a Ray session, by the name of its folder in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if session.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


class Nodes:
    """A Ray cluster on this machine, of nodes with one processor each."""

    def __init__(self) -> None:
        import_ray()
        from ray.cluster_utils import Cluster

        settings = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
        self._cluster = Cluster(initialize_head=True, head_node_args=settings)
        self._settings = settings
        self.address: str = self._cluster.address
        self.session = Path(self._cluster.head_node.get_session_dir_path()).name
        self.head: Any = self._cluster.head_node
        self.others: list[Any] = []
        self.add()

    def add(self) -> None:
        self.others.append(self._cluster.add_node(**self._settings))

    def lose(self) -> None:
        """End a node as a power failure does."""
        self._cluster.remove_node(self.others.pop(), allow_graceful=False)

    def actors(self, node: Any) -> list[int]:
        """Processes of our actors on a node."""
        raylet = node.all_processes["raylet"][0].process.pid
        children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
        return [
            int(pid)
            for pid in children
            if "ray::_Actor" in Path(f"/proc/{pid}/cmdline").read_text()
        ]

    def end(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def importable() -> Iterator[None]:
    """The nodes find this module, whose functions some tests run on them, and ask for no token."""
    folders = [str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT)]
    path = os.pathsep.join(filter(None, [*folders, os.environ.get("PYTHONPATH")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        # A local Ray writes a token into the home folder; a cluster that started before has none.
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield


@pytest.fixture(scope="module")
def nodes(importable: None) -> Iterator[Nodes]:
    """A cluster of two nodes; nothing of it outlives this module."""
    there = Nodes()
    try:
        yield there
    finally:
        import_ray().shutdown()
        there.end()
        deadline = time.monotonic() + 30
        while (left := ray_processes(there.session)) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.fixture
def joined(nodes: Nodes) -> RayCluster:
    """The settings that join the two nodes."""
    return RayCluster(nodes.address)


def a_job(path: Path) -> Job:
    return Job(Source(str(path)), sha256(path), {"identity": None})


def told(answer: ClipEmbeddings | ClipError) -> str:
    assert isinstance(answer, ClipError)
    return str(answer)


# The same bytes everywhere


def test_features_are_the_same_bytes_here_on_a_local_ray_and_on_two_nodes(
    nodes: Nodes,
    few_clips: Path,
    backbone_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (few_clips / "walk/broken.avi").write_bytes(b"RIFF, but no video")
    written, rejected = {}, {}
    for name, own in {
        "here": {},
        "local ray": {"executor": "ray"},
        "two nodes": {"executor": "ray", "ray_address": nodes.address, "workers": None},
    }.items():
        monkeypatch.setenv("CLIPCACHE_DIR", str(tmp_path / name / "cache"))
        settings = {"fps": 4, "engine": "litert", "shards": 2, **own}
        project = Project(tmp_path / name, few_clips, settings)
        shutil.rmtree(project.folder / "models/backbone")
        (project.folder / "models/backbone").symlink_to(backbone_folder)
        if name == "local ray":  # a process of its own: one that starts a Ray cannot join another
            project.index()
            done = project.run("features")
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith("13 clips: 0 from the cache, 13 decoded, ")
            assert done.stdout.count("\n") == 1
            said = done.stderr
        else:
            extraction = project.extract()
            assert (extraction.decoded, len(extraction.rejected)) == (13, 1)
            assert extraction.embedded > 100
            out, said = capfd.readouterr()
            assert out == ""
        assert "Embedding 13 clips with litert" in said
        assert "Rejected broken.avi: is not a video" in said
        assert "raylet" not in said
        assert "WARNING" not in said
        written[name] = project.feature_bytes()
        rejected[name] = (project.folder / "reports/rejected.csv").read_text()
        project.set(executor="local")
        assert project.extract().decoded == 1  # all others are found under the same keys
        capfd.readouterr()
    assert written["local ray"] == written["here"]
    assert written["two nodes"] == written["here"]
    assert len(set(rejected.values())) == 1


# What is lost, and what is not


class Gate(SimpleHTTPRequestHandler):
    """Serves videos slowly, counts how often each is fetched, and tells who fetches it."""

    fetched: Counter[str]
    begun: Callable[[int], None]

    def do_GET(self) -> None:
        self.fetched[self.path] += 1
        type(self).begun(self.client_address[1])
        time.sleep(0.2)
        super().do_GET()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path, begun: Callable[[int], None]) -> Iterator[tuple[str, Counter[str]]]:
    """A web server of a folder; its address, and how often each file was fetched."""
    fetched: Counter[str] = Counter()
    handler = type("_Gate", (Gate,), {"fetched": fetched, "begun": staticmethod(begun)})
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    )
    server.handle_error = lambda request, address: None  # a client that was killed
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", fetched
    finally:
        server.shutdown()
        server.server_close()


def owner(port: int, pids: list[int]) -> int | None:
    """Which of these processes has a connection from this port of the machine."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}"):
            socket = f"socket:[{fields[9]}]"
            for pid in pids:
                with suppress(OSError):
                    links = Path(f"/proc/{pid}/fd").iterdir()
                    if any(str(link.readlink()) == socket for link in links):
                        return pid
    return None


class Misfortune:
    """Ends an actor, and later a node, each while it fetches a clip."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.fetches = 0
        self.actor_killed = self.node_lost = False
        self.lock = threading.Lock()

    def __call__(self, port: int) -> None:
        with self.lock:
            self.fetches += 1
            if self.fetches >= 8 and not self.actor_killed:
                everywhere = [self.nodes.head, *self.nodes.others]
                pid = owner(port, [pid for node in everywhere for pid in self.nodes.actors(node)])
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
                    self.actor_killed = True
            elif (
                self.fetches >= 16
                and not self.node_lost
                and owner(port, self.nodes.actors(self.nodes.others[0])) is not None
            ):
                self.nodes.lose()
                self.node_lost = True


def test_an_actor_and_then_a_node_are_lost_and_no_clip_with_them(
    nodes: Nodes, joined: RayCluster, make_video, capfd: pytest.CaptureFixture[str]
) -> None:
    clips = [make_video(f"web/{i}.avi", frames=25 + i, seed=i) for i in range(40)]
    answers: list[tuple[Job, Any]] = []
    taken: list[Job] = []
    misfortune = Misfortune(nodes)
    with served(clips[0].parent, misfortune) as (address, fetched):
        jobs = [
            Job(Source(f"{address}/{clip.name}"), sha256(clip), {"identity": None})
            for clip in clips
        ]
        one_by_one = (taken.append(job) or job for job in jobs)
        for answer in run_jobs(one_by_one, NULL, WorkerPool(cluster=joined)):
            answers.append(answer)
            assert len(taken) <= len(answers) + 4  # two at work, and one more for each
            if misfortune.node_lost and not nodes.others:
                nodes.add()  # and is found, and gets work
    assert misfortune.actor_killed
    assert misfortune.node_lost
    assert sorted(job.source.path for job, _ in answers) == sorted(job.source.path for job in jobs)
    # The clip of the actor is fetched again; that of the node, unless it was done all the same.
    assert len(jobs) + 1 <= fetched.total() <= len(jobs) + 2
    here = {job.digest: result for job, result in run_jobs(
        [a_job(clip) for clip in clips], NULL, WorkerPool(2, 60))}  # fmt: skip
    for job, result in answers:
        assert isinstance(result, ClipEmbeddings)
        expected = here[job.digest]
        assert isinstance(expected, ClipEmbeddings)
        assert np.array_equal(result.timeline, expected.timeline)
        assert np.array_equal(result.frames["identity"], expected.frames["identity"])
        assert np.array_equal(result.embeddings["identity"], expected.embeddings["identity"])
        assert result.embeddings["identity"].flags.owndata  # not a view into Ray's memory
    out, err = capfd.readouterr()
    assert "raylet" not in out + err


def made() -> Callable[[object], object]:
    """What an actor of the next test prepares."""
    return behave


def test_a_task_costs_itself_only(joined: RayCluster) -> None:
    tasks = [0, "exit", 1, "crash", "hang", "raise", "large", 2, 3]
    answers = dict(run_in_actors(made, (), tasks, WorkerPool(2, 5, joined)))
    for way in ("exit", "crash"):
        lost = answers.pop(way)
        assert isinstance(lost, CrashedError)
        assert told(outcome(lost, 5)) == "crashed the decoder"
    assert isinstance(answers.pop("hang"), TooSlowError)
    raised = answers.pop("raise")
    assert isinstance(raised, ClipError)
    assert "in behave" in raised.__notes__[0]
    assert len(answers.pop("large")) == 50_000_000
    assert answers == {i: i for i in range(4)}


def test_a_clip_that_hangs_is_rejected_with_the_sentence_of_the_local_executor(
    joined: RayCluster, make_video, tmp_path: Path
) -> None:
    good = make_video("good.avi")
    pipe = tmp_path / "pipe.avi"
    os.mkfifo(pipe)  # nobody ever writes into it
    jobs = [Job(Source(str(pipe)), "0" * 64, {"identity": None}), a_job(good)]
    sentences = set()
    for where in (None, joined):
        results = {
            job.source.name: result for job, result in run_jobs(jobs, NULL, WorkerPool(1, 2, where))
        }
        assert isinstance(results["good.avi"], ClipEmbeddings)
        sentences.add(told(results["pipe.avi"]))
    assert sentences == {"took longer than features.clip_timeout (2 s) and was given up"}


def test_a_reader_that_loses_interest_leaves_no_actor(joined: RayCluster, nodes: Nodes) -> None:
    results = run_in_actors(made, (), range(100), WorkerPool(1, 60, joined))
    next(results)
    results.close()
    deadline = time.monotonic() + 20
    everywhere = [nodes.head, *nodes.others]
    while any(map(nodes.actors, everywhere)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(nodes.actors, everywhere))


# What cannot work is one sentence


def refused(where: RayCluster, setup: EmbeddingSetup = NULL) -> str:
    job = Job(Source("/nowhere.avi"), "0" * 64, {"identity": None})
    with pytest.raises(ClipcacheError) as caught:
        list(run_jobs([job], setup, WorkerPool(1, 60, where)))
    return str(caught.value)


@pytest.mark.parametrize("address", ["ray://127.0.0.1:9", "127.0.0.1:9", "ray://no.such.host:9"])
def test_a_cluster_that_is_not_there(address: str) -> None:
    sentence = refused(RayCluster(address))
    assert sentence.startswith(f"Ray cannot be joined at {address} (features.ray_address): ")


def test_a_gpu_that_no_node_has(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_actors, "START_SECONDS", 1.0)
    sentence = refused(RayCluster(nodes.address, gpus=1))
    assert "no node has 1 CPU and 1 GPU for a worker" in sentence
    assert "features.ray_gpus" in sentence


def test_an_engine_that_does_not_load_on_the_nodes(joined: RayCluster, tmp_path: Path) -> None:
    write_json(tmp_path / "backbone.json", Backbone("0" * 64, 64).__dict__)
    setup = EmbeddingSetup("litert", tmp_path, NULL.extractor, NULL.sampling)
    assert "workers end as soon as they start (FileNotFoundError: " in refused(joined, setup)


def test_nodes_with_another_version_are_refused(
    joined: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_actors, "__version__", "99.0")  # here, not in the actors
    sentence = refused(joined)
    assert "this machine has 99.0" in sentence
    assert "install the same versions" in sentence


def test_nothing_is_sent_to_ray_and_nothing_of_this_folder_to_the_nodes() -> None:
    import_ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert set(cluster.ENVIRONMENT) <= set(os.environ)
