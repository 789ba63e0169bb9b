"""`python -m bench.scarce PROJECT ROW...`: the head on less to learn from than usual.

Cross-validation turned round: the head trains on one fold and is tested on all the others, so that
it has a fraction of the people or sequences. With --half PATTERN there are two folds, the clips
whose clip_id matches and those whose does not, such as the two places of a data set. The project
has an index and features; ROW is a name of `bench.ablation`. Settings were chosen by these numbers,
so that the folds of `clipcache crossval` could still judge them.
"""

import argparse
import math
import re
import sys
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from bench.ablation import ROWS, VIEWS
from pipeline.calibration import cross_entropy
from pipeline.clips import read_index
from pipeline.dataset import FEATURES, FeatureSet
from pipeline.executors.processes import available_cores, run_in_processes
from pipeline.inference import clip_logits, forward_function, views_of
from pipeline.params import Params
from pipeline.stages.crossval import deal_folds
from pipeline.train_params import TrainParams
from pipeline.training.fit import LabelledClips, choose_views, fit, set_up_tensorflow

Task = tuple[Path, LabelledClips, LabelledClips, int, TrainParams]


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
    clips = read_index(arguments.project / "data" / "index.csv")
    positions = features.positions(clips.column("clip_id"))
    actual, labels = clips.codes("label")
    if arguments.half:
        names = clips.values("clip_id")
        fold_of = np.array([bool(re.search(arguments.half, name)) for name in names], int)
    else:
        fold_of = deal_folds(actual, np.array(list(clips.values("group"))), arguments.folds)
    folds = range(int(fold_of.max()) + 1)
    print(f"trained on {len(clips) / len(folds):.0f} of {len(clips)} clips", file=sys.stderr)
    print("| variant | accuracy | cross-entropy |\n|---|---|---|")
    for row in arguments.rows:
        params = settings(ROWS[row])
        tasks: list[Task] = [
            (
                arguments.project / FEATURES,
                LabelledClips(positions[fold_of == fold], actual[fold_of == fold]),
                LabelledClips(positions[fold_of != fold], actual[fold_of != fold]),
                len(labels),
                params.model_copy(update={"seed": seed}),
            )
            for seed in range(arguments.seeds)
            for fold in folds
        ]
        right, loss = np.zeros(arguments.seeds), []
        for task, answer in run_in_processes(
            train_and_test, tasks, workers=available_cores(), timeout=math.inf
        ):
            if isinstance(answer, Exception):
                raise answer
            right[task[-1].seed] += (answer.argmax(axis=1) == task[2].labels).mean() / len(folds)
            loss.append(cross_entropy(answer, task[2].labels))
        accuracy = f"{100 * right.mean():.1f} ± {100 * right.std():.1f}"
        print(f"| {row} | {accuracy} | {np.mean(loss):.3f} |", flush=True)


def settings(changes: tuple[str, ...]) -> TrainParams:
    """The default of the project's code, changed as `clipcache crossval -S` would."""
    given = dict(change.removeprefix("train.").split("=", 1) for change in (VIEWS, *changes))
    read = YAML(typ="safe").load
    return Params.model_validate(
        {"train": {name: read(value) for name, value in given.items()}}
    ).train


def train_and_test(task: Task) -> np.ndarray:
    """The logits of the clips to test: (n, K) float32."""
    folder, train, test, classes, params = task
    set_up_tensorflow(threads=1)
    features = FeatureSet.open(folder)
    views, test_views = choose_views(params, features.views)
    none = LabelledClips(np.zeros(0, np.int64), np.zeros(0, np.int64))
    result = fit(features, train, none, classes, features.dimension, views, params)
    clips = views_of(features, test.clips.tolist(), test_views)
    return clip_logits(forward_function(result.head.model), clips, params.windowing, classes)


if __name__ == "__main__":
    main()
