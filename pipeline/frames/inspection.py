"""What a video file is, before it is read: its container, the stream that counts, who decodes it.

A file's content decides, never its name. FFmpeg would follow playlists and lists to other files and
to addresses; only containers that hold their own pictures are opened, from the local disk.
"""

import functools
import logging
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import ClipError
from pipeline.frames.conversion import Converter

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# FFmpeg's names of the demuxers that read one file and no other. Left out: hls, dash, concat, sdp,
# imf, image2 and all else that follows names in a file, or takes a name for a pattern.
CONTAINERS = """
    3g2 3gp aac amv apng asf asf_o avi av1 bmp_pipe dirac dv flac flv gif gxf h261 h263 h264 hevc
    ivf j2k_pipe jpeg_pipe live_flv m4a m4v matroska mj2 mjpeg mjpeg_2000 mov mp3 mp4 mpeg mpegts
    mpegvideo mpjpeg mxf nsv nut obu ogg png_pipe pva rm tiff_pipe vc1 vc1test vvc wav webm
    webp_pipe wtv yuv4mpegpipe
    """.split()  # noqa: SIM905 - sixty quoted strings would read worse
OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
COUNTING = frozenset(("mov,mp4,m4a,3gp,3g2,mj2", "avi"))  # containers that say how many frames

# What begins with one of these names other files; said so, where FFmpeg only says "invalid".
PLAYLIST_STARTS = (b"#EXTM3U", b"ffconcat", b"v=0", b"[playlist]", b"[Reference]", b"<?xml",
                   b"<MPD", b"<smil", b"rtsp://", b"http://", b"https://")  # fmt: skip

# OpenCV reads these where no picture of them can be interlaced: its FFmpeg refuses to convert
# interlaced pictures, and OpenCV 4.13 to 5.0 hands out what was in the memory before.
OPENCV_CODECS = frozenset(
    """
    flv1 gif h263 h264 hevc mpeg1video mpeg4 msmpeg4v2 msmpeg4v3 theora wmv1 wmv2
    """.split()  # noqa: SIM905 - twelve quoted strings would read worse
)
# Broadcasts and recordings of browsers change their size on the way (MPEG streams, FLV, VP8, VP9);
# OpenCV would scale all frames to the first size.
OPENCV_CONTAINERS = frozenset(
    ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "asf", "ogg", "gif")
)
# Deeper pixels, and colours that are no ordinary RGB, OpenCV 5.0 converts otherwise than FFmpeg.
OPENCV_PIXELS = frozenset("yuv420p yuvj420p yuv422p yuvj422p yuv444p yuvj444p gray bgra".split())  # noqa: SIM905
ORDINARY_TRANSFERS = frozenset((0, 1, 2, 4, 5, 6, 7, 13))  # ISO/IEC 23091-2; others are HDR or rare
EXCEEDS = re.compile(r"Picture size (\d+)x(\d+) exceeds specified max pixel count")
FIRST_PACKETS = 64  # read at most to find the first picture
SPS_WITH_CHROMA = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))


class TooLargeError(ClipError):
    """A frame has more pixels than allowed; `width` and `height` are what it has."""

    def __init__(self, width: int, height: int, max_pixels: int) -> None:
        super().__init__(
            f"has frames of {width} x {height} pixels, more than the {max_pixels / 1e6:.0f} "
            "million allowed"
        )
        self.width, self.height, self.max_pixels = width, height, max_pixels

    def __reduce__(self) -> "tuple[type[TooLargeError], tuple[int, int, int]]":
        return TooLargeError, (self.width, self.height, self.max_pixels)  # out of workers


@dataclass(frozen=True)
class Inspection:
    """What is known of a file before all of it is read.

    Attributes
    ----------
    container, codec : FFmpeg's names
    stream : index of the video stream that is read
    width, height : pixels, upright
    fps : frames/s; None where the container names none that is believable
    frames : how many it says there are; None where it only says how long it is
    seconds : how long it says to be; None where it does not
    first : (height, width, 3) uint8 BGR, the first picture; None where it is damaged
    opencv : whether OpenCV reads it, or PyAV
    """

    container: str
    codec: str
    stream: int
    width: int
    height: int
    fps: float | None
    frames: int | None
    seconds: float | None
    first: np.ndarray | None
    opencv: bool


def inspect(path: Path, max_pixels: int) -> Inspection:
    """Look at a file's head, and at the first picture that decodes.

    Parameters
    ----------
    max_pixels : in a frame; one with more is not decoded

    Raises
    ------
    ClipError
        When it is no video that can be opened, or names other files.
    """
    import av

    with open_container(path, max_pixels) as container:
        stream = choose_stream(container)
        context = stream.codec_context
        fps = stream.guessed_rate or stream.average_rate
        believable = fps is not None and Fraction(1, 10) <= fps <= 1000
        length = container.duration
        counted = stream.frames if container.format.name in COUNTING else 0
        claimed = Inspection(
            container=container.format.name,
            codec=context.name,
            stream=stream.index,
            width=context.width,
            height=context.height,
            fps=float(fps) if fps is not None and believable else None,
            frames=counted or None,
            seconds=length / av.time_base if length is not None and length > 0 else None,
            first=None,
            opencv=False,
        )
        if claimed.width * claimed.height > max_pixels:
            raise TooLargeError(claimed.width, claimed.height, max_pixels)
        frame = _first_frame(container, stream, max_pixels)
        if frame is None:
            return claimed
        try:
            first = Converter().picture(frame)
        except (av.FFmpegError, ValueError) as error:
            raise ClipError(f"has frames that FFmpeg cannot convert ({error})") from None
        height, width = first.shape[:2]
        opencv = _for_opencv(container, stream, frame)
        # What is patched up of a damaged frame may differ from one decoder to the next.
        known = None if frame.is_corrupt else first
        return replace(claimed, width=width, height=height, first=known, opencv=opencv)


