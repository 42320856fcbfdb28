"""One simulated world: clients, a collector and a store with faults, all drawn from one seed."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta

from consistent_s3.core.archive import Archive
from consistent_s3.core.collector import Collector
from consistent_s3.core.errors import (
    ConflictError,
    ConsistentS3Error,
    IndexUnavailableError,
    KeyMissingError,
    NotYetVisibleError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
    VersionNotFoundError,
)
from consistent_s3.core.fates import Fate
from consistent_s3.core.keys import Layout
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.protocol import Timing
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import EnumeratingIndex, Index, ObjectStore
from consistent_s3.core.survey import IndexSurvey
from consistent_s3.core.versions import Version
from consistent_s3.core.writing import spool
from consistent_s3.index.listing import ListingIndex
from consistent_s3.index.pointers import PointerIndex
from consistent_s3.testing.clocks import OffsetClock
from consistent_s3.testing.eventual import MODERN, PROFILES, EventuallyConsistent, Profile
from consistent_s3.testing.faulty import Faulty, Rates
from consistent_s3.testing.histories import History, Operation
from consistent_s3.testing.indexes import FaultyIndex, FaultyPointers, MemoryIndex, MemoryPointers
from consistent_s3.testing.memory import MemoryObjectStore
from consistent_s3.testing.seeds import Outcome, main
from consistent_s3.testing.simulation import Scheduled, Simulation

RATES = Rates(
    lost_before=0.02,
    lost_after=0.03,
    lands_late=0.02,
    meets_itself=0.03,
    conflict_409=0.02,
    no_answer=0.01,
    broken_body=0.05,
    stall=0.01,
    stall_after=0.01,
)
"""Every fault, each often enough to fire in most seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a world is made of."""

    index: str = "listing"
    """Who decides: `listing`, `database` or `redis`."""
    profile: Profile = MODERN
    """How the store behaves."""
    names: tuple[str, ...] = ("a.txt", "a.txt2")
    writers: int = 3
    deleters: int = 1
    readers: int = 2
    operations: int = 5
    """How many each client does."""
    collects: bool = True
    """A collector runs all the time, with the shortest retention there is."""
    rates: Rates = RATES
    commit_unknown: float = 0.02
    """Probability that a commit of the database gives no answer."""
    pointers_lost: float = 0.003
    """Probability that Redis loses pointers before a step: all, one, or its last writes."""
    pointer_timeout: timedelta = timedelta(hours=1)
    strong_listing: bool | None = None
    """What Redis' index is told about the store; `None` for what is true."""
    crash: float = 0.003
    """Probability that a client dies at a call to the store; another takes its place."""
    clock_offset: float = 30.0
    """The most seconds by which the clock of a client is fast or slow."""
    timing: Timing = field(
        default_factory=lambda: Timing(
            write_deadline=timedelta(seconds=60), grace=timedelta(minutes=17), patience=timedelta(seconds=20)
        )
    )


