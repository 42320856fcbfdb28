"""How is a retention plan carried out over a whole archive?

One pass over the listing, a thousand keys a request; all keys of a name are neighbours, so a name is decided as soon
as the listing has left it. What goes is deleted a thousand keys a request. Memory holds one name's objects, or some
thousands of several names, and at most one batch.

1. Idempotent and resumable: running again, also after being killed anywhere, ends in the same state.
2. Every error of a batch is per key, kept in the summary, and stops nothing else.
3. A version that was superseded stays superseded, since the newest number never goes back; so the listing that showed
   its successor is proof enough. Only a tombstone, which *is* the newest, is looked up again before it goes.
4. A body that no version points to, and a hint for a name that is not deleted, go when older than `grace`. A hint
   outlives the tombstone it announces: it goes in a later run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import KeyMissingError
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.retention import Kept, Reason, RetentionPolicy, plan
from consistent_s3.core.seams import DELETE_BATCH, CommittingIndex, ForgetfulIndex, ObjectInfo
from consistent_s3.core.versions import Details, Version, from_head

NAMES = 500
"""Names whose references are asked for together, unless fewer have `OBJECTS`."""
OBJECTS = 10_000
"""Objects that wait for a decision, beyond those of one name."""

References = Callable[[Sequence[str]], Mapping[str, set[int]]]
"""Answers, for some names, which numbers rows still point to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What was decided about one object."""

    name: str
    key: str
    size: int
    goes: bool
    reason: Reason
    number: int = 0
    """The version's number; 0 for anything else."""
    version: Version | None = field(default=None, repr=False, compare=False)
    """The version itself, where the index decides."""


