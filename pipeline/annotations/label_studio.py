"""Label Studio's JSON: the timeline of a video.

https://labelstud.io/tags/timelinelabels: ``{"ranges": [{"start": 3, "end": 5}], "timelinelabels":
["Moving"]}`` in frames that count from 1, the last one included. Regions of kind ``labels`` come
from the templates that pair a video with its sound, and have seconds, or such ranges.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from pipeline.annotations.annotation_file import (
    AnnotationFile,
    Annotations,
    Format,
    RateOf,
    number_of,
    rate_of,
    seconds_of,
)
from pipeline.annotations.stretch import Recording, Stretch
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.wording import some

KINDS = ("timelinelabels", "labels")
RATES = ("fps", "frame_rate", "frameRate", "framerate")  # what people call it in the task's data
LOCAL = "/data/local-files/?d="  # how Label Studio names a file of its own storage


def recognises(file: AnnotationFile) -> bool:
    """Whether it is a list of tasks, or one task."""
    tasks = file.json if isinstance(file.json, list) else [file.json]
    first = tasks[0] if tasks else None
    return (
        isinstance(first, dict)
        and isinstance(first.get("data"), dict)
        and bool({"annotations", "completions", "predictions"} & set(first))
    )


def read(file: AnnotationFile, rate: RateOf) -> Annotations:
    """The annotations of all tasks, with who made them.

    Predictions are read where a task has no annotations, as in a file of pre-annotations.
    """
    tasks = file.json if isinstance(file.json, list) else [file.json]
    stretches: list[Stretch] = []
    others: Counter[str] = Counter()
    cancelled = 0
    for number, task in enumerate(tasks):
        where = f"task {number}"
        with file.at(where):
            data = task["data"]
            video = _video(data)
            key = next(
                (key for key in ("annotations", "completions") if key in task), "predictions"
            )
            answers = list(task[key])
        for place, answer in enumerate(answers):
            with file.at(f"{where} > {key} > {place}"):
                if answer.get("was_cancelled"):
                    cancelled += 1
                    continue
                results = list(answer["result"])
                who = _annotator(answer)
            for index, result in enumerate(results):
                with file.at(f"{where} > {key} > {place} > result > {index}"):
                    if result.get("type") not in KINDS:
                        others[str(result.get("type"))] += 1
                        continue
                    stretches += _stretches(result, video, who, data, rate)
    notes = [
        f"{number:,} results of kind {kind} are no stretches of time and are left out."
        for kind, number in others.items()
    ]
    notes += [f"{cancelled:,} answers were cancelled and are left out."] if cancelled else []
    return Annotations(tuple(stretches), tuple(notes))


def _video(data: Mapping[str, Any]) -> str:
    """The name of the video among the data of a task."""
    texts = [value for value in data.values() if isinstance(value, str)]
    videos = [text for text in texts if PurePosixPath(text).suffix.lower() in VIDEO_EXTENSIONS]
    found = list(dict.fromkeys([data["video"]] if data.get("video") else videos or texts))
    if len(found) != 1:
        raise ValueError(f"its data name {some(found) or 'no video'}; name the video as `video`")
    return unquote(found[0].removeprefix(LOCAL)) if found[0].startswith(LOCAL) else found[0]


def _annotator(answer: Mapping[str, Any]) -> str:
    """An address, or the number by which Label Studio knows people; a model's version."""
    who = answer.get("completed_by", answer.get("model_version"))
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return "" if who is None else str(who)


def _stretches(
    result: Mapping[str, Any], video: str, who: str, data: Mapping[str, Any], rate: RateOf
) -> Iterator[Stretch]:
    value = result["value"]
    score = result.get("score")
    confidence = None if score is None else number_of(score, "score")
    if "ranges" in value:
        told = next((data[key] for key in RATES if data.get(key)), None)
        fps = rate(video) if told is None else rate_of(told)
        frames = [tuple(number_of(one[side], "frame number") for side in ("start", "end"))
                  for one in value["ranges"]]  # fmt: skip
        times = [((first - 1) / fps, last / fps) for first, last in frames]
    else:
        times = [(seconds_of(value["start"]), seconds_of(value["end"]))]
    if not isinstance(value[result["type"]], list):
        raise ValueError(f"{value[result['type']]!r} is no list of labels")
    for label in value[result["type"]]:
        yield from (Stretch(video, label, *time, who, confidence) for time in times)


def write(recordings: Sequence[Recording], path: Path) -> None:
    """A task for each video, with its stretches as pre-annotations, to the nearest frame.

    Its regions belong to a labelling configuration with ``<Video name="video" value="$video"
    frameRate="$fps"/>`` and ``<TimelineLabels name="videoLabels" toName="video">``.
    """
    tasks = [
        {
            "data": {"video": one.video, "fps": one.rate},
            "predictions": [
                _prediction(who, [stretch for stretch in one.stretches if stretch.annotator == who],
                            one.rate)
                for who in dict.fromkeys(stretch.annotator for stretch in one.stretches)
            ],
        }
        for one in recordings
    ]  # fmt: skip
    path.write_text(json.dumps(tasks, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _prediction(who: str, stretches: Sequence[Stretch], rate: float) -> dict[str, Any]:
    regions = [_region(number, stretch, rate) for number, stretch in enumerate(stretches)]
    scores = [region["score"] for region in regions if "score" in region]
    mean = {"score": sum(scores) / len(scores)} if scores else {}
    return {"model_version": who, "result": regions, **mean}


def _region(number: int, stretch: Stretch, rate: float) -> dict[str, Any]:
    first = round(stretch.start * rate) + 1
    region = {
        "id": f"span{number}",
        "from_name": "videoLabels",
        "to_name": "video",
        "type": "timelinelabels",
        "value": {
            "ranges": [{"start": first, "end": max(round(stretch.end * rate), first)}],
            "timelinelabels": [stretch.label],
        },
    }
    return region if stretch.confidence is None else region | {"score": stretch.confidence}


FORMAT = Format("Label Studio", recognises, read)
