"""Which version is the newest? The first key of a listing.

Right where LIST is strongly consistent; nothing is kept anywhere but in the bucket. A listed object of no bytes may be
an empty file, a tombstone or a pointer to a large body: its headers tell, which costs one HEAD.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from consistent_s3.core.errors import KeyMissingError, NotYetVisibleError
from consistent_s3.core.keys import Entry, Layout, ParsedKey, entry
from consistent_s3.core.numbers import MAX_NUMBER
from consistent_s3.core.seams import ObjectHead, ObjectInfo, ObjectStore
from consistent_s3.core.versions import Details, KnownDetails, LazyDetails, Version, from_head

_COLLECTED_MEANWHILE = 5
"""How often a listed object may be gone at its HEAD before the store, and not the collector, is to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingIndex:
    """An `Index` without any memory of its own.

    Guarantees those of `Index` on a store whose LIST shows every acknowledged PUT, in key order.
    """

    store: ObjectStore
    layout: Layout

    def newest(self, name: str) -> Version | None:
        """Return the version with the greatest number: one LIST of one key."""
        for _ in range(_COLLECTED_MEANWHILE):
            listed = next(self._listed(self.layout.versions_prefix(name), "", 1), None)
            if listed is None:
                return None
            with suppress(KeyMissingError):
                return self.version(*listed)
        raise NotYetVisibleError(
            f"The listing of {name!r} names an object that the store then denies, {_COLLECTED_MEANWHILE} times. Its "
            "LIST or HEAD is not strongly consistent: this index is not safe there."
        )

    def history(self, name: str, *, before: int | None = None, limit: int | None = None) -> Iterator[Version]:
        """Yield versions, newest first: one LIST for each thousand, and one HEAD for each without bytes."""
        if before is not None and before <= 1:
            return
        # "~" sorts after every digit, extension and write id, so the listing begins below `before`.
        start_after = self.layout.number_prefix(name, before) + "~" if before and before <= MAX_NUMBER else ""
        for info, parsed in self._listed(self.layout.versions_prefix(name), start_after, limit):
            with suppress(KeyMissingError):  # collected between the LIST and the HEAD: gone from the history too
                yield self.version(info, parsed)

    def at(self, name: str, number: int) -> Version | None:
        """Return the version with exactly this number: one LIST of one key."""
        if not 0 < number <= MAX_NUMBER:
            return None
        for info, parsed in self._listed(self.layout.number_prefix(name, number), "", 1):
            with suppress(KeyMissingError):
                return self.version(info, parsed)
        return None

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return directories and current files: one LIST for each thousand names, one for each name with a hint."""
        found: dict[Entry, set[str]] = {kind: set() for kind in Entry}
        prefix, token = self.layout.directory_prefix(path), ""
        while True:
            page = self.store.list(prefix, delimiter="/", token=token)
            for folded in page.prefixes:
                segment, kind = entry(folded)
                found[kind].add(segment)
            token = page.token
            if not token:
                break
        directory = path.rstrip("/") + "/" if path.rstrip("/") else ""
        files = found[Entry.FILE]
        for segment in found[Entry.HINTS] & files:
            newest = self.newest(directory + segment)
            if newest is None or newest.tombstone:
                files.discard(segment)
        return sorted(found[Entry.DIRECTORY]), sorted(files)

    def version(self, info: ObjectInfo, parsed: ParsedKey) -> Version:
        """Return the version that a listed key holds."""
        if info.size == 0:
            return self._from_head(info, parsed, self.store.head(info.key))
        return Version(
            name=parsed.name,
            number=parsed.number or 0,
            key=info.key,
            size=info.size,
            modified=info.modified,
            etag=info.etag,
            source=LazyDetails(lambda: self._details(info.key)),
        )

    def _details(self, key: str) -> Details:
        return from_head(self.store.head(key))

    def _from_head(self, info: ObjectInfo, parsed: ParsedKey, head: ObjectHead) -> Version:
        details = from_head(head)
        return Version(
            name=parsed.name,
            number=parsed.number or 0,
            key=info.key,
            size=details.body_size if details.body_key else 0,
            modified=info.modified,
            etag=info.etag,
            tombstone=details.tombstone,
            source=KnownDetails(details),
        )

    def _listed(self, prefix: str, start_after: str, limit: int | None) -> Iterator[tuple[ObjectInfo, ParsedKey]]:
        """Yield the listed versions, at most `limit`, and pass over what other software put among them."""
        token, left = "", limit
        while left is None or left > 0:
            page_size = 1000 if left is None else min(left, 1000)
            page = self.store.list(prefix, start_after=start_after, token=token, limit=page_size)
            for info in page.objects:
                parsed = self.layout.parse(info.key)
                if parsed is not None and parsed.number is not None:
                    yield info, parsed
                    left = None if left is None else left - 1
            token = page.token
            if not token:
                return
