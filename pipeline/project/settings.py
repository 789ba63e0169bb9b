"""params.yaml as it comes with clipcache, with the changes that suit a public data set."""

import difflib
import re
from pathlib import Path

from pipeline.errors import ParamsError

FILES = Path(__file__).parent / "files"  # links to the files at the top of the repository
SETTING = re.compile(r"  (\w+):")


def config_names() -> list[str]:
    """The names of the files in configs/, without their ending."""
    return sorted(path.stem for path in (FILES / "configs").glob("*.yaml"))


def config_text(name: str) -> str:
    """A file of configs/: what it is for, in comments, and the settings that it changes.

    Raises
    ------
    ParamsError
        When there is none of that name.
    """
    names = config_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}."
        raise ParamsError(f"There are no ready settings called {name!r}: {hint}")
    return (FILES / "configs" / f"{name}.yaml").read_text("utf-8")


def settings_text(config: str | None = None) -> str:
    """The text of params.yaml, with all settings; those that `config` changes have its lines.

    Raises
    ------
    ParamsError
        When there is no such config.
    """
    lines = (FILES / "params.yaml").read_text("utf-8").splitlines()
    if config is not None:
        changes = config_text(config).splitlines()
        numbers = _settings(lines)
        for setting, number in _settings(changes).items():
            lines[numbers[setting]] = changes[number]
    return "\n".join(lines) + "\n"


def _settings(lines: list[str]) -> dict[tuple[str, str], int]:
    """(section, key) -> number of its line; every setting stands on one line of its own."""
    found, section = {}, ""
    for number, line in enumerate(lines):
        if line[:1].isalpha():
            section = line.partition(":")[0]
        elif match := SETTING.match(line):
            found[section, match[1]] = number
    return found
