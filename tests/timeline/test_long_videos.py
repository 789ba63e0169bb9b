"""From segments of an index, or single clips, to long videos, and the decoder fitted on them."""

import numpy as np
import pytest
from small_features import write_small_project
from timeline_project import ACTIONS, write_timeline_project

from pipeline.dataset.clips import read_index
from pipeline.head.inference import Head
from pipeline.head.labelled_clips import LabelledClips, labelled_splits
from pipeline.head.linear import fit_linear
from pipeline.head.sequences import Windowing
from pipeline.timeline.fit import LEAST_SPREAD, fit_decoder, labels_at, learn_decoder
from pipeline.timeline.long_videos import clip_seconds, end_to_end, tiled_videos
from pipeline.timeline.scores import UNKNOWN
from pipeline.timeline.spans import Span, decoded
from pipeline.timeline.windows import windows_of


@pytest.fixture(scope="module")
def tiled(tmp_path_factory):
    return write_timeline_project(tmp_path_factory.mktemp("tiled"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_small_project(tmp_path_factory.mktemp("clips"), lengths=(12, 26))


def linear_head(features, train: LabelledClips) -> Head:
    fitted = fit_linear(features, train)
    names = (branch.name for branch in fitted.branches)
    return Head(
        len(train.classes), features.readings, dict(zip(names, fitted.shares, strict=True)),
        fitted.branches, None, ("identity",), fitted.mirror, Windowing(),
    )  # fmt: skip


def test_segments_that_tile_a_video_are_that_video(tiled) -> None:
    features, index = tiled.features(), read_index(tiled.index)
    sides = labelled_splits(features, index, tiled.splits)
    videos = tiled_videos(features, index, sides.test)
    assert [video.name for video in videos] == ["person5.mp4", "person6.mp4"]
    for video in videos:
        times = video.times(features)
        np.testing.assert_allclose(times, np.arange(len(times)) / 8)
        assert video.length == pytest.approx(len(times) / 8)
        truth = video.truth(times)
        assert truth[-1] == UNKNOWN  # the last stretch has no label
        mine = [clip for clip in index if clip.path == video.name]
        for clip in mine:
            here = truth[(times >= clip.start) & (times < (clip.end or np.inf))]
            labels = {"" if i == UNKNOWN else sides.test.classes[i] for i in here}
            assert labels == {clip.label}
        known = sum(seconds for _, seconds in video.stretches())
        assert known == pytest.approx((truth != UNKNOWN).sum() / 8)


def test_clips_and_videos_with_holes_are_no_long_videos(tiled, clips) -> None:
    features, index = clips.features(), read_index(clips.index)
    assert tiled_videos(features, index, clips.clips()) == []
    features, index = tiled.features(), read_index(tiled.index)
    sides = labelled_splits(features, index, tiled.splits)
    holed = index.take(np.array([clip.start != 0 for clip in index]))
    assert tiled_videos(features, holed, sides.test) == []


def test_clips_end_to_end_are_all_clips_once(clips) -> None:
    features, everything = clips.features(), clips.clips()
    videos = end_to_end(features, everything)
    assert sorted(np.concatenate([v.positions for v in videos])) == sorted(everything.positions)
    assert {len(video.positions) for video in videos[:-1]} == {10}
    for video in videos:
        assert video.length == pytest.approx(
            sum(clip_seconds(features, i) for i in video.positions)
        )
        assert (np.diff(video.times(features)) > 0).all()


def test_the_decoder_is_fitted_on_the_videos_of_the_validation_side(tiled) -> None:
    features, index = tiled.features(), read_index(tiled.index)
    sides = labelled_splits(features, index, tiled.splits)
    head = linear_head(features, sides.train)
    decoder = learn_decoder(head, features, index, sides.train, sides.val)
    stretches = [s for v in tiled_videos(features, index, sides.train) for _, s in v.stretches()]
    assert decoder.typical == pytest.approx(np.exp(np.log(stretches).mean()))
    assert decoder.spread >= LEAST_SPREAD
    assert 0.3 * decoder.typical < decoder.window <= decoder.typical
    (video, _) = tiled_videos(features, index, sides.test)
    times, truth = video.times(features), video.truth(video.times(features))
    spans = decoded(
        windows_of(head, video.parts(features), video.length, decoder.window), decoder,
        sides.test.classes,
    )  # fmt: skip
    known = truth != UNKNOWN
    right = labels_at(spans, sides.test.classes, times)[known] == truth[known]
    assert right.mean() > 0.9
    assert {span.label for span in spans} >= set(ACTIONS)


def test_ten_clips_in_a_row_are_about_ten_spans(clips) -> None:
    """Trained on single clips; a window of two clips may look like a third."""
    features = clips.features()
    train, val, test = clips.clips(0, 1), clips.clips(2), clips.clips(3)
    head = linear_head(features, train)
    decoder = learn_decoder(head, features, read_index(clips.index), train, val)
    videos = end_to_end(features, test, seed=1)
    spans = changes = 0
    for video in videos:
        parts = windows_of(head, video.parts(features), video.length, decoder.window)
        spans += len(decoded(parts, decoder, test.classes))
        changes += 1 + int((np.diff(video.labels) != 0).sum())
    assert changes - 2 <= spans <= changes + 2


def test_without_validation_clips_there_is_a_usual_decoder(clips) -> None:
    features, train = clips.features(), clips.clips(0, 1)
    head = linear_head(features, train)
    nobody = train.take(np.zeros(len(train), bool))
    decoder = learn_decoder(head, features, read_index(clips.index), train, nobody)
    assert decoder.temperature == 1
    assert decoder == fit_decoder(head, features, [], decoder)


def test_the_label_at_a_time() -> None:
    spans = [Span(0, 2, "b", 1), Span(5, 6, "a", 1)]
    assert labels_at(spans, ("a", "b"), np.array([0.0, 1.9, 4.0, 5.0])).tolist() == [1, 1, 1, 0]