def open_container(path: Path, max_pixels: int) -> "InputContainer":
    """Open a file in PyAV, and nothing but this file.

    Raises
    ------
    ClipError
        When it is no container that is known here, or names other files.
    """
    import av

    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ClipError(f"cannot be read ({error.strerror})") from None
    if not head:
        raise ClipError("is empty")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(PLAYLIST_STARTS):
        raise ClipError("names other files in place of holding pictures: name those themselves")
    _listen()
    try:
        return av.open(
            str(path.absolute()),
            options={**OPTIONS, "max_pixels": str(max_pixels)},
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError, OverflowError):
        raise ClipError("is not a video that can be opened (damaged, or another format)") from None


def choose_stream(container: "InputContainer") -> "VideoStream":
    """The video stream that a player shows: the default one, and never a cover picture.

    Raises
    ------
    ClipError
        When there is none.
    """
    from av.stream import Disposition

    videos = list(container.streams.video)
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    moving = [stream for stream in videos if not stream.disposition & still]
    if videos and not moving:
        raise ClipError("is a sound recording with a cover picture: it holds no video")
    known = [stream for stream in moving if stream.codec_context is not None]
    if not known:
        raise ClipError("holds no video" if not moving else "holds no video that is known here")
    default = [stream for stream in known if stream.disposition & Disposition.default] or known
    # Of several, the largest picture, as FFmpeg chooses.
    return max(default, key=lambda one: one.codec_context.width * one.codec_context.height)


def prepare(stream: "VideoStream", max_pixels: int) -> None:
    """Have a stream decoded in one thread, and no frame of it that is too large."""
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    stream.codec_context.thread_count = 1  # the workers already share out the cores between clips


def refuse_too_large(error: Exception, max_pixels: int) -> None:
    """Raise a `ClipError` where a packet failed to decode for the size of its frame.

    Only FFmpeg's message tells that from damage.
    """
    said = EXCEEDS.search((getattr(error, "log", None) or (0, "", ""))[2])
    if said:
        raise TooLargeError(int(said[1]), int(said[2]), max_pixels) from None


@functools.cache
def _listen() -> None:
    """Have PyAV put FFmpeg's messages into its exceptions, and print none of them."""
    import av

    if av.logging.get_level() is None:  # else the program around us wants to see them
        logging.getLogger("libav").propagate = False
        logging.getLogger("libav").addHandler(logging.NullHandler())
        av.logging.set_skip_repeated(False)
        av.logging.set_level(av.logging.ERROR)


def _first_frame(
    container: "InputContainer", stream: "VideoStream", max_pixels: int
) -> "VideoFrame | None":
    import av

    prepare(stream, max_pixels)
    for _, packet in zip(range(FIRST_PACKETS), container.demux(stream), strict=False):
        try:
            for frame in packet.decode():
                return frame
        except EOFError:
            return None
        except av.FFmpegError as error:
            refuse_too_large(error, max_pixels)
    return None


def _for_opencv(container: "InputContainer", stream: "VideoStream", frame: "VideoFrame") -> bool:
    context = stream.codec_context
    if len(container.streams.video) > 1 or context.name not in OPENCV_CODECS:
        return False
    if container.format.name not in OPENCV_CONTAINERS:
        return False
    if frame.format.name not in OPENCV_PIXELS or frame.color_trc not in ORDINARY_TRANSFERS:
        return False
    if frame.interlaced_frame:
        return False
    return context.name != "h264" or always_progressive(context.extradata or b"")


def always_progressive(extradata: bytes) -> bool:
    """Whether H.264's sequence parameters rule out interlaced pictures: frame_mbs_only_flag.

    Parameters
    ----------
    extradata : an AVCDecoderConfigurationRecord (ISO/IEC 14496-15), or NAL units with start codes
    """
    sets = list(_parameter_sets(extradata))
    return bool(sets) and all(_frame_mbs_only(unit) for unit in sets)


def _parameter_sets(extradata: bytes) -> list[bytes]:
    if extradata[:1] != b"\x01":
        units = extradata.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
        return [unit for unit in units if unit and unit[0] & 31 == 7]
    sets, at = [], 6
    for _ in range(extradata[5] & 31 if len(extradata) > 5 else 0):
        size = int.from_bytes(extradata[at : at + 2])
        sets.append(extradata[at + 2 : at + 2 + size])
        at += 2 + size
    return sets


def _frame_mbs_only(unit: bytes) -> bool:
    """Of a sequence parameter set (ITU-T H.264, 7.3.2.1.1); False where it cannot be read."""
    bits = _Bits(unit[1:].replace(b"\0\0\3", b"\0\0"))
    try:
        profile = bits.take(8)
        bits.take(16)
        bits.number()
        if profile in SPS_WITH_CHROMA:
            if bits.number() == 3:
                bits.take(1)
            bits.number(), bits.number(), bits.take(1)
            if bits.take(1):
                return False  # scaling matrices; rare, and long to read over
        bits.number()
        order = bits.number()
        if order == 0:
            bits.number()
        elif order == 1:
            bits.take(1), bits.number(), bits.number()
            for _ in range(bits.number()):
                bits.number()
        bits.number(), bits.take(1), bits.number(), bits.number()
        return bits.take(1) == 1
    except IndexError:
        return False


class _Bits:
    """Reads bits and Exp-Golomb numbers."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self._data[self._at >> 3]
            value = value << 1 | byte >> (7 - (self._at & 7)) & 1
            self._at += 1
        return value

    def number(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)
