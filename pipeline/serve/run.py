"""Bind the port, start the workers, serve until told to stop, leave nothing behind."""

import asyncio
import contextlib
import hashlib
import importlib.util
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from pipeline.errors import ClipcacheError
from pipeline.files import scratch_folder, sha256
from pipeline.head.model_folder import read_card
from pipeline.serve.settings import Settings
from pipeline.wording import count

NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
GRACE_SECONDS = 5.0  # on top of the longest request, before connections are cut

logger = logging.getLogger("clipcache.serve")


def serve(settings: Settings, say: Callable[[str], None] = logger.info) -> None:
    """Run the server until SIGTERM or Ctrl-C; requests that are being answered are answered first.

    Parameters
    ----------
    say : told in words what is served, and where once it is

    Raises
    ------
    ClipcacheError
        When a package or the model is missing, or the address cannot be bound.
    """
    check_installed(settings.ui)
    # A malformed request is answered with a sentence; it need not stand in the log as well.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    card = read_card(settings.model)
    listening = _bind(settings.host, settings.port)
    signal.signal(signal.SIGTERM, _leave)
    with (
        listening,
        scratch_folder("serve") as folder,
        contextlib.suppress(KeyboardInterrupt),  # Ctrl-C is how it is meant to end
    ):
        asyncio.run(_serve(settings, card.labels, listening, folder, say))


def check_installed(ui: bool) -> None:
    """Raise a sentence where a package is missing."""
    needed = (*NEEDED, "gradio") if ui else NEEDED
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ClipcacheError(
            f"The server needs {', '.join(missing)}: `pip install 'clipcache[serve]'`."
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
    labels: tuple[str, ...],
    listening: socket.socket,
    folder: Path,
    say: Callable[[str], None],
) -> None:
    import uvicorn

    from pipeline.serve.app import create_app
    from pipeline.serve.metrics import Metrics
    from pipeline.serve.prediction_workers import PredictionWorkers
    from pipeline.serve.recognition import Recogniser
    from pipeline.serve.served import Served

    limits = settings.limits
    workers = PredictionWorkers(
        Recogniser(settings.model.resolve(), limits, settings.workers),
        count=settings.workers, queue=settings.queue, seconds=limits.work_seconds,
    )  # fmt: skip
    metrics = Metrics()
    metrics.watch(workers)
    digest = model_digest(settings.model)
    app = create_app(Served(settings, workers, metrics, folder, labels, digest))

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """The address is told once a connection to it is accepted, not before."""
            await super().startup(sockets)
            if not self.should_exit:
                host, port = listening.getsockname()[:2]
                shown = f"[{host}]" if ":" in host else host
                say(f"Serving on http://{shown}:{port}")

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """An open page holds a stream that would otherwise never end."""
            getattr(app.state, "close_page", lambda: None)()
            await super().shutdown(sockets)

    server = Server(
        uvicorn.Config(
            app,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=round(limits.work_seconds + GRACE_SECONDS),
        )
    )
    try:
        await workers.start()
        known = count(len(labels), "class", "classes")
        say(f"{settings.model}: {known}, {count(settings.workers, 'worker')}")
        await server.serve([listening])
    finally:
        await workers.close()


def _bind(host: str, port: int) -> socket.socket:
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
