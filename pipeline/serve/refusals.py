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


def nothing_there(path: str) -> Refusal:
    """404."""
    return Refusal(404, f"There is nothing at {path}: GET / lists what this server answers.")


def wrong_method(method: str, path: str, allowed: str) -> Refusal:
    """405.

    Parameters
    ----------
    allowed : the methods that the path takes, as the header Allow gives them
    """
    return Refusal(
        405, f"{path} does not take {method}, only {allowed}: see /openapi.json.",
        {"Allow": allowed},
    )  # fmt: skip


def malformed(reason: str) -> Refusal:
    """400: the body is not what HTTP says it should be."""
    return Refusal(400, f"The request is not valid multipart/form-data: {reason}.")


def no_form() -> Refusal:
    """415: not a form at all."""
    return Refusal(
        415, "Send the image or video as multipart/form-data, in a field called `file`."
    )  # fmt: skip


def two_files() -> Refusal:
    """422."""
    return Refusal(422, "Send one file at a time: the field `file` is there twice.")


def no_file() -> Refusal:
    """422: nothing was sent in the field that is read."""
    return Refusal(
        422, "Send the image or video as multipart/form-data in a field called `file`."
    )  # fmt: skip


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


def closing() -> Refusal:
    """503: the server is on its way out, or no worker can be started."""
    return Refusal(
        503, "No worker is ready: the server is starting or ending.", {"Retry-After": "5"}
    )


def worker_lost() -> Refusal:
    """500: the worker died in the middle of this request."""
    return Refusal(
        500, "The worker process ended while it was at this file; another one takes its place."
    )


def took_too_long(seconds: float) -> Refusal:
    """504."""
    return Refusal(
        504, f"The file took more than {seconds:g} seconds to recognise and was given up."
    )
