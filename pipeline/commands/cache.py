"""Commands about the embedding cache."""

from pathlib import Path
from typing import Annotated

import typer


def info() -> None:
    """What is in the cache, by extractor and view, and how large."""
    from pipeline.store.cache_tools import describe

    describe()


def verify() -> None:
    """Check every shard against its checksum; damaged ones are set aside."""
    from pipeline.store.cache_tools import verify

    verify()


def gc(
    features: Annotated[
        list[Path] | None,
        typer.Argument(help="All features folders whose embeddings are to be kept."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what.")] = False,
) -> None:
    """Drop embeddings that no named features folder uses (by default: ./features).

    The cache is shared by all projects of a user: name the features folder of each that matters.
    """
    from pipeline.store.cache_tools import collect

    collect(features or [Path("features")], really=yes)
