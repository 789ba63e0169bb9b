"""Which module of pipeline/ imports which: every import in its source, wherever it stands."""

import ast
from functools import cache
from pathlib import PurePosixPath

from clone import ROOT

Graph = dict[str, set[str]]


@cache
def import_graph() -> Graph:
    """File of each module -> files of the modules of pipeline/ that it imports.

    Imports inside functions and those for types only count as well. Files are named from the
    checkout's folder, such as "pipeline/frames/video.py".
    """
    paths = [path.relative_to(ROOT).as_posix() for path in (ROOT / "pipeline").rglob("*.py")]
    files = {_module(path): path for path in paths}
    return {
        path: {
            files.get(f"{module}.{name}") or files[module]
            for module, name in imported((ROOT / path).read_text())
        }
        for path in sorted(paths)
    }


def imported(source: str) -> set[tuple[str, str]]:
    """(module, name in it) of every import from pipeline in a source; no name in `import a.b`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in line {node.lineno}: write it in full"
            found |= {(str(node.module), alias.name) for alias in node.names}
    return {(module, name) for module, name in found if module.split(".")[0] == "pipeline"}


def room(path: str) -> str:
    """The room that a file stands in; "" at the top of pipeline/."""
    parts = PurePosixPath(path).parts
    return parts[1] if len(parts) > 2 else ""


def _module(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
