"""`python -m bench`: tables on the screen, and bench/results.json."""

import argparse
import datetime
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

USUAL = ("engines", "stage", "end_to_end", "growth", "executors", "predict", "serve", "siege",
         "datasets", "cuts", "near_duplicates")  # fmt: skip
NAMES = (*USUAL, "million")  # a million clips take long, and 12 GB of disk: only where named
# Comparisons that need no weights; growth can do without when it is quick.
MADE_UP = {"million", "datasets", "cuts", "near_duplicates", "executors"}
RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    """Run the comparisons that the command line names, or the usual ones."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(NAMES)}; all but million without one",
    )
    parser.add_argument("--quick", action="store_true", help="small and noisy, for trying out")
    parser.add_argument(
        "--out", type=Path, help="where the JSON goes (default: bench/results.json; none if quick)"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no {sorted(unknown)[0]}; there are {', '.join(NAMES)}")
    out = arguments.out or (None if arguments.quick else RESULTS)
    run(arguments.names or USUAL, arguments.quick, out)


def run(names: list[str] | tuple[str, ...], quick: bool, out: Path | None) -> None:
    """Run comparisons, print their tables, write the JSON."""
    from bench import machine, tables, workspace

    here = machine.describe()
    print(f"{here['processor']}, {here['cores']} cores, {here['memory_gib']} GiB")
    outcomes: dict[str, tables.Outcome] = {}
    loads: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="clipcache-bench-") as scratch:
        if set(names) <= MADE_UP | ({"growth"} if quick else set()):
            backbone = workspace.made_up_backbone(Path(scratch))
        else:
            backbone = workspace.prepare_backbone(Path(scratch))
        for name in names:
            print(f"{name} ...", file=sys.stderr, flush=True)
            comparison = importlib.import_module(f"bench.{name}")
            load = machine.OtherLoad()
            with workspace.temporary_project() as folder:
                outcomes[name] = comparison.run(quick, backbone, folder)
            loads[name] = load.share()
            tables.show({name: tables.Outcome(outcomes[name].tables)})
    wanted = [number for outcome in outcomes.values() for number in outcome.wanted]
    tables.show({"": tables.Outcome([], wanted)}, judge=not quick)
    for name, share in loads.items():
        if share > 0.05:
            print(f"Other programs took {share:.0%} of the processors during {name}: "
                  "trust the ratios, not the rates.")  # fmt: skip
    if out:
        write(out, here, quick, outcomes, loads)


def write(
    out: Path,
    here: dict[str, Any],
    quick: bool,
    outcomes: dict[str, Any],
    loads: dict[str, float],
) -> None:
    """Write the JSON; comparisons that were not run now are kept, with their machine if another."""
    results: dict[str, Any] = {}
    if out.exists():
        before = json.loads(out.read_text())
        if before["quick"] == quick:
            results = before["results"]
        if before["machine"] != here:
            results = {name: {"machine": before["machine"], **row} for name, row in results.items()}
    for name, outcome in outcomes.items():
        results[name] = {
            "date": datetime.date.today().isoformat(),
            "processor share of other programs": round(loads[name], 2),
            **outcome.to_dict(),
        }
    ordered = {name: results[name] for name in NAMES if name in results}
    content = {"machine": here, "quick": quick, "results": ordered}
    out.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    print(f"Results: {out.name}")


if __name__ == "__main__":
    main()
