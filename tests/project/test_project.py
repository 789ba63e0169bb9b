"""The project as a whole: the settings files, dvc.yaml and the locks fit each other."""

import re
from pathlib import Path

import pytest
from clone import ROOT
from ruamel.yaml import YAML

from pipeline.params import Params, load_params

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def tracked_params() -> list[str]:
    """The dotted names of all settings that dvc.yaml tracks."""
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    return sorted({name for stage in stages.values() for name in stage["params"]})


@pytest.mark.parametrize("path", [ROOT / "params.yaml", *CONFIGS], ids=lambda path: path.name)
def test_every_settings_file_is_valid_and_has_what_dvc_tracks(path: Path) -> None:
    load_params(path)
    content = YAML(typ="safe").load(path)
    for name in tracked_params():
        node = content
        for part in name.split("."):
            assert part in node, f"{path.name} lacks {name}, so DVC would refuse it"
            node = node[part]


def settings_lines(path: Path) -> list[str]:
    """The lines of a settings file below what is said about it at its top."""
    lines = path.read_text().splitlines()
    return lines[lines.index("dataset:") :]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_ready_file_differs_from_params_yaml_only_in_values_that_it_changes(path: Path) -> None:
    ours, theirs = settings_lines(ROOT / "params.yaml"), settings_lines(path)
    assert len(ours) == len(theirs)
    for here, there in zip(ours, theirs, strict=True):
        if here != there:
            key, _, value = there.partition(":")
            assert key == here.partition(":")[0]
            assert YAML(typ="safe").load(value) != YAML(typ="safe").load(here.partition(":")[2])
    assert path.read_text().startswith("# ")


def test_params_yaml_says_what_the_defaults_are() -> None:
    assert load_params(ROOT / "params.yaml") == Params()


def test_every_setting_has_a_sentence_of_help() -> None:
    for name, section in Params.model_fields.items():
        for key, field in section.annotation.model_fields.items():
            assert field.description, f"{name}.{key} has no description"


@pytest.mark.parametrize("name", ["base.txt", "dev.txt"])
def test_locks_hold_versions_and_hashes_only(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    assert "://" not in text
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)", text)
    pinned = re.findall(r"^([a-zA-Z0-9._-]+)==\S+ \\\n    --hash=sha256:", text, re.MULTILINE)
    requirements = re.findall(r"^[a-zA-Z0-9]\S*", text, re.MULTILINE)
    assert len(pinned) == len(requirements) > 50


def test_both_locks_agree() -> None:
    def versions(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text()
        return dict(re.findall(r"^([a-zA-Z0-9._-]+)==(\S+)", text, re.MULTILINE))

    base, dev = versions("base.txt"), versions("dev.txt")
    assert base.items() <= dev.items()
