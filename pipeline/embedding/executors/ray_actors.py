"""Ray actors of which any may crash, hang or go down with its node at the price of its own task.

Why actors and not Ray Data: docs/scale.md. Each actor holds one task at a time, so a death is
blamed on the right task, and what is lost with a node is given to another actor.
"""

import contextlib
import importlib.metadata
import math
import platform
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pipeline import __version__
from pipeline.embedding.executors.cluster import connected, living_nodes, room
from pipeline.embedding.workers import RayCluster, WorkerPool
from pipeline.errors import ClipcacheError
from pipeline.processes import (
    FAILED_STARTS,
    IDLE_SECONDS,
    START_SECONDS,
    CrashedError,
    LostError,
    TooSlowError,
    attempt,
)
from pipeline.wording import count

Task = TypeVar("Task")

LOOK_SECONDS = 5.0  # between two looks at which nodes there are
PATIENCE_SECONDS = 20.0  # without any worker, after which we say what we wait for
CRASHES = 2  # of a worker with the same task, after which the task is to blame
LOST_NODES = 5  # under the same task, after which the task is to blame
SAME_EVERYWHERE = ("ai-edge-litert", "numpy", "opencv-python", "openvino")  # or numbers may differ


@dataclass(frozen=True)
class _Ready:
    """The first word of an actor."""

    node_id: str
    versions: dict[str, str]


@dataclass(frozen=True)
class _Gone:
    """An actor is not there any more: it died, or its node did. `text` is Ray's account of it."""

    text: str
    with_node: bool = False
    memory: bool = False


@dataclass
class _Assignment(Generic[Task]):
    """A task, and what became of the actors that had it."""

    task: Task
    crashed_on: list[str] = field(default_factory=list)  # nodes
    lost: int = 0


@dataclass(eq=False)
class _Member(Generic[Task]):
    """An actor; `asked` is what it was asked last and has not answered."""

    actor: Any
    asked: Any
    node_id: str = ""
    ready: bool = False
    assignment: _Assignment[Task] | None = None
    deadline: float = math.inf


class _Actor:
    """Lives in a process of a node; `make` prepares once what every task needs."""

    def __init__(self, make: Callable[..., Callable[[Any], Any]], *arguments: Any) -> None:
        self._function = attempt(lambda _: make(*arguments), None)

    def ready(self) -> Any:
        """`_Ready`, or why it is not."""
        import ray

        if isinstance(self._function, Exception):
            return self._function
        return _Ready(ray.get_runtime_context().get_node_id(), _versions())

    def run(self, task: Any) -> Any:
        """What the function gives or raises for a task."""
        return attempt(self._function, task)


def run_in_actors(
    make: Callable[..., Callable[[Task], Any]],
    arguments: Sequence[Any],
    tasks: Iterable[Task],
    pool: WorkerPool,
) -> Generator[tuple[Task, Any], None, None]:
    """Call ``make(*arguments)(task)`` in Ray actors, in any order.

    Parameters
    ----------
    make : called once in each actor; importable on every node
    arguments : sent to each node once, through Ray's object store
    tasks : picklable; at most one for every actor is taken beyond those that are done
    pool : without a number of workers there are as many as the nodes have room for, while nodes
        come and go; without a cluster a Ray on this machine is started

    Yields
    ------
    (task, value), or (task, exception): what the function raised, `TooSlowError`, `MemoryError`,
    `CrashedError` (it ended its actor twice) or `LostError`

    Raises
    ------
    ClipcacheError
        When Ray is not there, or actors cannot be started.
    """
    cluster = pool.cluster or RayCluster()
    with connected(cluster, pool) as ray:
        actors: _Actors[Task] = _Actors(ray, make, arguments, cluster, pool)
        try:
            yield from _run(actors, iter(tasks), pool)
        finally:
            actors.dismiss(actors.members)


