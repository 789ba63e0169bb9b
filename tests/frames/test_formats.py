"""Files of every kind, read as FFmpeg reads them or refused; the table of docs/formats.md."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.format_files import MADE, Made, make_files
from bench.formats import PAGE, Comparison, compare, ffmpeg_program, reference
from pipeline.errors import ClipError
from pipeline.frames.decoders import OpenCVDecoder
from pipeline.frames.inspection import inspect
from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.sources import file_source
from pipeline.frames.video import MAX_PIXELS, VideoReader

CASES = Path(__file__).resolve().parents[3] / "shared/cases/decode"
# One of each kind; `python -m bench.formats` makes and compares all.
SAMPLED = frozenset(
    [
        "h264.mp4",
        "h264_b_frames.mkv",
        "h264_10bit.mp4",
        "h264_444.mp4",
        "h264_bt709.mp4",
        "h264_odd.mp4",
        "h264_vfr.mkv",
        "h264.h264",
        "h264_mbaff.MTS",
        "h264_mbaff.mp4",
        "h264_said_interlaced.mp4",
        "hevc_10bit.mkv",
        "mpeg2.vob",
        "mpeg2_interlaced.mpg",
        "xvid_b_frames.avi",
        "mpeg4_interlaced.avi",
        "mjpeg_interlaced.mov",
        "prores_interlaced.mov",
        "dv_pal.avi",
        "vp8.webm",
        "vp9_alpha.webm",
        "av1.mp4",
        "ffv1_interlaced.mkv",
        "animated.gif",
        "animated.png",
        "animated.webp",
        "animated.avif",
        "h264.ts",
    ]
)
CODES = 20  # mutations tried here


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    folder = tmp_path_factory.mktemp("formats")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.format_files.MADE", [one for one in MADE if one.name in SAMPLED])
        return make_files(folder, ffmpeg_program())


@pytest.fixture(scope="module")
def compared(files: dict[Path, str]) -> dict[str, Comparison]:
    program = ffmpeg_program()
    return {path.name: compare(path, said, program) for path, said in files.items()}


def named(files: dict[Path, str], name: str) -> Path:
    return next(path for path in files if path.name == name)


def pictures(path: Path) -> list[np.ndarray]:
    return [picture for _, picture in VideoReader(path).frames(lambda index, seconds: True)]


@pytest.fixture(scope="module")
def cases() -> Path:
    if not CASES.is_dir():
        pytest.skip("the cases (../shared/cases/decode) are not beside this checkout")
    return CASES


def test_frames_times_and_pictures_are_ffmpegs_or_there_is_a_reason(
    compared: dict[str, Comparison],
) -> None:
    assert len(compared) > 40
    assert not [one for one in compared.values() if not one.agrees]
    assert not [one for one in compared.values() if one.missing]


def test_the_table_in_the_docs_says_what_is_so(compared: dict[str, Comparison]) -> None:
    rows = {row.split(" | ")[0][2:]: row for row in PAGE.read_text().splitlines()
            if row.startswith("| ")}  # fmt: skip
    assert {one.name for one in MADE} <= rows.keys()
    for name, one in compared.items():
        assert f"| {one.said} | " in rows[name]
        if one.reason:
            assert f"rejected: {one.reason}" in rows[name]
        else:
            assert f"| {one.decoder} | {one.frames} of {one.expected}" in rows[name]
    assert "differs**" not in PAGE.read_text()


def test_what_holds_no_video_or_names_other_files_is_refused_in_words(
    compared: dict[str, Comparison],
) -> None:
    for name in ("playlist.m3u8", "list.ffconcat", "playlist_as.mp4"):
        assert "names other files" in compared[name].reason
    for name in ("song.mp3", "song.m4a"):
        assert "cover picture" in compared[name].reason
    assert compared["sound.mp4"].reason == "holds no video"


def test_of_two_videos_the_default_one_is_read_and_a_cover_never(files: dict[Path, str]) -> None:
    whole = named(files, "h264.mp4")
    for name in ("second_is_default.mkv", "first_is_default.mkv", "cover_art.mp4"):
        first = pictures(named(files, name))[0]
        assert np.abs(first.astype(int) - pictures(whole)[0]).mean() < 4, name


def test_an_opencv_that_fills_nothing_is_found_out(files: dict[Path, str]) -> None:
    """As OpenCV 5.0 does for interlaced video, if it were given any."""
    for name in ("h264_mbaff.mp4", "mpeg2_interlaced.mpg", "dv_pal.avi"):
        path = named(files, name)
        inspection = inspect(path, MAX_PIXELS)
        assert not inspection.opencv
        decoder = OpenCVDecoder(path, inspection, MAX_PIXELS)
        assert decoder.advance()
        with pytest.raises(ClipError, match="gives a picture that is not in the file"):
            decoder.picture()
        decoder.close()


def test_no_pixel_of_the_clip_before_is_in_the_next_one(files: dict[Path, str]) -> None:
    """In one process, each after a bright clip and after a dark one: the same pictures."""
    bright = named(files, "h264.mp4")
    for name in ("h264_mbaff.mp4", "h264_mbaff.MTS", "mpeg2_interlaced.mpg", "dv_pal.avi",
                 "ffv1_interlaced.mkv", "mpeg4_interlaced.avi", "prores_interlaced.mov",
                 "mjpeg_interlaced.mov", "av1.mp4"):  # fmt: skip
        path = named(files, name)
        alone = pictures(path)
        pictures(bright)
        after = list(IsolatedReader(file_source(bright)).frames(lambda *_: True))
        assert len(after) == 25
        again = [one for _, one in IsolatedReader(file_source(path)).frames(lambda *_: True)]
        for others in (pictures(path), again):
            assert len(others) == len(alone)
            assert all(map(np.array_equal, alone, others)), name
        assert len({one.tobytes() for one in alone}) > len(alone) // 2


def test_damage_in_the_middle_costs_the_frames_that_are_damaged(cases: Path) -> None:
    for name, decoded, claimed in (("h264.mp4", 60, 61), ("mjpeg_one_bad_frame.avi", 49, 50)):
        reader = VideoReader(cases / "damaged" / name)
        assert len(list(reader.frames(lambda index, seconds: True))) == decoded
        assert reader.missing == claimed - decoded


@pytest.mark.parametrize("name", ["h264.mp4", "h264_b_frames.mkv", "mpeg4_interlaced.avi"])
def test_a_file_that_is_cut_off_tells_how_much_is_missing(
    files: dict[Path, str], tmp_path: Path, name: str
) -> None:
    whole = named(files, name)
    if name == "h264.mp4":  # with its index in front, as of a download
        from bench.format_files import _run

        _run([ffmpeg_program(), "-i", str(whole), "-c", "copy", "-movflags", "+faststart",
              str(tmp_path / name)])  # fmt: skip
        whole = tmp_path / name
    if name.endswith(".mkv"):  # long enough for its length to say something
        from bench.format_files import _run

        _run([ffmpeg_program(), "-stream_loop", "5", "-i", str(whole), "-c", "copy",
              str(tmp_path / name)])  # fmt: skip
        whole = tmp_path / name
    every = len(pictures(whole))
    half = tmp_path / f"half_{name}"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    reader = VideoReader(half)
    decoded = len(list(reader.frames(lambda index, seconds: True)))
    assert 0 < decoded < every
    assert abs(decoded + reader.missing - every) <= 0.1 * every


def test_mutations_lose_no_more_than_ffmpeg_does(files: dict[Path, str], tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    parents = [path for path, said in files.items() if path.suffix in
               (".mp4", ".mkv", ".avi", ".webm", ".ts", ".mpg", ".MTS")
               and path.stat().st_size < 400_000 and "default" not in path.name]  # fmt: skip
    program, less = ffmpeg_program(), []
    for number in range(CODES):
        parent = parents[number % len(parents)]
        data = bytearray(parent.read_bytes())
        start = len(data) // 4
        for place in random.integers(start, len(data), 20):
            data[place] ^= 1 << int(random.integers(8))
        path = tmp_path / f"{number}{parent.suffix}"
        path.write_bytes(data)
        reader = VideoReader(path)
        try:
            sizes = [one.shape[:2] for _, one in reader.frames(lambda index, seconds: True)]
        except ClipError:
            sizes = []
        found = reference(path, program, sizes)
        expected = len(found.seconds) if found else 0
        if len(sizes) < 0.9 * expected - 2:
            less.append((parent.name, number, len(sizes), expected))
    assert len(less) <= CODES // 20, less


def test_a_video_that_grows_is_refused_by_the_size_of_its_frames(cases: Path) -> None:
    path = cases / "grows/mpng_grow_16k.avi"
    with pytest.raises(ClipError, match="16000 x 16000 pixels"):
        pictures(path)
    with pytest.raises(ClipError, match="16000 x 16000 pixels"):
        list(IsolatedReader(file_source(path)).frames(lambda *_: True))


def test_a_decoder_that_hangs_or_dies_costs_one_file(
    files: dict[Path, str], tmp_path: Path
) -> None:
    import os

    pipe = tmp_path / "hangs.mp4"
    os.mkfifo(pipe)  # nobody ever writes
    with pytest.raises(ClipError, match="took longer than 2 s"):
        list(IsolatedReader(file_source(pipe), seconds=2).frames(lambda *_: True))
    whole = named(files, "h264.mp4")
    assert len(list(IsolatedReader(file_source(whole)).frames(lambda *_: True))) == 25


def test_what_is_left_early_leaves_the_process_fit_for_the_next_file(
    files: dict[Path, str], tmp_path: Path
) -> None:
    path = tmp_path / "copy.mp4"
    shutil.copy(named(files, "h264.mp4"), path)
    for _ in range(2):
        for index, _ in IsolatedReader(file_source(path)).frames(lambda *_: True):
            if index == 3:
                break
        with pytest.raises(ZeroDivisionError):
            list(IsolatedReader(file_source(path)).frames(lambda index, seconds: 1 / 0 > 0))
        assert len(list(IsolatedReader(file_source(path)).frames(lambda *_: True))) == 25


def test_made_files_have_names_of_their_own() -> None:
    assert len({one.name for one in MADE}) == len(MADE) > 80
    assert all(isinstance(one, Made) for one in MADE)
