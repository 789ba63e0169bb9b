"""What Prometheus is told. Every server has a registry of its own."""

from collections.abc import Mapping
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serve.prediction_workers import PredictionWorkers

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)  # seconds
GONE = 499  # what nginx calls a request whose client left before the answer
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
UNROUTED = "none"  # the route of a path that there is not; a path itself would grow without end


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "clipcache_requests", "Requests, by route, method and status.",
            ("route", "method", "status"), registry=self.registry,
        )  # fmt: skip
        self._latency = Histogram(
            "clipcache_request_seconds", "From the first byte of a request to the last of its "
            "answer.", ("route",), buckets=BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._work = Histogram(
            "clipcache_work_seconds", "Time of a worker for one file, by part: decode, resize, "
            "embed, head.", ("part",), buckets=BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._in_flight = Gauge(
            "clipcache_requests_in_flight", "Requests that are not answered yet.",
            registry=self.registry,
        )  # fmt: skip

    def watch(self, workers: PredictionWorkers) -> None:
        """Show the state of the workers, read whenever somebody asks."""
        for name, text, read in (
            ("queue_length", "Files that wait for a worker.", lambda: workers.waiting),
            ("workers_busy", "Workers at a file.", lambda: workers.running),
            ("workers_ready", "Workers with the model loaded.", lambda: workers.ready),
            ("worker_restarts", "Workers replaced since the start.", lambda: workers.restarts),
        ):
            Gauge(f"clipcache_{name}", text, registry=self.registry).set_function(read)

    def observe_work(self, clock: Mapping[str, float]) -> None:
        """Note where the time for one file went."""
        for part, seconds in clock.items():
            self._work.labels(part).observe(seconds)

    def page(self) -> Response:
        """The answer to a scrape."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """ASGI middleware that counts what passes."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = GONE

            async def note(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            started = perf_counter()
            self._in_flight.inc()
            try:
                await app(scope, receive, note)
            except Exception:
                status = 500
                raise
            finally:
                self._in_flight.dec()
                route = route_of(scope)
                self._requests.labels(route, method_of(scope), str(status)).inc()
                self._latency.labels(route).observe(perf_counter() - started)

        return counted


def route_of(scope: Scope) -> str:
    """The route's pattern, the same for all paths that it matches; a mounted app is one route."""
    if scope.get("app_root_path") != scope.get("root_path") and "app_root_path" in scope:
        return str(scope["root_path"])
    return str(getattr(scope.get("route"), "path", UNROUTED))


def method_of(scope: Scope) -> str:
    """The method, or "other" for one that HTTP does not know: anything can be sent."""
    return scope["method"] if scope["method"] in METHODS else "other"
