"""Clips of many streams in memory, as a head reads them; what tells the classes apart is given."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.head.labelled_clips import LabelledClips

SIZES = {"identity": 24, "place/identity": 12, "flow/identity": 384, "difference/identity": 24}


@dataclass(frozen=True)
class ClipsInMemory:
    """A feature set in memory.

    Attributes
    ----------
    rows : of each clip, reading -> (T, D) float16
    labels, groups : (C,) int64
    """

    rows: Sequence[dict[str, np.ndarray]]
    labels: np.ndarray
    groups: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(clip["identity"]) for clip in self.rows])

    @property
    def readings(self) -> dict[str, int]:
        return {name: values.shape[1] for name, values in self.rows[0].items()}

    def clip(self, i: int) -> dict[str, np.ndarray]:
        return self.rows[i]

    def clips(self, *groups: int) -> LabelledClips:
        """All clips, or those of some groups."""
        names = [f"class {label}" for label in range(int(self.labels.max()) + 1)]
        people = tuple(f"person {group}" for group in range(int(self.groups.max()) + 1))
        all_of_them = LabelledClips(
            np.arange(len(self.labels)), self.labels, self.groups, tuple(names), people
        )
        return all_of_them.take(np.isin(self.groups, groups or self.groups))


def noise(rng: np.random.Generator, length: int) -> dict[str, np.ndarray]:
    """A clip in which nothing tells anything: place is around 0, the rest not negative."""
    return {
        name: rng.normal(0, 0.1, (length, size)) if name.startswith("place")
        else rng.gamma(4.0, 0.25, (length, size))
        for name, size in SIZES.items()
    }  # fmt: skip


def make_clips(
    telling: str, *, classes: int = 2, groups: int = 6, takes: int = 3, seed: int = 0
) -> ClipsInMemory:
    """Clips of `groups` people, `takes` of each of the classes.

    Parameters
    ----------
    telling : what alone tells the classes apart: "order" (of what the pictures show), "motion" (how
        much the flow is in some directions, nothing of when), "place", or "nothing"
    """
    rng = np.random.default_rng(seed)
    first, second = rng.uniform(0, 2, (2, SIZES["identity"]))
    rows, labels, people = [], [], []
    for group in range(groups):
        for label in range(classes):
            for _ in range(takes):
                length = int(rng.integers(10, 30))
                clip = noise(rng, length)
                time = np.linspace(0, 1, length)[:, None]
                if telling == "order":
                    time = time if label else 1 - time
                    clip["identity"] += (1 - time) * first + time * second
                elif telling == "motion":
                    clip["flow/identity"][:, label * 40 : label * 40 + 40] *= 2
                elif telling == "place":
                    clip["place/identity"][:, :4] += 0.1 * label - 0.05
                rows.append({name: values.astype(np.float16) for name, values in clip.items()})
                labels.append(label)
                people.append(group)
    return ClipsInMemory(rows, np.array(labels), np.array(people))
