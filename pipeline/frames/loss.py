"""How many frames of a video are missing: what was claimed and could not be decoded.

A container may claim more than there ever was: packets that show nothing, frames outside of an edit
list, sound that is longer than the picture. Only two things count as missing: a frame that fails
to decode, and what stood behind the place where a file was cut off.
"""

from pathlib import Path

from pipeline.errors import ClipError
from pipeline.frames.inspection import Inspection, choose_stream, open_container

TOLERATED = 2  # frames by which headers are often wrong
CUT_SECONDS = 1.0  # by which all streams end before the length that the header gives


def missing_frames(
    path: Path, inspection: Inspection, timeline: list[float], failed: int
) -> int:  # fmt: skip
    """Frames that are missing after a pass to the end.

    The file is read once more, without decoding, only where its claim and the pass do not agree.

    Parameters
    ----------
    timeline : seconds of the frames that could be decoded
    failed : frames that could not, with another one behind them
    """
    decoded = len(timeline)
    if inspection.frames is not None:
        if decoded + failed >= inspection.frames - TOLERATED:
            return failed
    elif inspection.seconds is None or inspection.seconds - timeline[-1] <= CUT_SECONDS:
        return failed
    try:
        packets, end = _what_is_there(path)
    except (ClipError, ValueError):
        return failed
    if inspection.frames is not None:
        cut = inspection.frames - packets
        undecoded = packets - decoded
        # Packets that are there and show nothing are no damage, unless some of them failed.
        return max(failed, (cut if cut > TOLERATED else 0) + (undecoded if failed else 0))
    assert inspection.seconds is not None
    lacking = inspection.seconds - end
    length = timeline[-1] - timeline[0]
    if lacking <= CUT_SECONDS or length <= 0:
        return failed
    return failed + round(lacking * (decoded - 1) / length)


def cut_frames(path: Path, inspection: Inspection) -> int:
    """Frames that stood behind the place where a file was cut off; decodes nothing."""
    packets, end = _what_is_there(path)
    if inspection.frames is not None:
        cut = inspection.frames - packets
        return cut if cut > TOLERATED else 0
    if inspection.seconds is None or inspection.seconds - end <= CUT_SECONDS:
        return 0
    return round((inspection.seconds - end) * (inspection.fps or 0.0))


def _what_is_there(path: Path) -> tuple[int, float]:
    """Packets of the video in a file, and the seconds at which its last stream ends."""
    import av

    packets, end, begin = 0, 0.0, 0.0
    with open_container(path, 2**31 - 1) as container:
        video = choose_stream(container)
        if container.start_time is not None:
            begin = container.start_time / av.time_base
        try:
            for packet in container.demux():
                if packet.size == 0:
                    continue  # the last one of each stream, and frames that repeat another
                packets += packet.stream_index == video.index
                if packet.pts is not None and packet.time_base is not None:
                    stop = (packet.pts + (packet.duration or 0)) * packet.time_base
                    end = max(end, float(stop) - begin)
        except av.FFmpegError:
            pass  # this is where it ends
    return packets, end
