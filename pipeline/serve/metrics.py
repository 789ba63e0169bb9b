"""What Prometheus is told. Every server has a registry of its own."""

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.predict.prediction import NONE, UNSURE, Prediction
from pipeline.serve.connections import Connections
from pipeline.serve.prediction_workers import PredictionWorkers
from pipeline.serve.upload_room import UploadRoom

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)  # seconds
CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
GONE = 499  # what nginx calls a request whose client left before the answer
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
UNROUTED = "none"  # the route of a path that there is not; a path itself would grow without end


class Metrics:
    """Counters of one server.

    Parameters
    ----------
    labels : that the model knows; each has a counter from the start, so that a rate can be told
    """

    def __init__(self, labels: tuple[str, ...] = ()) -> None:
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

        self._predictions = Counter(
            "clipcache_predictions", "Clips by their most probable label, or all that hold.",
            ("label",), registry=self.registry,
        )  # fmt: skip
        self._unsure = Counter(
            "clipcache_predictions_unsure", "Clips that were answered with \"unsure\".",
            registry=self.registry,
        )  # fmt: skip
        self._none = Counter(
            "clipcache_predictions_none", "Clips that were answered with \"none of these\".",
            registry=self.registry,
        )  # fmt: skip
        self._confidence = Histogram(
            "clipcache_prediction_confidence", "Probability of the most probable label.",
            buckets=CONFIDENCES, registry=self.registry,
        )  # fmt: skip
        for label in labels:
            self._predictions.labels(label)

    def watch(self, workers: PredictionWorkers, room: UploadRoom, connections: Connections) -> None:
        """Show the state of the server, read whenever somebody asks."""
        for name, text, read in (
            ("connections", "Connections that are open.", lambda: connections.open),
            ("uploads", "Requests whose files are arriving.", lambda: room.arriving),
            ("upload_bytes", "Room that uploads take.", lambda: room.filled),
            ("queue_length", "Files that wait for a worker.", lambda: workers.waiting),
            ("workers_busy", "Workers at a file.", lambda: workers.running),
            ("workers_ready", "Workers with the model loaded.", lambda: workers.ready),
            ("worker_restarts", "Workers replaced since the start.", lambda: workers.restarts),
        ):
            Gauge(f"clipcache_{name}", text, registry=self.registry).set_function(read)

    def observe(self, prediction: Prediction) -> None:
        """Note what came of one clip, and where the time for it went."""
        for part, seconds in prediction.clock.items():
            self._work.labels(part).observe(seconds)
        for label in prediction.labels[:1] if prediction.holding is None else prediction.holding:
            self._predictions.labels(label).inc()
        self._confidence.observe(prediction.confidence)
        if prediction.label == UNSURE:
            self._unsure.inc()
        elif prediction.label == NONE:
            self._none.inc()

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
