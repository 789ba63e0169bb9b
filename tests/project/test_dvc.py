"""The stages under DVC: what runs, what does not, and what people do with DVC afterwards."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clone import STAGES, copy_project, stages_run

from pipeline.sample import write_sample

BIN = Path(sys.executable).parent
PAIRS = {"sit_down": "stand_up", "pick_up": "put_down"}
QUEUE_SECONDS = 300  # after which queued experiments count as stuck


class Project:
    """A clone in a folder of its own, with a cache of its own."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.first_output = ""
        self.environment = os.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "CLIPCACHE_DIR": str(cache),
            "PYTHONPATH": str(folder),
            "DVC_NO_ANALYTICS": "1",
            "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@example.org",
        }  # fmt: skip

    def run(self, *command: str) -> str:
        """Run a command; what it printed, or the test fails with it."""
        done = subprocess.run(
            command, check=False, cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}"
        return done.stdout

    def metrics(self) -> dict[str, float]:
        """reports/metrics.json."""
        return json.loads((self.folder / "reports/metrics.json").read_text())


def shorten_training(params: Path) -> None:
    """What the head learns beyond these epochs is not what is asked here."""
    text = params.read_text()
    assert "epochs: 40\n" in text
    params.write_text(text.replace("epochs: 40\n", "epochs: 8\n"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The whole pipeline run once on 5 sample actions of 8 actors, committed to git."""
    home = tmp_path_factory.mktemp("dvc")
    folder = home / "clone"
    copy_project(folder)
    shorten_training(folder / "params.yaml")
    project = Project(folder, home / "cache")
    write_sample(folder / "data/raw", actions=(*PAIRS, *PAIRS.values(), "walk"), takes=2)
    project.run("dvc", "add", "-q", "data/raw")
    project.first_output = project.run("dvc", "repro")
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "first run")
    return project


def test_the_first_run_runs_every_stage_and_writes_all_reports(project: Project) -> None:
    assert stages_run(project.first_output) == STAGES
    for name in (
        "metrics.json", "predictions.csv", "confusion.csv", "classification_report.txt",
        "report.html", "rejected.csv", "plots/confusion.png", "frames/walk.jpg",
    ):  # fmt: skip
        assert (project.folder / "reports" / name).stat().st_size > 0


def test_a_second_run_runs_nothing(project: Project) -> None:
    assert stages_run(project.run("dvc", "repro")) == []


def test_the_head_tells_time_reversals_apart_and_the_baseline_cannot(project: Project) -> None:
    with (project.folder / "reports/predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    partner = PAIRS | {second: first for first, second in PAIRS.items()}
    inside = [row for row in rows if row["label"] in partner]
    right = [row["predicted"] == row["label"] for row in inside]
    assert len(inside) >= 16
    assert sum(right) / len(right) >= 0.95
    baseline = [row["baseline_predicted"] == row["label"] for row in inside]
    assert 0.3 <= sum(baseline) / len(baseline) <= 0.7


def test_a_head_parameter_reruns_only_what_depends_on_it(project: Project) -> None:
    output = project.run("dvc", "exp", "run", "-S", "train.units=64", "-S", "train.epochs=3")
    assert stages_run(output) == ["check", "train", "evaluate"]
    assert "train.units" in project.run("dvc", "params", "diff")
    assert "accuracy" in project.run("dvc", "metrics", "diff", "--all")
    assert "reports/metrics.json" in project.run("dvc", "exp", "show", "--json")
    project.run("dvc", "plots", "show")
    project.run("dvc", "plots", "diff", "HEAD")
    assert "evaluate" in project.run("dvc", "dag")
    project.run("git", "checkout", "-q", ".")
    project.run("dvc", "checkout", "--force")
    assert stages_run(project.run("dvc", "repro")) == []


def test_queued_experiments_run_as_a_grid_and_embed_nothing_again(project: Project) -> None:
    """Each in a temporary folder of its own."""
    project.run(
        "dvc", "exp", "run", "--queue", "--name", "shards", "-S", "features.shards=2",
        "-S", "train.epochs=2",
    )  # fmt: skip
    project.run("dvc", "exp", "run", "--queue", "-S", "train.units=16,32", "-S", "train.epochs=2")
    project.run("dvc", "queue", "start", "--jobs", "1")
    for _ in range(QUEUE_SECONDS):
        status = project.run("dvc", "queue", "status")
        if status.count("Success") == 3 or "Failed" in status:
            break
        time.sleep(1)
    assert status.count("Success") == 3, status
    output = project.run("dvc", "queue", "logs", "shards")
    assert stages_run(output) == ["check", "features", "copies", "train", "evaluate"]
    assert " 0 frames embedded" in output


def test_two_runs_from_empty_caches_give_the_same_model_and_metrics(
    project: Project, tmp_path: Path
) -> None:
    metrics = (project.folder / "reports/metrics.json").read_bytes()
    network = (project.folder / "models/head/head.keras").read_bytes()
    features = (project.folder / "features/features.h5").read_bytes()
    (tmp_path / "cache").mkdir()
    first = Path(project.environment["CLIPCACHE_DIR"])
    shutil.copytree(first / "weights", tmp_path / "cache/weights")
    shutil.copy(first / "engines.json", tmp_path / "cache")  # engines differ in the last bits
    again = Project(project.folder, tmp_path / "cache")
    output = again.run("dvc", "repro", "--force", "--no-run-cache")
    assert stages_run(output) == STAGES
    assert (project.folder / "features/features.h5").read_bytes() == features
    assert (project.folder / "models/head/head.keras").read_bytes() == network
    assert (project.folder / "reports/metrics.json").read_bytes() == metrics


def test_predict_agrees_with_the_evaluation(project: Project) -> None:
    with (project.folder / "reports/predictions.csv").open() as stream:
        row = next(csv.DictReader(stream))
    output = project.run("clipcache", "predict", f"data/raw/{row['clip_id']}", "--json")
    answer = json.loads(output[output.index("[") :])[0]
    assert answer["action"] == row["predicted"]
    assert answer["confidence"] == pytest.approx(float(row["confidence"]), abs=1e-4)


def test_frames_of_a_clip_are_written_as_jpegs(project: Project) -> None:
    project.run("clipcache", "frames", "walk/actor01_take1.mp4", "--out", "out")
    folder = project.folder / "out/walk/actor01_take1.mp4"
    names = sorted(path.name for path in folder.iterdir())
    assert names[0].startswith("000000_0.0")
    assert len(names) > 8
