"""What held-out clips say about a new one: whether it shows any of the labels, and which it may be.

"Out of the labels" is told by two signs of equal weight, each in deviations of what held-out clips
gave: how low the highest logit is (Hendrycks et al., 2022, https://arxiv.org/abs/1911.11132), and
how far the scores of all branches for all classes lie from those that are usual for the class that
wins. A clip of something else may score as high as a known one; that its scores for the others and
in each branch are usual as well is rarer. From how odd held-out clips are comes a conformal p-value
(Bates et al., 2023, https://arxiv.org/abs/2104.08279), from how far ahead of the others their true
classes are conformal sets (Vovk et al., 2005, "Algorithmic Learning in a Random World"; the margin
as the score: Johansson et al., 2017, https://doi.org/10.1109/IJCNN.2017.7966105).
"""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import ClipcacheError, ModelError, mended_by

FALSE_ALARMS = 0.05  # share of clips of known labels that are taken for something else
LEVEL = 0.9  # of the sets of labels that evaluations try
PRIOR = 1.0  # clips of the average class that the usual contributions of each begin with
FAMILIAR = -2.0  # deviations; a sign of being familiar counts for no more: a huge logit is none
LEAST = 1e-9  # a deviation, or a distance, of which there is a logarithm


@dataclass(frozen=True)
class HeldOut:
    """How clips were scored by heads that had not seen them, nor their groups.

    Attributes
    ----------
    contributions : (n, B, K), what each branch adds to the logits
    labels : (n,) int; or (n, K) of 0 and 1 where several may hold
    fold_of : (n,) int; those of a fold are judged by what is usual in the others
    """

    contributions: np.ndarray
    labels: np.ndarray
    fold_of: np.ndarray


@dataclass(frozen=True)
class Tried:
    """How clips of known labels fare.

    Attributes
    ----------
    none : (n,) bool, which of them are called "none of these"
    sets : (n, K) bool, the sets of labels that hold the truth at `LEVEL`; None where too few clips
        were held out for such sets
    """

    none: np.ndarray
    sets: np.ndarray | None

    def shares(self, actual: np.ndarray) -> dict[str, float]:
        """The share called "none of these", and of the sets the coverage and the mean size.

        Parameters
        ----------
        actual : (n,) int, the true classes
        """
        shares = {"none_of_these": float(self.none.mean())}
        if self.sets is not None:
            shares["set_coverage"] = float(self.sets[np.arange(len(actual)), actual].mean())
            shares["set_size"] = float(self.sets.sum(axis=1).mean())
        return shares


@dataclass(frozen=True)
class Reference:
    """What a new clip is held against.

    Attributes
    ----------
    usual : (K, B, K) float32, the contributions that are usual for a clip of each class
    scales : (2, 2) float32, mean and deviation of the negative highest logit, and of the logarithm
        of the squared distance from what is usual
    oddness : (n,) float32, of held-out clips, ascending
    margins : (n,) float32, how far the likeliest other class is ahead of the true one, in logits,
        ascending
    """

    usual: np.ndarray
    scales: np.ndarray
    oddness: np.ndarray
    margins: np.ndarray

    def __len__(self) -> int:
        return len(self.oddness)

    def odd(self, contributions: np.ndarray) -> np.ndarray:
        """How odd clips are, by their contributions (n, B, K): (n,) float64, 0 as a rule."""
        return _odd(_signs(contributions, self.usual), self.scales)

    def familiarity(self, contributions: np.ndarray, odder: float = 0.0) -> np.ndarray:
        """The share of clips of known labels that are as odd or odder: (n,) float64.

        A conformal p-value, never below 1 / (n + 1): calling those up to 0.05 "none of these" is
        wrong for at most 1 in 20 clips that show a known label, if they are like the held-out ones.

        Parameters
        ----------
        contributions : (n, B, K)
        odder : by how much these are odder than clips as a rule
        """
        odd = self.odd(contributions) - odder
        less = np.searchsorted(self.oddness, odd.astype(np.float32))
        return (len(self) - less + 1) / (len(self) + 1)

    def sets(self, logits: np.ndarray, level: float) -> np.ndarray:
        """Which classes are in the sets that hold the true one at `level`: (n, K) bool.

        A set is empty where the likeliest class is less far ahead than is usual for that level.

        Raises
        ------
        ClipcacheError
            When too few clips were held out for such a level.
        """
        if not self.reaches(level):
            raise ClipcacheError(
                f"Sets of labels that hold the truth {level:.6g} of the time take at least "
                f"{math.ceil(level / (1 - level) - 1e-9)} held-out clips, and the model has "
                f"{len(self)}: ask for {len(self) / (len(self) + 1):.3f} or less, or train on more "
                "clips."
                if level < 1
                else "No set but that of all labels is sure to hold the truth: ask for less than 1."
            )
        return margins(logits) <= self.margins[max(self._rank(level), 1) - 1]

    def reaches(self, level: float) -> bool:
        """Whether enough clips were held out for sets of this level."""
        return self._rank(level) <= len(self)

    def _rank(self, level: float) -> int:
        return math.ceil((len(self) + 1) * level - 1e-9)

    def tried_on(self, contributions: np.ndarray) -> "Tried":
        """What evaluations tell of clips that were not held out, (n, B, K)."""
        sets = self.sets(contributions.sum(axis=1), LEVEL) if self.reaches(LEVEL) else None
        return Tried(self.familiarity(contributions) <= FALSE_ALARMS, sets)


