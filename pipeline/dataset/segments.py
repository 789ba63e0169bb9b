"""What a segment of a video is called."""


def segment_id(path: str, start: float | None, end: float | None) -> str:
    """The clip_id: the path, with "#12.00-22.00" behind it for a segment."""
    return path if start is None else f"{path}#{_time(start)}-{_time(end)}"


def _time(seconds: float | None) -> str:
    """12.5 -> "12.50"; more digits where there are more; "" for the end of the video."""
    if seconds is None:
        return ""
    short = f"{seconds:.2f}"
    return short if float(short) == seconds else f"{seconds:.6f}".rstrip("0")
