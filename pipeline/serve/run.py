"""Bind the port, start the workers, serve until told to stop, leave nothing behind."""

import asyncio
import contextlib
import hashlib
import importlib.util
import logging
import resource
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pipeline.dataset.walk import find_files
from pipeline.errors import ClipcacheError, DiskError
from pipeline.files import scratch_folder, sha256
from pipeline.head.model_card import ModelCard
from pipeline.head.model_folder import read_card
from pipeline.serve.content import HEAD_BYTES, kind_of
from pipeline.serve.settings import Crowd, Settings
from pipeline.wording import count, how_to_install

if TYPE_CHECKING:
    from pipeline.serve.answering import Write
    from pipeline.serve.answers import ModelAnswer

NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
GRACE_SECONDS = 5.0  # on top of the longest request, before connections are cut
MOST_EXAMPLES = 12
OTHER_FILES = 96  # descriptors that are not connections: workers, modules, uploads

logger = logging.getLogger("clipcache.serve")


def serve(
    settings: Settings,
    say: Callable[[str], None] = logger.info,
    write: "Write | None" = None,
) -> None:
    """Run the server until SIGTERM or Ctrl-C; requests that are being answered are answered first.

    Parameters
    ----------
    say : told in words what is served, and where once it is
    write : takes a line for each request, and for what else is logged; None: requests have none

    Raises
    ------
    ClipcacheError
        When a package or the model is missing, or the address cannot be bound.
    """
    check_installed()
    # A malformed request is answered with a sentence; it need not stand in the log as well.
    for name in ("python_multipart", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if write is not None:
        from pipeline.serve.answering import LogHandler

        logging.getLogger().addHandler(LogHandler(write))
    card = read_card(settings.model)
    examples = example_files(settings.examples)
    listening = bind(settings.host, settings.port)
    signal.signal(signal.SIGTERM, _leave)
    with (
        listening,
        own_folder() as folder,
        contextlib.suppress(KeyboardInterrupt),  # Ctrl-C is how it is meant to end
    ):
        asyncio.run(_serve(settings, card, examples, listening, folder, say, write))


def check_installed() -> None:
    """Raise a sentence where a package is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ClipcacheError(f"The server needs {', '.join(missing)}: {how_to_install('serve')}.")


def example_files(folder: Path | None) -> tuple[Path, ...]:
    """Images and videos below a folder, by content; at most `MOST_EXAMPLES`."""
    found: list[Path] = []
    for name in find_files(folder, leave=False) if folder is not None else ():
        path = Path(folder or "", name)
        with path.open("rb") as stream:
            if kind_of(stream.read(HEAD_BYTES)):
                found.append(path)
        if len(found) == MOST_EXAMPLES:
            break
    return tuple(found)


def fitting(crowd: Crowd) -> Crowd:
    """As many connections as this process may have files open for."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = crowd.connections + OTHER_FILES + 2 * crowd.uploads
    if files < wanted:
        files = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    connections = min(crowd.connections, max(16, files - (wanted - crowd.connections)))
    return replace(
        crowd,
        connections=connections,
        client_connections=min(crowd.client_connections, connections),
    )


def model_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of a model folder's files; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)} {sha256(path)}\n".encode())
    return digest.hexdigest()


async def _serve(
    settings: Settings,
    card: ModelCard,
    examples: tuple[Path, ...],
    listening: socket.socket,
    folder: Path,
    say: Callable[[str], None],
    write: "Write | None",
) -> None:
    import uvicorn

    from pipeline.serve.app import create_app
    from pipeline.serve.connections import Connections, GuardedProtocol
    from pipeline.serve.metrics import Metrics
    from pipeline.serve.prediction_workers import PredictionWorkers
    from pipeline.serve.recognition import Recogniser
    from pipeline.serve.served import Served
    from pipeline.serve.upload_room import UploadRoom

    limits, crowd = settings.limits, fitting(settings.crowd)
    workers = PredictionWorkers(
        Recogniser(
            settings.model.resolve(), limits, settings.workers, settings.threshold,
            settings.false_alarms,
        ),
        count=settings.workers, queue=settings.queue, seconds=limits.work_seconds,
    )  # fmt: skip
    connections = Connections(crowd, settings.proxy)
    room = UploadRoom(folder, crowd, limits.bytes)
    metrics = Metrics(card.labels)
    metrics.watch(workers, room, connections)
    known = _known(settings, card, examples)
    app = create_app(Served(settings, workers, metrics, room, known, examples), write)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """The address is told once a connection to it is accepted, not before."""
            await super().startup(sockets)
            if not self.should_exit:
                host, port = listening.getsockname()[:2]
                shown = f"[{host}]" if ":" in host else host
                say(f"Serving on http://{shown}:{port}")

    server = Server(
        uvicorn.Config(
            app,
            http=partial(GuardedProtocol, connections=connections),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=settings.proxy is not None,
            forwarded_allow_ips=settings.proxy,
            timeout_graceful_shutdown=round(limits.work_seconds + GRACE_SECONDS),
        )
    )
    cleaning = asyncio.create_task(room.keep_clean())
    try:
        await workers.start()
        classes = count(len(card.labels), "class", "classes")
        say(f"{settings.model}: {classes}, {count(settings.workers, 'worker')}")
        await server.serve([listening])
    finally:
        cleaning.cancel()
        await workers.close()


def _known(settings: Settings, card: ModelCard, examples: tuple[Path, ...]) -> "ModelAnswer":
    """What the page and other clients are told of the model and the limits."""
    from pipeline.frames.video import FALLBACK_FPS
    from pipeline.serve.answers import Example, ModelAnswer
    from pipeline.serve.routes import EXAMPLES

    rate, limits = card.sampling["fps"], settings.limits
    return ModelAnswer(
        labels=list(card.labels),
        digest=model_digest(settings.model),
        threshold=settings.threshold,
        false_alarms=settings.false_alarms,
        thresholds=None if card.thresholds is None else list(card.thresholds),
        window_seconds=card.window / (rate or FALLBACK_FPS),
        frames_per_second=rate,
        most_bytes=limits.bytes,
        most_seconds=limits.seconds,
        most_files=limits.files,
        examples=[
            Example(name=path.name, path=f"{EXAMPLES}/{number}")
            for number, path in enumerate(examples)
        ],
    )


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """For uploads; what a killed server left there is removed first."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder("serve"))
        except OSError as error:
            raise DiskError(Path(tempfile.gettempdir()), error.strerror or str(error)) from None
        yield folder


def bind(host: str, port: int) -> socket.socket:
    """A socket that is bound and does not listen yet."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise ClipcacheError(
            f"The server cannot listen on {host}, port {port} ({error.strerror}): name another one "
            "with --host and --port."
        ) from None
    return listening


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)  # runs every `finally` on the way out, which the default does not
