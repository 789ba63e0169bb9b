"""What carries the label: the sentence and the picture of a head's branches."""

from pathlib import Path
from xml.etree import ElementTree

import cv2
import pytest

from pipeline.evaluation.evidence import evidence, evidence_in_words, evidence_of
from pipeline.evaluation.plots import save_png, to_svg
from pipeline.head.model_card import Branch

GESTURES = [
    Branch("rgb order", 0, 0.57),
    Branch("rgb statistics", 0, 0.14),
    Branch("flow order", 7.1, 0.97),
    Branch("flow statistics", 1.0, 0.52),
    Branch("place order", 1.9, 0.8),
]
PEOPLE = [
    Branch("rgb statistics", 0.63, 0.97),
    Branch("difference statistics", 0.26, 0.93),
    Branch("place statistics", 0.11, 0.9),
]
NINE = [
    Branch(f"{stream} {kind}", 0.1, 0.5)
    for stream in ("rgb", "place", "flow", "difference")
    for kind in ("statistics", "order")
] + [Branch("network", 0.2, 0.93)]


def test_branches_are_grouped_by_what_they_read_and_shares_sum_to_one():
    found = evidence_of(GESTURES)
    assert [one.name for one in found] == ["appearance", "place", "motion"]
    assert [kind for kind, _, _ in found[0].rows] == ["statistics", "order"]
    assert sum(one.share for one in found) == pytest.approx(1)
    assert (found[2].share, found[2].accuracy) == pytest.approx((0.81, 0.97))
    assert evidence_of([Branch("audio order", 1, 0.5)])[0].name == "audio"


def test_the_sentence_names_what_carries_the_label_what_adds_to_it_and_what_says_nothing():
    assert evidence_in_words(GESTURES, 0.09) == (
        "Motion carries the label, mostly by its order (81 % of the head's decision; alone it is "
        "right for 97 %), then place (19 %; alone 80 %); near chance (9 %) alone: appearance "
        "without order 14 %."
    )
    assert evidence_in_words(PEOPLE, 0.11) == (
        "Appearance carries most of the label (63 % of the head's decision; alone it is right for "
        "97 %), then change (26 %; alone 93 %) and place (11 %; alone 90 %)."
    )


def test_a_head_that_nothing_helps_is_said_to_have_nothing():
    text = evidence_in_words([Branch("rgb statistics", 1, 0.12), Branch("flow order", 0, 0.1)], 0.1)
    assert text.startswith("Nothing here tells the classes apart")
    assert "12 %, near chance (10 %)" in text


def test_shares_that_are_all_nothing_are_no_error():
    assert "0 %" in evidence_in_words([Branch("flow order", 0, 0.9)], 0.1)


@pytest.mark.parametrize("branches", [GESTURES, PEOPLE, NINE, PEOPLE[:1]])
def test_every_branch_has_its_row_with_both_numbers(tmp_path: Path, branches: list[Branch]):
    texts = [
        " ".join((element.text or "").split())
        for element in ElementTree.fromstring(to_svg(evidence(branches, 0.09), "evidence")).iter()
    ]
    rows = [row for one in evidence_of(branches) for row in one.rows]
    assert len(rows) == len(branches)
    assert texts.count("without order") == sum(kind == "statistics" for kind, _, _ in rows)
    assert texts.count("by order") == sum(kind == "order" for kind, _, _ in rows)
    for value in {number for _, *numbers in rows for number in numbers}:
        assert f"{100 * value:.0f} %" in texts
    assert any("chance, 9 %" in text for text in texts)
    save_png(evidence(branches, 0.09), tmp_path / "evidence.png")
    height, width = cv2.imread(str(tmp_path / "evidence.png")).shape[:2]
    assert 1200 < width < 1700
    assert 100 < height < 800
