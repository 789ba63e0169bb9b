"""What a server may be asked to do, and how much of it."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.head.model_folder import MODEL

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What one request may cost; more is refused with a sentence that names the limit.

    Attributes
    ----------
    bytes : of the file
    seconds : of the video, by its own clock
    frames : of the video, also those that are not embedded: they have to be decoded
    pixels : of a picture, or of one frame of a video
    upload_seconds : from the first byte of a request to the last
    pause_seconds : without a byte in the middle of an upload
    work_seconds : for decoding, embedding and recognising, once a worker has begun
    """

    bytes: int = 64 * MIB
    seconds: float = 300.0
    frames: int = 20_000
    pixels: int = 8192 * 4320
    upload_seconds: float = 120.0
    pause_seconds: float = 15.0
    work_seconds: float = 60.0


@dataclass(frozen=True)
class Settings:
    """How a server is run.

    Attributes
    ----------
    model : the model folder
    host, port : what it listens on; port 0 takes any that is free
    workers : processes, each with the model loaded
    queue : requests that may wait for a worker; one more is told to come back
    cors : origins whose pages may call the API, such as "https://example.org"
    ui : whether there is a page
    examples : a folder of clips to click on the page
    """

    model: Path = MODEL
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    queue: int = 8
    limits: Limits = field(default_factory=Limits)
    cors: tuple[str, ...] = ()
    ui: bool = True
    examples: Path | None = None
