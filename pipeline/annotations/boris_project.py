"""The project file of BORIS (.boris): JSON with an ethogram and observations.

Written down from projects of format 7.0, which BORIS 7 to 9 write: an event is
``[time, subject, behaviour, modifiers, comment]``, since version 8 with a frame number behind it.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from pipeline.annotations.annotation_file import (
    AnnotationFile,
    Annotations,
    Format,
    RateOf,
    number_of,
    point_notes,
    seconds_of,
)
from pipeline.annotations.boris_media import Event, Media, paired
from pipeline.annotations.stretch import Recording, Stretch, first_overlap
from pipeline.errors import ClipcacheError
from pipeline.wording import some

PLAYER = "1"  # whose files are one after the other; the others are other views of them
KEYS = "abcdefghijklmnopqrstuvwxyz0123456789"  # that start and stop a behaviour


def recognises(file: AnnotationFile) -> bool:
    """Whether it is JSON with observations and an ethogram."""
    return isinstance(file.json, dict) and {"observations", "behaviors_conf"} <= set(file.json)


def read(file: AnnotationFile, rate: RateOf) -> Annotations:
    """The states of all observations, with their subjects; modifiers are no part of the label."""
    with file.at("behaviors_conf"):
        kinds = {row["code"]: row["type"] for row in file.json["behaviors_conf"].values()}
    with file.at("observations"):
        observations = list(file.json["observations"].items())
    stretches: list[Stretch] = []
    notes = []
    for name, observation in observations:
        where = f"observations > {name}"
        with file.at(where):
            if observation["type"] != "MEDIA":
                notes.append(f"Observation {name} is not of a video and is left out.")
                continue
            views = [one for key, files in observation["file"].items() if key != PLAYER
                     for one in files]  # fmt: skip
            if views:
                notes.append(f"Observation {name} is read for its first view, not for "
                             f"{some(views)}.")  # fmt: skip
            media = _media(observation)
        with file.at(where):
            events, unknown = _events(file, where, observation, kinds)
            found, unpaired = paired(events, media)
        stretches += found
        if unpaired:
            notes.append(f"Observation {name}: {some(unpaired)} starts or stops alone and is left "
                         "out.")  # fmt: skip
        if unknown:
            notes.append(f"Observation {name}: {some(sorted(unknown))} is not in the ethogram and "
                         "is left out.")  # fmt: skip
    return Annotations(tuple(stretches), (*point_notes(stretches), *notes))


def _media(observation: Mapping[str, Any]) -> Media:
    told = observation.get("media_info", {})
    if observation.get("media_creation_date_as_offset"):
        raise ValueError("its times are dates; switch that off in the observation")
    files = observation["file"][PLAYER]
    lengths = {name: seconds_of(length) for name, length in told.get("length", {}).items()}
    return Media(files, lengths, number_of(observation.get("time offset", 0), "time offset"))


def _events(
    file: AnnotationFile, where: str, observation: Mapping[str, Any], kinds: Mapping[str, str]
) -> tuple[list[Event], set[str]]:
    """The events in order of time, and the behaviours that the ethogram does not have."""
    rows = []
    for number, event in enumerate(observation["events"]):
        with file.at(f"{where} > events > {number}"):
            seconds, subject, behaviour, modifiers = event[:4]
            rows.append((number_of(seconds, "time"), subject, behaviour, modifiers))
    rows.sort(key=lambda row: row[0])
    seen: Counter[tuple[str, str, str]] = Counter()
    events = []
    for seconds, *key in rows:
        subject, behaviour, modifiers = key
        status = "POINT"
        if kinds.get(behaviour, "").startswith("State"):
            status = "STOP" if seen[subject, behaviour, modifiers] % 2 else "START"
            seen[subject, behaviour, modifiers] += 1
        if behaviour in kinds:
            events.append(Event(seconds, subject, behaviour, modifiers, status))
    return events, {behaviour for _, _, behaviour, _ in rows} - set(kinds)


def write(recordings: Sequence[Recording], path: Path) -> None:
    """A project with an observation for each video; annotators become subjects.

    Raises
    ------
    ClipcacheError
        When stretches of one label and annotator overlap, which BORIS cannot hold.
    """
    every = [stretch for recording in recordings for stretch in recording.stretches]
    labels = dict.fromkeys(stretch.label for stretch in every)
    subjects = dict.fromkeys(stretch.annotator for stretch in every if stretch.annotator)
    now = datetime.now().isoformat(timespec="seconds")
    project = {
        "time_format": "hh:mm:ss",
        "project_date": now,
        "project_name": "clipcache",
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": {
            str(place): {"key": "", "name": name, "description": ""}
            for place, name in enumerate(subjects)
        },
        "behaviors_conf": {
            str(place): {
                "type": "State event", "key": KEYS[place] if place < len(KEYS) else "",
                "code": label, "description": "", "category": "", "modifiers": {}, "excluded": "",
                "coding map": "",
            }
            for place, label in enumerate(labels)
        },
        "observations": {one.video: _observation(one, now) for one in recordings},
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }  # fmt: skip
    path.write_text(json.dumps(project, indent=1, ensure_ascii=False), "utf-8")


def _observation(recording: Recording, now: str) -> dict[str, Any]:
    video = recording.video
    twice = first_overlap(recording.stretches, lambda one: (one.annotator, one.label))
    if twice is not None:
        raise ClipcacheError(
            f"{video}: two stretches of {twice.label} overlap at {twice.start:g} s, which a BORIS "
            "project cannot hold: write a .csv or .json."
        )
    events = [
        [seconds, stretch.annotator, stretch.label, "", ""]
        for stretch in sorted(recording.stretches, key=lambda one: (one.start, one.end))
        for seconds in (stretch.start, stretch.end)
    ]
    return {
        "file": {str(player): [video] if player == 1 else [] for player in range(1, 9)},
        "type": "MEDIA",
        "date": now,
        "description": "",
        "time offset": 0.0,
        "events": sorted(events, key=itemgetter(0)),
        "independent_variables": {},
        "visualize_spectrogram": False,
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": {video: recording.seconds},
            "fps": {video: recording.rate},
            "hasVideo": {video: True},
            "hasAudio": {video: False},
            "offset": {PLAYER: 0.0},
        },
    }


FORMAT = Format("BORIS project", recognises, read)
