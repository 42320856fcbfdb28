"""How is a retention plan carried out over a whole archive?

A survey shows what is there, name by name; what goes is deleted a thousand keys a request. Memory holds one name's
objects, or some thousands of several names, and at most a few batches.

1. Idempotent and resumable: running again, also after being killed anywhere, ends in the same state. A journal, where
   there is one, knows each batch before it goes, so that nothing is counted twice or not at all.
2. Every error of a batch is per key, kept in the summary, and stops nothing else.
3. A version that was superseded stays superseded, since the newest number never goes back. What may change is looked up
   again right before a batch goes (see `sweeping`).
4. A body that no version points to, and a hint for a name that is not deleted, go when older than `grace`. A hint
   outlives the tombstone it announces: it goes in a later run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Protocol

from consistent_s3.core.archive import Archive
from consistent_s3.core.deciding import Decider
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.pace import Pace
from consistent_s3.core.retention import Circumstances, RetentionPolicy
from consistent_s3.core.seams import DELETE_BATCH, Clock
from consistent_s3.core.span import Span
from consistent_s3.core.survey import Group, ListingSurvey, Survey
from consistent_s3.core.sweeping import BatchSweeper, Lookup, Sweeper

NAMES = 500
"""Names whose circumstances are asked for together, unless fewer have `OBJECTS`."""
OBJECTS = 10_000
"""Objects that wait for a decision, beyond those of one name."""
PASSED = 100_000
"""Objects after which a batch goes although it is not full, so that the place that is noted does not lag behind."""


class Journal(Protocol):
    """Remembers how far a collection has come."""

    def intend(self, batch: Sequence[Fate]) -> None:
        """Note, durably, what is about to be done."""
        ...

    def done(self, end: str, counted: Summary, fates: Sequence[Fate]) -> None:
        """Note, durably, that the intended batch is done, and all names up to a place; and what that adds.

        `fates` are those of the batch, as they turned out.
        """
        ...

    def alive(self) -> None:
        """Hear that the work goes on; told often."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where a collection stops cleanly, to be gone on with."""

    seconds: float | None = None
    """Begun names and batches are finished."""
    objects: int | None = None
    """Objects to delete: the name with the last of them is finished."""
    stop: Callable[[], bool] = lambda: False
    """Asked between batches."""

    def reached(self, clock: Clock, begun: float, summary: Summary) -> bool:
        """Return whether it is time to stop."""
        out_of_time = self.seconds is not None and clock.monotonic() - begun >= self.seconds
        return out_of_time or (self.objects is not None and summary.deleted >= self.objects) or self.stop()


class Decides(Protocol):
    """Says what is to happen to each object of a name."""

    def fates(self, group: Group, circumstances: Circumstances) -> Iterable[Fate]:
        """Yield the fate of every object of a name."""
        ...


