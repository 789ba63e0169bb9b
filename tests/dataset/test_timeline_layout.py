"""The layout `timeline`: videos and annotations to segments that tile each video."""

import itertools
from pathlib import Path

import pytest

from pipeline.annotations.formats import write_annotations
from pipeline.annotations.stretch import Recording, Stretch
from pipeline.dataset.layouts import find_clips
from pipeline.dataset.layouts.timeline import SEGMENT, cut, timeline_of
from pipeline.dataset.params import DatasetParams
from pipeline.errors import DatasetError

FPS = 10.0
SECONDS = 9.0  # of each video


@pytest.fixture
def raw(make_video, tmp_path) -> Path:
    """Two videos of nine seconds, without annotations."""
    folder = tmp_path / "raw"
    for name in ("anna_1.mp4", "ben_1.mp4"):
        make_video(f"raw/{name}", frames=int(SECONDS * FPS), fps=FPS)
    return folder


def settings(raw: Path, **others: object) -> DatasetParams:
    return DatasetParams(raw=str(raw), layout="timeline", **others)


def annotate(raw: Path, *rows: str, header: str = "video,label,start,end") -> None:
    (raw / "annotations.csv").write_text("\n".join([header, *rows]) + "\n")


def parts(*stretches: tuple[str, float, float], elsewhere: str = "") -> list:
    return timeline_of(
        [Stretch("v", label, start, end) for label, start, end in stretches], 10.0, elsewhere
    )[0]


def test_segments_tile_each_video_from_the_first_frame_to_the_last(raw) -> None:
    annotate(raw, "anna_1.mp4,walk,1.5,7", "anna_1.mp4,run,7,8", "ben_1.mp4,run,0,9")
    clips = find_clips(settings(raw)).clips
    for video in ("anna_1.mp4", "ben_1.mp4"):
        mine = [clip for clip in clips if clip.path == video]
        assert (mine[0].start, mine[-1].end) == (0, None)
        for left, right in itertools.pairwise(mine):
            assert left.end == right.start
        assert {clip.group for clip in mine} == {video.partition("_")[0]}
    labels = [(clip.start, clip.label) for clip in clips if clip.path == "anna_1.mp4"]
    assert labels == [(0.0, ""), (1.5, "walk"), (3.5, "walk"), (5.5, "walk"), (7.0, "run"),
                      (8.0, "")]  # fmt: skip
    assert clips[1].clip_id == "anna_1.mp4#1.50-3.50"


def test_where_nothing_is_annotated_nothing_happens_if_the_user_says_so(raw) -> None:
    annotate(raw, "anna_1.mp4,walk,2,7", "ben_1.mp4,run,0,9")
    clips = find_clips(settings(raw, background=True)).clips
    assert [clip.label for clip in clips if clip.path == "anna_1.mp4"] == [
        "background", "walk", "walk", "walk", "background",
    ]  # fmt: skip


def test_pieces_are_about_as_long_as_each_other() -> None:
    for length in (0.1, 0.9, 1.0, 2.9, 3.0, 3.1, 59.99, 3600.0):
        pieces = cut(("walk", 5.0, 5.0 + length))
        assert (pieces[0][1], pieces[-1][2]) == (5.0, 5.0 + length)
        for _, start, end in pieces[:-1]:
            assert end - start == pytest.approx(SEGMENT)
        last = pieces[-1][2] - pieces[-1][1]
        assert last <= 1.5 * SEGMENT + 1e-6
        assert last >= min(length, SEGMENT / 2) - 1e-6


def test_annotations_that_contradict_each_other_are_no_label() -> None:
    found, disputed = timeline_of(
        [Stretch("v", "walk", 0, 6, "ann"), Stretch("v", "run", 4, 10, "bob")], 10.0, "background"
    )
    assert found == [("walk", 0, 4), ("", 4, 6), ("run", 6, 10)]
    assert disputed == 2


def test_annotators_who_agree_are_one() -> None:
    assert parts(("walk", 0, 6), ("walk", 4, 10)) == [("walk", 0, 10)]
    assert parts(("walk", 1, 3), ("walk", 1, 3), elsewhere="background") == [
        ("background", 0, 1), ("walk", 1, 3), ("background", 3, 10),
    ]  # fmt: skip


def test_what_nearly_touches_adjoins_and_what_lies_beyond_the_end_is_cut_off() -> None:
    assert parts(("walk", 0, 3), ("run", 3.04, 12)) == [("walk", 0, 3.04), ("run", 3.04, 10)]
    assert parts(("walk", 0, 5), ("run", 11, 12)) == [("walk", 0, 5), ("", 5, 10)]
    assert parts(("walk", 2, 2)) == [("", 0, 10)]  # a point event has no length


def test_one_annotator_can_be_followed(raw) -> None:
    header = "video,label,start,end,annotator"
    annotate(raw, "anna_1.mp4,walk,0,5,ann", "anna_1.mp4,run,3,9,bob", "ben_1.mp4,run,0,9,ann",
             header=header)  # fmt: skip
    both = find_clips(settings(raw))
    assert any("2.0 s have annotations that contradict" in note for note in both.notes)
    alone = find_clips(settings(raw, annotator="ann"))
    assert {clip.label for clip in alone.clips if clip.path == "anna_1.mp4"} == {"walk", ""}
    with pytest.raises(DatasetError, match="annotate nothing by eve"):
        find_clips(settings(raw, annotator="eve"))


@pytest.mark.parametrize("ending", [".csv", ".boris", ".eaf", ".json"])
def test_the_format_of_every_tool_gives_the_same_segments(raw, ending) -> None:
    stretches = [("walk", 1.5, 7.0), ("run", 7.0, 8.0)]
    for name in ("anna_1.mp4", "ben_1.mp4"):
        rows = tuple(Stretch(f"/home/ann/{name}", *one) for one in stretches)
        recording = Recording(f"/home/ann/{name}", SECONDS, FPS, rows)
        write_annotations([recording], raw / f"{name}{ending}")
    clips = find_clips(settings(raw)).clips
    assert [(clip.start, clip.label) for clip in clips[: len(clips) // 2]] == [
        (0.0, ""), (1.5, "walk"), (3.5, "walk"), (5.5, "walk"), (7.0, "run"), (8.0, ""),
    ]  # fmt: skip


def test_frame_numbers_are_of_the_rate_of_the_video(raw) -> None:
    header = "video,label,start_frame,end_frame"
    annotate(raw, "anna_1,walk,20,90", "C:\\films\\ben_1.mp4,run,0,90", header=header)
    clips = find_clips(settings(raw)).clips
    assert [clip.start for clip in clips if clip.label == "walk"] == [2.0, 4.0, 6.0, 8.0]


def test_a_video_without_an_annotation_is_left_out_and_told(raw) -> None:
    annotate(raw, "anna_1.mp4,walk,0,5", "anna_1.mp4,run,5,9")
    found = find_clips(settings(raw))
    assert {clip.path for clip in found.clips} == {"anna_1.mp4"}
    assert any("ben_1.mp4" in note for note in found.notes)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["carl_1.mp4,walk,0,5"], "no such video"),
        (["anna_1.mp4,walk,five,6"], "line 2"),
        (["anna_1.mp4,walk,0,20"], "one class"),
    ],
)
def test_what_is_wrong_is_a_sentence(raw, rows, reason) -> None:
    annotate(raw, *rows)
    with pytest.raises(DatasetError, match=reason):
        find_clips(settings(raw))


def test_without_annotations_it_is_said_what_is_missing(raw) -> None:
    with pytest.raises(DatasetError, match="no file of annotations"):
        find_clips(settings(raw))
