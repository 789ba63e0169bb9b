"""Errors that a user can mend. Each carries one sentence: what is wrong, where, what to do."""

from pathlib import Path


def how_to_have(path: Path, command: str) -> str:
    """What to do where the output of a stage is not there, to complete "<path> is not there: ".

    DVC removes outputs before a stage runs; where it knows them, those of the last run that ended
    well can be had back.
    """
    try:
        known = f"path: {path}\n" in Path("dvc.lock").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        known = False
    back = f"; `dvc checkout {path}` brings back the last one" if known else ""
    return f"run `{command}` first (or `dvc repro`){back}"


def mended_by(error: Exception, otherwise: str) -> str:
    """What to do about a file that could not be loaded: `otherwise`, unless the system refused.

    No permission, too many open files or a failing disk say nothing about what is in a file.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return "mend that; as far as is known the file is sound"
    return otherwise


class ClipcacheError(Exception):
    """Base of every error that ends a command; the command line prints it and exits."""

    exit_code = 2


class ParamsError(ClipcacheError):
    """A settings file that cannot be read, or a setting that is unknown or out of range."""


class DatasetError(ClipcacheError):
    """The folder of clips, the index or the split cannot be used as it is."""


class WeightsError(ClipcacheError):
    """The backbone's weights are missing, unreachable or not the ones expected."""


class FeaturesError(ClipcacheError):
    """The feature files are missing, damaged or made with other settings."""


class ModelError(ClipcacheError):
    """The model folder is missing, damaged or does not fit the features."""


class TrainingError(ClipcacheError):
    """The training came to nothing, and nothing of it is kept."""


class CacheError(ClipcacheError):
    """The embedding cache cannot be written to or read from."""


class DiskError(ClipcacheError):
    """A file cannot be written: the disk is full, or the place is not writable."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} cannot be written ({reason}): make room or mend the permissions, and run it "
            "again; what was there before is as it was."
        )
        self.reason = reason


class StorageError(ClipcacheError):
    """A URL is of a storage that cannot be read here: unknown, or its package is missing."""


class TooManyRejectedError(ClipcacheError):
    """The run ended, but more clips were rejected than `features.max_rejected` allows."""

    exit_code = 1


class ClipError(ClipcacheError):
    """One clip cannot be decoded; the run goes on and the reason lands in rejected.csv."""
