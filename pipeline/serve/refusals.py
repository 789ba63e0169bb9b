"""Answers that are not predictions: a status, and a sentence for whoever asked."""

from collections.abc import Mapping

from pipeline.errors import ClipcacheError


class Refusal(ClipcacheError):  # noqa: N818 - not all of them are errors of anybody
    """A request that is not answered with a prediction.

    Parameters
    ----------
    status : of HTTP
    sentence : what is wrong and what to do, for the one who asked
    headers : of the answer
    """

    def __init__(
        self, status: int, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[type["Refusal"], tuple[int, str, dict[str, str]]]:
        return type(self), (self.status, str(self), self.headers)


def malformed(reason: str) -> Refusal:
    """400: the body is not what HTTP says it should be."""
    return Refusal(400, f"The request is not valid multipart/form-data: {reason}.")


def too_slow_upload(seconds: float) -> Refusal:
    """408."""
    return Refusal(408, f"The file did not arrive within {seconds:g} seconds: send it again.")


def too_many_bytes(limit: int) -> Refusal:
    """413."""
    return Refusal(413, f"The file is larger than the {limit:,} bytes that this server takes.")


def unknown_kind() -> Refusal:
    """415: told by the first bytes."""
    return Refusal(
        415,
        "The file is neither an image nor a video of a kind that this server reads: send JPEG, "
        "PNG, WebP, BMP or TIFF, or MP4, MOV, AVI, MKV, WebM, MPEG, WMV, FLV, OGV or GIF.",
    )


def undecodable(reason: str) -> Refusal:
    """422: of a known kind, but damaged."""
    return Refusal(422, f"The file cannot be used: {reason}.")


def too_long(seconds: float) -> Refusal:
    """422."""
    return Refusal(422, f"The video is longer than the {seconds:g} seconds that this server takes.")


def too_many_frames(limit: int) -> Refusal:
    """422."""
    return Refusal(
        422, f"The video has more frames than the {limit:,} that this server takes."
    )  # fmt: skip


def too_many_pixels(width: int, height: int, limit: int) -> Refusal:
    """422."""
    return Refusal(
        422,
        f"The picture is {width:,} x {height:,} pixels, more than the {limit / 1e6:g} million that "
        "this server takes.",
    )


def busy(seconds: int) -> Refusal:
    """503: every place in the queue is taken."""
    return Refusal(
        503,
        f"All workers are busy and the queue is full: try again in {seconds} seconds.",
        {"Retry-After": str(seconds)},
    )


def crowded(seconds: int) -> Refusal:
    """503: as many uploads arrive as there may be."""
    return Refusal(
        503,
        f"Too many files are arriving at this server: try again in {seconds} seconds.",
        {"Retry-After": str(seconds)},
    )


def too_many_uploads(count: int, seconds: int) -> Refusal:
    """429: as many uploads of one client arrive as there may be."""
    return Refusal(
        429,
        f"You are already sending {count} files: try again in {seconds} seconds.",
        {"Retry-After": str(seconds)},
    )


def slower_than_others(seconds: int) -> Refusal:
    """408: an upload that gave way to another one."""
    return Refusal(
        408,
        "The file arrived too slowly while others were waiting to send theirs: send it again in "
        f"{seconds} seconds.",
        {"Retry-After": str(seconds)},
    )


def no_room(seconds: int) -> Refusal:
    """503: on the disk."""
    return Refusal(
        503,
        f"The server has no room for the file right now: try again in {seconds} seconds.",
        {"Retry-After": str(seconds)},
    )


def too_many_files(limit: int) -> Refusal:
    """413."""
    return Refusal(413, f"The request has more than the {limit} files that this server takes.")


def too_many_bytes_together(limit: int) -> Refusal:
    """413: of several files."""
    return Refusal(
        413, f"The files together are larger than the {limit:,} bytes that this server takes."
    )
