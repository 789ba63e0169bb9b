"""Files of annotations as BORIS, ELAN and Label Studio write them."""

from typing import Any


def boris_project(events: list[list[Any]], **changes: Any) -> dict[str, Any]:
    """A project with one observation, of two videos that follow each other and a second view."""
    observation = {
        "file": {"1": ["cage/a.mp4", "cage/b.mp4"], "2": ["top.mp4"], "3": []},
        "type": "MEDIA",
        "date": "2024-03-01T10:00:00",
        "description": "",
        "time offset": 0.0,
        "events": events,
        "independent_variables": {},
        "media_info": {
            "length": {"cage/a.mp4": 100.0, "cage/b.mp4": 60.0, "top.mp4": 160.0},
            "fps": {"cage/a.mp4": 25.0, "cage/b.mp4": 25.0, "top.mp4": 25.0},
            "offset": {"1": 0.0, "2": 0.0},
        },
    }
    return {
        "time_format": "hh:mm:ss",
        "project_name": "mice",
        "project_format_version": "7.0",
        "subjects_conf": {"0": {"key": "m", "name": "mouse 1", "description": ""}},
        "behaviors_conf": {
            "0": {"type": "State event", "key": "g", "code": "groom", "modifiers": {}},
            "1": {"type": "Point event", "key": "r", "code": "rear", "modifiers": {}},
            "2": {"type": "State event with coding map", "key": "w", "code": "walk"},
        },
        "observations": {"morning": observation | changes},
    }


AGGREGATED = {  # the columns of versions 7, 8 and 9
    7: "Observation id,Observation date,Description,Media file,Total length,FPS,Subject,Behavior,"
       "Behavioral category,Modifiers,Behavior type,Start (s),Stop (s),Duration (s),Comment start,"
       "Comment stop",
    9: "Observation id,Observation date,Description,Observation type,Source,Time offset (s),"
       "Coding duration,Media duration (s),FPS (frame/s),Subject,"
       "Observation duration by subject by observation,Behavior,Behavioral category,Modifier #1,"
       "Behavior type,Start (s),Stop (s),Duration (s),Media file name,Image index start,"
       "Image index stop,Image file path start,Image file path stop,Comment start,Comment stop",
}  # fmt: skip


def table(columns: str, rows: list[dict[str, str]], separator: str = "\t") -> str:
    names = columns.split(",")
    lines = [names, *([row.get(name, "") for name in names] for row in rows)]
    return "\n".join(separator.join(line) for line in lines)


ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-03-01T10:00:00+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///D:/talk.wav" MIME_TYPE="audio/x-wav"/>
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///D:/left.mp4" MIME_TYPE="video/mp4"
            RELATIVE_MEDIA_URL="./left.mp4" TIME_ORIGIN="500"/>
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///D:/right.mp4" MIME_TYPE="video/mp4"/>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/>
        <TIME_SLOT TIME_SLOT_ID="ts2"/>
        <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2500"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="gesture" ANNOTATOR="Ada">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1"
            TIME_SLOT_REF2="ts3"><ANNOTATION_VALUE>wave &amp; smile</ANNOTATION_VALUE>
        </ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts1"
            TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>nod</ANNOTATION_VALUE>
        </ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="sitting">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts1"
            TIME_SLOT_REF2="ts3"><ANNOTATION_VALUE></ANNOTATION_VALUE>
        </ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="ref" PARENT_REF="gesture" TIER_ID="hand">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1">
            <ANNOTATION_VALUE>left</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt"
        TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" GRAPHIC_REFERENCES="false"
        LINGUISTIC_TYPE_ID="ref" TIME_ALIGNABLE="false"/>
</ANNOTATION_DOCUMENT>
"""


def region(label: str, start: int, end: int) -> dict[str, Any]:
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"id": "x", "type": "timelinelabels", "from_name": "videoLabels", "to_name": "video",
            "origin": "manual", "value": value}  # fmt: skip
