"""A new project: the files that come with clipcache, a git and a DVC repository."""

import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.errors import ClipcacheError, ParamsError
from pipeline.files import write_text
from pipeline.project.settings import FILES, config_names, settings_text
from pipeline.project.stand_ins import FOLDER, PIPELINE, is_clone, write_stage

PARAMS = "params.yaml"
IGNORED = {".gitignore": "gitignore", ".dvcignore": "dvcignore"}  # in the project: in `FILES`


def start_project(folder: Path, config: str | None = None, *, git: bool = True) -> list[str]:
    """Make a project of a folder; what a project has and is there already stays as it is.

    Parameters
    ----------
    folder : made where it is missing; may hold other files
    config : name of the file in configs/ whose settings to take, see `config_names`
    git : with a git repository; without, DVC has no experiments

    Returns
    -------
    The names of the files that were written.

    Raises
    ------
    ParamsError
        When there is no such config, or params.yaml has settings of the user's own, which `config`
        would overwrite.
    ClipcacheError
        When dvc.yaml or the folder pipeline/ are of something else, or git is missing. Nothing was
        written then.
    """
    texts = _texts(folder, config)
    if git and not shutil.which("git"):
        raise ClipcacheError(
            "git is not installed: install it, or give --no-git for a project without experiments."
        )
    for name, text in texts.items():
        write_text(folder / name, text)
    if not is_clone(folder):
        write_stage(folder)
    inside = git and _is_below_repository(folder)
    if git and not inside and not (folder / ".git").exists():
        _run(["git", "init", "--quiet"], folder)
    if not (folder / ".dvc").exists():
        option = (["--subdir"] if inside else []) if git else ["--no-scm"]
        _run([sys.executable, "-m", "dvc", "init", "--quiet", *option], folder)
        settings = (FILES / "dvc_config").read_text("utf-8")
        write_text(folder / ".dvc/config", settings + ("" if git else "    no_scm = True\n"))
    return sorted(texts)


def _texts(folder: Path, config: str | None) -> dict[str, str]:
    """What is to be written, by its name in the project; refuses where it would overwrite."""
    texts = {}
    params = folder / PARAMS
    ready = settings_text(config)
    if not params.exists():
        texts[PARAMS] = ready
    elif config is not None and (old := params.read_text("utf-8", "replace")) != ready:
        if old not in map(settings_text, (None, *config_names())):
            raise ParamsError(
                f"{params} has settings of your own, which those of {config} would overwrite: move "
                "it away first, or change it by hand."
            )
        texts[PARAMS] = ready
    for name, source in IGNORED.items():
        old = (folder / name).read_text("utf-8") if (folder / name).exists() else ""
        lines = (FILES / source).read_text("utf-8").splitlines()
        if missing := [line for line in lines if line not in old.splitlines()]:
            texts[name] = "\n".join([*old.splitlines(), *missing]) + "\n"
    for path in (FILES / "lists").iterdir():
        if not (folder / "lists" / path.name).exists():
            texts[f"lists/{path.name}"] = path.read_text("utf-8")
    if is_clone(folder):
        return texts
    stages, ours = folder / "dvc.yaml", (FILES / "stages.yaml").read_text("utf-8")
    if not stages.exists():
        texts["dvc.yaml"] = ours
    elif stages.read_text("utf-8", "replace") != ours:
        raise ClipcacheError(
            f"{stages} is there already, with other stages than those of this clipcache: choose "
            "another folder, or move it away first."
        )
    if (folder / FOLDER).exists() and not (folder / FOLDER / PIPELINE).exists():
        raise ClipcacheError(
            f"{folder / FOLDER} is there already, and not from clipcache, which needs a folder of "
            "that name: choose another folder for the project, or move it away first."
        )
    return texts


def _is_below_repository(folder: Path) -> bool:
    """Whether the folder is a part of a git repository that begins further up."""
    done = subprocess.run(
        ["git", "rev-parse", "--show-prefix"],
        check=False, cwd=folder, text=True, capture_output=True,
    )  # fmt: skip
    return done.returncode == 0 and done.stdout.strip() != ""


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, check=False, cwd=folder, text=True, capture_output=True)
    if done.returncode:
        raise ClipcacheError(
            f"`{' '.join(command)}` failed in {folder}: {' '.join(done.stderr.split())[-500:]}"
        )
