"""How does a version come to be where the index decides, and not the key?

1. PUT a key that was never used and never asked for: number and a fresh write id. On the oldest S3 semantics that is
   exactly what makes its first read consistent, so there is no HEAD or GET before it, and an attempt that failed never
   uses its key again. The PUT needs no condition.
2. Advance the index, if the newest is still the one that was seen. Only then is the write acknowledged.
3. Refused: nobody can see the object. Where the bucket's listing is ever asked (Redis) it is deleted at once; elsewhere
   the collector takes it. Then begin again, with another key.
4. Unknown, of the PUT or of the index: an error of its own, and nothing is cleaned up.

An index that may forget (Redis) learns from the listing again, and may so commit an attempt in its writer's stead. So
writers take turns there before they put anything, with numbers that the index draws by one clock, and an attempt is
thrown away only where a version with a greater number was accepted, so that no listing can bring it back. Whatever else
was put and not accepted stays, and its outcome is unknown: also after a PUT that was repeated, since the attempt
without an answer may land after the deletion.

A writer that stalled cannot do harm: an index that moved on refuses it. What it put may wait for its commit until it is
nearly as old as `grace`; with an index that may forget, after `write_deadline` only if it still is its turn.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from consistent_s3.core.claiming import NumberStaleError
from consistent_s3.core.errors import (
    IndexUnavailableError,
    NumberTakenError,
    PreconditionFailedError,
    StoreError,
)
from consistent_s3.core.numbers import next_number
from consistent_s3.core.protocol import (
    SIGNATURE_VALIDITY,
    Committer,
    Draft,
    Learned,
    new_version,
)
from consistent_s3.core.seams import CommittingIndex, ForgetfulIndex
from consistent_s3.core.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCommitter(Committer):
    """Turns drafts into versions that an index accepted.

    Guarantees: as `Committer`, with any numbering, and on stores without conditional puts.
    """

    index: CommittingIndex

    @property
    def tells_of_races(self) -> bool:
        """Return true: the index refuses whoever is second."""
        return True

    def _learn(self, name: str, *, again: bool) -> Version | None:
        """Return the newest version; a forgetful index may answer readers, but never writers, without its memory."""
        relearns = again or isinstance(self.index, ForgetfulIndex)
        return self.index.relearn(name) if relearns else self.index.newest(name)

    def _create(self, name: str, draft: Draft, write_id: str, learned: Learned) -> Version:
        write_id = self.new_write_id()
        if not isinstance(self.index, ForgetfulIndex):
            number = next_number(learned.number, numbering=self.numbering, now=self.clock.now())
            return self._put_and_advance(name, number, draft, write_id, learned)
        number = self.index.take_turn(name, after=learned.number, write_id=write_id)
        try:
            return self._put_and_advance(name, number, draft, write_id, learned)
        except Exception:
            with suppress(IndexUnavailableError):
                self.index.end_turn(name, write_id)
            raise

    def _put_and_advance(self, name: str, number: int, draft: Draft, write_id: str, learned: Learned) -> Version:
        details, attributes = self._describe(draft, write_id, learned)
        key = self.layout.version_key(name, number, write_id=write_id)
        receipt = self._create_unique(key, draft, attributes, learned, number=number, write_id=write_id)
        version = new_version(name, number, key, draft, details, receipt)
        if self.clock.monotonic() > self._deadline(draft, learned) and not self._is_in_time(version, draft, learned):
            self._discard(version, write_id, learned, repeated=receipt.repeated)
            raise NumberStaleError
        try:
            self.index.advance(version, after=learned.number)
        except NumberTakenError:
            self._discard(version, write_id, learned, repeated=receipt.repeated)
            raise
        return version

    def _is_in_time(self, version: Version, draft: Draft, learned: Learned) -> bool:
        """Return whether a version may be committed although its number was learned long ago: a large file takes long.

        An index that forgets is asked whether nothing happened since, and the turn begins anew. Another one knows; but
        the object must be too young to be collected as what nobody committed.
        """
        now = self.clock.monotonic()
        if draft.usable_until is not None and now > draft.usable_until:
            return False
        if not isinstance(self.index, ForgetfulIndex):
            return now <= learned.at + (self.timing.grace - SIGNATURE_VALIDITY).total_seconds()
        number, write_id = version.number, version.details.write_id
        try:
            return self.index.renew_turn(version.name, after=learned.number, number=number, write_id=write_id)
        except IndexUnavailableError:
            return False

    def _discard(self, version: Version, write_id: str, learned: Learned, *, repeated: bool) -> None:
        """Delete an object that was never committed, where a listing could show it; what is unsure stays unknown."""
        if not self.index.lists_names:
            return
        try:
            if repeated or not self._is_disowned(version, learned):
                raise self._unknown(version.key, version.number, write_id)
            failures = self.store.delete([version.key])
        except (StoreError, IndexUnavailableError, PreconditionFailedError) as error:
            raise self._unknown(version.key, version.number, write_id) from error
        if failures:
            raise self._unknown(version.key, version.number, write_id)

    def _is_disowned(self, version: Version, learned: Learned) -> bool:
        return not isinstance(self.index, ForgetfulIndex) or self.index.disowns(version, after=learned.number)
