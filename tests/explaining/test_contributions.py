"""What branches add is a sum that is exact; made-up weights whose answer is known."""

import numpy as np
import pytest

from pipeline.explaining.contributions import by_kind, by_stream, contributions, order_parts
from pipeline.frames.streams import reading
from pipeline.head.descriptors import HEIGHTS, PARTS
from pipeline.head.inference import Head
from pipeline.head.linear import LinearBranch
from pipeline.head.sequences import Windowing

READINGS = {"identity": 6, "hflip": 6, "place/identity": 4, "flow/identity": 384}
SHARES = {"rgb statistics": 0.5, "rgb order": 2.0, "place order": 0.0, "flow order": 1.5}
CLASSES, LABEL = 3, 1


def linear_head(mirror: bool = False, shares: dict[str, float] = SHARES) -> Head:
    rng, branches = np.random.default_rng(0), []
    for name in shares:
        stream, descriptor = name.split(" ")
        size = HEIGHTS[descriptor] * READINGS[reading(stream)]
        weights = rng.normal(size=(size, CLASSES)).astype(np.float32)
        bias = rng.normal(size=CLASSES).astype(np.float32)
        branches.append(LinearBranch(stream, descriptor, weights, bias))
    linear = tuple(branches)
    return Head(CLASSES, READINGS, shares, linear, None, ("identity",), mirror, Windowing(4))


@pytest.fixture
def clip() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.gamma(0.5, 1.0, (19, size)) for name, size in READINGS.items()}


def ahead(scores: np.ndarray) -> float:
    """By how much the label's score lies above the mean of the others."""
    return float(scores[LABEL] - np.delete(scores, LABEL).mean())


def test_what_the_branches_add_is_the_lead_of_the_label(clip) -> None:
    head = linear_head()
    added = contributions(head.shares, head.score(clip), LABEL)
    assert list(added) == list(SHARES)
    assert sum(added.values()) == pytest.approx(ahead(head.logits([clip])[0]), rel=1e-5)
    assert added["place order"] == 0


def test_what_is_said_of_all_labels_alike_counts_nothing() -> None:
    added = contributions({"rgb order": 2.0}, {"rgb order": np.full(CLASSES, 7.0)}, LABEL)
    assert added == {"rgb order": pytest.approx(0)}


@pytest.mark.parametrize("mirror", [False, True])
def test_the_parts_of_a_clip_add_what_the_order_branches_add_but_for_a_constant(
    clip, mirror: bool
) -> None:
    head = linear_head(mirror)
    parts = order_parts(head, clip, LABEL)
    added = contributions(head.shares, head.score(clip), LABEL)
    constant = {branch.name: SHARES[branch.name] * ahead(branch.bias) for branch in head.linear}
    ordered = sum(added[name] - constant[name] for name in SHARES if name.endswith("order"))
    assert parts.shape == (PARTS,)
    assert parts.sum() == pytest.approx(ordered, rel=1e-4)


def test_the_part_in_which_something_happens_is_found() -> None:
    """The only number of place rises in the fourth part, where the weights look for it."""
    rows = np.zeros((24, 1), np.float32)
    rows[9:12] = 1
    weights = np.zeros((PARTS, 2), np.float32)
    weights[3, 1] = 1
    branch = LinearBranch("place", "order", weights, np.zeros(2, np.float32))
    readings, shares = {"identity": 1, "place/identity": 1}, {"place order": 3.0}
    head = Head(2, readings, shares, (branch,), None, ("identity",), False, Windowing(4))
    parts = order_parts(head, {"identity": rows, "place/identity": rows}, 1)
    assert parts == pytest.approx([0, 0, 0, 3 * 7 / 8, 0, 0, 0, 0])


def test_a_head_without_order_has_no_parts(clip) -> None:
    head = linear_head(shares={"rgb statistics": 1.0, "flow order": 0.0})
    assert not order_parts(head, clip, LABEL).any()


def test_streams_and_kinds_are_parts_of_all_that_is_said() -> None:
    added = {"network": 1.0, "flow statistics": 4.0, "flow order": 2.0, "rgb order": -1.0}
    assert by_stream(added) == {"appearance": -1 / 8, "motion": 6 / 8, "recurrent network": 1 / 8}
    assert by_kind(added) == {"recurrent network": 1 / 8, "statistics": 4 / 8, "order": 1 / 8}
    assert by_stream({"network": 2.0}) == by_kind({"network": 2.0}) == {"recurrent network": 1.0}
    assert by_stream({"network": 0.0}) == {"recurrent network": 0.0}
