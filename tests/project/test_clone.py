"""The copies that tests of whole commands work in."""

import subprocess
from pathlib import Path

from clone import copy_project
from ruamel.yaml import YAML


def tracked(folder: Path) -> list[str]:
    """The files of the repository's commit."""
    listed = ["git", "ls-tree", "-r", "--name-only", "HEAD"]
    done = subprocess.run(listed, check=True, cwd=folder, text=True, capture_output=True)
    return done.stdout.splitlines()


def outputs(folder: Path) -> list[str]:
    """All that the stages write, by dvc.yaml, and what DVC notes of it."""
    stages = YAML(typ="safe").load(folder / "dvc.yaml")["stages"]
    written = [out for stage in stages.values() for kind in ("outs", "metrics")
               for out in stage.get(kind, ())]  # fmt: skip
    names = [name for out in written for name in ([out] if isinstance(out, str) else out)]
    return [*names, "dvc.lock", "data/raw/walk/clip.mp4", "data/.gitignore", "reports/.gitignore"]


def test_a_copy_of_a_checkout_in_which_the_pipeline_ran_is_as_one_of_a_fresh_clone(
    tmp_path: Path,
) -> None:
    copy_project(tmp_path / "clone")
    fresh = tracked(tmp_path / "clone")
    assert {"dvc.yaml", "params.yaml", "lists/clips.csv"} <= set(fresh)
    left = outputs(tmp_path / "clone")
    assert {"features", "models/head", "reports/metrics.json"} < set(left)
    for name in left:
        path = tmp_path / "clone" / name
        path = path if path.suffix or path.name.startswith(".") else path / "something"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left")
    (tmp_path / "clone/pipeline/new.py").write_text("")  # not yet added, and part of the project
    copy_project(tmp_path / "copy", source=tmp_path / "clone")
    assert tracked(tmp_path / "copy") == sorted([*fresh, "pipeline/new.py"])
    assert not [name for name in left if (tmp_path / "copy" / name).exists()]
