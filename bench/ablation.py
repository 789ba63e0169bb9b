"""`python -m bench.ablation FOLDER...`: what each part of the default recipe is worth.

Every folder is a project with an index and features (`clipcache index`, `backbone`, `features`).
Each row of `ROWS` changes one thing about the default and is one `clipcache crossval` per folder;
what came out is kept in the file given with --out, so a run that was stopped goes on where it was.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# name -> settings that differ from the default, as `clipcache crossval -S` takes them
ROWS: dict[str, tuple[str, ...]] = {
    "default": (),
    "recurrent branch alone": ("train.head=recurrent",),
    "linear branches alone": ("train.head=linear",),
    "statistics alone": ("train.branches=[statistics]",),
    "order alone": ("train.branches=[order]",),
    "network and statistics": ("train.branches=[network, statistics]",),
    "layer norm without square root": ("train.normalisation=layer",),
    "no normalisation": ("train.normalisation=none",),
    "unit length": ("train.normalisation=unit",),
    "no channel dropout": ("train.input_dropout=0",),
    "no difference channel": ("train.differences=[]",),
    "differences over 1 and 3 steps": ("train.differences=[1, 3]",),
    "half the units": ("train.projection=64", "train.units=64"),
    "LSTM": ("train.recurrent=lstm",),
    "GRU": ("train.recurrent=gru",),
    "attention pooling": ("train.pooling=attention",),
    "last step": ("train.pooling=last",),
    "windows of 8": ("train.steps=8",),
    "windows of 24": ("train.steps=24",),
    "one rate": ("train.rates=[1, 1]",),
    "one window at test time": ("train.test_windows=1",),
    "frame dropout 0.2": ("train.frame_dropout=0.2",),
    "noise 0.5": ("train.noise=0.5",),
    "mixup 0.4": ("train.mixup=0.4",),
    "label smoothing 0.1": ("train.label_smoothing=0.1",),
    "constant learning rate": ("train.schedule=constant",),
    "no weight averaging": ("train.averaging=0",),
    "no weight decay": ("train.weight_decay=0",),
    "80 epochs": ("train.epochs=80",),
    "batches of 16": ("train.batch_size=16",),
    "batches of 32": ("train.batch_size=32",),
    "balanced sampling": ("train.imbalance=balanced",),
    "focal loss": ("train.loss=focal",),
}


def main() -> None:
    """Run the rows that are not there yet, then print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.ablation", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--rows", nargs="*", metavar="NAME", default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], help="settings for all rows")
    parser.add_argument("--out", type=Path, default=Path("ablation.json"))
    arguments = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    if arguments.out.exists():
        results = json.loads(arguments.out.read_text())
    for name in arguments.rows:
        for folder in arguments.folders:
            row = results.setdefault(name, {})
            if folder.name not in row:
                row[folder.name] = crossval(folder, arguments.seeds, [*arguments.set, *ROWS[name]])
                arguments.out.write_text(json.dumps(results, indent=1) + "\n")
                print(f"{name}, {folder.name}: {row[folder.name]['accuracy']:.1%}", file=sys.stderr)
    print(markdown(results, [folder.name for folder in arguments.folders]))


def crossval(folder: Path, seeds: int, settings: list[str]) -> dict[str, Any]:
    """What crossval.json says of these settings."""
    changes = [f"crossval.seeds={seeds}", *settings]
    command = ["clipcache", "crossval", *(word for change in changes for word in ("-S", change))]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    return json.loads((folder / "reports" / "crossval.json").read_text())


def markdown(results: dict[str, dict[str, Any]], folders: list[str]) -> str:
    """A table: a row per variant, a column per folder."""
    lines = [
        "| variant | settings | " + " | ".join(folders) + " |",
        "|---" * (len(folders) + 2) + "|",
    ]
    for name, row in results.items():
        settings = ", ".join(f"`{setting}`" for setting in ROWS[name]) or "none"
        cells = [
            f"{100 * row[folder]['accuracy']:.1f} ± {100 * row[folder]['std']:.1f}"
            if folder in row
            else ""
            for folder in folders
        ]
        lines.append("| " + " | ".join([name, settings, *cells]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
