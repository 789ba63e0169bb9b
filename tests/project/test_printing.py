"""Only one module prints, for the command line: the rest returns what it found, or logs it."""

import ast

import pytest
from clone import ROOT

SPEAKERS = {"print", "pprint", "Console", "echo", "secho"}
PACKAGES = ("pipeline", "clipcache")
MAY_PRINT = ("pipeline/terminal.py", "pipeline/progress.py")


def spoken(source: str) -> list[int]:
    """The lines that name something that prints: a call, a default argument, an import."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                named = name in SPEAKERS
            case _:
                named = False
        to_a_stream = (
            isinstance(node, ast.Attribute)
            and node.attr in ("write", "writelines")
            and ast.unparse(node.value) in ("sys.stdout", "sys.stderr")
        )
        if named or to_a_stream:
            lines.append(node.lineno)
    return lines


def test_nothing_prints_but_the_one_module_that_makes_names_safe() -> None:
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(modules) > 100
    silent = [
        path for path in modules if not path.relative_to(ROOT).as_posix().startswith(MAY_PRINT)
    ]
    found = {path: lines for path in silent if (lines := spoken(path.read_text()))}
    assert found == {}
    assert any(spoken(path.read_text()) for path in set(modules) - set(silent))


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    print('found')",
        "def f(report=print): ...",
        "from rich.console import Console",
        "import rich.console\nrich.console.Console().print(1)",
        "import sys\nsys.stderr.write('lost')",
        "import typer\ntyper.echo('done')",
    ],
)
def test_every_way_to_print_is_seen(source: str) -> None:
    assert spoken(source)


def test_what_does_not_print_is_let_be() -> None:
    assert not spoken('"""We print nothing."""\nfingerprint(1)\nstream.write(2)')
