"""Commands that judge a head."""

from typing import TYPE_CHECKING

from pipeline.commands.options import DEFAULT_PARAMS, Changes, ParamsFile, load_settings
from pipeline.terminal import say, show_table

if TYPE_CHECKING:
    from pipeline.evaluation.crossval import CrossValidation


def crossval(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """Cross-validate the head over groups on the cached features: reports/crossval.json.

    For example: `clipcache crossval -S crossval.seeds=3 -S train.head=linear`
    """
    from pipeline.evaluation.crossval import crossval as run

    settings = load_settings(params, changes)
    several = settings.dataset.multi_label
    _print_folds(run(settings.crossval, settings.train, multi_label=several))


def _print_folds(done: "CrossValidation") -> None:
    import numpy as np
    from rich.table import Table

    scores, tested = done.scores, done.tested
    several = tested.clips.several
    table = Table("fold", "groups", "clips", "mAP" if several else "accuracy")
    for fold, score in enumerate(scores["map_per_fold" if several else "accuracy_per_fold"]):
        here = tested.clips.groups[tested.fold_of == fold]
        names = [tested.clips.group_names[group] for group in np.unique(here)]
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        table.add_row(str(fold), shown, str(len(here)), f"{score:.1%}")
    show_table(table)
    many = len(scores["seeds"]) > 1
    over = f"{len(scores['seeds'])} seeds" if many else "folds"
    if several:
        say(
            f"mAP {scores['map']:.1%} (standard deviation over {over} {scores['std']:.1%}), "
            f"macro F1 {scores['macro_f1']:.3f}, micro F1 {scores['micro_f1']:.3f}, all labels "
            f"right {scores['exact_match']:.1%}; frame-mean baseline {scores['baseline_map']:.1%}, "
            f"ordered baseline {scores['ordered_baseline_map']:.1%}"
        )
        return
    say(
        f"accuracy {scores['accuracy']:.1%} (standard deviation over {over} {scores['std']:.1%}), "
        f"macro F1 {scores['macro_f1']:.3f}, calibration error {scores['ece']:.3f}; "
        f"frame-mean baseline {scores['baseline_accuracy']:.1%}, "
        f"ordered baseline {scores['ordered_baseline_accuracy']:.1%}"
    )
    say("`clipcache doubts` shows which labels may be wrong.")
