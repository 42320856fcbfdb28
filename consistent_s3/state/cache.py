"""Django's cache on a storage: what one process has worked out, all others read, on every machine.

    CACHES = {
        "results": {
            "BACKEND": "consistent_s3.state.S3Cache",
            "LOCATION": "default",             # an alias of STORAGES
            "TIMEOUT": 3600,
            "OPTIONS": {"prefix": "cache"},    # the directory of the storage
        },
    }

It is right where values are large or costly and readers on many machines must agree; a request to S3 takes as long as
twenty to Redis. Nothing is thrown out for want of room: `MAX_ENTRIES` and `CULL_FREQUENCY` mean nothing here. An entry
whose time is over is missing to all readers at once, and stays in the bucket until `cull` has written its tombstone and
the storage's retention has collected it. Keep a directory for each cache: what another project has written there, with
another `SECRET_KEY`, is missing here, and `cull` removes it.

    "retention": {"names": {"cache/*": {"keep_last": 1, "tombstone_for": timedelta(days=1)}}}
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from consistent_s3 import conf
from consistent_s3.core.documents import Document, Documents
from consistent_s3.core.errors import ConflictError, CorruptDocumentError
from consistent_s3.state.entries import Entry, SignedEntries, pickled
from consistent_s3.state.store import StateStore

logger = logging.getLogger(__name__)

OPTIONS = ("prefix", "MAX_ENTRIES", "CULL_FREQUENCY")
TRIES = 5
"""How often an entry that is not ours is removed before a change gives up: others may go on writing such."""


class _NotThereError(Exception):
    """There is nothing to change."""


class _ThereError(Exception):
    """There is something already."""


class S3Cache(BaseCache):
    """A cache whose entries are versions of a storage.

    Guarantees, those of Django's caches, and:

    1. Of all who `add` one key, at once and on many machines, one is told that it did.
    2. No `incr`, `decr` or `touch` is lost, and none brings back what was replaced meanwhile.
    3. A value is read as soon as `set` has returned, by everybody; with `index="database"` inside a transaction, as
       soon as that is committed.
    4. Nothing is unpickled that was not signed with this project's `SECRET_KEY` for this cache and this key; what was
       not is missing. Whoever can write to the bucket can still put back what the same key held earlier.

    1 and 2 need a storage where writers are told of each other; elsewhere they raise `PolicyError` (see `StateStore`).
    Errors of the store are raised, also `OutcomeUnknownError`: a cache that hid them would not be right. So is what
    unpickling raises, where the class of a value is gone.

    An operation costs what that on a document costs: a `get` as reading a file, a `set` as saving one, `add`, `incr`
    and `touch` both; `clear` and `cull` one deletion for each entry, one after another.
    """

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        options = params.get("OPTIONS", {})
        conf.check_known(options, OPTIONS, where=f"The cache on storage {location or 'default'!r}")
        self.store = StateStore[Entry](
            location or "default", prefix=options.get("prefix", "cache"), serializer=SignedEntries(place=self._place)
        )

    # Django's cache API

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return the value, or the default if there is none or its time is over."""
        entry = self._find(self.make_and_validate_key(key, version=version))
        return default if entry is None else entry.value

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Keep a value, whatever was there; with a time-out of 0 or less, forget what was there."""
        made = self._entry(key, value, timeout, version)
        if made.is_over(self._now()):
            self._forget(made.key)
        else:
            self._documents.write(_document_key(made.key), made)

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Keep a value if there is none, and return whether it was kept."""
        made = self._entry(key, value, timeout, version)

        def place(there: Entry | None) -> Entry:
            if there is not None:
                raise _ThereError
            return made

        try:
            self._change(made.key, place)
        except _ThereError:
            return False
        return True

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give an entry a new time-out, and return whether there was one."""
        expires = self.get_backend_timeout(timeout)
        try:
            self._change(
                self.make_and_validate_key(key, version=version), lambda there: replace(_there(there), expires=expires)
            )
        except _NotThereError:
            return False
        return True

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a value and return it; its time-out stays. Raises `ValueError` if there is none."""

        def add(there: Entry | None) -> Entry:
            there = _there(there)
            return replace(there, pickled=pickled(there.value + delta))

        try:
            changed = self._change(self.make_and_validate_key(key, version=version), add)
        except _NotThereError:
            raise ValueError(f"Key {key!r} not found") from None
        value: int = changed.value.value
        return value

    def delete(self, key: str, version: int | None = None) -> bool:
        """Forget an entry, and return whether there was one, be its time over or not."""
        return self._forget(self.make_and_validate_key(key, version=version))

    def clear(self) -> None:
        """Forget everything in the directory of this cache, whatever its prefix and version."""
        for key in list(self._documents.keys()):
            self._documents.delete(key)

    # What Django's caches do by themselves

    def cull(self) -> int:
        """Forget the entries whose time is over, or which are not ours, and return how many: one GET for each entry.

        One that is set anew meanwhile stays; where writers are not told of each other, one that is set anew in that
        very moment may be forgotten too. For a task that runs once a day.
        """
        culled = 0
        for key in list(self._documents.keys()):
            try:
                found: Document[Entry | None] = self._documents.read(key)
                number = found.number if found.value is not None and found.value.is_over(self._now()) else 0
            except CorruptDocumentError as error:
                self._missing(error)
                number = error.number
            if number:
                with suppress(ConflictError):
                    culled += self._documents.delete(key, expected=self._expected(number)) is not None
        return culled

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> float | None:
        """Return when a time-out is over, in seconds since 1970, by the clock of the storage; `None` for never."""
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return None if seconds is None else self._now() + seconds

    # How it is done

    @property
    def _documents(self) -> Documents[Entry]:
        return self.store.documents

    def _entry(self, key: str, value: Any, timeout: Any, version: int | None) -> Entry:
        made_key = self.make_and_validate_key(key, version=version)
        return Entry(key=made_key, pickled=pickled(value), expires=self.get_backend_timeout(timeout))

    def _find(self, made_key: str) -> Entry | None:
        try:
            return self._of(made_key, self._documents.read(_document_key(made_key)).value)
        except CorruptDocumentError as error:
            self._missing(error)
            return None

    def _of(self, made_key: str, entry: Entry | None) -> Entry | None:
        """Return an entry if it is that of the key, and its time is not over."""
        return None if entry is None or entry.key != made_key or entry.is_over(self._now()) else entry

    def _missing(self, error: CorruptDocumentError) -> None:
        """Take for missing what is not ours, and say so: `SECRET_KEY` was changed, or somebody wrote to the bucket."""
        logger.warning("An entry of the cache is taken for missing. %s", error)

    def _change(self, made_key: str, function: Callable[[Entry | None], Entry]) -> Document[Entry]:
        """Replace an entry, and first remove what is not ours: others may do so at once, and one of them is first."""
        document_key = _document_key(made_key)
        for _ in range(TRIES):
            try:
                return self._documents.update(document_key, lambda there: function(self._of(made_key, there)))
            except CorruptDocumentError as error:
                self._missing(error)
                with suppress(ConflictError):
                    self._documents.delete(document_key, expected=error.number)
        return self._documents.update(document_key, lambda there: function(self._of(made_key, there)))

    def _forget(self, made_key: str) -> bool:
        return self._documents.delete(_document_key(made_key)) is not None

    def _expected(self, number: int) -> int | None:
        """Return the number to expect; `None` where nobody can be told that another was first."""
        return number if self.store.storage.archive.committer.tells_of_races else None

    def _now(self) -> float:
        """Return the seconds since 1970."""
        return self.store.storage.archive.clock.now().timestamp()

    def _place(self) -> str:
        """Return the directory with its bucket: what tells this cache from all others."""
        storage = self.store.storage
        return "/".join(filter(None, (storage.bucket_name, storage.archive.layout.location, self.store.prefix)))


def _document_key(made_key: str) -> str:
    """Return the key of a document: a digest, since keys of caches may hold anything, at any length."""
    return hashlib.sha256(made_key.encode(errors="surrogatepass")).hexdigest()


def _there(entry: Entry | None) -> Entry:
    if entry is None:
        raise _NotThereError
    return entry