def margins(logits: np.ndarray) -> np.ndarray:
    """How far the best of the other classes is ahead of each class, in logits (n, K): the same."""
    ranked = np.sort(logits, axis=1)
    first, second = ranked[:, -1:], ranked[:, -2:-1]
    best = np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None]
    return np.where(best, second, first) - logits


def learn_reference(held: HeldOut) -> Reference:
    """Learn what is usual, and how odd clips are that a head had not seen."""
    signs = np.zeros((len(held.labels), 2))
    for fold in np.unique(held.fold_of):
        here = held.fold_of == fold
        known = ~here if not here.all() else here
        usual = _usual(held.contributions[known], held.labels[known])
        signs[here] = _signs(held.contributions[here], usual)
    scales = np.stack([signs.mean(axis=0), np.maximum(signs.std(axis=0), LEAST)])
    scales = scales.astype(np.float32)
    logits = held.contributions.sum(axis=1)
    behind = margins(logits)[np.arange(len(logits)), held.labels]
    return Reference(
        _usual(held.contributions, held.labels).astype(np.float32),
        scales,
        np.sort(_odd(signs, scales)).astype(np.float32),
        np.sort(behind).astype(np.float32),
    )


def write_reference(reference: Reference, path: Path) -> None:
    """Write it as a file; equal numbers give equal bytes."""
    with path.open("wb") as stream:
        np.savez(stream, **vars(reference))


def read_reference(path: Path, clips: int, branches: int, classes: int) -> Reference:
    """Read what `write_reference` wrote.

    Parameters
    ----------
    clips, branches, classes : n, B and K

    Raises
    ------
    ModelError
        When it is missing, or is not what it should be.
    """
    shapes = {
        "usual": (classes, branches, classes),
        "scales": (2, 2),
        "oddness": (clips,),
        "margins": (clips,),
    }
    arrays = {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            for name, shape in shapes.items():
                array = arrays[name] = stored[name]
                if array.shape != shape or array.dtype != np.float32:
                    there = f"{array.dtype} of shape {array.shape}"
                    raise ValueError(f"{name} is {there}, not float32 of {shape}")
                if not np.isfinite(array).all():
                    raise ValueError(f"{name} has numbers that are not finite")
        if (arrays["scales"][1] <= 0).any():
            raise ValueError("a deviation is not above 0")
        for name in ("oddness", "margins"):
            if (np.diff(arrays[name]) < 0).any():
                raise ValueError(f"{name} is not in order")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        mend = mended_by(error, "train again")
        raise ModelError(f"{path} cannot be loaded ({error}): {mend}.") from None
    return Reference(**arrays)


def _usual(contributions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean contributions of each class, drawn towards those of the average class: (K, B, K).

    What the average class gives itself and any other is all there is of a class without clips.
    """
    count, branches, classes = contributions.shape
    own = contributions[np.arange(count), :, labels].mean(axis=0)
    other = (contributions.sum(axis=2).mean(axis=0) - own) / (classes - 1)
    usual = np.empty((classes, branches, classes))
    for label in range(classes):
        average = np.tile(other[:, None], classes)
        average[:, label] = own
        here = contributions[labels == label]
        usual[label] = (here.sum(axis=0) + PRIOR * average) / (len(here) + PRIOR)
    return usual


def _signs(contributions: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """The two signs of clips, (n, 2) float64: each larger where a clip is odder."""
    logits = contributions.sum(axis=1)
    away = np.square(contributions - usual[logits.argmax(axis=1)]).sum(axis=(1, 2))
    return np.column_stack([-logits.max(axis=1), np.log(np.maximum(away, LEAST))])


def _odd(signs: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return np.maximum((signs - scales[0]) / scales[1], FAMILIAR).sum(axis=1)
