"""What all executors share, and the way to the one that is not installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clone import ROOT
from extraction import Project
from test_executor_local import NULL

from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.executors import Job, RayCluster, WorkerPool, run_jobs
from pipeline.embedding.params import FeaturesParams
from pipeline.errors import ParamsError, StorageError
from pipeline.files import sha256
from pipeline.frames.sources import Source
from pipeline.params import load_params

WITHOUT_RAY = """
import sys

sys.modules["ray"] = None  # neither imported nor found
from MODULE import main
main()
"""


def test_ray_without_the_extra_is_one_sentence_that_says_how_to_install_it(
    tmp_path: Path, make_dataset, own_cache: Path
) -> None:
    project = Project(tmp_path / "project", make_dataset(), {"executor": "ray"})
    project.index()
    process = project.start(script=WITHOUT_RAY)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert out == ""
    *_, sentence = err.strip().splitlines()
    assert sentence == (
        "Error: features.executor is ray, which is not installed: run `make extras`, or "
        "`pip install '.[scale]'`, in the folder of clipcache's code."
    )
    assert "Traceback" not in err
    assert not (project.folder / "features").exists()


def test_the_local_executor_never_imports_ray() -> None:
    script = (
        "import sys, pipeline.embedding.executors, pipeline.stages.features\n"
        "from pipeline.params import FeaturesParams\n"
        "assert FeaturesParams().pool.cluster is None\n"
        "print([name for name in sys.modules if name == 'ray' or name == 'fsspec'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_settings_say_where_clips_are_embedded(tmp_path: Path) -> None:
    assert FeaturesParams().pool.cluster is None
    settings = FeaturesParams(executor="ray", ray_address="auto", ray_cpus=0.5)
    assert settings.pool.cluster == RayCluster("auto", 0.5, 0.0)
    path = tmp_path / "params.yaml"
    path.write_text("features: {executor: ray, ray_gpus: 1}")
    with pytest.raises(ParamsError, match="ray_gpus above 0 needs `engine: keras`"):
        load_params(path)
    assert FeaturesParams(executor="ray", ray_gpus=0.5, engine="keras").pool.cluster.gpus == 0.5


@pytest.mark.parametrize(
    ("workers", "cluster", "words"),
    [
        (1, None, "1 worker"),
        (3, None, "3 workers"),
        (2, RayCluster(), "2 workers on a local Ray"),
        (None, RayCluster("auto"), "as many workers as Ray at auto has room for"),
    ],
)
def test_a_pool_in_words(workers: int | None, cluster: RayCluster | None, words: str) -> None:
    assert str(WorkerPool(workers, cluster=cluster)) == words


def test_a_clip_behind_a_url_gives_the_same_embeddings(make_video) -> None:
    path = make_video("a b.avi", frames=30)
    digest = sha256(path)
    jobs = [
        Job(Source(where), digest, {"identity": None}) for where in (str(path), f"file://{path}")
    ]
    one, other = (result for _, result in run_jobs(jobs, NULL, WorkerPool(2, 60)))
    assert isinstance(one, ClipEmbeddings)
    assert isinstance(other, ClipEmbeddings)
    assert one.embeddings["identity"].tobytes() == other.embeddings["identity"].tobytes()


def test_a_storage_that_no_worker_can_read_ends_the_run(make_video) -> None:
    job = Job(Source("carrier://pigeon/a.avi"), "0" * 64, {"identity": None})
    with pytest.raises(StorageError, match="carrier://, which fsspec does not know"):
        list(run_jobs([job], NULL, WorkerPool(1, 60)))
