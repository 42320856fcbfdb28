"""Which storage keeps a stored object, and which storages of the project have no rows to list?

A row knows its place, which is a bucket and a location; which aliases have that place is said by `STORAGES` now. So an
alias may be gone, or ask another index by now. Nothing here asks the store or the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.utils.translation import gettext as _

from consistent_s3.collection import storage_aliases, versioned_storage
from consistent_s3.models import StoredObject, digest
from consistent_s3.storage import ConsistentS3Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A place whose rows are kept up to date, since the storages there ask them."""

    digest: str
    place: str
    """Bucket and location."""
    aliases: Sequence[str]
    """All storages with this place whose index is the database."""
    storage: ConsistentS3Storage

    @property
    def label(self) -> str:
        """Return what people call it."""
        return ", ".join(self.aliases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A storage that these pages cannot list."""

    alias: str
    why: str
    """What is missing, and how to get it; in the language of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What the project's storages are to the rows."""

    sources: Mapping[str, Source]
    """By the digest of the place."""
    missing: Sequence[Missing] = ()
    stale: frozenset[str] = field(default_factory=frozenset)
    """Digests of places whose rows nobody keeps up to date any more: what they say may be wrong."""

    def label(self, row: StoredObject) -> str:
        """Return what people call the storage of a row; its place where no storage has that."""
        source = self.sources.get(row.place_digest)
        return source.label if source else row.place

    def storage(self, row: StoredObject) -> ConsistentS3Storage | None:
        """Return the storage that keeps an object; `None` if none of `STORAGES` has its place."""
        source = self.sources.get(row.place_digest)
        return source.storage if source else None


def database() -> str:
    """Return the alias of the database whose rows these pages show: the primary, since one acts on what they say."""
    return router.db_for_write(StoredObject)


def places() -> Places:
    """Return what is to be said of all storages that keep versions."""
    found: dict[str, list[tuple[str, ConsistentS3Storage]]] = {}
    missing = []
    rowless: set[str] = set()
    for alias in storage_aliases():
        try:
            storage = versioned_storage(alias)
            place = place_of(storage)
        except ImproperlyConfigured as error:
            missing.append(Missing(alias=alias, why=str(error)))
            continue
        why = _obstacle(storage)
        if why:
            missing.append(Missing(alias=alias, why=why))
            rowless.add(digest(place))
        else:
            found.setdefault(place, []).append((alias, storage))
    sources = {
        digest(place): Source(
            digest=digest(place), place=place, aliases=[alias for alias, _ in storages], storage=storages[0][1]
        )
        for place, storages in found.items()
    }
    return Places(sources=sources, missing=missing, stale=frozenset(rowless - set(sources)))


def place_of(storage: ConsistentS3Storage) -> str:
    """Return a storage's place as rows have it."""
    return f"{storage.bucket_name}/{storage.archive.layout.location}"


def any_storage(place_digest: str) -> ConsistentS3Storage | None:
    """Return a storage that keeps versions at a place, with whatever index; `None` if there is none.

    Holds are kept for all of them.
    """
    for alias in storage_aliases():
        try:
            storage = versioned_storage(alias)
            if digest(place_of(storage)) == place_digest:
                return storage
        except ImproperlyConfigured:
            continue  # `places` tells it
    return None


def _obstacle(storage: ConsistentS3Storage) -> str:
    """Return why the rows of a storage are not to be listed; empty if they are."""
    kind = storage.index_kind
    if kind != "database":
        return _(
            "its index is “%(kind)s”, which keeps no rows, so its files cannot be searched here. Their histories are "
            "in the pages of the rows that have them. To list all of them: set “index” to “database” in the storage's "
            "OPTIONS, and run “manage.py consistent_s3 reindex”."
        ) % {"kind": kind}
    using = storage.make_database_index(storage.archive.layout).using
    if using != database():
        return _(
            "its rows are in the database “%(using)s”, and these pages ask “%(database)s”. Send the models of "
            "consistent_s3 there by a database router."
        ) % {"using": using, "database": database()}
    return ""
