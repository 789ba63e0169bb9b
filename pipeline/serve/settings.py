"""What a server may be asked to do, and how much of it."""

from dataclasses import dataclass, field
from pathlib import Path

FALSE_ALARMS = 0.05  # as `pipeline.head.held_out.FALSE_ALARMS`, which takes NumPy to import
MAX_PIXELS = 8192 * 4320  # as `pipeline.frames.video.MAX_PIXELS`, which takes OpenCV to import


@dataclass(frozen=True)
class Limits:
    """What one request may cost; more is refused with a sentence that names the limit.

    Attributes
    ----------
    bytes : of the file
    files : of one request
    seconds : of the video, by its own clock
    frames : of the video, also those that are not embedded: they have to be decoded
    pixels : of a picture, or of one frame of a video
    upload_seconds : from the first byte of a request to the last
    pause_seconds : without a byte in the middle of an upload
    work_seconds : for decoding, embedding and recognising, once a worker has begun
    """

    bytes: int = 64 << 20
    files: int = 64
    seconds: float = 300.0
    frames: int = 20_000
    pixels: int = MAX_PIXELS
    upload_seconds: float = 120.0
    pause_seconds: float = 15.0
    work_seconds: float = 60.0


@dataclass(frozen=True)
class Crowd:
    """How many may be served at once, in all and of one client (an address, or an IPv6 /64).

    Attributes
    ----------
    connections, client_connections : that are open
    head_seconds : in which the head of a request must have come, once its connection is open
    read_seconds : in which a client must take what is waiting for it
    uploads, client_uploads : files that arrive
    files : of the largest size, that those arriving and those being answered may fill together
    """

    connections: int = 1024
    client_connections: int = 512
    head_seconds: float = 10.0
    read_seconds: float = 30.0
    uploads: int = 32
    client_uploads: int = 16
    files: int = 40


@dataclass(frozen=True)
class Settings:
    """How a server is run.

    Attributes
    ----------
    model : the model folder
    host, port : what it listens on; port 0 takes any that is free
    workers : processes, each with the model loaded
    queue : requests that may wait for a worker; one more is told to come back
    threshold : probability below which the answer is "unsure"
    false_alarms : share of clips of known labels that may be answered with "none of these"
    hosts : names under which it may be asked, beside localhost and the address bound; "*": any
    cors : origins whose pages may call the API, such as "https://example.org"
    token : that every request must bear, but for the page's own files; None asks for none
    proxy : the address of a reverse proxy, whose word on who the client is counts
    ui : whether there is a page
    examples : a folder of clips to click on the page
    """

    model: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    queue: int = 8
    threshold: float = 0.0
    false_alarms: float = FALSE_ALARMS
    limits: Limits = field(default_factory=Limits)
    crowd: Crowd = field(default_factory=Crowd)
    hosts: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    proxy: str | None = None
    ui: bool = True
    examples: Path | None = None
