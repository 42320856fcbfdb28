"""Bugs planted on purpose, in the index of a storage: the proof must see each of them."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, ClassVar

from django.db import connections

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import NumberTakenError
from consistent_s3.core.seams import ObjectStore
from consistent_s3.core.versions import Version
from consistent_s3.index.database import DatabaseIndex
from consistent_s3.index.pointers import PointerIndex
from consistent_s3.storage import ConsistentS3Storage


class _AcknowledgesFirst(DatabaseIndex):
    """A save is acknowledged, and its row written a little later."""

    def advance(self, version: Version, *, after: int) -> None:
        threading.Thread(target=self._later, args=[version, after], daemon=True).start()

    def _later(self, version: Version, after: int) -> None:
        time.sleep(0.05)
        with suppress(NumberTakenError):
            DatabaseIndex.advance(self, version, after=after)
        connections[self.using].close()


class _ReadsFromCache(DatabaseIndex):
    """What was the newest is believed for half a second; writers ask again where they were refused."""

    cache: ClassVar[dict[str, tuple[float, Version | None]]] = {}

    def newest(self, name: str) -> Version | None:
        at, version = self.cache.get(name, (0.0, None))
        if time.monotonic() - at > 0.5:
            version = DatabaseIndex.newest(self, name)
            self.cache[name] = (time.monotonic(), version)
        return version

    def relearn(self, name: str) -> Version | None:
        self.cache.pop(name, None)
        return DatabaseIndex.relearn(self, name)


class _DeletesAnothers(DatabaseIndex):
    """Whoever is second deletes the object of whoever was first."""

    store: ClassVar[ObjectStore]

    def advance(self, version: Version, *, after: int) -> None:
        try:
            DatabaseIndex.advance(self, version, after=after)
        except NumberTakenError:
            newest = self.newest(version.name)
            if newest is not None:
                self.store.delete([newest.key])
            raise


class _KeepsWhatWasRefused(DatabaseIndex):
    """Whoever was refused takes the number above, whatever it expected."""

    def advance(self, version: Version, *, after: int) -> None:
        try:
            DatabaseIndex.advance(self, version, after=after)
        except NumberTakenError:
            newest = self.newest(version.name)
            if newest is None:
                raise
            DatabaseIndex.advance(self, replace(version, number=newest.number + 1), after=newest.number)


class _ReadsPointersFromCache(PointerIndex):
    """What a pointer named is believed for half a second, by readers."""

    cache: ClassVar[dict[str, tuple[float, Version | None]]] = {}

    def newest(self, name: str) -> Version | None:
        at, version = self.cache.get(name, (0.0, None))
        if time.monotonic() - at > 0.5:
            version = PointerIndex.newest(self, name)
            self.cache[name] = (time.monotonic(), version)
        return version


BUGS: dict[str, type[Any]] = {
    "acknowledges before it commits": _AcknowledgesFirst,
    "reads the index from a cache": _ReadsFromCache,
    "deletes the object of another at a conflict": _DeletesAnothers,
    "commits what was refused": _KeepsWhatWasRefused,
    "reads pointers from a cache": _ReadsPointersFromCache,
}
BUGS_OF = {
    "database": [bug for bug, kind in BUGS.items() if issubclass(kind, DatabaseIndex)],
    "redis": [bug for bug, kind in BUGS.items() if issubclass(kind, PointerIndex)],
}


def planted(bug: str, options: dict[str, Any]) -> ConsistentS3Storage:
    """Return a storage with a bug, or a sound one."""
    if not bug:
        return ConsistentS3Storage(**options)
    kind = BUGS[bug]

    class Broken(ConsistentS3Storage):
        @property
        def archive(self) -> Archive:
            archive = super().archive
            if kind is _DeletesAnothers:
                kind.store = archive.store
            parts = {field.name: getattr(archive.index, field.name) for field in fields(archive.index)}
            return replace(archive, index=kind(**parts))

    return Broken(**options)
