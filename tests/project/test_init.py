"""Starting anywhere: a built wheel, `clipcache init`, and DVC in the folder that it makes."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from clone import ROOT, STAGES, copy_project, stages_run

from pipeline.errors import ClipcacheError, ParamsError
from pipeline.locations import cache_folder
from pipeline.params import Params, load_params
from pipeline.project.settings import config_names, settings_text
from pipeline.project.stand_ins import write_stand_ins
from pipeline.project.start import start_project
from pipeline.sample import write_sample

BIN = Path(sys.executable).parent
TOP = ("dvc.yaml", "params.yaml", "lists/README.md", "lists/clips.csv")
QUICK = {"epochs: 40": "epochs: 2", "bootstrap: 2000": "bootstrap: 100"}


@dataclass(frozen=True)
class Installed:
    """The wheel, installed beside the suite's own environment, and a cache folder.

    Attributes
    ----------
    site : the folder with pipeline/ and, in bin/, the command
    """

    site: Path
    cache: Path

    def run(self, folder: Path, *command: str, git: bool = True) -> str:
        """What a command prints that finds the installed clipcache, and git or not."""
        path = [str(self.site / "bin"), str(BIN), *([os.environ["PATH"]] if git else [])]
        done = subprocess.run(
            command, check=False, cwd=folder, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | {
                "PATH": os.pathsep.join(path), "PYTHONPATH": str(self.site),
                "CLIPCACHE_DIR": str(self.cache), "DVC_NO_ANALYTICS": "1",
            },
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}"
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, backbone_folder: Path) -> Installed:
    """A wheel of this checkout, as `pip install` leaves it."""
    home = tmp_path_factory.mktemp("installed")
    copy_project(home / "clone")
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-cache-dir"]
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "./clone"]
    subprocess.run([*pip, *wheel], check=True, cwd=home)
    (found,) = (home / "dist").iterdir()
    install = ["install", "--no-deps", "--no-index", "--target", "site", str(found)]
    subprocess.run([*pip, *install], check=True, cwd=home)
    shutil.rmtree(home / "clone")
    if (weights := cache_folder() / "weights").is_dir():  # where the backbone's were fetched to
        shutil.copytree(weights, home / "cache/weights")
    return Installed(home / "site", home / "cache")


@pytest.fixture(scope="module")
def project(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the wheel, outside of any clone, with sample videos; nothing is committed."""
    home = tmp_path_factory.mktemp("somewhere")
    said = installed.run(home, "clipcache", "init", "my_project")
    assert "Put the clips into data/raw, then run `dvc repro`." in said
    folder = home / "my_project"
    write_sample(folder / "data/raw", actors=3, takes=1)
    quicken(folder / "params.yaml")
    return folder


@pytest.fixture(scope="module")
def first_run(installed: Installed, project: Path) -> str:
    """What `dvc repro` printed when it ran for the first time in the project."""
    return installed.run(project, "dvc", "repro")


def quicken(params: Path) -> None:
    """Settings with which the stages take a few seconds."""
    text = params.read_text()
    for usual, quick in QUICK.items():
        assert usual in text
        text = text.replace(usual, quick)
    params.write_text(text)


def test_the_wheel_holds_the_files_at_the_top(installed: Installed) -> None:
    files = installed.site / "pipeline/project/files"
    for name in (*TOP, *(f"configs/{name}.yaml" for name in config_names())):
        copy = files / ("stages.yaml" if name == "dvc.yaml" else name)  # no pipeline, to DVC
        assert copy.read_bytes() == (ROOT / name).read_bytes()
        assert not copy.is_symlink()
    assert (files / "gitignore").read_bytes() == (ROOT / ".gitignore").read_bytes()


def test_dvc_repro_runs_in_a_project_and_runs_what_another_version_changes(
    installed: Installed, project: Path, first_run: str
) -> None:
    assert stages_run(first_run) == STAGES
    assert "Running stage 'pipeline/dvc.yaml:installed'" in first_run  # asks for the version
    answer = json.loads(
        installed.run(
            project, "clipcache", "predict", "data/raw/wave/actor01_take1.mp4", "--json"
        )
    )  # fmt: skip
    assert answer[0]["action"]
    assert stages_run(installed.run(project, "dvc", "repro")) == []
    known = subprocess.run(
        ["git", "ls-files", "-o", "--exclude-standard"],
        check=True, cwd=project, text=True, capture_output=True,
    ).stdout.split()  # fmt: skip
    assert {"dvc.yaml", "dvc.lock", "params.yaml", "pipeline/dvc.yaml"} <= set(known)
    assert not [name for name in known if name.endswith((".mp4", ".h5", ".keras"))]

    heads = installed.site / "pipeline/head/build.py"
    heads.write_text(heads.read_text() + "\n# another version\n")
    ran = stages_run(installed.run(project, "dvc", "repro"))
    assert ran == ["check", "copies", "train", "evaluate"]

    key = installed.site / "pipeline/store/extractor_spec.py"
    raised = re.sub(r"^DECODE_VERSION = \d+", "DECODE_VERSION = 99", key.read_text(), flags=re.M)
    assert raised != key.read_text()
    key.write_text(raised)
    ran = stages_run(installed.run(project, "dvc", "repro"))
    assert {"features", "train", "evaluate"} <= set(ran)
    assert "backbone" not in ran