def _run(
    actors: "_Actors[Task]", remaining: Iterator[Task], pool: WorkerPool
) -> Generator[tuple[Task, Any], None, None]:
    waiting: deque[_Assignment[Task]] = deque()  # never more than there are idle actors
    exhausted = False
    while True:
        size = actors.size()
        while not exhausted and len(waiting) < size - actors.busy:
            try:
                waiting.append(_Assignment(next(remaining)))
            except StopIteration:
                exhausted = True
        if exhausted and not waiting and not actors.busy:
            return
        actors.adjust(min(size, actors.busy + len(waiting)))
        actors.hand_out(waiting)
        for member, said in actors.listen():
            assignment = member.assignment
            if assignment is None:
                actors.welcome(member, said)
                continue
            member.assignment, member.deadline = None, math.inf
            if isinstance(said, _Gone | TooSlowError):
                actors.dismiss([member])
            result = actors.judge(assignment, member.node_id, said)
            if isinstance(result, _Gone):
                waiting.appendleft(assignment)
            else:
                yield assignment.task, result
        pool.idle()


class _Actors(Generic[Task]):
    """The actors of a run."""

    def __init__(
        self,
        ray: Any,
        make: Callable[..., Callable[[Task], Any]],
        arguments: Sequence[Any],
        cluster: RayCluster,
        pool: WorkerPool,
    ) -> None:
        self.members: list[_Member[Task]] = []
        self._ray, self._cluster, self._pool = ray, cluster, pool
        self._make, self._arguments = make, [ray.put(argument) for argument in arguments]
        self._class = ray.remote(_Actor).options(
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )
        self._failed_starts = 0
        self._room = 0
        self._looked = -math.inf
        self._working = time.monotonic()  # when there was a worker last
        self._waited = False
        self._nodes: set[str] = set()

    @property
    def busy(self) -> int:
        """Actors that have a task."""
        return sum(member.assignment is not None for member in self.members)

    def size(self) -> int:
        """How many actors there should be while there is work for all of them."""
        now = time.monotonic()
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._room = room(self._ray, self._cluster)
            self._say_nodes()
        return self._pool.workers or self._room

    def adjust(self, size: int) -> None:
        """Start actors up to `size`, or let go of those without a task."""
        for _ in range(size - len(self.members)):
            actor = self._class.remote(self._make, *self._arguments)
            self.members.append(_Member(actor, actor.ready.remote()))
        free = [member for member in self.members if member.assignment is None]
        free.sort(key=lambda member: member.ready)
        self.dismiss(free[: max(0, len(self.members) - size)])

    def hand_out(self, waiting: deque[_Assignment[Task]]) -> None:
        """Give tasks to actors that are ready."""
        for member in self.members:
            if waiting and member.ready and member.assignment is None:
                member.assignment = waiting.popleft()
                member.asked = member.actor.run.remote(member.assignment.task)
                member.deadline = time.monotonic() + self._pool.timeout

    def listen(self) -> Iterator[tuple[_Member[Task], Any]]:
        """Wait up to `IDLE_SECONDS`; what actors said, and `TooSlowError` for those out of time."""
        asked = {member.asked: member for member in self.members if member.asked is not None}
        self._check_patience()
        if not asked:
            time.sleep(IDLE_SECONDS)
            return
        ends = min(member.deadline for member in asked.values()) - time.monotonic()
        patience = min(IDLE_SECONDS, max(ends, 0.0))
        heard = self._ray.wait(list(asked), num_returns=1, timeout=patience)[0]
        if heard:
            heard = self._ray.wait(list(asked), num_returns=len(asked), timeout=0)[0]
        now = time.monotonic()
        for reference in heard:
            member = asked.pop(reference)
            member.asked = None
            yield member, self._answer(reference, member.node_id)
        for member in asked.values():
            if member.deadline < now:
                nodes = living_nodes(self._ray)
                lost = member.node_id not in nodes
                yield member, _Gone("its node is gone", True) if lost else TooSlowError()

    def welcome(self, member: _Member[Task], said: Any) -> None:
        """An actor is ready, or could not be started."""
        if isinstance(said, _Ready):
            member.node_id, member.ready = said.node_id, True
            self._failed_starts = 0
            ours = _versions()
            for name, version in said.versions.items():
                if ours.get(name, version) != version:
                    raise ClipcacheError(
                        f"A node of the Ray cluster has {name} {version}, but this machine has "
                        f"{ours[name]}: install the same versions on all of them."
                    )
            return
        self.dismiss([member])
        if isinstance(said, ClipcacheError):
            raise said
        if isinstance(said, _Gone) and said.with_node:
            return
        self._failed_starts += 1
        if self._failed_starts >= FAILED_STARTS or isinstance(said, Exception):
            reason = said.text if isinstance(said, _Gone) else f"{type(said).__name__}: {said}"
            raise ClipcacheError(
                f"Ray's workers end as soon as they start ({_last_line(reason)}): the same "
                "clipcache must be installed on every node, see docs/scale.md."
            )

    def judge(self, assignment: _Assignment[Task], node_id: str, said: Any) -> Any:
        """What came of a task; `_Gone` where it is to be tried again."""
        if not isinstance(said, _Gone):
            return said
        if said.with_node:
            assignment.lost += 1
            return LostError(LOST_NODES) if assignment.lost >= LOST_NODES else said
        assignment.crashed_on.append(node_id)
        # A node that goes down may end its actors before it is known to be gone.
        nodes = living_nodes(self._ray)
        if sum(node in nodes for node in assignment.crashed_on) < CRASHES:
            return said
        return MemoryError() if said.memory else CrashedError(None)

    def dismiss(self, members: Iterable[_Member[Task]]) -> None:
        """End actors, whatever they do."""
        for member in list(members):
            self.members.remove(member)
            with contextlib.suppress(Exception):  # it may be gone, or the whole cluster
                self._ray.kill(member.actor, no_restart=True)

    def _answer(self, reference: Any, node_id: str) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.OutOfMemoryError as error:
            return _Gone(str(error), memory=True)
        except errors.RayTaskError as error:  # not even the answer came through
            return ClipcacheError(f"A Ray worker failed: {_last_line(str(error))}.")
        except errors.ActorDiedError as error:
            gone = bool(node_id) and node_id not in living_nodes(self._ray)
            return _Gone(str(error), with_node=gone)
        except errors.RayError as error:  # the node does not answer, or took the answer with it
            return _Gone(str(error), with_node=True)

    def _check_patience(self) -> None:
        now = time.monotonic()
        if any(member.ready for member in self.members):
            self._working, self._waited = now, False
            return
        missing = (
            f"no room for a worker with {self._cluster.share} came free"
            if self._room
            else f"no node has {self._cluster.share} for a worker"
        )
        if now - self._working > START_SECONDS:
            raise ClipcacheError(
                f"Ray has had no worker for {START_SECONDS:.0f} s: {missing}; add nodes, or change "
                "features.ray_cpus and features.ray_gpus. What was embedded is in the cache."
            )
        if now - self._working > PATIENCE_SECONDS and not self._waited:
            self._waited = True
            self._pool.report(f"Waiting for Ray: {missing} so far.")

    def _say_nodes(self) -> None:
        ready = [member for member in self.members if member.ready]
        nodes = {member.node_id for member in ready}
        if nodes != self._nodes:
            self._nodes = nodes
            self._pool.report(f"Ray: {count(len(ready), 'worker')} on {count(len(nodes), 'node')}.")


def _versions() -> dict[str, str]:
    """What must be the same on all nodes, so that they compute the same numbers."""
    found = {"clipcache": __version__, "Python": platform.python_version()}
    for name in SAME_EVERYWHERE:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), "").strip().rstrip(".")
