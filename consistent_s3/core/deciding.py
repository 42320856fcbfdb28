"""What is to happen to each object of a name: its versions, large bodies, hints, and what was never committed?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import KeyMissingError
from consistent_s3.core.fates import Fate
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.pace import Pace
from consistent_s3.core.retention import Circumstances, Kept, Reason, plan
from consistent_s3.core.seams import ObjectInfo
from consistent_s3.core.survey import Group
from consistent_s3.core.versions import Details, from_head


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Decides about one name after the other."""

    archive: Archive
    index_is_complete: bool = True
    """Whether what an index that decides does not know was never saved."""
    pace: Pace = field(default_factory=Pace)

    def fates(self, group: Group, circumstances: Circumstances) -> Iterator[Fate]:
        """Yield the fate of every object of a name.

        It asks the store about single objects only where it must: whether the newest of a hinted name is a tombstone,
        and what the empty objects of a name with large bodies point to.
        """
        deleted = self._is_deleted(group)
        grace = self.archive.timing.grace
        staying: list[ObjectInfo] = []
        known = {version.key: version for version in group.committed or ()}
        decisions = plan(
            [
                Kept(
                    number=number,
                    modified=info.modified,
                    newest_since=group.newest_since.get(info.key),
                    referenced=number in circumstances.referenced,
                    held=circumstances.holds(number),
                    archived=info.key in known and bool(known[info.key].details.storage_class),
                    tombstone=known[info.key].tombstone if info.key in known else info.size == 0,
                )
                for number, info in group.versions
            ],
            circumstances.policy,
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
                storage_class=circumstances.policy.archive_class if decision.archives and info.key in known else "",
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

    def _is_deleted(self, group: Group) -> bool:
        """Say whether the newest is a tombstone; only a name with a hint can be deleted, so only that one is asked."""
        if group.committed is not None:
            return bool(group.committed) and group.committed[0].tombstone
        if not group.hints or not group.versions or group.versions[0][1].size:
            return False
        details = self._details(group.versions[0][1].key)
        return details is not None and details.tombstone

    def _still_newest(self, name: str, number: int) -> bool:
        self.pace.wait()
        newest = self.archive.newest(name)
        return newest is not None and newest.tombstone and newest.number == number

    def _body_fates(self, group: Group, staying: Sequence[ObjectInfo]) -> Iterator[Fate]:
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
            elif group.committed is not None and not self.index_is_complete and not group.by_index:
                goes, reason = False, Reason.NOT_INDEXED
            else:
                goes, reason = True, Reason.UNREFERENCED_BODY
            yield Fate(name=group.name, key=info.key, size=info.size, goes=goes, reason=reason)

    def _details(self, key: str) -> Details | None:
        self.pace.wait()
        try:
            return from_head(self.archive.store.head(key))
        except KeyMissingError:  # gone meanwhile, or not visible: nothing is decided on it in this run
            return None