class World:
    """A simulation of `Plan` with one seed; `run` it once."""

    def __init__(
        self,
        seed: int,
        plan: Plan | None = None,
        *,
        wrap: Callable[[ObjectStore], ObjectStore] | None = None,
    ) -> None:
        self.plan = plan or Plan()
        self.simulation = Simulation(seed)
        self.chance = self.simulation.chance
        self.offsets = random.Random(seed)  # noqa: S311 - reproducible on purpose
        self.history = History(time=self.simulation.monotonic)
        self.truth = MemoryObjectStore(clock=self.simulation)
        self.shown = EventuallyConsistent(
            inner=self.truth, clock=self.simulation, chance=self.chance, profile=self.plan.profile
        )
        self.rows = MemoryIndex()
        self.database = FaultyIndex(
            inner=self.rows, step=self.simulation.step, chance=self.chance, unknown=self.plan.commit_unknown
        )
        self.kept = MemoryPointers(clock=self.simulation, timeout=self.plan.pointer_timeout)
        self.kept.trust()  # the bucket is new, and nobody wrote to it
        self.pointers = FaultyPointers(
            inner=self.kept,
            step=self.simulation.step,
            chance=self.chance,
            no_answer=self.plan.commit_unknown,
            lost=self.plan.pointers_lost,
        )
        self.faulty = Faulty(
            inner=wrap(self.shown) if wrap else self.shown,
            clock=self.simulation,
            chance=self.chance,
            rates=self.plan.rates,
            later=self.simulation.later,
        )
        self.scheduled = Scheduled(inner=self.faulty, simulation=self.simulation, crash=self.plan.crash)
        self._left = 0
        self._written = 0
        self.taken: set[str] = set()
        """The keys of versions that the collector has decided to take."""
        self.eaten: list[str] = []
        """What the collector took from readers that followed the protocol."""

    def run(self) -> Outcome:
        """Let everybody do their work, then look at what is left."""
        plan = self.plan
        for kind, count in (("write", plan.writers), ("delete", plan.deleters), ("read", plan.readers)):
            for number in range(count):
                self._left += 1
                self._client(f"{kind}r-{number}", kind, plan.operations)
        if plan.collects:
            self.simulation.actor("collector", self._collect)
        self.simulation.run()
        violations = self._violations()
        fired = self.faulty.fired + self.shown.fired + self.database.fired + self.pointers.fired
        fired["crash"] = self.scheduled.crashes
        outcomes = Counter(f"{operation.kind} {operation.outcome}" for operation in self.history.operations)
        return Outcome(
            seed=self.simulation.seed,
            violations=violations,
            fired=fired,
            outcomes=outcomes,
            trace=self.simulation.trace,
            steps=self.simulation.steps,
        )

    def archive(self, store: ObjectStore, *, truly: bool = False, offset: float = 0.0) -> Archive:
        """Return an archive as each client has its own; `truly` without faults; `offset` seconds ahead of the time."""
        clock = OffsetClock(inner=self.simulation, offset=offset)
        layout = Layout(location="media")
        index: Index
        if self.plan.index == "listing":
            index = ListingIndex(store=store, layout=layout)
        elif self.plan.index == "redis":
            strong = self.plan.strong_listing
            index = PointerIndex(
                store=store,
                layout=layout,
                kept=self.kept if truly else self.pointers,
                timeout=self.plan.pointer_timeout,
                strong_listing=not self.plan.profile.list_delay if strong is None else strong,
                chance=self.chance,
                clock=clock,
            )
        else:
            index = self.rows if truly else self.database
        return Archive(
            store=store,
            index=index,
            layout=layout,
            timing=self.plan.timing,
            clock=clock,
            chance=self.chance,
            numbering=Numbering.CLOCK if self.plan.index == "redis" else Numbering.SEQUENCE,
        )

    def _violations(self) -> list[str]:
        """Return what was wrong with what the clients saw, and with what is left."""
        gapless = self.plan.index != "redis"  # its numbers come from the clock
        violations = self.history.violations(self._kept(), all_kept=not self.plan.collects, gapless=gapless)
        return violations + self.eaten

    def _client(self, name: str, kind: str, operations: int) -> None:
        """Add a client; when it dies, another goes on with what it left undone."""
        offset = self.plan.clock_offset * (2 * self.offsets.random() - 1)
        archive, left = self.archive(self.scheduled, offset=offset), [operations]

        def work() -> None:
            finished = False
            try:
                while left[0]:
                    left[0] -= 1
                    self._operate(archive, name, kind)
                    self.simulation.sleep(self.chance.choice((0.0, 0.01, 1.0, 300.0, 3000.0)) * self.chance.random())
                finished = True
            finally:
                self._left -= 1
                if not finished and left[0]:
                    self._left += 1
                    self._client(f"{name}'", kind, left[0])

        self.simulation.actor(name, work)

    def _operate(self, archive: Archive, client: str, kind: str) -> None:
        target = self.chance.choice(self.plan.names)
        content = self._content() if kind == "write" else b""
        operation = self.history.begin(client, kind, target, content=content)
        try:
            if kind == "read":
                version, read = self._read(archive, client, target)
                self.history.end(operation, outcome="ok", number=version.number if version else 0, content=read)
                return
            version = self._write(archive, operation) if kind == "write" else archive.delete(target)
            if version is None:
                self.history.end(operation, outcome="failed")
            else:
                self.history.end(operation, outcome="ok", number=version.number)
        except OutcomeUnknownError as error:
            self.history.end(operation, outcome="unknown", number=error.number)
            operation.ended = float("inf")
        except NotYetVisibleError as error:
            self.history.end(operation, outcome="failed")
            if self.plan.index != "listing" and not self.plan.profile.create_delay:
                self.eaten.append(f"a new object is read after it was written, unless it was asked for before: {error}")
        except (ConflictError, StoreError, ConsistentS3Error) as error:
            self.simulation.say(f"{kind} of {target}: {error}")
            self.history.end(operation, outcome="failed")

    def _write(self, archive: Archive, operation: Operation) -> Version:
        if self.chance.random() < 0.3:
            newest = archive.newest(operation.name)
            operation.expected = newest.number if newest else 0
        with closing(spool([operation.content])) as body:
            return archive.write(operation.name, body, expected=operation.expected)

    def _read(self, archive: Archive, client: str, name: str) -> tuple[Version | None, bytes]:
        for _ in range(3):
            opened = self.simulation.monotonic()
            look = self.history.begin(client, "look", name)
            version = archive.newest(name)
            self.history.end(look, outcome="ok", number=version.number if version else 0)
            if version is None or version.tombstone:
                return version, b""
            if self.chance.random() < 0.3:
                self.simulation.sleep(600 * self.chance.random())  # a slow reader, as a large download is
            try:
                with archive.reader(version) as reader:
                    return version, reader.readall()
            except VersionNotFoundError as error:
                if self.simulation.monotonic() - opened < self.plan.timing.grace.total_seconds():
                    self.eaten.append(f"collected under a reader that took less than grace: {error}")
                # else collected while this process stood still: read again
        raise VersionNotFoundError(f"{name!r} was collected under the reader, three times.")

    def _content(self) -> bytes:
        self._written += 1
        return b"%06d" % self._written

    def _collect(self) -> None:
        archive = self.archive(self.scheduled_without_crash())
        policy = RetentionPolicy(keep_last=1, keep_for=timedelta(0))
        runs = self.simulation.seed
        while self._left:
            runs += 1
            survey = None
            if runs % 2 and isinstance(archive.index, EnumeratingIndex):
                survey = IndexSurvey(archive=archive, index=archive.index)  # and every other time the bucket itself
            try:
                Collector(archive=archive, policy=policy, survey=survey).run(dry_run=False, tell=self._note_fate)
            except (StoreError, IndexUnavailableError, PreconditionFailedError) as error:
                self.simulation.say(f"collection: {error}")
            self.simulation.sleep(600 * self.chance.random())

    def _note_fate(self, fate: Fate) -> None:
        if fate.goes and fate.number:
            self.taken.add(fate.key)

    def scheduled_without_crash(self) -> ObjectStore:
        """Return the store for one who must live to the end."""
        return replace(self.scheduled, crash=0.0)

    def _bytes(self, version: Version) -> bytes:
        try:
            return b"" if version.tombstone else self.truth.get(version.body_key).read(-1)
        except KeyMissingError:
            self.eaten.append(f"version {version.number} of {version.name!r} is in the index and nowhere else")
            return b""

    def _is_half_taken(self, version: Version) -> bool:
        return version.key in self.taken and version.key not in self.truth.keys

    def _kept(self) -> dict[str, dict[int, bytes]]:
        archive = self.archive(self.truth, truly=True)
        kept: dict[str, dict[int, bytes]] = {}
        for name in self.plan.names:
            # The object of what is taken goes before its row, and the collector may have been cut off in between.
            versions = [version for version in archive.history(name) if not self._is_half_taken(version)]
            kept[name] = {version.number: self._bytes(version) for version in versions}
        return kept


SAFE = {
    "listing": ("modern S3",),
    "database": tuple(profile.name for profile in PROFILES),
    "redis": tuple(profile.name for profile in PROFILES if profile.ordered),
}
"""On which stores each index is right. Elsewhere it must be refused."""


def pairings() -> Iterator[Plan]:
    """Yield a plan for each index and each store on which it is right; two for Redis, which may be emptied often."""
    for index, names in SAFE.items():
        for profile in PROFILES:
            if profile.name in names:
                yield Plan(index=index, profile=profile)
                if index == "redis":
                    yield Plan(index=index, profile=profile, pointers_lost=0.02)


def plan_of(seed: int) -> Plan:
    """Return the plan that a seed stands for: a pairing, with a collector or (to see gaps) without."""
    plans = list(pairings())
    return replace(plans[seed % len(plans)], collects=(seed // len(plans)) % 2 == 0)


if __name__ == "__main__":
    sys.exit(main(world=World, plan_of=plan_of, program="consistent_s3.testing.worlds"))
