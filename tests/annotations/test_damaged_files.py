"""Damaged and hostile files: a sentence or a reading that makes sense, and never anything else."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from annotation_samples import AGGREGATED, ELAN, boris_project, region, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.annotations.formats import read_annotations
from pipeline.errors import DatasetError

PROJECT = boris_project([[1.0, "", "groom", "", ""], [2.0, "m", "rear", "", "", 50]])
ANSWER = {"completed_by": {"id": 1}, "result": [region("walk", 1, 50)]}
TASKS = [{"data": {"video": "a.mp4", "fps": 25}, "annotations": [ANSWER]}]
EVENTS = table(AGGREGATED[9], [{
    "Observation id": "x", "Source": "player #1:a.mp4;b.mp4", "Media duration (s)": "100;60",
    "Behavior": "groom", "Media file name": "a.mp4", "Start (s)": "1", "Stop (s)": "120",
}])  # fmt: skip
TEXTS = {
    "table": "video,label,start_frame,end_frame,fps\na.mp4,walk,1,50,25\n",
    "BORIS table": EVENTS,
    "BORIS project": json.dumps(PROJECT, indent=1),
    "ELAN": ELAN,
    "Label Studio": json.dumps(TASKS),
}
JUNK = st.sampled_from(
    [None, True, -1, 10**400, float("nan"), "", "1", "a:b", "9" * 5000, [], {}, [[]], [1], {"x": 1}]
)
lenient = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(path: Path, content: str) -> None:
    path.write_text(content, "utf-8")
    with contextlib.suppress(DatasetError):  # any other error fails the test
        said = read_annotations(path, lambda name: 25.0)
        assert all(0 <= one.start <= one.end for one in said.stretches)


@pytest.mark.parametrize("kind", TEXTS)
@lenient
@given(data=st.data())
def test_letters_that_are_lost_or_others(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    text = TEXTS[kind]
    at = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 30))
    other = data.draw(st.sampled_from(["", "\x00", '"', "<", "\n", "9" * 400, "\u2028", ",,"]))
    read(tmp_path / "x", text[:at] + other + text[at + length :])


@pytest.mark.parametrize("whole", [PROJECT, TASKS], ids=["BORIS project", "Label Studio"])
@lenient
@given(data=st.data())
def test_a_part_of_the_json_is_something_else(tmp_path: Path, whole: Any, data: st.DataObject):
    part = copy = json.loads(json.dumps(whole))
    while True:
        key = data.draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
        if not isinstance(part[key], dict | list) or not part[key] or data.draw(st.booleans()):
            break
        part = part[key]
    part[key] = data.draw(JUNK)
    read(tmp_path / "x", json.dumps(copy))
