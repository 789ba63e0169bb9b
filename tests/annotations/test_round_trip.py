"""What is written is read again without a loss, as far as the format can hold it."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pympi.Elan import Eaf

from pipeline.annotations.formats import WRITERS, read_annotations, write_annotations
from pipeline.annotations.stretch import Recording, Stretch
from pipeline.errors import ClipcacheError

RATE = 30.0
# Lines are no labels, and the space around one is that of the table.
LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"))
NAMES = st.text(LETTERS, min_size=1, max_size=12).map(str.strip).filter(bool)
WORDS = st.lists(NAMES, min_size=1, max_size=3, unique=True)


@st.composite
def recordings(draw: st.DrawFn, unit: float, most_videos: int = 3) -> list[Recording]:
    """Videos with stretches that do not overlap, of times that are a multiple of `unit` seconds."""
    labels, people = draw(WORDS), draw(WORDS)
    found = []
    names = draw(st.lists(NAMES, min_size=1, max_size=most_videos, unique=True))
    for video in (f"{name.replace('/', '_')}{place}.mp4" for place, name in enumerate(names)):
        times = sorted(draw(st.sets(st.integers(0, 5_000_000), min_size=2, max_size=10)))
        stretches = tuple(
            Stretch(video, draw(st.sampled_from(labels)), start * unit, end * unit,
                    draw(st.sampled_from(people)), draw(st.floats(0, 1)))
            for start, end in itertools.pairwise(times)
        )  # fmt: skip
        found.append(Recording(video, times[-1] * unit + 1, RATE, stretches))
    return found


def everything(found: list[Recording]) -> list[Stretch]:
    return [stretch for one in found for stretch in one.stretches]


def key(stretch: Stretch) -> tuple[object, ...]:
    return (stretch.video, round(stretch.start, 6), round(stretch.end, 6), stretch.label,
            stretch.annotator)  # fmt: skip


def again(found: list[Recording], folder: Path, suffix: str) -> list[Stretch]:
    """Written and read."""
    write_annotations(found, folder / f"out{suffix}")
    assert [path.name for path in folder.iterdir()] == [f"out{suffix}"]
    return list(read_annotations(folder / f"out{suffix}").stretches)


many = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@many
@given(recordings(0.0123456789))
def test_csv(tmp_path: Path, found: list[Recording]) -> None:
    assert again(found, tmp_path, ".csv") == everything(found)


@many
@given(recordings(0.001))
def test_boris(tmp_path: Path, found: list[Recording]) -> None:
    read = again(found, tmp_path, ".boris")
    assert sorted(map(key, read)) == sorted(map(key, everything(found)))


@many
@given(recordings(1 / RATE))
def test_label_studio(tmp_path: Path, found: list[Recording]) -> None:
    read = again(found, tmp_path, ".json")
    assert sorted(map(key, read)) == sorted(map(key, everything(found)))
    assert {one.confidence for one in read} == {one.confidence for one in everything(found)}


@many
@given(found=recordings(0.001, most_videos=1))
def test_elan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[Recording]) -> None:
    monkeypatch.chdir(tmp_path)
    read = again(found, tmp_path, ".eaf")
    assert sorted(map(key, read)) == sorted(map(key, everything(found)))
    document = Eaf("out.eaf")
    slots = list(document.timeslots.values())
    assert slots == sorted(slots)  # as ELAN wants them: in order, in whole milliseconds
    assert len(slots) == 2 * len(everything(found))
    assert document.media_descriptors[0]["MEDIA_URL"] == f"file://{tmp_path}/{found[0].video}"


STRETCHES = (
    Stretch("a.mp4", "walk", 0.0, 2.0, "clipcache", 0.75),
    Stretch("a.mp4", "wave < & >", 3600.5, 3661.25, "clipcache", 0.5),
)
ONE = Recording("a.mp4", 4000.0, 25.0, STRETCHES)


def test_subtitles(tmp_path: Path) -> None:
    write_annotations([ONE], tmp_path / "a.vtt")
    assert (tmp_path / "a.vtt").read_text() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nwalk\n\n"
        "01:00:00.500 --> 01:01:01.250\nwave &lt; &amp; &gt;\n"
    )


def test_pre_annotations_have_a_score_of_their_own_and_one_of_all(tmp_path: Path) -> None:
    write_annotations([ONE], tmp_path / "a.json")
    (task,) = json.loads((tmp_path / "a.json").read_text())
    (prediction,) = task["predictions"]
    assert task["data"] == {"video": "a.mp4", "fps": 25.0}
    assert (prediction["model_version"], prediction["score"]) == ("clipcache", 0.625)
    assert prediction["result"][0]["value"] == {
        "ranges": [{"start": 1, "end": 50}], "timelinelabels": ["walk"]}  # fmt: skip
    assert [region["score"] for region in prediction["result"]] == [0.75, 0.5]


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_video_in_which_nothing_happens(tmp_path: Path, suffix: str) -> None:
    nothing = Recording("a.mp4", 10.0, 25.0, ())
    write_annotations([nothing], tmp_path / f"a{suffix}")
    if suffix != ".vtt":
        assert read_annotations(tmp_path / f"a{suffix}").stretches == ()


def test_what_a_format_cannot_hold_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    twice = Recording("a.mp4", 9.0, 25.0, tuple(
        Stretch("a.mp4", "walk", start, start + 2) for start in (0.0, 1.0)))  # fmt: skip
    for found, name, reason in (
        ([twice], "a.boris", "two stretches of walk overlap at 1 s"),
        ([twice], "a.eaf", "walk overlaps another stretch at 1 s"),
        ([ONE, ONE], "a.vtt", "can hold one video, but 2 are named"),
        ([ONE], "a.txt", r"should end with .csv, .vtt, .eaf, .boris, .json"),
    ):
        with pytest.raises(ClipcacheError) as caught:
            write_annotations(found, tmp_path / name)
        assert reason in str(caught.value)
        assert list(tmp_path.iterdir()) == []


def test_what_is_shorter_than_a_format_can_say_lasts_its_shortest(tmp_path: Path) -> None:
    point = Recording("a.mp4", 9.0, 25.0, (Stretch("a.mp4", "jump", 2.0, 2.0),))
    lengths = {}
    for suffix in (".csv", ".boris", ".eaf", ".json"):
        write_annotations([point], tmp_path / f"a{suffix}")
        (read,) = read_annotations(tmp_path / f"a{suffix}").stretches
        lengths[suffix] = round(read.end - read.start, 6)
    assert lengths == {".csv": 0, ".boris": 0, ".eaf": 0.001, ".json": 0.04}
