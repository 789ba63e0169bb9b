"""The command line: what it says, and with which exit code."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from clone import ROOT
from extraction import Project
from typer.main import get_command

from pipeline.cli import app
from pipeline.head.model_folder import MODEL
from pipeline.params import PARAMS

COMMANDS = ["init", "index", "frames", "backbone", "features", "copies", "split", "train",
            "evaluate", "predict", "live", "crossval", "serve", "export", "explain", "explore",
            "sample", "cache", "cache info", "cache verify", "cache gc"]  # fmt: skip


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def refusal(done: subprocess.CompletedProcess, exit_code: int = 2) -> str:
    """The one sentence on standard error of a command that failed as it should."""
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("Error: ")
    assert lines[0].endswith(".")
    return lines[0]


@pytest.fixture
def project(tmp_path: Path, make_dataset, own_cache: Path) -> Project:
    """Six clips, indexed."""
    project = Project(tmp_path / "project", make_dataset(), {})
    project.index()
    return project


def test_the_plan_says_where_the_index_is_older_than_the_data(project: Project) -> None:
    planned = run(project.folder, "features", "--plan", "-S", "features.engine=litert")
    assert "Since data/index.csv" not in planned.stdout
    clips = sorted(project.raw.rglob("*.avi"))
    shutil.copy(clips[0], clips[0].with_name("new_clip.avi"))
    clips[1].write_bytes(b"other")
    clips[2].unlink()
    planned = run(project.folder, "features", "--plan", "-S", "features.engine=litert")
    assert planned.stdout.startswith("Since data/index.csv was written, 1 file came (")
    assert "new_clip.avi), 1 file went (" in planned.stdout
    assert "), 1 file changed (" in planned.stdout
    assert "run `clipcache index` again. What follows is of the clips in the index." in (
        planned.stdout
    )


def test_explore_takes_a_folder(project: Project) -> None:
    copy = project.folder / "elsewhere"
    shutil.copytree(project.raw, copy)
    shutil.copytree(copy / "walk", copy / "third")
    done = run(project.folder, "explore", "elsewhere", "-S", "dataset.group=none")
    assert done.returncode == 0, done.stderr
    assert "third" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    done = run(tmp_path, *command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert f"pipeline {command}" in done.stdout
    for gap in ("/.mp4", " .mp4", " ,", "''", "``"):  # where markup swallowed a word
        assert gap not in done.stdout
    assert not list(tmp_path.iterdir())


def test_an_option_is_the_same_in_every_command_that_has_it() -> None:
    commands = get_command(app).commands.values()
    named = [{option.opts[0]: option for option in command.params} for command in commands]
    settings = [options for options in named if "--params" in options]
    assert len(settings) >= 10
    assert all(options["--params"].default == PARAMS for options in settings)
    assert all(options["--set-param"].opts == ["--set-param", "-S"] for options in settings)
    models = [options["--model"] for options in named if "--model" in options]
    assert len(models) >= 5
    assert {(option.default, option.metavar, option.help) for option in models} == {
        (MODEL, "FOLDER", models[0].help)
    }


def test_a_setting_is_changed_for_one_run_of_a_stage(project: Project) -> None:
    refused = run(project.folder, "split", "-S", "split.method=shuffle")
    assert "`split.method`" in refusal(refused)
    before = (project.folder / "params.yaml").read_bytes()
    done = run(project.folder, "index", "-S", "dataset.group=none")
    assert done.returncode == 0, done.stderr
    assert "6 clips" in done.stdout
    assert "in 6 groups" in done.stdout
    assert (project.folder / "params.yaml").read_bytes() == before


def test_a_full_disk_below_the_output_is_one_sentence_and_a_closed_pipe_is_none() -> None:
    command = f"set -o pipefail; (sleep 0.5; {sys.executable} -m pipeline --version)"
    lost = "Error: The output cannot be written (No space left on device): make room.\n"
    for after, sentence in (("> /dev/full", lost), ("| true", "")):
        done = subprocess.run(
            ["bash", "-c", f"{command} {after}"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert (done.stderr, done.returncode) == (sentence, 1)


def test_help_and_version_import_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\nsys.argv = ['clipcache', '--help']\nfrom pipeline.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'cv2', 'numpy', 'h5py', 'matplotlib', 'sklearn', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert run(tmp_path, "--version").stdout.startswith("clipcache ")


def test_a_stage_says_what_it_did(project: Project) -> None:
    assert "6 clips of 2 classes in 6 groups -> data/index.csv" in run(
        project.folder, "index").stdout  # fmt: skip
    done = project.run("features")
    assert done.returncode == 0, done.stderr
    assert "6 clips: 0 from the cache, 6 decoded" in done.stdout
    assert "0 rejected -> features/" in done.stdout
    assert "shards, all sound" in run(project.folder, "cache", "verify").stdout
    assert "Embedding cache in" in run(project.folder, "cache", "info").stdout
    assert "Would drop 0 entries" in run(project.folder, "cache", "gc").stdout
    sheets = run(project.folder, "frames")
    assert "2 contact sheets -> reports/frames/" in sheets.stdout
    written = run(project.folder, "frames", "walk/ben_walk.avi", "--out", "shown")
    assert "frames of 1 clip -> shown/" in written.stdout
    assert list((project.folder / "shown/walk/ben_walk.avi").glob("*.jpg"))


def settings(project: Project, text: str) -> None:
    (project.folder / "params.yaml").write_text(text)


def test_no_folder_of_clips(project: Project) -> None:
    settings(project, "dataset: {raw: data/raw}")
    assert "data/raw, which is not a folder" in refusal(run(project.folder, "index"))


def test_an_empty_folder_of_clips(project: Project) -> None:
    (project.folder / "data/raw").mkdir(parents=True)
    settings(project, "dataset: {raw: data/raw}")
    assert "holds no video" in refusal(run(project.folder, "index"))


def test_one_class_only(project: Project) -> None:
    shutil.rmtree(project.raw / "walk")
    assert "one class only, wave" in refusal(run(project.folder, "index"))


def test_a_label_with_one_group(project: Project) -> None:
    for name in ("ben", "cleo"):
        (project.raw / f"walk/{name}_walk.avi").unlink()
    assert run(project.folder, "index").returncode == 0
    assert "All clips of walk are of one group" in refusal(run(project.folder, "split"))


def test_an_unknown_setting(project: Project) -> None:
    settings(project, "features: {fsp: 8}")
    assert "`features.fsp` is not a setting; did you mean `fps`" in run(
        project.folder, "features").stderr  # fmt: skip
    assert run(project.folder, "index").returncode == 2


def test_a_setting_of_the_wrong_type(project: Project) -> None:
    settings(project, "features: {fps: fast}")
    assert "`features.fps`" in refusal(run(project.folder, "features"))


def test_a_missing_settings_file(project: Project) -> None:
    message = refusal(run(project.folder, "index", "--params", "nowhere.yaml"))
    assert "nowhere.yaml is not there" in message


def test_a_missing_weights_file(project: Project) -> None:
    settings(project, "backbone: {weights: nowhere.h5}")
    message = refusal(run(project.folder, "backbone"))
    assert "backbone.weights names nowhere.h5" in message


@pytest.mark.parametrize(
    ("command", "needed"),
    [("split", "index"), ("frames", "index"), ("features", "index"), ("features", "backbone")],
)
def test_a_stage_before_its_turn_names_the_one_before(
    project: Project, command: str, needed: str
) -> None:
    (project.folder / "data/index.csv").unlink() if needed == "index" else shutil.rmtree(
        project.folder / "models"
    )
    assert f"run `clipcache {needed}` first" in refusal(run(project.folder, command))


def test_frames_without_a_place_to_write_to(project: Project) -> None:
    assert "--out" in refusal(run(project.folder, "frames", "walk/ben_walk.avi"))
    assert "not in data/index.csv" in refusal(
        run(project.folder, "frames", "nope.avi", "--out", "x"))  # fmt: skip


def test_too_many_rejected_clips_are_exit_code_1(project: Project) -> None:
    (project.raw / "walk/ben_walk.avi").write_bytes(b"no video")
    project.index()
    done = project.run("features")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "1 of 6 clips were rejected" in last
    assert "reports/rejected.csv" in last
    project.set(max_rejected=0.5)
    assert project.run("features").returncode == 0


def test_debug_shows_the_traceback(project: Project) -> None:
    done = run(project.folder, "--debug", "index", "--params", "nowhere.yaml")
    assert "Traceback" in done.stderr
    assert done.returncode != 0


def test_a_folder_that_cannot_be_written_to_is_one_sentence(project: Project) -> None:
    shutil.rmtree(project.folder / "data")
    (project.folder / "data").write_text("a file, not a folder")
    done = run(project.folder, "index")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_ctrl_c_says_that_nothing_is_lost(project: Project, make_video) -> None:
    long = make_video("long.avi", frames=2000).read_bytes()
    for number in range(20):  # as many as no machine is done with before it hears of the signal
        (project.raw / f"walk/long{number:02d}.avi").write_bytes(long + bytes([number]))
    project.index()
    process = project.start()
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Embedding 26 clips")
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert err == "Interrupted; what was embedded so far is in the cache.\n"
