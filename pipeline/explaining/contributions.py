"""What each branch of a head adds for a label: by stream, by kind, and by part of the clip.

A head's logits are a sum, so nothing is estimated here: a branch adds its share times what it says,
and what it says counts as far as it tells the label from the others.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from pipeline.frames.streams import DIFFERENCE, FLOW, PLACE, RGB
from pipeline.head.build import NETWORK_BRANCH
from pipeline.head.descriptors import PARTS, describe
from pipeline.head.inference import Head
from pipeline.head.streams import IDENTITY, MIRROR, Clip, mirrored_streams

ORDER = "order"
# A branch is named "network", or by a stream and a descriptor such as "flow order".
NAMES = {RGB: "appearance", PLACE: "place", FLOW: "motion", DIFFERENCE: "change",
         NETWORK_BRANCH: "recurrent network"}  # fmt: skip


def contributions(
    shares: Mapping[str, float],
    scores: Mapping[str, np.ndarray],
    label: int,
    *,
    several: bool = False,
) -> dict[str, float]:
    """What each branch adds for a label, in logits: negative where it speaks for other labels.

    Its share times the distance of its score of the label from the mean of its scores of the other
    labels. What a branch says of all labels alike changes no answer and counts nothing, and the sum
    over branches is exactly by how much the label's logit lies above the mean of the others.

    Parameters
    ----------
    shares : of each branch
    scores : (K,) of each branch, as `pipeline.head.inference.Head.score` gives them
    label : position among the K
    several : whether several labels may hold: what is added is the score of the label itself then
    """
    ahead = _ahead(label, len(next(iter(scores.values()))), several)
    return {name: share * float(scores[name] @ ahead) for name, share in shares.items()}


def by_stream(added: Mapping[str, float]) -> dict[str, float]:
    """Summed by what is read: appearance, place, motion, change; the recurrent network reads all.

    Returns
    -------
    name -> its part in the whole, -1 to 1. The whole is the sum of what the branches add, without
    their signs, so that parts stay readable where branches contradict each other.
    """
    parts = _parts((NAMES[name.split(" ")[0]], value) for name, value in added.items())
    return {name: parts[name] for name in NAMES.values() if name in parts}


def by_kind(added: Mapping[str, float]) -> dict[str, float]:
    """Summed by how the clip is described, "statistics" or "order", in parts as `by_stream`.

    The recurrent network is a kind of its own: it sees both.
    """
    kinds = ((name.rpartition(" ")[2], value) for name, value in added.items())
    return _parts((NAMES.get(kind, kind), value) for kind, value in kinds)


def order_parts(head: Head, clip: Clip, label: int, *, several: bool = False) -> np.ndarray:
    """What each of the 8 parts of a clip adds for a label in the branches that see order.

    Such a branch scores the differences of the parts from the whole clip by weights for each part,
    so its score is a sum over parts; their sum is what the branch adds, but for a constant that no
    clip changes.

    Returns
    -------
    (8,) float64, in logits as `contributions`; zeros where no such branch counts
    """
    ahead = _ahead(label, head.classes, several)
    mirrored = mirrored_streams(clip) if head.mirror else set()
    added = np.zeros(PARTS)
    for branch in head.linear:
        if branch.descriptor == ORDER and head.shares[branch.name]:
            views = (IDENTITY, MIRROR) if branch.stream in mirrored else (IDENTITY,)
            seen = [describe(clip, branch.stream, view, (ORDER,))[0] for view in views]
            spoken = np.mean(seen, axis=0) * (branch.weights @ ahead)
            added += head.shares[branch.name] * spoken.reshape(PARTS, -1).sum(axis=1)
    return added


def _ahead(label: int, classes: int, several: bool) -> np.ndarray:
    """Weights that give of scores (K,) the label's, less the mean of the others: (K,) float64."""
    weights = np.full(classes, 0.0 if several else -1 / (classes - 1))
    weights[label] = 1
    return weights


def _parts(added: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    whole = 0.0
    for name, value in added:
        sums[name] = sums.get(name, 0.0) + value
        whole += abs(value)
    return {name: value / whole if whole else 0.0 for name, value in sums.items()}
