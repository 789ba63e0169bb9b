"""`python -m bench.scarce PROJECT ROW...`: the head on less to learn from than usual.

Cross-validation turned round: the head trains on one fold and is tested on all the others, so that
it has a fraction of the people or sequences. With --half PATTERN there are two folds, the clips
whose clip_id matches and those whose does not, such as the two places of a data set. The project
has an index and features; ROW is a name of `bench.ablation`. A setting can be compared here without
looking at the folds of `clipcache crossval`, which then still judge it.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np

from bench.ablation import ROWS
from pipeline.dataset.clips import read_index
from pipeline.evaluation.folds import Fold, deal_folds, run_folds
from pipeline.head.calibration import cross_entropy
from pipeline.head.labelled_clips import labelled_clips
from pipeline.params import load_params
from pipeline.store.feature_files import FEATURES, FeatureSet


def main() -> None:
    """Train every row on every fold, and print a line of a table for each row."""
    parser = argparse.ArgumentParser(prog="python -m bench.scarce", description=__doc__)
    parser.add_argument("project", type=Path, metavar="PROJECT")
    parser.add_argument("rows", nargs="*", metavar="ROW", default=["default"])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--half", metavar="PATTERN")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    features = FeatureSet.open(arguments.project / FEATURES)
    clips = labelled_clips(features, read_index(arguments.project / "data" / "index.csv"))
    if arguments.half:
        names = features.clip_ids[clips.positions]
        fold_of = np.array([bool(re.search(arguments.half, name)) for name in names], int)
    else:
        fold_of = deal_folds(clips.labels, clips.groups, arguments.folds)
    folds = range(int(fold_of.max()) + 1)
    print(f"trained on {len(clips) / len(folds):.0f} of {len(clips)} clips", file=sys.stderr)
    print("| variant | accuracy | cross-entropy |\n|---|---|---|")
    for row in arguments.rows:
        params = load_params(arguments.project / "params.yaml", [*ROWS[row]]).train
        tasks = [
            Fold(
                arguments.project / FEATURES, seed, fold, clips.take(fold_of == fold),
                clips.take(fold_of != fold), params.model_copy(update={"seed": seed}),
            )
            for seed in range(arguments.seeds)
            for fold in folds
        ]  # fmt: skip
        right, loss = np.zeros(arguments.seeds), []
        for task, said in run_folds(tasks, None):
            logits, tested = said.logits, task.test.labels
            right[task.row] += (logits.argmax(axis=1) == tested).mean() / len(folds)
            loss.append(cross_entropy(logits, tested))
        accuracy = f"{100 * right.mean():.1f} ± {100 * right.std():.1f}"
        print(f"| {row} | {accuracy} | {np.mean(loss):.3f} |", flush=True)


if __name__ == "__main__":
    main()
