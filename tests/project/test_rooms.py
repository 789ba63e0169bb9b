"""The rooms of pipeline/: docs/development.md says which there are, in which order; is it so?"""

import ast
import re
from graphlib import CycleError, TopologicalSorter

import pytest
from clone import ROOT
from imports import import_graph, imported, room

PAGE = (ROOT / "docs/development.md").read_text()
ROW = re.compile(r"^\| `(\w+)/` \| (.+?) \| (.+?) \|$", re.MULTILINE)
ROOMS = {name: (question, modules) for name, question, modules in ROW.findall(PAGE)}
ON_TOP = {"cli", "__main__"}  # the only modules outside of the rooms that know commands


def named(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def test_the_page_has_a_row_for_every_room() -> None:
    there = {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    assert set(ROOMS) == there


@pytest.mark.parametrize("name", ROOMS)
def test_the_question_of_a_room_is_the_first_sentence_of_its_package(name: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / "pipeline" / name / "__init__.py").read_text()))
    assert docstring
    first = " ".join(docstring.split("?")[0].split()) + "?"
    assert ROOMS[name][0] == first


@pytest.mark.parametrize("name", ROOMS)
def test_the_modules_that_a_row_names_are_in_the_room(name: str) -> None:
    folder = ROOT / "pipeline" / name
    modules = [text for text in named(ROOMS[name][1]) if re.fullmatch(r"[\w/]+", text)]
    assert modules
    for module in modules:
        assert (folder / f"{module}.py").is_file() or (folder / module).is_dir(), module


def test_what_stands_at_the_top_is_named() -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith("At the top"))
    there = {path.stem for path in (ROOT / "pipeline").glob("[!_]*.py")}
    assert set(named(line)) - {"pipeline/"} == there


def test_every_path_on_the_page_is_there() -> None:
    for text in named(PAGE):
        if re.fullmatch(r"(pipeline|tests|bench|docs)/[\w./]*", text):
            assert (ROOT / text).exists(), text


def test_a_room_imports_only_from_rooms_before_it() -> None:
    order = list(ROOMS)
    upwards = [
        (path, other)
        for path, others in import_graph().items()
        for other in others
        if room(path) and room(other) and order.index(room(other)) > order.index(room(path))
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(import_graph()).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_what_stands_at_the_top_imports_from_no_room() -> None:
    downwards = {
        (path, other)
        for path, others in import_graph().items()
        for other in others
        if not room(path) and path not in {f"pipeline/{name}.py" for name in ON_TOP} and room(other)
    }
    sections = {pair for pair in downwards if pair[0] == "pipeline/params.py"}
    assert {other.rpartition("/")[2] for _, other in sections} == {"params.py"}
    assert downwards == sections


def test_all_settings_at_once_are_known_to_stages_and_commands_only() -> None:
    users = {path for path, others in import_graph().items() if "pipeline/params.py" in others}
    assert {room(path) for path in users} == {"stages", "commands"}


def test_a_stage_imports_no_other_stage_and_nothing_below_imports_commands() -> None:
    for path, others in import_graph().items():
        for other in others:
            if room(other) == "stages":
                assert room(path) == "commands", (path, other)
            if room(other) == "commands":
                assert room(path) == "commands" or not room(path), (path, other)


def test_every_kind_of_import_is_seen() -> None:
    source = """
import pipeline.a, numpy
from pipeline.b import c as d
if TYPE_CHECKING:
    from pipeline.e import F
def function():
    from pipeline.g import (
        h,
    )
"""
    assert imported(source) == {
        ("pipeline.a", ""), ("pipeline.b", "c"), ("pipeline.e", "F"), ("pipeline.g", "h"),
    }  # fmt: skip
    graph = import_graph()
    assert "pipeline/backbone/weights.py" in graph["pipeline/backbone/folder.py"]  # for a type
    assert (
        "pipeline/embedding/executors/on_ray.py"
        in (
            graph["pipeline/embedding/executors/__init__.py"]  # inside a function
        )
    )
