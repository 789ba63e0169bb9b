"""Worker processes: what one clip, or one process, can do to a run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clone import ROOT

from bench.null_engines import PixelSetup
from pipeline.backbone.folder import read_backbone
from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.executors import EmbeddingSetup, Job, WorkerPool, run_jobs
from pipeline.errors import ClipcacheError, ClipError
from pipeline.files import sha256
from pipeline.frames.sources import Source
from pipeline.frames.video import Sampling
from pipeline.processes import CrashedError, TooSlowError, run_in_processes
from pipeline.store.extractor_spec import ExtractorSpec

NULL = PixelSetup(
    "dummy", Path(), ExtractorSpec("dummy", 64, "stretch", "float32"), Sampling(8, 512)
)


def behave(task: object) -> object:
    """What a worker is told to do; runs in the worker process."""
    match task:
        case "exit":
            os._exit(3)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            time.sleep(600)
        case "raise":
            raise ClipError("cannot be used")
        case "large":
            return np.zeros(50_000_000, np.uint8)
        case "slow":
            time.sleep(0.3)
    return task


def outcomes(tasks: list, workers: int = 2, timeout: float = 60) -> list[tuple[object, object]]:
    return list(run_in_processes(behave, tasks, workers=workers, timeout=timeout))


def children_of(pid: int) -> list[int]:
    """The processes that a process started by `spawn`, without helpers of multiprocessing."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == pid and "spawn_main" in (folder / "cmdline").read_text():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_answered_once(workers: int) -> None:
    assert sorted(outcomes(list(range(20)), workers)) == [(i, i) for i in range(20)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("way", ["exit", "crash"])
def test_a_task_that_ends_its_process_costs_itself_only(way: str, workers: int) -> None:
    answers = dict(outcomes([0, way, 1, 2, 3], workers))
    lost = answers.pop(way)
    assert isinstance(lost, CrashedError)
    assert lost.exit_code == {"exit": 3, "crash": -signal.SIGSEGV}[way]
    assert answers == {i: i for i in range(4)}


def test_a_task_that_hangs_is_given_up_after_its_time(tmp_path: Path) -> None:
    before = children_of(os.getpid())  # decoders of other tests, which wait for the next file
    answers = dict(outcomes([0, "hang", 1, 2], timeout=2))
    assert isinstance(answers.pop("hang"), TooSlowError)
    assert answers == {i: i for i in range(3)}
    assert children_of(os.getpid()) == before


def test_what_a_task_raises_comes_back_and_says_where_it_happened() -> None:
    (_, error), = outcomes(["raise"])  # fmt: skip
    assert isinstance(error, ClipError)
    assert str(error) == "cannot be used"
    assert "in behave" in error.__notes__[0]


def test_answers_far_larger_than_a_pipe_come_through() -> None:
    assert all(len(answer) == 50_000_000 for _, answer in outcomes(["large"] * 3))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_killed_at_any_moment_costs_at_most_its_task(workers: int) -> None:
    kills, answers, before = 0, [], children_of(os.getpid())
    results = run_in_processes(behave, ["slow"] * 12, workers=workers, timeout=60)
    random = np.random.default_rng(workers)
    for _, answer in results:
        answers.append(answer)
        if kills < 4 and (there := [one for one in children_of(os.getpid()) if one not in before]):
            time.sleep(random.uniform(0, 0.4))  # while it starts, works, or has just answered
            os.kill(int(random.choice(there)), signal.SIGKILL)
            kills += 1
    lost = sum(isinstance(answer, CrashedError) for answer in answers)
    assert len(answers) == 12
    assert lost <= kills
    assert kills == 4


def test_workers_that_cannot_start_end_the_run_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr("multiprocessing.spawn._python_exe", b"/bin/false")
    with pytest.raises(ClipcacheError, match="end as soon as they start"):
        outcomes([1, 2])


def test_no_worker_outlives_a_reader_that_loses_interest() -> None:
    before = children_of(os.getpid())
    results = run_in_processes(behave, range(100), workers=2, timeout=60)
    next(results)
    assert len(children_of(os.getpid())) > len(before)
    results.close()
    assert children_of(os.getpid()) == before


def test_no_worker_outlives_a_main_process_that_is_killed() -> None:
    script = (
        "from test_executor_local import behave\n"
        "from pipeline.processes import run_in_processes\n"
        "list(run_in_processes(behave, ['hang'] * 4, workers=2, timeout=600))"
    )
    folders = [str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT)]
    main = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: len(children_of(main.pid)) == 2)
    time.sleep(0.5)
    workers = children_of(main.pid)
    main.kill()
    assert main.communicate()[1] == b""
    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers))


