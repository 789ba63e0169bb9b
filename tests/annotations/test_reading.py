"""Files as the annotation tools write them, and what is read of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from annotation_samples import AGGREGATED, ELAN, boris_project, region, table

from pipeline.annotations.formats import read_annotations
from pipeline.annotations.stretch import Stretch
from pipeline.errors import DatasetError


@pytest.fixture
def read(tmp_path: Path):
    """Reads a text, or JSON, from a file whose name says nothing."""

    def read(content: Any, rate=None):
        path = tmp_path / "annotations"
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return read_annotations(path, rate)

    return read


def test_a_table_of_seconds(read) -> None:
    said = read(
        "\ufeffvideo, label,start,end,annotator,note\n"
        'a.mp4,"walk, slowly",1.5,0:01:02.5,Ada,x\n\n'
        "Läufe/b 2.mov,wave,3,3,,\n"
    )
    assert said.stretches == (
        Stretch("a.mp4", "walk, slowly", 1.5, 62.5, "Ada"),
        Stretch("Läufe/b 2.mov", "wave", 3, 3),
    )
    assert said.notes == ("1 point event without a length: wave (1).",)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_from_a_spreadsheet(read, separator: str) -> None:
    rows = [["Video", "Label", "Start", "End", "confidence"], ["a.mp4", "walk", "1,5", "2,25", "1"]]
    said = read("\r\n".join(separator.join(row) for row in rows))
    assert said.stretches == (Stretch("a.mp4", "walk", 1.5, 2.25, "", 1.0),)


def test_frame_numbers_take_the_rate_of_the_row_or_of_the_video(read) -> None:
    table = (
        "video,label,start_frame,end_frame,fps\na.mp4,walk,50,100,25\nb.mp4,walk,30,60,\n"
    )  # fmt: skip
    said = read(table, {"b.mp4": 30.0}.__getitem__)
    assert [(one.video, one.start, one.end) for one in said.stretches] == [
        ("a.mp4", 2, 4), ("b.mp4", 1, 2)]  # fmt: skip
    with pytest.raises(DatasetError, match=r"line 3: frames are counted.* b\.mp4 has in a second"):
        read(table)


def test_a_project_of_boris(read) -> None:
    said = read(boris_project([
        [2.0, "mouse 1", "groom", "", ""],
        [1.0, "", "groom", "head", "first", 25],  # with a frame number: versions 8 and 9
        [5.0, "", "groom", "head", ""],
        [4.0, "", "rear", "", ""],
        [95.0, "", "walk", "", ""],
        [130.0, "", "walk", "", ""],
        [140.0, "mouse 1", "groom", "", ""],
        [150.0, "", "walk", "", ""],
        [155.0, "", "dig", "", ""],
    ]))  # fmt: skip
    assert set(said.stretches) == {
        Stretch("cage/a.mp4", "groom", 1, 5),
        Stretch("cage/a.mp4", "rear", 4, 4),
        Stretch("cage/a.mp4", "walk", 95, 100),  # it goes on in the next file
        Stretch("cage/b.mp4", "walk", 0, 30),
        Stretch("cage/a.mp4", "groom", 2, 100, "mouse 1"),
        Stretch("cage/b.mp4", "groom", 0, 40, "mouse 1"),
    }
    notes = "\n".join(said.notes)
    assert "1 point event without a length: rear (1)" in notes
    assert "not for top.mp4" in notes
    assert "walk at 150 s starts or stops alone" in notes
    assert "dig is not in the ethogram" in notes


def test_the_time_offset_of_boris_is_taken_off(read) -> None:
    states = [[3600 + time, "", "groom", "", ""] for time in (10.0, 20.0)]
    said = read(boris_project(states, **{"time offset": 3600.0}))
    assert said.stretches == (Stretch("cage/a.mp4", "groom", 10, 20),)
    live = read(boris_project(states, type="LIVE", file=[]))
    assert live.stretches == ()
    assert live.notes == ("Observation morning is not of a video and is left out.",)


@pytest.mark.parametrize("version", AGGREGATED)
@pytest.mark.parametrize("separator", ["\t", ","])
def test_aggregated_events_of_boris(read, version: int, separator: str) -> None:
    common = {"Observation id": "morning", "Media file": "a.mp4", "Media file name": "a.mp4"}
    said = read(table(AGGREGATED[version], [
        common | {"Subject": "No focal subject", "Behavior": "groom", "Behavior type": "STATE",
                  "Start (s)": "1.800", "Stop (s)": "8.125"},
        common | {"Subject": "mouse 1", "Behavior": "rear", "Behavior type": "POINT",
                  "Start (s)": "4.000", "Stop (s)": "4.000", "Duration (s)": "NA"},
    ], separator))  # fmt: skip
    assert said.stretches == (
        Stretch("a.mp4", "groom", 1.8, 8.125), Stretch("a.mp4", "rear", 4, 4, "mouse 1"),
    )  # fmt: skip
    assert "1 point event" in said.notes[0]


def test_aggregated_events_over_several_files(read) -> None:
    common = {"Observation id": "morning", "Subject": "", "Behavior": "groom",
              "Behavior type": "STATE"}  # fmt: skip
    rows = [
        common | {"Media file name": "a.mp4", "Start (s)": "10", "Stop (s)": "20"},
        common | {"Media file name": "b.mp4", "Start (s)": "110", "Stop (s)": "120"},
    ]
    order = {"Source": "player #1:a.mp4;b.mp4|player #2:c.mp4",
             "Media duration (s)": "100.000;60.000|160.000"}  # fmt: skip
    said = read(table(AGGREGATED[9], [row | order for row in rows]))
    assert said.stretches == (
        Stretch("a.mp4", "groom", 10, 20), Stretch("b.mp4", "groom", 10, 20),
    )  # fmt: skip
    with pytest.raises(DatasetError, match=r"line 2: a\.mp4 is followed by other files"):
        read(table(AGGREGATED[7], [row | {"Media file": row["Media file name"]} for row in rows]))


def test_single_events_of_boris_8_and_9(read) -> None:
    columns = (
        "Observation id,Observation date,Description,Observation duration,Observation type,Source,"
        "Time offset (s),Media duration (s),FPS,Subject,Behavior,Behavioral category,Behavior type,"
        "Time,Media file name,Image index,Image file path,Comment"
    )
    common = {"Observation id": "morning", "Behavior": "groom", "Media file name": "a.mp4",
              "Source": "player #1:a.mp4", "Time offset (s)": "2"}  # fmt: skip
    said = read(table(columns, [
        common | {"Behavior type": "START", "Time": "3.000"},
        common | {"Behavior type": "POINT", "Time": "4.000", "Behavior": "rear"},
        common | {"Behavior type": "STOP", "Time": "5.500"},
        common | {"Behavior type": "START", "Time": "9.000"},
    ]))  # fmt: skip
    assert said.stretches == (Stretch("a.mp4", "rear", 2, 2), Stretch("a.mp4", "groom", 1, 3.5))
    assert "groom at 9 s starts or stops alone" in said.notes[1]


def test_single_events_of_boris_7_stand_below_what_the_observation_is(read) -> None:
    said = read(
        "Observation id\tmorning\t\t\t\t\t\t\t\n\t\t\t\t\t\t\t\t\nMedia file(s)\t\t\t\t\t\t\t\t\n"
        "Player #1\ta.mp4\t\t\t\t\t\t\t\nObservation date\t2016-11-27 01:57:26\t\t\t\t\t\t\t\n"
        "Time offset (s)\t0.0\t\t\t\t\t\t\t\nindependent variables\t\t\t\t\t\t\t\t\n"
        "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\tComment"
        "\tStatus\n"
        "3.300\ta.mp4\t359.960\t25.0\tmouse 1\tgroom\t\t\tSTART\n"
        "7.750\ta.mp4\t359.960\t25.0\tmouse 1\tgroom\t\t\tSTOP\n"
    )
    assert said.stretches == (Stretch("a.mp4", "groom", 3.3, 7.75, "mouse 1"),)


def test_all_tiers_of_elan(read) -> None:
    said = read(ELAN)
    assert said.stretches == (
        Stretch("left.mp4", "wave & smile", 1.5, 3, "Ada"),
        Stretch("left.mp4", "sitting", 1.5, 3, "sitting"),  # a tier for each label
        Stretch("left.mp4", "left", 1.5, 3, "hand"),  # it has the times of what it refers to
    )
    assert "not for file" not in said.notes[0]
    assert said.notes[0] == "It is read for left.mp4, not for /D:/right.mp4."
    assert "Tier gesture: 1 annotations have no time" in said.notes[1]


def test_the_timeline_of_label_studio(read) -> None:
    choice = {"type": "choices", "value": {"choices": ["good"]}}
    sound = {"type": "labels", "value": {"start": 4.5, "end": 6.0, "channel": 0,
                                         "labels": ["bark", "dog"]}}  # fmt: skip
    annotations = [
        {"completed_by": 3, "result": [region("walk", 1, 50), choice]},
        {"completed_by": {"id": 4, "email": "ada@example.org"}, "result": [region("walk", 51, 51)]},
        {"completed_by": 5, "was_cancelled": True, "result": [region("run", 1, 9)]},
        {"completed_by": 3, "result": [sound]},
    ]
    video = "/data/local-files/?d=set%20one/a.mp4"
    guess = {"model_version": "x", "result": [region("guess", 1, 9)]}
    said = read([{"id": 1, "data": {"video": video, "fps": 25}, "annotations": annotations,
                  "predictions": [guess]}])  # fmt: skip
    assert said.stretches == (
        Stretch("set one/a.mp4", "walk", 0, 2, "3"),
        Stretch("set one/a.mp4", "walk", 2, 2.04, "ada@example.org"),  # one frame lasts
        Stretch("set one/a.mp4", "bark", 4.5, 6, "3"),
        Stretch("set one/a.mp4", "dog", 4.5, 6, "3"),
    )
    assert said.notes == (
        "1 results of kind choices are no stretches of time and are left out.",
        "1 answers were cancelled and are left out.",
    )
    task = {"data": {"clip": "b.mp4", "who": "Ada"}, "annotations": annotations[:1]}
    assert read(task, lambda name: 50.0).stretches == (Stretch("b.mp4", "walk", 0, 1, "3"),)
    with pytest.raises(DatasetError, match="task 0 > annotations > 0 > result > 0: frames are"):
        read(task)


def test_what_is_broken_is_said_with_its_place_and_nothing_is_read(read) -> None:
    csv = "video,label,start,end\na.mp4,walk,0,1\n"
    project = boris_project([[1.0, "", "groom", "", ""], ["soon", "", "groom", "", ""]])
    alone = boris_project([], file={"1": ["a.mp4", "b.mp4"]}, media_info={})
    alone["observations"]["morning"]["events"] = [[1, "", "rear", "", ""]]
    no_times = [{"data": {"video": "a"}, "annotations": [{"result": [{"type": "labels"}]}]}]
    for content, reason in (
        (csv + "a.mp4,walk,2", "line 3: 3 cells, where the first line has 4"),
        (csv + "a.mp4,walk,2,1\n", "line 3: the end, 1 s, is before the start, 2 s"),
        (csv + "a.mp4,walk,-2,1\n", "line 3: the start is -2 s"),
        (csv + '"a\nb.mp4",,2,3\n', "line 3: there is no label"),
        (csv + "a.mp4,walk,2,nan\n", "line 3: 'nan' is no time"),
        (csv + "a.mp4,walk,,3\n", "line 3: '' is no time"),
        ("video,label,start_frame,end_frame,fps\na,b,0,9,0", "line 2: '0' is no frame rate"),
        ("film,label,from,to\n", "is none of the formats that are read"),
        ("", "is none of the formats that are read"),
        ('{"observations": {\n"x": }', "line 2: no valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ({"some": "thing"}, "is none of the formats that are read"),
        (project, "observations > morning > events > 1: 'soon' is no time"),
        (boris_project([], file={}), "observations > morning: '1' is missing"),
        (alone, "a.mp4 is followed by other files, and its length is not told"),
        (boris_project([[1, ""]]), "observations > morning > events > 0: not enough values"),
        ({"observations": {}, "behaviors_conf": [1]}, "behaviors_conf: "),
        (ELAN[:900], "no valid XML"),
        (ELAN.replace('ID="ts3"', 'ID="ts9"'), "tier gesture, annotation a1: 'ts3' is missing"),
        (ELAN.replace('"2500"', '"500"'), "tier gesture, annotation a1: the end, 1 s, is before"),
        (ELAN.replace(' TIME_SLOT_ID="ts1"', ""), "its XML: 'TIME_SLOT_ID' is missing"),
        (no_times, "task 0 > annotations > 0 > result > 0: 'value' is missing"),
        ([{"data": {}, "annotations": []}], "task 0: its data name no video"),
        (table(AGGREGATED[7], [{"Behavior": "groom", "Media file": "a", "Start (s)": "2",
                                "Stop (s)": "1"}]), "line 2: the end, 1 s, is before"),
        ("Behavior\tTime\tStatus\tMedia file path\ngroom\t1\tWALK\ta", "line 2: 'WALK' is none of"),
    ):  # fmt: skip
        with pytest.raises(DatasetError) as caught:
            read(content)
        assert reason in str(caught.value)
        assert str(caught.value).endswith(".")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"video,label,start,end\n\xff\xfe")
    with pytest.raises(DatasetError, match="line 2, is not UTF-8"):
        read_annotations(path)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_annotations(tmp_path)
