"""The project as a whole: the settings files, dvc.yaml and the locks fit each other."""

import re

import pytest
from clone import ROOT
from ruamel.yaml import YAML

from pipeline.params import Params, load_params


def tracked_params() -> list[str]:
    """The dotted names of all settings that dvc.yaml tracks."""
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    return sorted({name for stage in stages.values() for name in stage.get("params", ())})


def test_params_yaml_has_what_dvc_tracks() -> None:
    content = YAML(typ="safe").load(ROOT / "params.yaml")
    for name in tracked_params():
        node = content
        for part in name.split("."):
            assert part in node, f"params.yaml lacks {name}, so DVC would refuse it"
            node = node[part]


def test_params_yaml_says_what_the_defaults_are() -> None:
    assert load_params(ROOT / "params.yaml") == Params()


def test_every_setting_has_a_sentence_of_help() -> None:
    for name, section in Params.model_fields.items():
        for key, field in section.annotation.model_fields.items():
            assert field.description, f"{name}.{key} has no description"


@pytest.mark.parametrize("name", ["base.txt", "serve.txt", "dev.txt"])
def test_locks_hold_versions_and_hashes_only(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    assert "://" not in text
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)", text)
    pinned = re.findall(
        r"^[a-zA-Z0-9._-]+==\S+ (?:; .+ )?\\\n    --hash=sha256:", text, re.MULTILINE
    )
    requirements = re.findall(r"^[a-zA-Z0-9]\S*", text, re.MULTILINE)
    assert len(pinned) == len(requirements) > 50


@pytest.mark.parametrize("name", ["base.txt", "serve.txt"])
def test_the_locks_agree(name: str) -> None:
    def versions(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text()
        return dict(re.findall(r"^([a-zA-Z0-9._-]+)==(\S+)", text, re.MULTILINE))

    assert versions(name).items() <= versions("dev.txt").items()
