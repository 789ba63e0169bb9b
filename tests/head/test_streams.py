"""What a head reads of a clip: streams in views, side by side, prepared."""

import numpy as np
import pytest
from clips_in_memory import make_clips

from pipeline.frames.flow import mirrored
from pipeline.head.sequences import read_window
from pipeline.head.streams import (
    mirrored_streams,
    needed,
    prepared,
    seen,
    side_by_side,
    streams_of,
    views_of,
)

READINGS = {
    "identity": 1280, "hflip": 1280, "zoom": 1280, "flow/identity": 384, "place/identity": 1152,
}  # fmt: skip


@pytest.fixture
def clip() -> dict[str, np.ndarray]:
    clip = dict(make_clips("nothing", groups=1).rows[0])
    return clip | {"hflip": clip["identity"][:, ::-1]}


def test_streams_lie_side_by_side_in_one_order_whatever_that_of_the_readings() -> None:
    assert streams_of(READINGS) == {"rgb": 1280, "place": 1152, "flow": 384}
    assert [*streams_of(dict(reversed(READINGS.items())))] == ["rgb", "place", "flow"]


def test_what_is_mirrored_and_what_is_read() -> None:
    assert mirrored_streams(READINGS) == {"rgb", "flow"}
    assert mirrored_streams(["identity", "place/identity", "place/hflip"]) == {"place"}
    assert mirrored_streams(["identity", "place/identity"]) == set()
    assert views_of(READINGS, mirror=True) == ("identity", "hflip", "zoom")
    assert views_of(READINGS, mirror=False) == ("identity", "zoom")
    assert set(needed(READINGS, ("identity", "zoom"))) == set(READINGS) - {"hflip"}
    assert needed(READINGS, ("identity", "hflip", "zoom")) == READINGS


def test_a_stream_is_seen_in_its_cached_view_and_flow_is_mirrored(clip) -> None:
    np.testing.assert_array_equal(seen(clip, "rgb", "hflip"), clip["hflip"])
    np.testing.assert_array_equal(seen(clip, "flow", "hflip"), mirrored(clip["flow/identity"]))
    np.testing.assert_array_equal(seen(clip, "flow", "zoom"), clip["flow/identity"])
    np.testing.assert_array_equal(seen(clip, "place", "hflip"), clip["place/identity"])


def test_a_window_is_rows_of_all_streams(clip) -> None:
    rows = np.array([0, 2, 50])
    values, mask = read_window(clip, ["rgb", "flow"], rows, "hflip")
    whole = side_by_side(clip, ["rgb", "flow"], "hflip").astype(np.float32)
    np.testing.assert_array_equal(values, whole[[0, 2, -1]])
    assert mask.tolist() == [True, True, False]
    assert values.dtype == np.float32


def test_rows_are_prepared_by_what_they_are() -> None:
    rows = np.random.default_rng(0).gamma(1.0, 1.0, (5, 30)).astype(np.float16)
    root = np.sqrt(rows.astype(np.float64))
    standard = (root - root.mean(1, keepdims=True)) / root.std(1, keepdims=True)
    for stream, expected in (("rgb", standard), ("difference", standard), ("flow", root),
                             ("place", rows)):  # fmt: skip
        found = prepared(rows, stream)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not prepared(np.zeros((2, 30)), "difference").any()  # a still image