@dataclass(slots=True, kw_only=True)
class BaseCollector(ABC):
    """Carries out a retention policy over whatever can be surveyed, decided about and swept."""

    policy: RetentionPolicy
    """What counts for a name that the project knows nothing of."""
    circumstances: Lookup = lambda _: {}
    pace: Pace = field(default_factory=Pace)

    @property
    @abstractmethod
    def clock(self) -> Clock:
        """Return what the limits are measured by."""

    @abstractmethod
    def make_survey(self) -> Survey:
        """Return what shows what is there."""

    @abstractmethod
    def make_decider(self) -> Decides:
        """Return what decides."""

    @abstractmethod
    def make_sweeper(self, alive: Callable[[], object]) -> BatchSweeper:
        """Return what carries it out."""

    def run(
        self,
        *,
        dry_run: bool,
        tell: Callable[[Fate], object] | None = None,
        span: Span | None = None,
        limits: Limits | None = None,
        journal: Journal | None = None,
        intended: Sequence[Fate] = (),
    ) -> Summary:
        """Collect everything of a span that may go, or only say so; `tell` hears each object's fate as it is decided.

        `intended` is what the journal knows of a batch that was begun and not done. Where a limit was reached,
        the summary's `rest` is the span that is left.

        Raises: what the store raises for a listing or for a whole batch; errors of single keys are in the summary
        instead. Run it again.
        """
        span = span or Span()
        limits = limits or Limits()
        work = _Work(collector=self, dry_run=dry_run, tell=tell, span=span, journal=journal, limits=limits)
        clock = self.clock
        begun = clock.monotonic()
        if intended:
            work.do_again(intended)
            if limits.stop():
                work.summary.rest = span
                return work.summary
        waiting: list[Group] = []
        objects = 0
        survey = self.make_survey()
        for group in survey.groups(span):
            waiting.append(group)
            objects += group.objects + group.foreign
            if len(waiting) >= NAMES or objects >= OBJECTS:
                work.decide(survey, waiting)
                waiting, objects = [], 0
                if work.is_full or limits.reached(clock, begun, work.summary):
                    return work.break_off()
        work.decide(survey, waiting)
        if work.is_full:
            return work.break_off()
        work.finish()
        return work.summary


@dataclass(slots=True, kw_only=True)
class Collector(BaseCollector):
    """Carries out a retention policy over an archive."""

    archive: Archive
    index_is_complete: bool = True
    """Whether what an index that decides does not know was never saved. If not, it may have lost it: all that stays."""
    survey: Survey | None = None
    """What shows what is there; by default the listing."""

    @property
    def clock(self) -> Clock:
        """Return the archive's clock."""
        return self.archive.clock

    def make_survey(self) -> Survey:
        """Return what shows what is there."""
        return self.survey or ListingSurvey(archive=self.archive, pace=self.pace)

    def make_decider(self) -> Decides:
        """Return what decides about names."""
        return Decider(archive=self.archive, index_is_complete=self.index_is_complete, pace=self.pace)

    def make_sweeper(self, alive: Callable[[], object]) -> BatchSweeper:
        """Return what deletes versions."""
        return Sweeper(archive=self.archive, circumstances=self.circumstances, pace=self.pace, alive=alive)


@dataclass(slots=True, kw_only=True)
class _Decided:
    """Names that were decided about, of which only the last one may wait for something to be done."""

    queued: int
    """When so much is done, it is done with them."""
    end: str
    """The place after them."""
    counted: Summary
    """What they add then."""


