"""A copy of the project as a clone would hold it, for tests that run whole commands in one."""

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Of dvc.yaml, in the order in which a first run runs them.
STAGES = [
    "check",
    "index",
    "frames",
    "backbone",
    "features",
    "copies",
    "split",
    "train",
    "evaluate",
]
# What `make demo` leaves beside the project: git would take some of it.
OUTPUTS = ("data", "dvc.lock", "features", "models", "reports")


def copy_project(folder: Path, source: Path = ROOT) -> None:
    """What a clone of `source` would hold: the files that git knows or would take, but no outputs.

    The copy is a repository of its own with one commit.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", ".", *(f":!/{name}" for name in OUTPUTS)],
        check=True, cwd=source, text=True, capture_output=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (source / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, folder / name, follow_symlinks=False)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "as cloned"]):
        subprocess.run(["git", *command], check=True, cwd=folder)


def stages_run(output: str) -> list[str]:
    """The stages that DVC says it ran, without the one that asks what is installed."""
    return re.findall(r"Running stage '(\w+)'", output)
