"""Bugs planted on purpose, in the index of a storage: the proof must see each of them."""

from __future__ import annotations

import threading
import time
from dataclasses import fields
from typing import Any

from consistent_s3.core.errors import NumberTakenError
from consistent_s3.core.keys import Layout
from consistent_s3.core.seams import ObjectStore
from consistent_s3.core.versions import Version
from consistent_s3.index.database import DatabaseIndex
from consistent_s3.index.pointers import PointerIndex, Slot
from consistent_s3.storage import ConsistentS3Storage


class _AcknowledgesFirst(DatabaseIndex):
    """Every save is acknowledged, and its row written later."""

    def advance(self, version: Version, *, after: int) -> None:
        def later() -> None:
            time.sleep(0.05)
            try:
                super(_AcknowledgesFirst, self).advance(version, after=after)
            except NumberTakenError:
                pass

        threading.Thread(target=later, daemon=True).start()


class _ReadsFromCache(DatabaseIndex):
    """What was the newest is believed for half a second."""

    cache: dict[str, tuple[float, Version | None]] = {}

    def newest(self, name: str) -> Version | None:
        at, version = self.cache.get(name, (0.0, None))
        if time.monotonic() - at > 0.5:
            version = super().newest(name)
            self.cache[name] = (time.monotonic(), version)
        return version


class _DeletesAnothers(DatabaseIndex):
    """Whoever is second deletes the object of whoever was first."""

    store: ObjectStore

    def advance(self, version: Version, *, after: int) -> None:
        try:
            super().advance(version, after=after)
        except NumberTakenError:
            newest = self.newest(version.name)
            if newest is not None:
                type(self).store.delete([newest.key])
            raise


class _IgnoresExpected(DatabaseIndex):
    """A save takes the number above the newest, whatever its writer saw."""

    def advance(self, version: Version, *, after: int) -> None:
        newest = self.newest(version.name)
        if newest is None or newest.number < version.number:
            super().advance(version, after=newest.number if newest else 0)
        else:
            raise NumberTakenError


class _GoesBack(PointerIndex):
    """A pointer is set, whatever it named."""

    def advance(self, version: Version, *, after: int) -> None:
        for _ in range(3):
            (slot,) = self.kept.peek([version.name], keep=False)
            new = Slot(at=str(version.number), lineage=f" {version.number}: ", value=_value(version))
            if self.kept.swap(version.name, slot.at, new) is None:
                return


def _value(version: Version) -> str:
    from consistent_s3.index.pointers import encode

    return encode(version)


BUGS: dict[str, type[Any]] = {
    "acknowledges before it commits": _AcknowledgesFirst,
    "reads the index from a cache": _ReadsFromCache,
    "deletes the object of another at a conflict": _DeletesAnothers,
    "believes any pointer": _GoesBack,
}


def planted(bug: str, options: dict[str, Any]) -> ConsistentS3Storage:
    """Return a storage with a bug, or a sound one."""
    if not bug:
        return ConsistentS3Storage(**options)

    class Broken(ConsistentS3Storage):
        def _make_index(self, store: ObjectStore, layout: Layout) -> Any:
            sound = super()._make_index(store, layout)
            kind = BUGS[bug]
            if kind is _DeletesAnothers:
                kind.store = store
            return kind(**{field.name: getattr(sound, field.name) for field in fields(sound)})

    return Broken(**options)