@dataclass(slots=True, kw_only=True)
class _Work:
    """What is under way in one run."""

    collector: BaseCollector
    dry_run: bool
    tell: Callable[[Fate], object] | None
    span: Span
    journal: Journal | None
    limits: Limits
    summary: Summary = field(init=False)
    end: str = field(init=False)
    """Everything before this place is done."""
    doomed: deque[Fate] = field(default_factory=deque)
    """What is to be done and was not yet."""
    names: deque[_Decided] = field(default_factory=deque)
    queued: int = 0
    swept: int = 0
    going: int = 0
    passed: int = 0
    """Objects that were decided about since something was done."""
    is_full: bool = False
    """As much is to go as may."""

    sweeper: BatchSweeper = field(init=False)

    def __post_init__(self) -> None:
        self.sweeper = self.collector.make_sweeper(self._alive)
        self.summary = self._counted()
        self.end = self.span.after

    def decide(self, survey: Survey, groups: Sequence[Group]) -> None:
        """Decide about some names, and do at once what fills a batch."""
        survey.complete(groups)
        collector = self.collector
        known = collector.circumstances([group.name for group in groups if group.name]) if groups else {}
        decider = collector.make_decider()
        default = Circumstances(policy=collector.policy)
        expected: list[Fate] = []
        for group in groups:
            if self.is_full:
                break
            self._alive()
            fates = list(decider.fates(group, known.get(group.name, default)))
            if self.tell is not None:
                for fate in fates:
                    self.tell(fate)
            self._take(group, fates)
            if self.dry_run:
                expected.extend(fate for fate in fates if fate.is_work)
        while len(self.doomed) >= DELETE_BATCH:
            self._sweep(DELETE_BATCH)
        if self.doomed and self.passed >= PASSED:
            self._sweep(len(self.doomed))
        self._note(expected)

    def _take(self, group: Group, fates: Sequence[Fate]) -> None:
        """Count a name that was decided about, and queue what is to be done with it.

        What goes is counted when it went; a dry run does nothing, so it counts all at once.
        """
        work = [fate for fate in fates if fate.is_work]
        going = sum(fate.goes for fate in work)
        self.going += going
        self.passed += len(fates) + group.foreign
        self.is_full = self.limits.objects is not None and self.going >= self.limits.objects
        waits = bool(work) and not self.dry_run
        if not waits and self.names and self.names[-1].queued == self.queued:
            self.names[-1].end = group.end
            counted = self.names[-1].counted
        else:
            counted = self._counted()
            if waits:
                self.doomed.extend(work)
                self.queued += len(work)
            self.names.append(_Decided(queued=self.queued, end=group.end, counted=counted))
        counted.scanned += group.foreign + len(fates) - (going if waits else 0)
        counted.names += bool(group.name)
        counted.kept += len(fates) - going
        for fate in fates:
            if not fate.goes:
                counted.reasons[fate.reason] += 1
            elif self.dry_run:
                counted.deleted += 1
                counted.bytes_freed += fate.size
                counted.reasons[fate.reason] += 1
            if self.dry_run and fate.storage_class:
                counted.archived += 1

    def finish(self) -> None:
        """Do all that is left."""
        if self.doomed:
            self._sweep(len(self.doomed))

    def break_off(self) -> Summary:
        """Do what was begun, and return what was counted, with the rest."""
        self.finish()
        self.summary.rest = replace(self.span, after=self.end)
        return self.summary

    def do_again(self, intended: Sequence[Fate]) -> None:
        """Do what was intended by somebody who was killed. The survey comes to what stays of it, and counts that."""
        self._carry_out(list(intended), repeat(self._counted()))

    def _sweep(self, count: int) -> None:
        batch = [self.doomed.popleft() for _ in range(count)]
        if self.journal is not None:
            self.journal.intend(batch)
        counts = self._counts(self.swept)
        self.swept += count
        self.passed = 0
        self._carry_out(batch, counts)

    def _counts(self, swept: int) -> Iterator[Summary]:
        """Yield for everything that comes next to be done where its name is counted."""
        for decided in self.names:
            yield from repeat(decided.counted, max(decided.queued - swept, 0))
            swept = max(decided.queued, swept)

    def _carry_out(self, batch: Sequence[Fate], counts: Iterable[Summary]) -> None:
        """Do it. What stays after all is counted with its name: whoever begins with that again, comes to it again."""
        counted = self._counted()
        fates = self.sweeper.carry_out(batch, counts)
        for fate in fates:
            if fate.goes:
                counted.scanned += 1
                counted.deleted += 1
                counted.bytes_freed += fate.size
                counted.reasons[fate.reason] += 1
            elif fate.storage_class:
                counted.archived += 1
        self._note(fates, counted)

    def _note(self, fates: Sequence[Fate], counted: Summary | None = None) -> None:
        """Count what is done, and the names that it is done with."""
        counted = counted or self._counted()
        news = bool(fates)
        while self.names and self.names[0].queued <= self.swept:
            decided = self.names.popleft()
            self.end = decided.end
            counted.add(decided.counted)
            news = True
        if self.journal is not None and news:
            self.journal.done(self.end, counted, fates)
        self.summary.add(counted)

    def _alive(self) -> None:
        if self.journal is not None:
            self.journal.alive()

    def _counted(self) -> Summary:
        return Summary(dry_run=self.dry_run)
