"""dvc.yaml about code: a stage depends on what its imports reach, and runs when that changes."""

import json
import os
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from clone import ROOT, copy_project
from imports import import_graph, room
from ruamel.yaml import YAML

from pipeline.locations import cache_folder
from pipeline.sample import write_sample

BIN = Path(sys.executable).parent
STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]

# What a stage reaches and does not depend on, and why. What is imported from there counts only
# where it is reached in another way.
LEFT_OUT = {
    "pipeline/__init__.py": "the version, and how much OpenCV prints",
    "pipeline/params.py": "puts the sections together; a stage's `params` are what it reads",
    "pipeline/*/params.py": "checks settings; the values that a stage reads are its `params`",
    "pipeline/errors.py": "what is said when there is nothing to come out",
    "pipeline/wording.py": "words for people",
    "pipeline/progress.py": "what is shown while a stage runs",
    "pipeline/quiet.py": "what native libraries print",
    "pipeline/lettering.py": "in which font names are drawn, and that depends on the machine",
    "pipeline/processes.py": "how workers are started and watched; their rooms say what they do",
    "pipeline/locations.py": "where the user's cache lies; its keys say what is in it",
    "pipeline/hdf5.py": "how a file is opened; its writer says what is in it",
    "pipeline/files.py": "that a file is whole or not there; its writer says what is in it",
}


def left_out(path: str) -> str | None:
    """The pattern in LEFT_OUT that names a module."""
    return next((pattern for pattern in LEFT_OUT if fnmatch(path, pattern)), None)


def left_out_of(stage: str, path: str) -> bool:
    """Whether a stage does not depend on a module; checking settings is what `check` is for."""
    return left_out(path) is not None and not (stage == "check" and path.endswith("params.py"))


def reached(stage: str) -> set[str]:
    """Files of the modules that the imports of a stage's module reach, itself included."""
    seen: set[str] = set()
    waiting = [f"pipeline/stages/{stage}.py"]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            if not left_out_of(stage, path):
                waiting += import_graph()[path]
    return seen


def dependency(path: str) -> str:
    """What stands in dvc.yaml for a module: its room, or itself where it is a stage or in none."""
    return path if room(path) in ("", "stages") else f"pipeline/{room(path)}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_what_its_imports_reach(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"clipcache {stage}"
    code = [name for name in STAGES[stage]["deps"] if name.startswith("pipeline/")]
    assert code == sorted(
        {dependency(path) for path in reached(stage) if not left_out_of(stage, path)}
    )
    assert STAGES[stage]["deps"][-len(code) :] == code  # together, behind the data


def test_what_is_left_out_is_reached_at_all() -> None:
    everything = set().union(*(reached(stage) for stage in STAGES))
    assert {left_out(path) for path in everything} - {None} == set(LEFT_OUT)


@pytest.mark.parametrize(
    ("path", "stages"),
    [
        ("pipeline/serve/app.py", []),
        ("pipeline/predict/predictor.py", []),
        ("pipeline/commands/stages.py", []),
        ("pipeline/evaluation/report/templates/report.html", ["check", "evaluate"]),
        ("pipeline/head/build.py", ["check", "copies", "train", "evaluate"]),
        ("pipeline/backbone/folder.py",
         ["check", "backbone", "features", "copies", "train", "evaluate"]),
        ("pipeline/embedding/engines.py", ["check", "features"]),
        ("pipeline/store/extractor_spec.py", ["features", "copies", "train", "evaluate"]),
        ("pipeline/frames/video.py",
         ["check", "index", "frames", "features", "copies", "split", "train", "evaluate"]),
        ("pipeline/stages/split.py", ["split"]),
        ("pipeline/dataset/splits/deal.py",
         ["check", "index", "frames", "features", "copies", "split", "train", "evaluate"]),
    ],
)  # fmt: skip
def test_who_depends_on_a_file(path: str, stages: list[str]) -> None:
    assert (ROOT / path).is_file()
    parents = {path, *map(str, Path(path).parents)}
    assert [name for name, stage in STAGES.items() if parents & set(stage["deps"])] == stages


