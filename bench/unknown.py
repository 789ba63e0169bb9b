"""`python -m bench.unknown PROJECT...`: does a head know what it has not learnt?

Each class in turn is left out of what is learnt, in every fold of people or sequences: the clips of
the fold that show it should be "none of these", those of the other classes should not. Beside the
rule that the model folder keeps stand the two it is made of and the highest probability. With all
classes there, the same folds tell how often sets of labels hold the truth, and how many of the
clips of the other projects named are called "none of these".

Last, the clips of each fold are laid end to end, ten in a row, the class left out among them:
how much of its time is a span of "none of these", and how much of that of the others? There a
seventh of the groups that are learnt from validates, as in a project.

Every project has an index and features; --row is a name of `bench.ablation`.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.ablation import ROWS
from pipeline.dataset.clips import read_index
from pipeline.evaluation.folds import deal_folds
from pipeline.head.calibration import softmax
from pipeline.head.fit import set_up_tensorflow
from pipeline.head.held_out import FALSE_ALARMS
from pipeline.head.labelled_clips import LabelledClips, labelled_clips
from pipeline.head.params import TrainParams
from pipeline.head.training import TrainedHead, train_head
from pipeline.params import load_params
from pipeline.store.feature_files import FEATURES, FeatureSet
from pipeline.timeline.fit import fit_decoder, labels_at, usual_decoder
from pipeline.timeline.long_videos import clip_seconds, end_to_end
from pipeline.timeline.spans import NONE, decoded, none_of_these
from pipeline.timeline.windows import windows_of

LEVELS = (0.8, 0.9, 0.95)
RULE = "none of these"
VALIDATING = 1 / 7  # of the groups


def main() -> None:
    """Print two tables for each project."""
    parser = argparse.ArgumentParser(prog="python -m bench.unknown", description=__doc__)
    parser.add_argument("projects", type=Path, nargs="+", metavar="PROJECT")
    parser.add_argument("--row", default="linear branches alone", choices=ROWS, metavar="ROW")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    set_up_tensorflow()
    everything = {}
    for project in arguments.projects:
        features = FeatureSet.open(project / FEATURES)
        everything[project] = (
            features,
            labelled_clips(features, read_index(project / "data" / "index.csv")),
        )
    for project, (features, clips) in everything.items():
        params = load_params(project / "params.yaml", [*ROWS[arguments.row]]).train
        seeds = [params.model_copy(update={"seed": seed}) for seed in range(arguments.seeds)]
        fold_of = deal_folds(clips.labels, clips.groups, arguments.folds)
        print(f"{project.name}, {len(clips)} clips, {arguments.row}\n")
        _show_left_out(features, clips, fold_of, seeds)
        others = {p.name: one for p, one in everything.items() if p != project}
        _show_complete(features, clips, fold_of, seeds, others)
        _show_spans(features, clips, fold_of, seeds)


def without(clips: LabelledClips, label: int) -> LabelledClips:
    """The clips of all other classes, as if there were no such class."""
    others = clips.take(clips.labels != label)
    classes = tuple(name for number, name in enumerate(clips.classes) if number != label)
    return replace(others, labels=others.labels - (others.labels > label), classes=classes)


def signs(trained: TrainedHead, contributions: np.ndarray) -> dict[str, np.ndarray]:
    """How odd clips are by each rule: (n,) float64, larger where odder."""
    assert trained.reference is not None
    logits = contributions.sum(axis=1)
    away = contributions - trained.reference.usual[logits.argmax(axis=1)]
    return {
        RULE: trained.reference.odd(contributions),
        "distance from what is usual": np.square(away).sum(axis=(1, 2)),
        "highest logit": -logits.max(axis=1),
        "highest probability": -softmax(logits).max(axis=1),
    }


def _train(features: FeatureSet, clips: LabelledClips, params: TrainParams) -> TrainedHead:
    return train_head(features, clips, clips.take(np.zeros(0, np.int64)), params)


def _contributions(
    trained: TrainedHead, features: FeatureSet, positions: np.ndarray
) -> np.ndarray:  # fmt: skip
    return trained.head.contributions(features.clip(i) for i in positions)


def _show_left_out(
    features: FeatureSet, clips: LabelledClips, fold_of: np.ndarray, seeds: list[TrainParams]
) -> None:
    from sklearn.metrics import roc_auc_score

    areas: dict[str, list[float]] = {}
    found, alarms = [], []
    for params in seeds:
        for label in range(len(clips.classes)):
            odd: dict[str, list[np.ndarray]] = {}
            unknown = []
            for fold in np.unique(fold_of):
                trained = _train(features, without(clips.take(fold_of != fold), label), params)
                tested = clips.take(fold_of == fold)
                added = _contributions(trained, features, tested.positions)
                for name, values in signs(trained, added).items():
                    odd.setdefault(name, []).append(values)
                unknown.append(tested.labels == label)
                assert trained.reference is not None
                called = trained.reference.familiarity(added) <= FALSE_ALARMS
                found.append(called[unknown[-1]])
                alarms.append(called[~unknown[-1]])
            for name, several in odd.items():
                area = roc_auc_score(np.concatenate(unknown), np.concatenate(several))
                areas.setdefault(name, []).append(float(area))
    print("| sign | AUROC, mean over classes | of the hardest class |\n|---|---|---|")
    for name, found_areas in areas.items():
        print(f"| {name} | {np.mean(found_areas):.3f} | {min(found_areas):.2f} |")
    print(
        f"\n{np.concatenate(found).mean():.0%} of the unknown are called so, and "
        f"{np.concatenate(alarms).mean():.1%} of the known (asked for: {FALSE_ALARMS:.0%}).\n",
        flush=True,
    )


def _show_complete(
    features: FeatureSet,
    clips: LabelledClips,
    fold_of: np.ndarray,
    seeds: list[TrainParams],
    others: dict[str, tuple[FeatureSet, LabelledClips]],
) -> None:
    """Coverage of sets, and what is called "none of these" of clips of other projects."""
    held: dict[float, list[np.ndarray]] = {level: [] for level in LEVELS}
    sizes: dict[float, list[np.ndarray]] = {level: [] for level in LEVELS}
    called: dict[str, list[np.ndarray]] = {name: [] for name in others}
    for params in seeds:
        for fold in np.unique(fold_of):
            trained, tested = (
                _train(features, clips.take(fold_of != fold), params),
                clips.take(fold_of == fold),
            )
            reference = trained.reference
            assert reference is not None
            logits = _contributions(trained, features, tested.positions).sum(axis=1)
            for level in LEVELS:
                inside = reference.sets(logits, level)
                held[level].append(inside[np.arange(len(tested)), tested.labels])
                sizes[level].append(inside.sum(axis=1))
            if fold == 0:
                for name, (there, foreign) in others.items():
                    added = _contributions(trained, there, foreign.positions)
                    called[name].append(reference.familiarity(added) <= FALSE_ALARMS)
    print("| asked for | sets hold the truth | labels in a set | empty |\n|---|---|---|---|")
    for level in LEVELS:
        size = np.concatenate(sizes[level])
        print(
            f"| {level:.0%} | {np.concatenate(held[level]).mean():.1%} | {size.mean():.2f} | "
            f"{(size == 0).mean():.1%} |"
        )
    for name, values in called.items():
        print(f"\n{np.concatenate(values).mean():.0%} of the clips of {name} are none of these.")
    print(flush=True)


def _show_spans(
    features: FeatureSet, clips: LabelledClips, fold_of: np.ndarray, seeds: list[TrainParams]
) -> None:
    """Of rows of clips, the time of the class left out and of the others that is no label's."""
    unknown, called, right = [], [], []
    for params in seeds:
        for label in range(len(clips.classes)):
            for fold in np.unique(fold_of):
                known = without(clips.take(fold_of != fold), label)
                groups = np.random.default_rng(params.seed).permutation(np.unique(known.groups))
                validates = np.isin(known.groups, groups[: max(round(len(groups) * VALIDATING), 1)])
                train, val = known.take(~validates), known.take(validates)
                trained = train_head(features, train, val, params)
                usual = usual_decoder(
                    features, train, [clip_seconds(features, i) for i in train.positions]
                )
                decoder = fit_decoder(
                    trained.head, features, end_to_end(features, val), usual, trained.reference
                )
                names = known.classes
                for video in end_to_end(features, clips.take(fold_of == fold), seed=params.seed):
                    windows = windows_of(
                        trained.head, video.parts(features), video.length, decoder.window
                    )
                    spans = decoded(windows, decoder, names, trained.reference)
                    times = video.times(features)
                    truth = video.truth(times)
                    told = none_of_these(spans, FALSE_ALARMS)
                    said = labels_at(told, (*names, NONE), times)
                    best = labels_at(spans, names, times)
                    unknown.append(truth == label)
                    right.append(best + (best >= label) == truth)
                    called.append(said == len(names))
    odd, of, correct = (np.concatenate(one) for one in (called, unknown, right))
    print(
        f"Of rows of clips, {odd[of].mean():.0%} of the time of an unknown class is none of these, "
        f"{odd[~of].mean():.1%} of that of the others, {odd[correct].mean():.1%} of what is right "
        "without it.\n",
        flush=True,
    )


if __name__ == "__main__":
    main()
