"""How is a retention plan carried out over a whole archive?

A survey shows what is there, name by name; what goes is deleted a thousand keys a request. Memory holds one name's
objects, or some thousands of several names, and at most a few batches.

1. Idempotent and resumable: running again, also after being killed anywhere, ends in the same state. A journal, where
   there is one, knows each batch before it goes, so that nothing is counted twice or not at all.
2. Every error of a batch is per key, kept in the summary, and stops nothing else.
3. A version that was superseded stays superseded, since the newest number never goes back. What may change is looked up
   again right before a batch goes: holds, references, and what an index calls newest or committed.
4. A body that no version points to, and a hint for a name that is not deleted, go when older than `grace`. A hint
   outlives the tombstone it announces: it goes in a later run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from consistent_s3.core.archive import Archive
from consistent_s3.core.archiving import archive_version
from consistent_s3.core.deciding import Decider
from consistent_s3.core.errors import KeyMissingError
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.pace import Pace
from consistent_s3.core.retention import Circumstances, Reason, RetentionPolicy
from consistent_s3.core.seams import DELETE_BATCH, Clock, CommittingIndex, DeleteFailure, EnumeratingIndex
from consistent_s3.core.span import Span
from consistent_s3.core.survey import Group, ListingSurvey, Survey
from consistent_s3.core.versions import Version

NAMES = 500
"""Names whose circumstances are asked for together, unless fewer have `OBJECTS`."""
OBJECTS = 10_000
"""Objects that wait for a decision, beyond those of one name."""

Lookup = Callable[[Sequence[str]], Mapping[str, Circumstances]]
"""Answers, for some names, what the project knows of them."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where a collection stops cleanly, to be gone on with."""

    seconds: float | None = None
    """Begun names and batches are finished."""
    objects: int | None = None
    """Objects to delete at most."""
    stop: Callable[[], bool] = lambda: False
    """Asked between batches."""

    def reached(self, clock: Clock, begun: float, summary: Summary) -> bool:
        """Return whether it is time to stop."""
        out_of_time = self.seconds is not None and clock.monotonic() - begun >= self.seconds
        return out_of_time or (self.objects is not None and summary.deleted >= self.objects) or self.stop()


@dataclass(slots=True, kw_only=True)
class Collector:
    """Carries out a retention policy."""

    archive: Archive
    policy: RetentionPolicy
    """What counts for a name that the project knows nothing of."""
    circumstances: Lookup = lambda _: {}
    index_is_complete: bool = True
    """Whether what an index that decides does not know was never saved. If not, it may have lost it: all that stays."""
    survey: Survey | None = None
    """What shows what is there; by default the listing."""
    pace: Pace = field(default_factory=Pace)

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
        work = _Work(collector=self, dry_run=dry_run, tell=tell, span=span, journal=journal)
        clock = self.archive.clock
        begun = clock.monotonic()
        limits = limits or Limits()
        if intended:
            work.finish(intended)
        waiting: list[Group] = []
        objects = 0
        survey = self.survey or ListingSurvey(archive=self.archive, pace=self.pace)
        for group in survey.groups(span):
            waiting.append(group)
            objects += group.objects
            if len(waiting) >= NAMES or objects >= OBJECTS:
                work.decide(survey, waiting)
                waiting, objects = [], 0
                if limits.reached(clock, begun, work.summary):
                    work.finish()
                    work.summary.rest = replace(span, after=work.end)
                    return work.summary
        work.decide(survey, waiting)
        work.finish()
        return work.summary