def test_clips_are_embedded_and_a_bad_one_has_a_reason(make_video, tmp_path: Path) -> None:
    good, bad = make_video("good.avi", frames=25), tmp_path / "bad.avi"
    bad.write_bytes(b"RIFF, but no video")
    gone = make_video("gone.avi", frames=5)
    jobs = [Job(Source(str(path)), sha256(path), {"identity": None}) for path in (good, bad, gone)]
    gone.unlink()
    done = run_jobs(jobs, NULL, WorkerPool(2, 60))
    results = {Path(job.source.path): result for job, result in done}
    embedded = results[good]
    assert isinstance(embedded, ClipEmbeddings)
    assert embedded.embedded == 8
    assert embedded.embeddings["identity"].shape == (8, 1280)
    assert len(embedded.timeline) == 25
    assert "not a video" in str(results[bad])
    assert "No such file" in str(results[gone])


def test_a_clip_that_takes_too_long_is_rejected_with_its_limit(make_video) -> None:
    path = make_video("long.avi", frames=4000)
    every = replace(NULL, sampling=Sampling())
    job = Job(Source(str(path)), sha256(path), {"identity": None})
    ((_, result),) = run_jobs([job], every, WorkerPool(1, 0.01))
    assert "took longer than features.clip_timeout (0.01 s)" in str(result)


def test_an_engine_in_the_main_process_gives_the_same_and_leaves_no_frames_behind(
    make_video, backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    path = make_video("a.avi", frames=50)
    wanted = {"identity": None, "hflip": np.array([5, 30], np.int32)}
    job = Job(Source(str(path)), sha256(path), wanted)
    extractor = ExtractorSpec.of(read_backbone(backbone_folder), "stretch", "float32")
    by_engine = {}
    for engine in ("keras", "litert"):
        setup = EmbeddingSetup(engine, backbone_folder, extractor, Sampling(4))
        ((_, result),) = run_jobs([job], setup, WorkerPool(1))
        assert isinstance(result, ClipEmbeddings)
        by_engine[engine] = result
        behind = replace(job, wanted=dict.fromkeys(wanted), segments=((50.0, 60.0),))
        ((_, nothing),) = run_jobs([behind], setup, WorkerPool(1))
        assert isinstance(nothing, ClipEmbeddings)
        assert [rows.shape for rows in nothing.embeddings.values()] == [(0, 1280)] * 2
    assert by_engine["keras"].frames["hflip"].tolist() == [5, 30]
    for view in ("identity", "hflip"):
        one, other = (by_engine[name].embeddings[view].astype(float) for name in by_engine)
        assert one.shape == other.shape
        assert np.allclose(one, other, atol=0.01)
    assert not list((tmp_path / "scratch").glob(".clipcache-*"))


def test_the_workers_never_import_tensorflow() -> None:
    script = (
        "import sys, pipeline.embedding.executors\n"
        "print([m for m in sys.modules if 'tensorflow' in m])"
    )
    root = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def resident_peak(pid: int) -> int:
    """Most memory that a process has held so far, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def test_memory_does_not_grow_with_the_length_of_a_video(make_video) -> None:
    peaks = {}
    before = children_of(os.getpid())  # decoders of other tests, which wait for the next file
    every = replace(NULL, sampling=Sampling(None, 64))
    last = make_video("last.avi", frames=1)  # keeps the worker alive to be looked at
    for frames in (100, 3000):
        path = make_video(f"{frames}.avi", frames=frames, size=(320, 240))
        jobs = [Job(Source(str(path)), sha256(path), {"identity": None, "hflip": None})]
        jobs += [Job(Source(str(last)), sha256(last), {"identity": None})]
        for _, result in run_jobs(jobs, every, WorkerPool(1)):
            assert isinstance(result, ClipEmbeddings)
            for worker in set(children_of(os.getpid())) - set(before):
                peaks[frames] = resident_peak(worker)
    # 3,000 frames are 690 MB decoded, and 74 MB as the CNN sees them in two views.
    assert peaks[3000] - peaks[100] < 25e6
