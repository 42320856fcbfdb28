"""Everything one can do with the versions of names: the façade of the core.

An `Archive` is the versions of all names under one location of one bucket.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from consistent_s3.core.erasing import Eraser, Erasure, Holding
from consistent_s3.core.errors import (
    AlreadyExistsError,
    AnswerLostError,
    KeyMissingError,
    UnreachableError,
    VersionNotFoundError,
)
from consistent_s3.core.indexed import IndexCommitter
from consistent_s3.core.keys import Layout
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.protocol import Committer, Draft, Learned, Timing
from consistent_s3.core.reading import VersionReader
from consistent_s3.core.rewinding import around, current_then
from consistent_s3.core.seams import (
    Attributes,
    Clock,
    CommittingIndex,
    ForgetfulIndex,
    Index,
    ObjectStore,
    PutMode,
    SystemClock,
    system_chance,
)
from consistent_s3.core.versions import Details, Version, projects_metadata, to_metadata
from consistent_s3.core.writing import MEMORY, PART, SINGLE_PUT, BodyUpload, Spool, pieces, spool

HINT_PAUSES = (0.05, 0.2, 0.8, 2.0)
"""Seconds to wait after each put of a hint that had no answer."""
SHORT_PATIENCE = timedelta(seconds=2)
"""With a store that denies an object which is not new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The versions of all names under one location.

    Guarantees:

    1. A write is never an overwrite: it makes a new version, or raises and changes nothing that a reader sees, or
       raises `OutcomeUnknownError`.
    2. A write that returned is what the next `current` of that name answers, or something newer.
    3. Of two writers who expect the same number at most one succeeds.
    4. Deleting writes a tombstone; only `erase` and the collector remove bytes.

    1 and 2 hold on a strongly consistent store, 3 on one that honours conditional puts; see the README.
    """

    store: ObjectStore
    index: Index
    layout: Layout = field(default_factory=Layout)
    numbering: Numbering = Numbering.SEQUENCE
    timing: Timing = field(default_factory=Timing)
    clock: Clock = field(default_factory=SystemClock)
    chance: random.Random = field(default_factory=system_chance)
    single_put: int = SINGLE_PUT
    """Bytes up to which a body of known length is sent in one put."""

    # Reading

    def newest(self, name: str) -> Version | None:
        """Return the version with the greatest number, tombstones included."""
        return self.index.newest(self.layout.validate(name))

    def current(self, name: str) -> Version | None:
        """Return the version that a read returns; `None` if there is none or it was deleted."""
        newest = self.newest(name)
        return None if newest is None or newest.tombstone else newest

    def history(self, name: str, *, before: int | None = None, limit: int | None = None) -> Iterator[Version]:
        """Yield versions, newest first, tombstones included, as they are asked for."""
        return self.index.history(self.layout.validate(name), before=before, limit=limit)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and the current files directly under a directory."""
        return self.index.listdir(path)

    def require(self, name: str, number: int | None = None) -> Version:
        """Return the current version, or the one with a number, if it has bytes to read.

        Raises: `VersionNotFoundError` naming what is there instead.
        """
        if number is None:
            newest = self.newest(name)
            if newest is None:
                raise VersionNotFoundError(f"{name!r} does not exist.")
            if newest.tombstone:
                raise VersionNotFoundError(
                    f"{name!r} was deleted by version {newest.number}. Its history still has it: undelete it to read."
                )
            return newest
        version = self.index.at(self.layout.validate(name), number)
        if version is None:
            raise VersionNotFoundError(
                f"{name!r} has no version {number}: it was never written, or it was collected. See its history."
            )
        if version.tombstone:
            raise VersionNotFoundError(f"Version {number} of {name!r} is a deletion and has no bytes.")
        return version

    def as_of(self, name: str, moment: datetime) -> Version:
        """Return the version that was current at an aware moment.

        Raises: `VersionNotFoundError` if there was none, or what was current then is already collected.
        """
        return current_then(name, around(self.history(name), moment), moment, details=self._details)

    def reader(self, version: Version) -> VersionReader:
        """Return the bytes of a version as a lazy, seekable stream; no request before the first byte is needed."""
        return VersionReader(
            self.store,
            version,
            clock=self.clock,
            chance=self.chance,
            patience=lambda: self._patience(version),
        )

    def _patience(self, version: Version) -> float | None:
        """Return for how many seconds to wait for an object that the store denies; `None` if it was collected.

        What is older than `grace` any store should have shown by now, so it is hardly waited for. A collector that died
        between the object and its row has left the row; but then the version was superseded.
        """
        young = self.clock.now() - version.modified < self.timing.grace
        waits = (self.timing.patience if young else min(self.timing.patience, SHORT_PATIENCE)).total_seconds()
        if self.index.at(version.name, version.number) is None:
            lags = isinstance(self.index, ForgetfulIndex) and not self.index.strong_listing
            return waits if lags and young else None
        if young or not isinstance(self.index, CommittingIndex) or isinstance(self.index, ForgetfulIndex):
            return waits
        newest = self.index.newest(version.name)
        return waits if newest is not None and newest.number == version.number else None

    # Writing

    @property
    def committer(self) -> Committer:
        """Return the write protocol over our parts: who decides, the key or the index, follows from the index."""
        protocol: Any = IndexCommitter if isinstance(self.index, CommittingIndex) else Committer
        committer: Committer = protocol(
            store=self.store,
            index=self.index,
            layout=self.layout,
            numbering=self.numbering,
            timing=self.timing,
            clock=self.clock,
            chance=self.chance,
        )
        return committer

    def write(
        self,
        name: str,
        body: Spool,
        *,
        expected: int | None = None,
        learned: Learned | None = None,
        details: Details | None = None,
        attributes: Attributes | None = None,
    ) -> Version:
        """Write a body as the next version.

        `learned` is what the caller has just learned to be the newest; it is not asked for again while it may be used.

        Raises: `InvalidNameError`, `ConflictError`, `OutcomeUnknownError`, and what the store raises.
        """
        details = replace(details or Details(), checksum=body.checksum)
        self._validate(name, details)
        attributes = attributes or Attributes()
        if body.size <= self.single_put:
            draft = Draft(file=body.file, size=body.size, details=details, attributes=attributes)  # type: ignore[arg-type]
            return self.publish(name, draft, expected=expected, learned=learned)
        upload = self.upload(name, details=details, attributes=attributes)
        try:
            body.file.seek(0)
            for piece in pieces(body.file):
                upload.write(piece)
            return self.publish(name, upload.finish(), expected=expected, learned=learned)
        except BaseException:
            upload.abort()
            raise

    def upload(
        self,
        name: str,
        *,
        details: Details,
        attributes: Attributes,
        threshold: int = MEMORY,
        part_size: int = PART,
    ) -> BodyUpload:
        """Begin a body of unknown length; `publish` what its `finish` returns. Raises `InvalidNameError`."""
        self._validate(name, details)
        return BodyUpload(
            store=self.store,
            layout=self.layout,
            timing=self.timing,
            clock=self.clock,
            name=name,
            write_id=self.committer.new_write_id(),
            details=details,
            attributes=attributes,
            threshold=threshold,
            part_size=part_size,
        )

    def publish(
        self, name: str, draft: Draft, *, expected: int | None = None, learned: Learned | None = None
    ) -> Version:
        """Make a draft the next version of a valid name; `expected` and `learned` as for `write`."""
        made = self.committer.commit(name, draft, expected=expected, learned=learned)
        return cast("Version", made)  # nothing is asked to be skipped

    def delete(
        self,
        name: str,
        *,
        expected: int | None = None,
        author: str = "",
        comment: str = "",
        extra: Mapping[str, object] | None = None,
    ) -> Version | None:
        """Write a tombstone and return it; `None` if there is nothing current to delete.

        `extra` are further boto3 arguments of PutObject, as for a write.

        Raises: as `write`.
        """
        return self.write_tombstone(
            name,
            Details(tombstone=True, author=author, comment=comment),
            expected=expected,
            skip=lambda newest: newest is None or newest.tombstone,
            extra=extra,
        )

    def restore(
        self,
        name: str,
        number: int,
        *,
        expected: int | None = None,
        author: str = "",
        comment: str = "",
        extra: Mapping[str, object] | None = None,
    ) -> Version:
        """Write an earlier version's bytes, original name and media type as a new version.

        `extra` are further boto3 arguments of PutObject, as for a write.

        Raises: `VersionNotFoundError`, and as `write`.
        """
        source = self.require(name, number)
        with self.reader(source) as reader:
            head = reader.head()
            details = replace(
                self._details(source),
                author=author,
                comment=comment,
                restored_from=number,
                body_key="",
                body_size=0,
            )
            self._validate(name, details)
            attributes = Attributes(
                content_type=head.content_type,
                content_encoding=head.content_encoding,
                metadata=projects_metadata(head),
                extra=extra or {},
            )
            return self._write_again(name, reader, expected=expected, details=details, attributes=attributes)

    def undelete(
        self, name: str, *, author: str = "", comment: str = "", extra: Mapping[str, object] | None = None
    ) -> Version:
        """Restore what the newest tombstone hides.

        Raises: `AlreadyExistsError` if the name is not deleted; `VersionNotFoundError` if nothing is left to restore.
        """
        newest = self.newest(name)
        if newest is None:
            raise VersionNotFoundError(f"{name!r} does not exist, and nothing is left of it to undelete.")
        if not newest.tombstone:
            raise AlreadyExistsError(
                f"{name!r} is not deleted: version {newest.number} is current.",
                name=name,
                expected=0,
                actual=newest.number,
            )
        for version in self.history(name, before=self._above_hidden(newest)):
            if not version.tombstone:
                return self.restore(
                    name,
                    version.number,
                    expected=newest.number if self.committer.tells_of_races else None,
                    author=author,
                    comment=comment,
                    extra=extra,
                )
        raise VersionNotFoundError(f"{name!r} is deleted, and all that was under version {newest.number} is collected.")

    def _above_hidden(self, tombstone: Version) -> int:
        """Return a number right above what a tombstone hides: where an index decides, what its deleter saw.

        An index that lists may show attempts in between, which were refused or are just being thrown away.
        """
        predecessor = self._details(tombstone).predecessor if isinstance(self.index, CommittingIndex) else 0
        return predecessor + 1 if predecessor else tombstone.number

    def erase(
        self,
        name: str,
        *,
        holding: Callable[[], Holding] = Holding,
        extra: Mapping[str, object] | None = None,
    ) -> Erasure:
        """Remove the bytes of every version for good that no hold covers, whatever the retention policy says.

        A tombstone without author or comment stays until it is older than `grace`; see `erasing`. `holding` tells what
        is held, each time that it is asked. Idempotent.
        """
        return Eraser(archive=self, name=self.layout.validate(name), holding=holding, extra=extra).erase()

    def write_hint(self, name: str) -> None:
        """Write the hint that an index which lists needs, to see that a name is deleted; harmless for any other."""
        self._put_hint(self.layout.validate(name), Attributes())

    def write_tombstone(
        self,
        name: str,
        details: Details,
        *,
        skip: Callable[[Version | None], bool],
        expected: int | None = None,
        extra: Mapping[str, object] | None,
    ) -> Version | None:
        """Write a tombstone; `None` if the newest version is one that `skip` says to leave."""
        self._validate(name, details)
        attributes = Attributes(extra=extra or {})
        return self.committer.commit(
            name,
            Draft(file=io.BytesIO(), size=0, details=details, attributes=attributes),
            expected=expected,
            skip=skip,
            before_put=(lambda: self._put_hint(name, attributes)) if self._lists_names else None,
        )

    def _details(self, version: Version) -> Details:
        try:
            return version.details
        except KeyMissingError as error:
            raise VersionNotFoundError(
                f"Version {version.number} of {version.name!r} is gone: it was collected or erased meanwhile."
            ) from error

    def _validate(self, name: str, details: Details) -> None:
        self.layout.validate(name)
        to_metadata(details)

    @property
    def _lists_names(self) -> bool:
        """Return whether a directory's listing asks the bucket, where a tombstone cannot be told from a file."""
        return not isinstance(self.index, CommittingIndex) or self.index.lists_names

    def _put_hint(self, name: str, attributes: Attributes) -> None:
        """Put a hint; the same one again when no answer came, since a hint alone deletes nothing."""
        key = self.layout.hint_key(name, self.committer.new_write_id())
        for pause in HINT_PAUSES:
            with suppress(AnswerLostError):
                self.store.put(key, io.BytesIO(), mode=PutMode.OVERWRITE, attributes=attributes)
                return
            self.clock.sleep(pause * (0.5 + self.chance.random()))
        fact = f"The store gave no answer to the hint that {name!r} may be deleted, {len(HINT_PAUSES)} times."
        raise UnreachableError(f"{fact} Nothing else was sent, and nothing is deleted. Try again.")

    def _write_again(
        self, name: str, reader: VersionReader, *, expected: int | None, details: Details, attributes: Attributes
    ) -> Version:
        body = spool(pieces(reader))  # type: ignore[arg-type]
        try:
            return self.write(name, body, expected=expected, details=details, attributes=attributes)
        finally:
            body.close()