class Project:
    """A clone with 6 short clips and cheap settings, and a cache of its own."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(folder),
            "CLIPCACHE_DIR": str(cache), "DVC_NO_ANALYTICS": "1",
        }  # fmt: skip

    def run(self, *command: str) -> str:
        """What a command printed; both streams for people to read."""
        done = subprocess.run(
            command, check=False, cwd=self.folder, env=self.environment, text=True,
            capture_output=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def repro(self) -> list[str]:
        """Run `dvc repro`; the stages that ran."""
        output = self.run("dvc", "repro")
        return [name for name in STAGES if f"Running stage '{name}'" in output]

    def changed(self) -> list[str]:
        """The stages whose own dependencies changed, as `dvc status` says."""
        status = json.loads(self.run("dvc", "status", "--json"))
        return [name for name in STAGES if name in status]

    def extractor_versions(self) -> set[int]:
        """The version that the features and the model say they were made with."""
        import h5py

        with h5py.File(self.folder / "features/features.h5") as file:
            features = json.loads(file.attrs["extractor"])
        card = json.loads((self.folder / "models/head/model.json").read_text())
        return {features["version"], card["extractor"]["version"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    home = tmp_path_factory.mktemp("dvc_code")
    project = Project(home / "clone", home / "cache")
    copy_project(project.folder)
    if (cache_folder() / "weights").is_dir():  # else they are fetched
        shutil.copytree(cache_folder() / "weights", home / "cache/weights")
    raw = project.folder / "data/raw"
    write_sample(raw, actions=("wave", "sit_down"), actors=3, takes=1, workers=1)
    params = project.folder / "params.yaml"
    yaml = YAML()
    settings = yaml.load(params)
    settings["split"] |= {"train": 0.34, "val": 0.33, "test": 0.33}
    settings["backbone"]["input_size"] = 64
    settings["features"] |= {"fps": 2, "engine": "litert", "views": ["identity"]}
    settings["train"] |= {"head": "linear", "epochs": 2}
    settings["evaluate"]["bootstrap"] = 20
    yaml.dump(settings, params)
    assert project.repro() == list(STAGES)
    return project


def test_a_run_over_the_same_bytes_does_nothing(project: Project) -> None:
    assert project.repro() == []
    # What Python writes beside the code is no change of it.
    bytecode = project.folder / "pipeline/frames/__pycache__"
    bytecode.mkdir(exist_ok=True)
    (bytecode / "made_up.cpython-311.pyc").write_bytes(b"bytecode")
    os.utime(project.folder / "pipeline/frames/video.py")
    assert project.changed() == []


def test_a_change_of_the_report_embeds_nothing(project: Project) -> None:
    path = project.folder / "pipeline/evaluation/report/page.py"
    before = path.read_bytes()
    path.write_bytes(before + b"\n# a comment\n")
    assert project.changed() == ["check", "evaluate"]
    path.write_bytes(before)
    assert project.changed() == []


def test_a_raised_version_embeds_trains_and_evaluates_again(project: Project) -> None:
    assert project.extractor_versions() == {1}
    path = project.folder / "pipeline/store/extractor_spec.py"
    source = path.read_text()
    assert source.count("EXTRACTOR_VERSION = 1 ") == 1
    path.write_text(source.replace("EXTRACTOR_VERSION = 1 ", "EXTRACTOR_VERSION = 2 "))
    assert project.repro() == ["features", "copies", "train", "evaluate"]
    assert project.extractor_versions() == {2}
    answer = json.loads(
        project.run("clipcache", "predict", "data/raw/wave/actor01_take1.mp4", "--json")
    )[0]
    assert answer["action"] in ("wave", "sit_down")
    assert project.repro() == []
    metrics = json.loads((project.folder / "reports/metrics.json").read_text())
    assert metrics["test_clips"] == 2
