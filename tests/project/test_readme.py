"""Every command of the README, run one after the other in a fresh copy, as a newcomer would."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from clone import ROOT, copy_project

PAGES = sorted((ROOT / "docs").glob("*.md"))


def shell_blocks(page: Path) -> list[str]:
    """The ```sh blocks of a page."""
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_every_command_of_the_readme_works_in_a_fresh_clone(tmp_path: Path) -> None:
    blocks = shell_blocks(ROOT / "README.md")
    assert blocks[0].strip() == "make demo"
    clone = tmp_path / "clone"
    copy_project(clone)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    } | {
        "CLIPCACHE_DIR": str(tmp_path / "cache"),
        "SAMPLE": "--takes 2",  # half of what `make demo` renders
        "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.org",
        "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@example.org",
    }  # fmt: skip
    own = str(ROOT / ".venv" / "bin")  # the tests' own environment must not help out
    environment["PATH"] = os.pathsep.join(
        part for part in os.environ["PATH"].split(os.pathsep) if part != own
    )
    script = "set -e -o pipefail\n" + "\n".join(
        f"echo '>>> block {number}'\n{block}" for number, block in enumerate(blocks, 1)
    )
    done = subprocess.run(
        ["bash", "-c", script], check=False, cwd=clone, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert (clone / "reports/report.html").exists()
    assert (clone / "reports/crossval.json").exists()
    again = subprocess.run(
        ["make", "demo"], check=True, cwd=clone, env=environment, text=True, capture_output=True
    )
    assert "Running stage" not in again.stdout


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    from typer.testing import CliRunner

    from pipeline.cli import app

    names = set(re.findall(r"`clipcache ([a-z]+)", page.read_text()))
    for name in names:
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0, name
