"""The decoder against all segmentations that there are, and what it is for."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from pipeline.head.model_card import Decoder
from pipeline.timeline.decoder import decode

DECODER = Decoder(window=1.0, cost=0.5, typical=2.0, spread=0.5)


def worth(labels: np.ndarray, evidence: np.ndarray, edges: np.ndarray, decoder: Decoder) -> float:
    """What a labelling gains: its evidence, less what its stretches cost."""
    gained = evidence[np.arange(len(labels)), labels].sum()
    starts = [0, *(np.flatnonzero(np.diff(labels)) + 1), len(labels)]
    for first, stop in itertools.pairwise(starts):
        short = min(np.log((edges[stop] - edges[first]) / decoder.typical), 0)
        gained -= decoder.cost + (short / decoder.spread) ** 2 / 2
    return gained


@pytest.mark.parametrize("seed", range(12))
def test_no_labelling_is_worth_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, classes = 7, 3
    evidence = np.log(rng.dirichlet(np.ones(classes), count))
    edges = np.concatenate([[0], np.cumsum(rng.uniform(0.1, 1.2, count))])
    decoder = Decoder(1.0, rng.uniform(0, 2), rng.uniform(0.1, 4), rng.uniform(0.3, 1))
    found = decode(evidence, edges, decoder)
    best = max(
        worth(np.array(labels), evidence, edges, decoder)
        for labels in itertools.product(range(classes), repeat=count)
    )
    assert worth(found, evidence, edges, decoder) == pytest.approx(best)


def test_without_costs_each_section_says_what_it_sees() -> None:
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(200, 5))
    free = Decoder(1.0, 0.0, 1e-9, 1.0)
    assert decode(evidence, np.arange(201.0), free).tolist() == evidence.argmax(axis=1).tolist()


def test_a_flicker_is_no_stretch_and_a_long_one_costs_no_more_than_a_typical_one() -> None:
    chances = np.full((400, 2), 0.2)
    chances[:200, 0] = chances[200:, 1] = 0.8
    chances[50:52] = [0.2, 0.8]  # half a second
    labels = decode(np.log(chances) / 4, np.arange(401) / 4, DECODER)
    assert labels.tolist() == [0] * 200 + [1] * 200


def test_what_was_typical_does_not_matter_to_a_single_label() -> None:
    evidence = np.log(np.tile([0.7, 0.3], (3, 1)))
    for typical in (0.01, 1000.0):
        assert (
            decode(evidence, np.arange(4.0), replace(DECODER, typical=typical)).tolist() == [0] * 3
        )


def test_a_single_class_and_a_single_section() -> None:
    assert decode(np.zeros((5, 1)), np.arange(6.0), DECODER).tolist() == [0] * 5
    assert decode(np.array([[0.1, 0.4]]), np.array([0.0, 0.2]), DECODER).tolist() == [1]
