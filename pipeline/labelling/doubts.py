"""Tool `doubts`: clips whose label is probably wrong, by what crossval's heads said of them.

Confident learning (Northcutt et al., 2021, https://doi.org/10.1613/jair.1.12125) by the package
cleanlab. Clips are ranked by the normalised margin: the probability of the label that a clip has,
less that of the likeliest other one, both by a head that saw no clip of its group.
"""

import csv
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipeline.csv_tables import damaged, write_rows
from pipeline.dataset.clips import ClipTable
from pipeline.errors import ClipcacheError, DatasetError
from pipeline.wording import count, how_to_install

DOUBTS = Path("reports/doubts.csv")
CROSSVAL = "clipcache crossval"


@dataclass(frozen=True)
class OutOfFold:
    """What crossval's heads said of clips of groups that they had not seen.

    Attributes
    ----------
    clip_ids : (C,) names
    labels : (C,) int64, positions in `classes`
    classes : K of them
    probabilities : (C, K) float64
    """

    clip_ids: list[str]
    labels: np.ndarray
    classes: list[str]
    probabilities: np.ndarray

    def confusions(self) -> list[tuple[str, str, int]]:
        """(label, what it was taken for, clips), the most frequent first."""
        predicted = self.probabilities.argmax(axis=1)
        wrong = np.flatnonzero(predicted != self.labels)
        pairs = Counter(zip(self.labels[wrong].tolist(), predicted[wrong].tolist(), strict=True))
        ranked = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
        return [(self.classes[one], self.classes[other], n) for (one, other), n in ranked]


@dataclass(frozen=True)
class Doubt:
    """A clip and what speaks against its label.

    Attributes
    ----------
    suggested : the likeliest label
    chance, suggested_chance : probabilities of the label that it has, and of the one suggested
    score : 0 to 1, the lower the more doubtful: see `find_doubts`
    likely : whether confident learning takes the label for wrong
    """

    clip_id: str
    label: str
    suggested: str
    chance: float
    suggested_chance: float
    score: float
    likely: bool


def read_out_of_fold(path: Path, clips: ClipTable) -> tuple[OutOfFold, int]:
    """What crossval wrote, of the clips that still have the label they had then.

    Returns
    -------
    what it said, and how many clips were left out since their label changed or they are gone

    Raises
    ------
    DatasetError
        When the file is missing, damaged, or of other clips altogether.
    """
    if not path.exists():
        raise DatasetError(f"{path} is not there: run `{CROSSVAL}` first.")
    names, labels, rows = [], [], []
    label_of = dict(zip(clips.values("clip_id"), clips.values("label"), strict=True))
    changed = 0
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream)
            classes = next(reader)[2:]
            for clip_id, actual, *shares in reader:
                if label_of.get(clip_id) != actual:
                    changed += 1
                    continue
                names.append(clip_id)
                labels.append(classes.index(actual))
                rows.append(np.array(shares, np.float64))
        probabilities = np.stack(rows) if rows else np.empty((0, len(classes)))
        if probabilities.shape[1] != len(classes) or not np.isfinite(probabilities).all():
            raise ValueError("a row is too short, too long or no number")
    except (ValueError, StopIteration, csv.Error, UnicodeDecodeError) as error:
        raise damaged(path, str(error), CROSSVAL) from None
    if not names:
        raise DatasetError(f"{path} is of other clips or labels: run `{CROSSVAL}` again.")
    return OutOfFold(names, np.array(labels, np.int64), classes, probabilities), changed


def find_doubts(said: OutOfFold) -> list[Doubt]:
    """All clips, the most doubtful first.

    The score is cleanlab's normalised margin, (p(label) - max p(other) + 1) / 2; `likely` is set
    where confident learning, which takes into account how sure the heads are of each class, finds
    a label issue.

    Raises
    ------
    ClipcacheError
        When cleanlab is not installed.
    """
    if find_spec("cleanlab") is None:
        raise ClipcacheError(f"Doubts need cleanlab: {how_to_install('labels')}.")
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    shares = said.probabilities / said.probabilities.sum(axis=1, keepdims=True)
    used, labels = np.unique(said.labels, return_inverse=True)  # it wants every class to be there
    scores = get_label_quality_scores(said.labels, shares, method="normalized_margin")
    among = shares[:, used] / np.maximum(shares[:, used].sum(axis=1, keepdims=True), 1e-12)
    likely = np.zeros(len(labels), bool)
    if len(used) > 1:
        with warnings.catch_warnings():  # of classes with few clips
            warnings.simplefilter("ignore", UserWarning)
            likely = find_label_issues(labels, among, n_jobs=1)
    others = shares.copy()
    others[np.arange(len(labels)), said.labels] = -1
    best = shares.argmax(axis=1)
    # Where the label is the likeliest one, the best other is what to compare it with.
    suggested = np.where(best == said.labels, others.argmax(axis=1), best)
    return [
        Doubt(
            said.clip_ids[i],
            said.classes[said.labels[i]],
            said.classes[suggested[i]],
            float(shares[i, said.labels[i]]),
            float(shares[i, suggested[i]]),
            float(scores[i]),
            bool(likely[i]),
        )
        for i in np.argsort(scores, kind="stable")
    ]


def write_doubts(doubts: Iterable[Doubt], path: Path = DOUBTS) -> None:
    """Write doubts.csv, the worst first: `clipcache relabel` takes it with labels changed."""
    write_rows(
        path,
        ("clip_id", "label", "suggested", "p_label", "p_suggested", "score", "likely"),
        (
            (row.clip_id, row.label, row.suggested, f"{row.chance:.4f}",
             f"{row.suggested_chance:.4f}", f"{row.score:.4f}", "yes" if row.likely else "")
            for row in doubts
        ),
    )  # fmt: skip


def in_words(doubts: Sequence[Doubt], changed: int, files: Sequence[Path]) -> str:
    """What was found, for the terminal."""
    likely = sum(row.likely for row in doubts)
    lines = [
        f"{count(likely, 'label is', 'labels are')} probably wrong, of "
        f"{count(len(doubts), 'clip')} that crossval tested."
    ]
    if changed:
        lines.append(
            f"{count(changed, 'clip was', 'clips were')} left out, whose label changed since "
            f"`{CROSSVAL}` ran: run it again."
        )
    lines.append(f"-> {', '.join(map(str, files))}")
    return "\n".join(lines)
