"""What a project outside of a clone has in the place of clipcache's own code.

The stages of dvc.yaml depend on the code in pipeline/. Where that folder is not, a file of the same
name stands for each of those rooms and modules, and holds the SHA-256 of the installed one. A small
stage that DVC always runs renews them, so that another version of clipcache runs the stages whose
code differs, and no others.
"""

import hashlib
from pathlib import Path

from pipeline.errors import ClipcacheError
from pipeline.files import write_text

PACKAGE = Path(__file__).resolve().parents[1]
FOLDER = Path("pipeline")  # in the project; for what stands in dvc.yaml
PIPELINE = "dvc.yaml"  # in that folder: the stage that renews the files
HEAD = """\
# Written by `clipcache init`. The files here stand for the code of the clipcache that is installed:
# `dvc repro` renews them first, and then runs the stages whose code is another than before.
stages:
  installed:
    desc: Which code is installed.
    cmd: clipcache installed
    wdir: ..
    always_changed: true
    outs:
"""


def write_stage(project: Path) -> None:
    """Write the stage that renews the stand-ins, and the stand-ins themselves."""
    outs = [f"      - {FOLDER}/{name}:\n          cache: false\n" for name in _names(project)]
    write_text(project / FOLDER / PIPELINE, HEAD + "".join(outs))
    write_stand_ins(project)


def write_stand_ins(project: Path) -> int:
    """Write for each room and module that the project's stages depend on its SHA-256; how many.

    Raises
    ------
    ClipcacheError
        When the folder is no project that `clipcache init` made, or depends on code that the
        installed clipcache does not have.
    """
    if is_clone(project):
        raise ClipcacheError(
            f"{project / FOLDER} holds clipcache's own code, so nothing need stand for it: run "
            "`dvc repro` alone."
        )
    names = _names(project)
    for name in names:
        digest = code_sha256(PACKAGE / name)
        text = f"# {FOLDER / name} of the clipcache that is installed, SHA-256 {digest}\n"
        write_text(project / FOLDER / name, text)
    return len(names)


def is_clone(project: Path) -> bool:
    """Whether the folder holds clipcache's own code."""
    return (project / FOLDER / "__init__.py").exists()


def code_sha256(path: Path) -> str:
    """SHA-256 over the names and bytes of a module, or of all files of a room."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    digest = hashlib.sha256()
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(path.parent).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _names(project: Path) -> list[str]:
    """The rooms and modules that the stages of a project depend on, by their path in pipeline/."""
    from ruamel.yaml import YAML

    path = project / "dvc.yaml"
    if not path.is_file():
        raise ClipcacheError(f"{path} is not there: `clipcache init` makes a project.")
    stages = YAML(typ="safe").load(path)["stages"].values()
    prefix = f"{FOLDER}/"
    names = sorted(
        {dep.removeprefix(prefix) for stage in stages for dep in stage.get("deps", ())
         if dep.startswith(prefix)}
    )  # fmt: skip
    for name in names:
        if not (PACKAGE / name).exists():
            raise ClipcacheError(
                f"{path} depends on {prefix}{name}, which the installed clipcache does not have: "
                f"move {path} away and run `clipcache init {project}` for the one that fits it."
            )
    return names