@dataclass(slots=True, kw_only=True)
class _Work:
    """What is under way in one run."""

    collector: Collector
    dry_run: bool
    tell: Callable[[Fate], object] | None
    span: Span
    journal: Journal | None
    summary: Summary = field(init=False)
    end: str = field(init=False)
    """Everything before this place is done."""
    doomed: deque[Fate] = field(default_factory=deque)
    """What is to be done and was not yet."""
    names: deque[tuple[int, str, Summary]] = field(default_factory=deque)
    """Names that were decided: when so much is done, it is done with the name, which adds this."""
    queued: int = 0
    swept: int = 0

    def __post_init__(self) -> None:
        self.summary = self._counted()
        self.end = self.span.after

    def decide(self, survey: Survey, groups: Sequence[Group]) -> None:
        """Decide about some names, and do at once what fills a batch."""
        survey.complete(groups)
        known = self.collector.circumstances([group.name for group in groups if group.name]) if groups else {}
        decider = Decider(archive=self.collector.archive, index_is_complete=self.collector.index_is_complete)
        for group in groups:
            counted = self._counted()
            counted.scanned = group.foreign
            counted.names = bool(group.name)
            default = Circumstances(policy=self.collector.policy)
            for fate in decider.fates(group, known.get(group.name, default)):
                if self.tell is not None:
                    self.tell(fate)
                if not fate.goes:
                    counted.scanned += 1
                    counted.kept += 1
                    counted.reasons[fate.reason] += 1
                if fate.is_work:
                    self.doomed.append(fate)
                    self.queued += 1
            self.names.append((self.queued, group.end, counted))
        while len(self.doomed) >= DELETE_BATCH:
            self._sweep(DELETE_BATCH)
        self._note(())

    def finish(self, intended: Sequence[Fate] = ()) -> None:
        """Do all that is left; or what was intended by somebody who was killed."""
        if intended:
            self._carry_out(list(intended))
        elif self.doomed:
            self._sweep(len(self.doomed))

    def _sweep(self, count: int) -> None:
        batch = [self.doomed.popleft() for _ in range(count)]
        if self.journal is not None and not self.dry_run:
            self.journal.intend(batch)
        self.swept += count
        self._carry_out(batch)

    def _carry_out(self, batch: Sequence[Fate]) -> None:
        counted = self._counted()
        fates = batch if self.dry_run else list(self._really(batch, counted))
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
        while self.names and self.names[0][0] <= self.swept:
            _, self.end, of_name = self.names.popleft()
            counted.add(of_name)
            news = True
        if self.journal is not None and news:
            self.journal.done(self.end, counted, fates)
        self.summary.add(counted)

    def _really(self, batch: Sequence[Fate], counted: Summary) -> Iterator[Fate]:
        """Do it, and yield each fate as it turned out."""
        archive, pace = self.collector.archive, self.collector.pace
        stays = self._looked_up_again(batch)
        going = [fate for fate in batch if fate.goes and fate.key not in stays]
        index = archive.index
        # An index that can list what it knows forgets afterwards, so that what the store keeps locked stays known.
        if isinstance(index, CommittingIndex) and not isinstance(index, EnumeratingIndex):
            index.forget(_versions(going))
        failures: dict[str, DeleteFailure] = {}
        for begin in range(0, len(going), DELETE_BATCH):
            pace.wait()
            failed = archive.store.delete([fate.key for fate in going[begin : begin + DELETE_BATCH]])
            failures.update({failure.key: failure for failure in failed})
        if isinstance(index, EnumeratingIndex):
            index.forget(_versions([fate for fate in going if fate.key not in failures]))
        for fate in batch:
            failure = failures.get(fate.key)
            if fate.key in stays:
                yield self._kept(fate, stays[fate.key], counted)
            elif failure is not None and _is_locked(failure):
                yield self._kept(fate, Reason.LOCKED, counted)
            elif failure is not None:
                counted.add_error(failure.key, failure.code, failure.message)
                yield self._kept(fate, fate.reason, counted)
            elif fate.storage_class:
                yield self._archived(fate, counted)
            else:
                yield fate

    def _kept(self, fate: Fate, reason: Reason, counted: Summary) -> Fate:
        if fate.goes:
            counted.scanned += 1
            counted.kept += 1
            counted.reasons[reason] += 1
        return replace(fate, goes=False, storage_class="", reason=reason)

    def _archived(self, fate: Fate, counted: Summary) -> Fate:
        """Move an object to another storage class; one that is gone meanwhile needs none."""
        index = self.collector.archive.index
        if fate.version is None or not isinstance(index, EnumeratingIndex):
            return replace(fate, storage_class="")  # its row is gone meanwhile
        self.collector.pace.wait()
        try:
            moved = archive_version(self.collector.archive.store, fate.version, fate.storage_class)
        except KeyMissingError as error:
            counted.add_error(fate.key, "NoSuchKey", str(error))
            return replace(fate, storage_class="")
        index.amend(moved)
        return fate

    def _looked_up_again(self, batch: Sequence[Fate]) -> dict[str, Reason]:
        """Return which of a batch stay after all, and why."""
        names = list(dict.fromkeys(fate.name for fate in batch))
        known = self.collector.circumstances(names)
        stays: dict[str, Reason] = {}
        for fate in batch:
            circumstances = known.get(fate.name)
            if circumstances is None or not (fate.goes and fate.number):
                continue
            if circumstances.holds(fate.number):
                stays[fate.key] = Reason.HELD
            elif fate.number in circumstances.referenced:
                stays[fate.key] = Reason.REFERENCED
        index = self.collector.archive.index
        if not isinstance(index, EnumeratingIndex):
            return stays
        with_version = [fate for fate in batch if fate.version is not None]
        superseded = index.superseded(_versions(with_version)) if with_version else set()
        stays.update({fate.key: Reason.CURRENT for fate in with_version if fate.key not in superseded})
        others: dict[str, list[str]] = {}
        for fate in batch:
            if fate.version is None and fate.reason in _UNKNOWN:
                others.setdefault(fate.name, []).append(fate.key)
        if others:
            going = {version.body_key for version in _versions(batch) if version.key not in stays}
            stays.update(dict.fromkeys(index.known(others) - going, Reason.COMMITTED))
        return stays

    def _counted(self) -> Summary:
        return Summary(dry_run=self.dry_run)


_UNKNOWN = frozenset({Reason.UNCOMMITTED, Reason.UNREFERENCED_BODY})
"""What goes because the index does not know it."""


def _versions(fates: Sequence[Fate]) -> list[Version]:
    return [fate.version for fate in fates if fate.version is not None]


def _is_locked(failure: DeleteFailure) -> bool:
    """Return whether the store says that it may not be deleted yet.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html; other stores have their own words.
    """
    text = f"{failure.code} {failure.message}".lower()
    return any(word in text for word in ("object lock", "objectlock", "worm", "legal hold", "retention"))
