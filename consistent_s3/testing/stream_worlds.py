"""Simulated worlds of streams: clients, compactors and a collector on a store with faults, all drawn from one seed.

Who appends does what a program that must not append twice has to do: it keeps the event ids and the version it expected
until it knows what came of them, and sends them again, also after it died.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from consistent_s3.core.errors import ConsistentS3Error, KeyMissingError
from consistent_s3.core.protocol import Timing
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import ListPage, ObjectStore
from consistent_s3.eventstore import EventStore, StreamTombstonedError
from consistent_s3.testing.clocks import OffsetClock
from consistent_s3.testing.eventual import MODERN, EventuallyConsistent, Profile
from consistent_s3.testing.faulty import Faulty, Rates
from consistent_s3.testing.seeds import Outcome, main
from consistent_s3.testing.simulation import Scheduled, Simulation
from consistent_s3.testing.stream_buckets import WatchedBucket
from consistent_s3.testing.stream_clients import SCHEMAS, SURPRISES, Pending, StreamClient
from consistent_s3.testing.stream_histories import StreamHistory
from consistent_s3.testing.worlds import RATES

PREFIX = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """What a world of streams is made of."""

    profile: Profile = MODERN
    """How the store behaves."""
    streams: tuple[tuple[str, str], ...] = (("order", "7"), ("order", "71"))
    """Types and ids."""
    appenders: int = 3
    readers: int = 2
    folders: int = 2
    """Clients that fold, with two schema versions in turns."""
    operations: int = 8
    """How many each client does."""
    ends: bool = False
    """One client puts a tombstone on the last stream."""
    compactors: int = 1
    """How many compact all the time."""
    collectors: int = 1
    """How many collect all the time, with the shortest retention there is."""
    page: int = 1000
    """The most keys in an answer to a LIST. Pages are not of one moment: small ones show what that does."""
    rates: Rates = RATES
    crash: float = 0.003
    """Probability that a client dies at a call to the store; another takes its place."""
    clock_offset: float = 30.0
    """The most seconds by which the clock of a client is fast or slow."""
    timing: Timing = field(
        default_factory=lambda: Timing(
            write_deadline=timedelta(seconds=60), grace=timedelta(minutes=17), patience=timedelta(seconds=20)
        )
    )


@dataclass(slots=True, kw_only=True)
class SmallPages(EventuallyConsistent):
    """A store that answers a LIST with fewer keys than were asked for, as S3 may."""

    most: int

    def list(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> ListPage:
        """List a few."""
        few = min(limit, self.most)
        return EventuallyConsistent.list(
            self, prefix, delimiter=delimiter, start_after=start_after, token=token, limit=few
        )


class StreamWorld:
    """A simulation of `StreamPlan` with one seed; `run` it once."""

    def __init__(
        self,
        seed: int,
        plan: StreamPlan | None = None,
        *,
        wrap: Callable[[ObjectStore], ObjectStore] | None = None,
    ) -> None:
        self.plan = plan or StreamPlan()
        self.simulation = Simulation(seed)
        self.chance = self.simulation.chance
        self.offsets = random.Random(seed)  # noqa: S311 - reproducible on purpose
        self.history = StreamHistory(time=self.simulation.monotonic)
        self.truth = WatchedBucket(clock=self.simulation, prefix=PREFIX, grace=self.plan.timing.grace)
        self.shown = SmallPages(
            inner=self.truth,
            clock=self.simulation,
            chance=self.chance,
            profile=self.plan.profile,
            most=self.plan.page,
        )
        self.faulty = Faulty(
            inner=wrap(self.shown) if wrap else self.shown,
            clock=self.simulation,
            chance=self.chance,
            rates=self.plan.rates,
            later=self.simulation.later,
        )
        self.scheduled = Scheduled(inner=self.faulty, simulation=self.simulation, crash=self.plan.crash)
        self.happened: Counter[str] = Counter()
        self._left = 0
        self.surprises: list[str] = []
        """Errors, and answers, that nobody should have got."""

    def run(self) -> Outcome:
        """Let everybody do their work, then look at what is left."""
        plan = self.plan
        casts = {"append": plan.appenders, "read": plan.readers, "fold": plan.folders, "end": int(plan.ends)}
        for kind, count in casts.items():
            for number in range(count):
                self._left += 1
                self._client(f"{kind}er-{number}", kind, 1 if kind == "end" else plan.operations, [])
        for number in range(plan.compactors):
            self._servant(f"compactor-{number}", self._compact)
        for number in range(plan.collectors):
            self._servant(f"collector-{number}", self._collect)
        self.simulation.run()
        self._look_at_what_is_left()
        violations = self.history.violations(self.truth.written)
        violations += self.truth.violations + self.surprises
        fired = self.faulty.fired + self.shown.fired
        fired["crash"] = self.scheduled.crashes
        gone = [line for line in self.simulation.trace if line.endswith("KeyMissingError") and "  get " in line]
        self.happened["collected under somebody's hands"] = len(gone)
        return Outcome(
            seed=self.simulation.seed,
            violations=violations,
            fired=fired,
            outcomes=Counter(f"{call.kind} {call.outcome}" for call in self.history.calls)
            + self.happened
            + self.truth.happened,
            trace=self.simulation.trace,
            steps=self.simulation.steps,
        )

    def events(self, store: ObjectStore, *, offset: float = 0.0) -> EventStore:
        """Return an event store as each process has its own, `offset` seconds ahead of the time."""
        clock = OffsetClock(inner=self.simulation, offset=offset)
        return EventStore(store, PREFIX, timing=self.plan.timing, clock=clock, chance=self.chance, prefetch=1)

    def _client(self, name: str, kind: str, operations: int, pending: list[Pending]) -> None:
        """Add a client; when it dies, another goes on with what it left undone."""
        offset = self.plan.clock_offset * (2 * self.offsets.random() - 1)
        left = [operations]
        client = StreamClient(
            name=name,
            events=self.events(self.scheduled, offset=offset),
            streams=self.plan.streams,
            simulation=self.simulation,
            history=self.history,
            happened=self.happened,
            surprises=self.surprises,
            pending=pending,
        )

        def work() -> None:
            finished = False
            try:
                while left[0]:
                    left[0] -= 1
                    getattr(client, kind)()
                    self.simulation.sleep(self.chance.choice((0.0, 0.01, 1.0, 300.0, 3000.0)) * self.chance.random())
                finished = True
            finally:
                self._left -= 1
                if not finished and (left[0] or pending):
                    self._left += 1
                    self._client(f"{name}'", kind, max(left[0], 1), pending)

        self.simulation.actor(name, work)

    def _servant(self, name: str, serve: Callable[[EventStore], object]) -> None:
        """Add somebody who serves as long as there are clients; when it dies, another takes its place."""
        events = self.events(self.scheduled)

        def work() -> None:
            finished = False
            try:
                while self._left:
                    try:
                        serve(events)
                    except StreamTombstonedError as error:
                        self.simulation.say(f"{name}: {error}")
                    except SURPRISES as error:
                        self.surprises.append(f"{name}: {error!r}")
                    except ConsistentS3Error as error:
                        self.simulation.say(f"{name}: {error}")
                    self.simulation.sleep(600 * self.chance.random())
                finished = True
            finally:
                if not finished and self._left:
                    self._servant(f"{name}'", serve)

        self.simulation.actor(name, work)

    def _compact(self, events: EventStore) -> None:
        most = self.chance.choice((2, 3, 5, 10, 1000))
        done = events.compact(*self.chance.choice(self.plan.streams), most=most)
        self.happened["chunks covered"] += done.covered

    def _collect(self, events: EventStore) -> None:
        summary = events.collector(policy=RetentionPolicy(keep_for=timedelta(0))).run(dry_run=False)
        for error in summary.errors:
            if error["code"] != KeyMissingError.__name__:  # another collector was there: the next run goes on
                self.surprises.append(f"the collector met {error}")

    def _look_at_what_is_left(self) -> None:
        """Read and fold every stream once more, without faults."""
        events = self.events(self.truth)
        for stream in self.plan.streams:
            written = list(self.truth.written["/".join(stream)].items())
            try:
                left = [(event.position, str(event.id)) for event in events.read(*stream)]
                if left != sorted(written):
                    self.surprises.append(f"{stream} is {left} at the end, and {sorted(written)} was written")
                for schema in SCHEMAS:
                    folded = schema.folded(events, *stream, snapshot_every=None)
                    if list(enumerate(folded.state, start=1)) != left:
                        self.surprises.append(f"{stream} is folded to {folded} at the end")
            except StreamTombstonedError as error:
                if error.version != len(written) or not self.plan.ends:
                    self.surprises.append(f"{stream} has {len(written)} events at the end: {error}")
            except SURPRISES as error:
                self.surprises.append(f"{stream} cannot be read at the end: {error!r}")


SAFE = (MODERN.name,)
"""On which stores streams are right. Elsewhere they are refused, or must be: see `core.suitability`."""


def plans() -> Iterator[StreamPlan]:
    """Yield what the seeds stand for in turn."""
    yield StreamPlan()
    yield StreamPlan(ends=True, page=3)
    yield StreamPlan(compactors=2, collectors=2, appenders=4, streams=(("order", "7"),), page=2)
    yield StreamPlan(compactors=0, collectors=0, appenders=6, readers=1, folders=1)


def plan_of(seed: int) -> StreamPlan:
    """Return the plan that a seed stands for."""
    every = list(plans())
    return replace(every[seed % len(every)])


if __name__ == "__main__":
    sys.exit(main(world=StreamWorld, plan_of=plan_of, program="consistent_s3.testing.stream_worlds"))
