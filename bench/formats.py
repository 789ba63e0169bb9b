"""`python -m bench.formats`: files of every kind against FFmpeg, the table of docs/formats.md.

For each file: as many frames as the program `ffmpeg` gives, each within 1 ms of its time there and
within 2 grey levels of its picture, after the same `resize`; or a reason why it is rejected.
"""

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from bench.format_files import make_files
from pipeline.errors import ClipError
from pipeline.frames.inspection import inspect
from pipeline.frames.video import MAX_PIXELS, VideoReader, resize

PAGE = Path(__file__).parents[1] / "docs/formats.md"
BEGIN, END = "<!-- begin of the table -->\n", "<!-- end of the table -->\n"
SIDE = 64  # pixels of the pictures that are compared
MOST_SECONDS = 0.001
MOST_LEVELS = 2.0


@dataclass(frozen=True)
class Reference:
    """What FFmpeg gives of a file.

    Attributes
    ----------
    seconds : of each frame
    pictures : (SIDE, SIDE, 3) uint8 each
    """

    seconds: list[float]
    pictures: list[np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """A file here and there.

    Attributes
    ----------
    decoder : "OpenCV", "PyAV" or "Pillow"; "" where it is rejected
    frames, expected : here and by FFmpeg; `expected` None where FFmpeg reads nothing
    seconds, levels : largest difference of a time and of a picture
    missing : frames that we say cannot be decoded
    reason : why it is rejected, or ""
    """

    file: str
    said: str
    decoder: str
    frames: int
    expected: int | None
    seconds: float
    levels: float
    missing: int
    reason: str

    @property
    def agrees(self) -> bool:
        """Whether it is as wanted, or rejected with a reason."""
        if self.reason:
            return True
        close = self.seconds <= MOST_SECONDS and self.levels < MOST_LEVELS
        return self.frames == self.expected and close


def ffmpeg_program() -> str:
    """The FFmpeg that the package imageio-ffmpeg brings."""
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


def reference(path: Path, ffmpeg: str, sizes: list[tuple[int, int]]) -> Reference | None:
    """What FFmpeg makes of a file, damage included; None where it makes nothing.

    Parameters
    ----------
    sizes : (height, width) of the frames as we read them, to cut what FFmpeg writes into pictures
    """
    with tempfile.TemporaryDirectory() as name:
        raw, list_of = Path(name) / "raw", Path(name) / "list"
        alone = ["-an", "-sn", "-dn", "-noautoscale", "-fps_mode", "passthrough"]
        command = [ffmpeg, "-y", "-v", "quiet", "-threads", "1", "-err_detect", "ignore_err"]
        command += ["-i", str(path), *alone, "-pix_fmt", "bgr24", "-f", "rawvideo", str(raw)]
        command += [*alone, "-pix_fmt", "bgr24", "-f", "framecrc", str(list_of)]
        subprocess.run(command, check=False, timeout=120)
        if not raw.exists() or not list_of.exists() or not raw.stat().st_size:
            return None
        text, content = list_of.read_text(), np.fromfile(raw, np.uint8)
    base = re.search(r"#tb 0: (\S+)", text)
    assert base is not None
    rows = [line.split(",") for line in text.splitlines() if line and line[0] != "#"]
    seconds = [float(int(row[2]) * Fraction(base[1])) for row in rows]
    return Reference(seconds, list(_cut(content, [int(row[4]) for row in rows], sizes)))


def _cut(
    content: np.ndarray, lengths: list[int], sizes: list[tuple[int, int]]
) -> Iterator[np.ndarray]:
    at = 0
    for length, (height, width) in zip(lengths, sizes, strict=False):
        if length == height * width * 3:
            picture = content[at : at + length].reshape(height, width, 3)
            yield resize(picture, SIDE, "stretch")
        else:
            yield np.zeros((SIDE, SIDE, 3), np.uint8)  # of another size: differs
        at += length


def compare(path: Path, said: str, ffmpeg: str) -> Comparison:
    """Read a file with `VideoReader` and hold it against FFmpeg."""
    reader, pictures, sizes, reason, decoder = VideoReader(path), [], [], "", ""
    try:
        for _, picture in reader.frames(lambda index, seconds: True):
            sizes.append((picture.shape[0], picture.shape[1]))
            pictures.append(resize(picture, SIDE, "stretch"))
        decoder = _decoder(path)
    except ClipError as error:
        reason = str(error)
    found = reference(path, ffmpeg, sizes) if not reason else None
    times = reader.timeline
    late = levels = 0.0
    if found is not None and times:
        late = max(
            abs((ours - times[0]) - (theirs - found.seconds[0]))
            for ours, theirs in zip(times, found.seconds, strict=False)
        )
        levels = max(
            float(np.abs(ours.astype(np.int16) - theirs).mean())
            for ours, theirs in zip(pictures, found.pictures, strict=False)
        )
    expected = len(found.seconds) if found else None
    return Comparison(
        path.name, said, decoder, len(times), expected, late, levels, reader.missing, reason
    )


def _decoder(path: Path) -> str:
    if path.suffix == ".webp":
        return "Pillow"
    return "OpenCV" if inspect(path, MAX_PIXELS).opencv else "PyAV"


def table(comparisons: list[Comparison]) -> str:
    """The table of docs/formats.md."""
    lines = [
        "| file | what it is | read by | frames | differs from FFmpeg by |",
        "|---|---|---|---|---|",
    ]
    for one in sorted(comparisons, key=lambda one: one.file.lower()):
        if one.reason:
            lines.append(f"| {one.file} | {one.said} | rejected: {one.reason} | | |")
            continue
        close = f"{1000 * one.seconds:.0f} ms, {one.levels:.1f} levels"
        told = f", {one.missing} told missing" if one.missing else ""
        frames = f"{one.frames} of {one.expected}{told}"
        mark = "" if one.agrees else " **differs**"
        lines.append(f"| {one.file} | {one.said} | {one.decoder} | {frames} | {close}{mark} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the files, compare all, and write the table into the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.formats", description=__doc__)
    parser.add_argument("more", nargs="*", type=Path, help="folders of other files to try as well")
    arguments = parser.parse_args()
    ffmpeg = ffmpeg_program()
    with tempfile.TemporaryDirectory(prefix="clipcache-formats-") as name:
        made = make_files(Path(name), ffmpeg)
        comparisons = [compare(path, said, ffmpeg) for path, said in made.items()]
    for folder in arguments.more:
        files = sorted(path for path in folder.rglob("*.*") if path.is_file())
        others = [compare(path, "", ffmpeg) for path in files]
        print(table(others))
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(before + BEGIN + table(comparisons) + END + after)
    agreeing = sum(one.agrees for one in comparisons)
    print(f"{agreeing} of {len(comparisons)} files agree with FFmpeg or are rejected: {PAGE}")


if __name__ == "__main__":
    main()
