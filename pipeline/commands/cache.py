"""Commands about the embedding cache."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.terminal import say, show_table

if TYPE_CHECKING:
    from pipeline.store.cache_tools import Collected, Contents

MEBIBYTE = 1 << 20


def info() -> None:
    """What is in the cache, by extractor and view, and how large."""
    from pipeline.store.cache_tools import describe

    contents, left_out = describe()
    for sentence in left_out:
        say(sentence)
    _print_contents(contents)


def verify() -> None:
    """Check every shard against its checksum; damaged ones are set aside."""
    from pipeline.errors import CacheError
    from pipeline.store.cache_tools import verify

    done = verify()
    for sentence in (*done.damaged, *done.unreadable):
        say(sentence)
    problems = []
    if done.damaged:
        problems.append(
            f"{len(done.damaged)} of {done.shards} shards were damaged and are set aside; the next "
            "`clipcache features` embeds their clips again."
        )
    if done.unreadable:
        problems.append(
            f"{len(done.unreadable)} of {done.shards} shards cannot be read, and are left as they "
            "are: mend the reason and check again."
        )
    if problems:
        raise CacheError(" ".join(problems))
    say(f"{done.shards} shards, all sound.")


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

    _print_collected(collect(features or [Path("features")], really=yes), really=yes)


def _print_contents(contents: "list[Contents]") -> None:
    from rich.table import Table

    from pipeline.store.cache import embeddings_folder

    folder = embeddings_folder()
    if not contents:
        say(f"The cache in {folder} is empty.")
        return
    table = Table("stream", "made by", title=f"Embedding cache in {folder}", box=None)
    for column in ("shards", "clips", "frames", "MiB"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in contents:
        known = one.of.extractor
        pixels = f"{known.get('input_size', '?')} px"
        backbone = str(known.get("backbone", "?") or "no CNN")[:8]  # flow knows none
        made_by = (backbone, pixels, known.get("resize", "?"), known.get("precision") or "")
        table.add_row(
            f"{one.of.stream}/{one.of.view}",
            f"{one.of.folder.parent.name}: {' '.join(map(str, made_by))}",
            *(f"{number:,}" for number in (one.shards, one.clips, one.frames)),
            f"{one.bytes / MEBIBYTE:,.1f}",
        )
    total = sum(one.bytes for one in contents)
    show_table(table)
    say(f"{total / MEBIBYTE:,.1f} MiB in all; `clipcache cache gc` drops what is unused.")


def _print_collected(done: "Collected", *, really: bool) -> None:
    for sentence in done.left_alone:
        say(sentence)
    verb, size = "Dropped" if really else "Would drop", done.bytes / MEBIBYTE
    say(f"{verb} {done.entries:,} entries with {done.frames:,} frames, {size:,.1f} MiB.")
    if not really and done.bytes:
        say("Nothing was changed; --yes does it. Other projects' features folders must be named.")
