"""How things are counted and named in a sentence."""

from collections.abc import Sequence


def some(items: Sequence[object], most: int = 3) -> str:
    """The first few of `items` for a sentence: ``'a, b, c and 7 more'``."""
    shown = ", ".join(str(item) for item in items[:most])
    rest = len(items) - most
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def how_to_install(extra: str) -> str:
    """What to type where the packages of an extra are missing; no index has clipcache itself."""
    return f"run `make extras`, or `pip install '.[{extra}]'`, in the folder of clipcache's code"


def count(amount: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 clip", "1,200 clips"."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"