@dataclass(slots=True, kw_only=True)
class Summary:
    """What a collection saw and did, or would do."""

    dry_run: bool
    names: int = 0
    scanned: int = 0
    """Keys seen, those of other software included."""
    kept: int = 0
    """Objects of ours that stay."""
    deleted: int = 0
    """Objects of ours that went, or would go."""
    bytes_freed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """How many objects stay or go for each reason."""
    errors: list[dict[str, str]] = field(default_factory=list)
    """`key`, `code` and `message` of each key that the store kept; at most `MAX_ERRORS`."""
    error_count: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON and for a Celery result."""
        return {
            "dry_run": self.dry_run,
            "names": self.names,
            "scanned": self.scanned,
            "kept": self.kept,
            "deleted": self.deleted,
            "bytes_freed": self.bytes_freed,
            "reasons": {str(reason): count for reason, count in sorted(self.reasons.items())},
            "error_count": self.error_count,
            "errors": list(self.errors),
        }


MAX_ERRORS = 100
"""Errors told one by one in a summary; the rest is counted."""


@dataclass(slots=True, kw_only=True)
class _Group:
    """All keys of one name."""

    name: str
    seen: datetime
    """A moment before the listing that shows the name: all ages are counted up to it."""
    versions: list[tuple[int, ObjectInfo]] = field(default_factory=list)
    bodies: list[ObjectInfo] = field(default_factory=list)
    hints: list[ObjectInfo] = field(default_factory=list)
    strays: list[ObjectInfo] = field(default_factory=list)
    """What the index does not know: rolled back, refused, or on its way."""
    committed: list[Version] | None = None
    """The versions that the index knows, newest first, where it decides; `None` where the listing does."""

    @property
    def objects(self) -> int:
        return len(self.versions) + len(self.bodies) + len(self.hints)


@dataclass(slots=True, kw_only=True)
class Collector:
    """Carries out a retention policy."""

    archive: Archive
    policy: RetentionPolicy
    references: References = lambda _: {}
    index_is_complete: bool = True
    """Whether what an index that decides does not know was never saved. If not, it may have lost it: all that stays."""

    def run(self, *, dry_run: bool, tell: Callable[[Fate], object] | None = None) -> Summary:
        """Collect everything that may go, or only say so; `tell` hears each object's fate as it is decided.

        Raises: what the store raises for a listing or for a whole batch; errors of single keys are in the summary
        instead. Run it again.
        """
        summary = Summary(dry_run=dry_run)
        waiting: list[_Group] = []
        doomed: list[Fate] = []
        objects = 0
        for group in self._groups(summary):
            waiting.append(group)
            objects += group.objects
            if len(waiting) >= NAMES or objects >= OBJECTS:
                objects = 0
                self._decide(waiting, doomed, summary, tell)
        self._decide(waiting, doomed, summary, tell)
        self._sweep(doomed, summary)
        return summary

    def _groups(self, summary: Summary) -> Iterator[_Group]:
        group, token = None, ""
        while True:
            seen = self.archive.clock.now()
            page = self.archive.store.list(self.archive.layout.root, token=token)
            for info in page.objects:
                summary.scanned += 1
                parsed = self.archive.layout.parse(info.key)
                if parsed is None:
                    continue
                if group is None or group.name != parsed.name:
                    if group is not None:
                        yield group
                    group = _Group(name=parsed.name, seen=seen)
                if parsed.number is not None:
                    group.versions.append((parsed.number, info))
                elif parsed.body:
                    group.bodies.append(info)
                else:
                    group.hints.append(info)
            token = page.token
            if not token:
                break
        if group is not None:
            yield group

    def _decide(
        self,
        waiting: list[_Group],
        doomed: list[Fate],
        summary: Summary,
        tell: Callable[[Fate], object] | None,
    ) -> None:
        """Decide about some names, and sweep right away what fills a batch."""
        self._ask_index(waiting)
        references = self.references([group.name for group in waiting]) if waiting else {}
        for group in waiting:
            summary.names += 1
            for fate in self._fates(group, references.get(group.name, set())):
                summary.reasons[fate.reason] += 1
                if tell is not None:
                    tell(fate)
                if not fate.goes:
                    summary.kept += 1
                    continue
                doomed.append(fate)
                if len(doomed) >= DELETE_BATCH:
                    self._sweep(doomed, summary)
        waiting.clear()

    def _ask_index(self, groups: Sequence[_Group]) -> None:
        """Where the index decides, take the versions from it; whatever else was listed is a stray.

        Asked after the listing: what was committed in between is known, and what is on its way is younger than grace.
        """
        index = self.archive.index
        if not groups or not isinstance(index, CommittingIndex):
            return
        if isinstance(index, ForgetfulIndex):
            self._ask_pointers(groups, index)
            return
        known = index.committed([group.name for group in groups])
        for group in groups:
            group.committed = list(known[group.name])
            keys = {version.key for version in group.committed}
            group.strays = [info for _, info in group.versions if info.key not in keys]
            group.versions = [
                (
                    version.number,
                    ObjectInfo(key=version.key, size=version.size, etag=version.etag, modified=version.modified),
                )
                for version in group.committed
            ]

    def _ask_pointers(self, groups: Sequence[_Group], index: ForgetfulIndex) -> None:
        """Where the index knows only the newest, what was listed above it is a stray."""
        newest = index.pointers([group.name for group in groups])
        for group in groups:
            if known := newest.get(group.name):
                group.strays = [info for number, info in group.versions if number > known.number]
                group.versions = [(number, info) for number, info in group.versions if number <= known.number]

    def _fates(self, group: _Group, referenced: set[int]) -> Iterator[Fate]:
        deleted = self._is_deleted(group)
        history = [
            Kept(number=number, modified=info.modified, referenced=number in referenced)
            for number, info in group.versions
        ]
        grace = self.archive.timing.grace
        staying: list[ObjectInfo] = []
        known = {version.key: version for version in group.committed or ()}
        decisions = plan(
            history,
            self.policy,
            group.seen,
            grace=grace,
            deleted=deleted,
            numbers_restart=self.archive.numbering is Numbering.SEQUENCE,
        )
        for decision, (_, info) in zip(decisions, group.versions, strict=True):
            goes, reason = decision.goes, decision.reason
            if reason is Reason.LAST_TOMBSTONE and not self._still_newest(group.name, decision.number):
                goes, reason = False, Reason.CURRENT
            if not goes:
                staying.append(info)
            yield Fate(
                name=group.name,
                number=decision.number,
                key=info.key,
                size=info.size,
                goes=goes,
                reason=reason,
                version=known.get(info.key),
            )
        yield from self._body_fates(group, staying)
        for info in group.strays:
            goes = self.index_is_complete and group.seen - info.modified >= grace
            reason = Reason.UNCOMMITTED if goes else Reason.GRACE if self.index_is_complete else Reason.NOT_INDEXED
            yield Fate(name=group.name, key=info.key, size=info.size, goes=goes, reason=reason)
        for hint in group.hints:
            goes = not deleted and group.seen - hint.modified >= grace
            reason = Reason.STALE_HINT if goes else Reason.HINT
            yield Fate(name=group.name, key=hint.key, size=hint.size, goes=goes, reason=reason)

    def _is_deleted(self, group: _Group) -> bool:
        """Say whether the newest is a tombstone; only a name with a hint can be deleted, so only that one is asked."""
        if group.committed is not None:
            return bool(group.committed) and group.committed[0].tombstone
        if not group.hints or not group.versions or group.versions[0][1].size:
            return False
        details = self._details(group.versions[0][1].key)
        return details is not None and details.tombstone

    def _still_newest(self, name: str, number: int) -> bool:
        newest = self.archive.newest(name)
        return newest is not None and newest.tombstone and newest.number == number

    def _body_fates(self, group: _Group, staying: Sequence[ObjectInfo]) -> Iterator[Fate]:
        if not group.bodies:
            return
        details: list[Details | None]
        if group.committed is not None:
            stay = {info.key for info in staying}
            details = [version.details for version in group.committed if version.key in stay]
        else:
            details = [self._details(info.key) for info in staying if info.size == 0]
        # A young stray may be on its way: its transaction is open, and when it commits it needs its body.
        young = (info for info in group.strays if group.seen - info.modified < self.archive.timing.grace)
        details += [self._details(info.key) for info in young if info.size == 0]
        pointed_to = {known.body_key for known in details if known is not None}
        grace = self.archive.timing.grace
        for info in group.bodies:
            if info.key in pointed_to:
                goes, reason = False, Reason.POINTED_TO
            elif None in details or group.seen - info.modified < grace:
                goes, reason = False, Reason.GRACE
            elif group.committed is not None and not self.index_is_complete:
                goes, reason = False, Reason.NOT_INDEXED
            else:
                goes, reason = True, Reason.UNREFERENCED_BODY
            yield Fate(name=group.name, key=info.key, size=info.size, goes=goes, reason=reason)

    def _forget(self, doomed: Sequence[Fate]) -> None:
        """Let the index forget first: should we die in between, the objects are strays for the next run."""
        index = self.archive.index
        if isinstance(index, CommittingIndex):
            index.forget([version for fate in doomed if (version := fate.version) is not None])

    def _details(self, key: str) -> Details | None:
        try:
            return from_head(self.archive.store.head(key))
        except KeyMissingError:  # gone meanwhile, or not visible: nothing is decided on it in this run
            return None

    def _sweep(self, doomed: list[Fate], summary: Summary) -> None:
        failures = {}
        if doomed and not summary.dry_run:
            self._forget(doomed)
            failures = {failure.key: failure for failure in self.archive.store.delete([fate.key for fate in doomed])}
        for fate in doomed:
            failure = failures.get(fate.key)
            if failure is None:
                summary.deleted += 1
                summary.bytes_freed += fate.size
                continue
            summary.kept += 1
            summary.error_count += 1
            if len(summary.errors) < MAX_ERRORS:
                summary.errors.append({"key": failure.key, "code": failure.code, "message": failure.message})
        doomed.clear()