def test_training_needs_no_git(installed: Installed, project: Path, tmp_path: Path) -> None:
    installed.run(tmp_path, "clipcache", "init", ".", "--no-git", git=False)
    assert not (tmp_path / ".git").exists()
    (tmp_path / "data").mkdir()
    shutil.copytree(project / "data/raw", tmp_path / "data/raw")
    quicken(tmp_path / "params.yaml")
    ran = stages_run(installed.run(tmp_path, "dvc", "repro", "train", git=False))
    assert set(ran) == {"check", "index", "backbone", "features", "copies", "split", "train"}
    assert (tmp_path / "models/head/model.json").exists()


@pytest.mark.parametrize("config", config_names())
def test_a_config_changes_the_lines_that_it_names_and_no_others(config: str) -> None:
    text = (ROOT / "configs" / f"{config}.yaml").read_text()
    assert text.startswith("# ")
    assert 4 <= len(text.splitlines()) <= 14
    usual, changed = settings_text().splitlines(), settings_text(config).splitlines()
    assert len(usual) == len(changed)
    differing = [line for line, before in zip(changed, usual, strict=True) if line != before]
    assert set(differing) <= set(text.splitlines())


@pytest.mark.parametrize("config", config_names())
def test_a_config_means_the_same_in_params_yaml_and_as_a_file(
    config: str, tmp_path: Path
) -> None:  # fmt: skip
    (tmp_path / "params.yaml").write_text(settings_text(config))
    settings = load_params(tmp_path / "params.yaml")
    assert settings == load_params(ROOT / "configs" / f"{config}.yaml")
    assert (settings == Params()) == (config == "sample")


def test_an_unknown_config_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="did you mean weizmann"):
        start_project(tmp_path, "weizman")
    with pytest.raises(ParamsError, match="there are frames, hmdb51"):
        start_project(tmp_path, "xyz")
    assert not list(tmp_path.iterdir())


def test_a_config_in_a_clone_changes_one_file(tmp_path: Path) -> None:
    copy_project(tmp_path)
    for config, line in (("weizmann", "+  raw: data/weizmann"), ("ucf50", "+  raw: data/UCF50")):
        assert start_project(tmp_path, config) == ["params.yaml"]
        changed = subprocess.run(
            ["git", "diff", "--unified=0"], check=True, cwd=tmp_path, text=True, capture_output=True
        ).stdout
        assert line in changed
        assert set(re.findall(r"^\+\+\+ b/(.*)", changed, re.M)) == {"params.yaml"}
    assert start_project(tmp_path, "sample") == ["params.yaml"]
    quicken(tmp_path / "params.yaml")
    own = (tmp_path / "params.yaml").read_text()
    with pytest.raises(ParamsError, match="has settings of your own") as raised:
        start_project(tmp_path, "weizmann")
    assert "\n" not in str(raised.value)
    assert (tmp_path / "params.yaml").read_text() == own
    with pytest.raises(ClipcacheError, match="holds clipcache's own code"):
        write_stand_ins(tmp_path)


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("notes\n*.pyc")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/clips.csv").write_text("path,label\na.mp4,wave\n")
    start_project(tmp_path)
    ignored = (tmp_path / ".gitignore").read_text().splitlines()
    assert ignored[:2] == ["notes", "*.pyc"]
    assert "/features" in ignored
    assert (tmp_path / "lists/clips.csv").read_text() == "path,label\na.mp4,wave\n"
    quicken(tmp_path / "params.yaml")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert start_project(tmp_path) == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_stages_of_another_version_are_told_how_to_be_replaced(tmp_path: Path) -> None:
    start_project(tmp_path, git=False)
    assert write_stand_ins(tmp_path) > 5
    stages = tmp_path / "dvc.yaml"
    stages.write_text(stages.read_text().replace("- pipeline/head\n", "- pipeline/attic\n"))
    with pytest.raises(ClipcacheError, match=r"depends on pipeline/attic, .* run `clipcache init"):
        write_stand_ins(tmp_path)


@pytest.mark.parametrize("name", ["dvc.yaml", "pipeline/mine.py"])
def test_another_project_is_refused_with_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("stages: {}\n")
    with pytest.raises(ClipcacheError, match=r"is there already.*move it away first\.$"):
        start_project(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]


def test_settings_of_another_tool_are_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("model: {layers: 3}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "init", "."], check=False, cwd=tmp_path, text=True,
        capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "`model` is not a setting" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_folder_of_a_repository_becomes_a_project_without_one_of_its_own(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], check=True, cwd=tmp_path)
    start_project(tmp_path / "recogniser")
    assert not (tmp_path / "recogniser/.git").exists()
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        check=True, cwd=tmp_path / "recogniser", text=True, capture_output=True,
    )  # fmt: skip
    assert done.stdout.split() == STAGES


@pytest.mark.usefixtures("first_run")
def test_the_commands_of_the_image_serve_a_model(installed: Installed, project: Path) -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    check, serve = (json.loads(command) for command in re.findall(r"CMD (\[.*\])", lines))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    check = [check[0], *(part.replace(":8000/", f":{port}/") for part in check[1:])]
    serve = [str(project / "models/head") if part == "/model" else part for part in serve]
    environment = os.environ | {
        "PATH": os.pathsep.join([str(installed.site / "bin"), str(BIN), os.environ["PATH"]]),
        "PYTHONPATH": str(installed.site),
    }
    unhealthy = subprocess.run(check, check=False, env=environment, capture_output=True)
    assert unhealthy.returncode != 0
    server = subprocess.Popen([*serve, "--port", port, "--workers", "1"], env=environment)
    try:
        deadline = time.monotonic() + 120
        while subprocess.run(check, check=False, env=environment, capture_output=True).returncode:
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.5)
        server.terminate()
        assert server.wait(60) == 0
    finally:
        server.kill()
