"""Many clients, one seed, no waiting: a deterministic simulation of processes that share a store.

Each actor is a plain function in a greenlet. It gives way at every call to the store and at every sleep; who goes on is
drawn from the seed. Time is virtual: when everybody sleeps, the clock jumps. So a day's stall takes no time, and a seed
that failed fails again.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from consistent_s3.core.seams import (
    Attributes,
    DeleteFailure,
    Download,
    ListPage,
    ObjectHead,
    ObjectStore,
    PutMode,
    PutReceipt,
    UnfinishedUpload,
)

Answer = TypeVar("Answer")

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class TooLongError(Exception):
    """A simulation made more steps than it should ever need: somebody waits for what cannot happen."""


@dataclass(slots=True)
class Simulation:
    """Runs actors one at a time, in an order drawn from the seed; also the `Clock` of everything in it."""

    seed: int
    steps: int = 0
    trace: list[str] = field(default_factory=list)
    """What happened, in order, for people."""
    chance: random.Random = field(init=False)
    _seconds: float = 0.0
    _ready: list[greenlet] = field(default_factory=list)
    _asleep: list[tuple[float, int, greenlet]] = field(default_factory=list)
    _order: Any = field(default_factory=itertools.count)
    _names: dict[int, str] = field(default_factory=dict)
    _main: greenlet | None = None

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - reproducible on purpose

    # The clock

    def now(self) -> datetime:
        """Return the virtual time."""
        return _BEGIN + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Return virtual seconds."""
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """Let others go on, and this actor after so many virtual seconds; outside of an actor, just pass the time."""
        if getcurrent() is self._main or self._main is None:
            self._seconds += seconds
            return
        heapq.heappush(self._asleep, (self._seconds + seconds, next(self._order), getcurrent()))
        self._give_way()

    # Actors

    def actor(self, name: str, function: Callable[[], object]) -> greenlet:
        """Add an actor; an exception in it ends the simulation."""
        added = greenlet(function)
        self._names[id(added)] = name
        self._ready.append(added)
        return added

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        """Run a function after so many virtual seconds."""
        delayed = greenlet(function)
        self._names[id(delayed)] = "later"
        heapq.heappush(self._asleep, (self._seconds + seconds, next(self._order), delayed))

    def step(self) -> None:
        """Let others go on, or not, as the seed says."""
        if getcurrent() is self._main or self._main is None:
            return
        self._ready.append(getcurrent())
        self._give_way()

    def crash(self) -> None:
        """End this actor at once, as SIGKILL would."""
        raise GreenletExit

    def say(self, what: str) -> None:
        """Add a line to the trace."""
        name = self._names.get(id(getcurrent()), "main")
        self.trace.append(f"{self._seconds:12.3f}  {name:12}  {what}")

    def run(self, *, limit: int = 200_000) -> None:
        """Run until every actor is done. Raises what an actor raises, and `TooLongError`."""
        self._main = getcurrent()
        try:
            while self._ready or self._asleep:
                self.steps += 1
                if self.steps > limit:
                    raise TooLongError(f"Seed {self.seed} is not done after {limit} steps.")
                self._wake()
                position = self.chance.randrange(len(self._ready))
                self._ready[position], self._ready[-1] = self._ready[-1], self._ready[position]
                self._ready.pop().switch()
        finally:
            self._main = None

    def _wake(self) -> None:
        if not self._ready:
            self._seconds = max(self._seconds, self._asleep[0][0])
        while self._asleep and self._asleep[0][0] <= self._seconds:
            self._ready.append(heapq.heappop(self._asleep)[2])
        self._seconds += 0.0005  # every step takes a little time, so that "before" and "after" mean something

    def _give_way(self) -> None:
        if self._main is not None:
            self._main.switch()


@dataclass(slots=True, kw_only=True)
class Scheduled:
    """An `ObjectStore` where every call is a moment at which others may go on, before and after it is applied."""

    inner: ObjectStore
    simulation: Simulation
    crash: float = 0.0
    """Probability that the calling actor dies at a call, before or after it is applied."""
    crashes: int = 0

    def put(
        self, key: str, body: BinaryIO, *, mode: PutMode, attributes: Attributes, deadline: float | None = None
    ) -> PutReceipt:
        """Put."""
        return self._call(
            "put", key, lambda: self.inner.put(key, body, mode=mode, attributes=attributes, deadline=deadline)
        )

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> Download:
        """Get."""
        return self._call("get", key, lambda: self.inner.get(key, start=start, end=end))

    def head(self, key: str) -> ObjectHead:
        """Head."""
        return self._call("head", key, lambda: self.inner.head(key))

    def list(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> ListPage:
        """List."""
        return self._call(
            "list",
            prefix,
            lambda: self.inner.list(prefix, delimiter=delimiter, start_after=start_after, token=token, limit=limit),
        )

    def delete(self, keys: Sequence[str]) -> Sequence[DeleteFailure]:
        """Delete."""
        return self._call("delete", " ".join(keys), lambda: self.inner.delete(keys))

    def begin_upload(self, key: str, *, attributes: Attributes) -> str:
        """Begin an upload."""
        return self._call("begin", key, lambda: self.inner.begin_upload(key, attributes=attributes))

    def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Put a part."""
        return self._call("part", key, lambda: self.inner.put_part(key, upload_id, number, data))

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str]) -> PutReceipt:
        """Complete an upload."""
        return self._call("complete", key, lambda: self.inner.complete_upload(key, upload_id, etags))

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort an upload."""
        self._call("abort", key, lambda: self.inner.abort_upload(key, upload_id))

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield unfinished uploads."""
        return self._call("uploads", prefix, lambda: self.inner.unfinished(prefix))

    def move(self, key: str, storage_class: str, *, metadata: Mapping[str, str]) -> PutReceipt:
        """Move an object to another storage class."""
        return self._call("move", key, lambda: self.inner.move(key, storage_class, metadata=metadata))

    def _call(self, what: str, key: str, call: Callable[[], Answer]) -> Answer:
        self._maybe_crash(f"dies before {what} {key}")
        self.simulation.step()
        try:
            answer = call()
        except Exception as error:
            self.simulation.say(f"{what} {key}: {type(error).__name__}")
            self.simulation.step()
            raise
        self.simulation.say(f"{what} {key}")
        self.simulation.step()
        self._maybe_crash(f"dies after {what} {key}")
        return answer

    def _maybe_crash(self, what: str) -> None:
        if self.crash and self.simulation.chance.random() < self.crash:
            self.crashes += 1
            self.simulation.say(what)
            self.simulation.crash()
