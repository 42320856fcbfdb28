"""Which version is the newest? The one that a committed transaction says.

A save becomes current with the caller's transaction and not before. Rows hold all that a version tells, so reading
costs one GET, and asking for names, sizes, times and histories costs the store nothing.

Two transactions that replace one file meet at its row: the second waits for the first, sees that it was second, and
writes again on top of it, or is told where it expected a number.

Databases disagree about which texts are equal (case, accents, trailing spaces), so rows are found by digests, and
texts are compared here. What a row tells of a version is in `version_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from django.db import Error, IntegrityError, connections, models, router, transaction

from consistent_s3.core.errors import NumberTakenError, OutcomeUnknownError, PolicyError
from consistent_s3.core.names import validate_directory
from consistent_s3.core.numbers import MAX_NUMBER
from consistent_s3.core.versions import Version
from consistent_s3.index.version_rows import as_columns, as_version, storable
from consistent_s3.models import CONTENT_TYPE_LENGTH, StoredObject, StoredPlace, StoredVersion, digest

NO_ROLLBACK = "Objects cannot be brought back by a rollback: erase and collect outside of transactions."

_ROLLED_BACK = frozenset({"40001", "40P01"})
"""PostgreSQL's answers to a transaction that it rolled back for another's sake: serialization failure and deadlock.
https://www.postgresql.org/docs/current/errcodes-appendix.html"""
_ROLLED_BACK_BY_MARIADB = frozenset({1020, 1205, 1213})
"""Changed since it was read, lock wait timeout, deadlock. https://mariadb.com/kb/en/mariadb-error-code-reference/"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseIndex:
    """A `CommittingIndex` in the project's database.

    Guarantees those of `CommittingIndex`, inside and outside of transactions, savepoints included. It answers from the
    primary, never from a replica.
    """

    place: str
    """What tells this bucket and location from others in the same tables."""
    database: str = ""
    """The alias of the database; empty to ask the routers."""
    lists_names: bool = False

    @property
    def using(self) -> str:
        """Return the alias of the database."""
        return self.database or router.db_for_write(StoredObject)

    # Reading

    def newest(self, name: str) -> Version | None:
        """Return the newest version that this transaction sees: one query."""
        found = self._versions(name).filter(number=models.F("stored_object__newest"))
        return next((as_version(name, row) for row in found), None)

    def newest_of(self, names: Sequence[str]) -> dict[str, Version]:
        """Return the newest versions of those names that have any: one query for every 500 names."""
        found: dict[str, Version] = {}
        for begin in range(0, len(names), 500):
            digests = [digest(self.place, name) for name in names[begin : begin + 500]]
            rows = StoredVersion.objects.using(self.using).filter(
                stored_object__digest__in=digests, number=models.F("stored_object__newest")
            )
            for row in rows.select_related("stored_object"):
                found[row.stored_object.name] = as_version(row.stored_object.name, row)
        return found

    def history(self, name: str, *, before: int | None = None, limit: int | None = None) -> Iterator[Version]:
        """Yield versions, newest first: one query."""
        found = self._versions(name).order_by("-number")
        if before is not None and before <= MAX_NUMBER:
            found = found.filter(number__lt=before)
        rows = found.iterator(chunk_size=500) if limit is None else found[:limit]
        return (as_version(name, row) for row in rows)

    def at(self, name: str, number: int) -> Version | None:
        """Return the version with exactly this number: one query."""
        if not 0 < number <= MAX_NUMBER:
            return None
        return next((as_version(name, row) for row in self._versions(name).filter(number=number)), None)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return directories and current files: two queries."""
        path = validate_directory(path)
        objects = StoredObject.objects.using(self.using).filter(place_digest=digest(self.place))
        files = objects.filter(directory_digest=digest(self.place, path))
        current = files.filter(versions__number=models.F("newest"), versions__tombstone=False)
        prefix = f"{path}/" if path else ""
        # Distinct by the digest, since a database may take directories for one that differ in case; and LIKE ignores
        # case on some, so the prefix is compared once more.
        below = objects.filter(directory__startswith=prefix).values_list("directory", "directory_digest").distinct()
        directories = {
            directory.removeprefix(prefix).partition("/")[0]
            for directory, _ in below
            if directory and directory.startswith(prefix)
        }
        names = current.values_list("name", flat=True)
        return sorted(directories), sorted(name.rpartition("/")[2] for name in names)

    def relearn(self, name: str) -> Version | None:
        """Return the newest version as others have committed it, also where this transaction sees an older state."""
        if not connections[self.using].in_atomic_block:
            return self.newest(name)
        row = self._rows(name).select_for_update().first()
        if row is None:
            return None
        newest = self._versions(name).select_for_update().filter(number=row.newest)
        return next((as_version(name, version) for version in newest), None)

    def committed(self, names: Sequence[str]) -> dict[str, list[Version]]:
        """Return all versions of some names, newest first: one query for every 500 names."""
        found: dict[str, list[Version]] = {name: [] for name in names}
        for begin in range(0, len(names), 500):
            digests = [digest(self.place, name) for name in names[begin : begin + 500]]
            rows = StoredVersion.objects.using(self.using).filter(stored_object__digest__in=digests)
            for row in rows.select_related("stored_object").order_by("stored_object", "-number"):
                found[row.stored_object.name].append(as_version(row.stored_object.name, row))
        return found

    # Collecting

    def page(self, *, after: int, until: int | None, limit: int) -> list[tuple[int, str, list[Version]]]:
        """Return the place, the name and all versions of the next names: two queries."""
        objects = StoredObject.objects.using(self.using).filter(place_digest=digest(self.place), pk__gt=after)
        if until is not None:
            objects = objects.filter(pk__lte=until)
        found: dict[int, tuple[str, list[Version]]] = {
            pk: (name, []) for pk, name in objects.order_by("pk").values_list("pk", "name")[:limit]
        }
        if not found:
            return []
        versions = StoredVersion.objects.using(self.using).filter(
            stored_object__gte=min(found), stored_object__lte=max(found), stored_object__place_digest=digest(self.place)
        )
        for row in versions.order_by("stored_object", "-number").iterator(chunk_size=2000):
            if row.stored_object_id in found:
                name, known = found[row.stored_object_id]
                known.append(as_version(name, row))
        return [(pk, name, known) for pk, (name, known) in found.items()]

    def bounds(self) -> tuple[int, int]:
        """Return the first and the last place: one query."""
        objects = StoredObject.objects.using(self.using).filter(place_digest=digest(self.place))
        found = objects.aggregate(low=models.Min("pk"), high=models.Max("pk"))
        return found["low"] or 0, found["high"] or 0

    def superseded(self, versions: Sequence[Version]) -> set[str]:
        """Return the keys of those versions that may still go: one query.

        Raises: `PolicyError` inside a transaction, which could be rolled back after the objects are gone.
        """
        with self._durable(NO_ROLLBACK):
            return set(self._superseded(versions).values_list("key", flat=True))

    def known(self, keys: Mapping[str, Sequence[str]]) -> set[str]:
        """Return which keys are those of committed versions, large bodies included: one query."""
        wanted = {key for some in keys.values() for key in some}
        rows = StoredVersion.objects.using(self.using).filter(
            models.Q(key__in=wanted) | models.Q(body_key__in=wanted),
            stored_object__digest__in=[digest(self.place, name) for name in keys],
        )
        return wanted & {key for both in rows.values_list("key", "body_key") for key in both}

    def amend(self, version: Version) -> None:
        """Note the ETag and the storage class that a version has now: one query."""
        rows = self._versions(version.name).filter(number=version.number, key=version.key)
        rows.update(etag=version.etag, storage_class=version.details.storage_class)

    # Writing

    def advance(self, version: Version, *, after: int) -> None:
        """Insert a version and make it the newest, in the caller's transaction or in one of its own.

        In a transaction of its own: what the database rolled back for another's sake is `NumberTakenError`, so that
        the writer begins again; another error before the commit is raised as it is (nothing was changed), and one of
        the commit is settled by looking for the row, or `OutcomeUnknownError`.
        """
        if connections[self.using].in_atomic_block:
            self._advance(version, after)
            return
        inserted = False
        try:
            with transaction.atomic(using=self.using):
                self._advance(version, after)
                inserted = True
        except Error as error:
            if _was_rolled_back(error):
                raise NumberTakenError(f"The database let another writer go first: {error}") from error
            if not inserted:
                raise
            self._settle(version, error)

    def forget(self, versions: Sequence[Version]) -> None:
        """Delete the rows of versions whose objects are about to go, and of names of which nothing is left.

        Raises: `PolicyError` inside a transaction, which could be rolled back after the objects are gone.
        """
        names = {digest(self.place, version.name) for version in versions}
        with self._durable(NO_ROLLBACK):
            objects = StoredObject.objects.using(self.using).filter(digest__in=names)
            list(objects.select_for_update().order_by("pk"))  # nobody writes these names meanwhile
            self._superseded(versions).delete()
            objects.filter(versions__isnull=True).delete()

    # Rebuilding

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was ever written here, nor a rebuilding begun."""
        objects = StoredObject.objects.using(self.using).filter(place_digest=digest(self.place))
        return not (objects.exists() or self._place().exists())

    @property
    def is_complete(self) -> bool:
        """Return whether the rows were compared with the bucket: what they do not know was never saved."""
        return self._place().filter(complete=True).exists()

    @property
    def is_rebuilding(self) -> bool:
        """Return whether a rebuilding was begun and not finished."""
        return self._place().filter(complete=False).exists()

    def names(self) -> Iterator[str]:
        """Yield all names that have rows here."""
        objects = StoredObject.objects.using(self.using).filter(place_digest=digest(self.place))
        return objects.order_by("pk").values_list("name", flat=True).iterator(chunk_size=500)

    def mark(self, *, complete: bool) -> None:
        """Note that a rebuilding is begun, or that the rows are complete."""
        StoredPlace.objects.using(self.using).update_or_create(
            digest=digest(self.place), defaults={"place": self.place, "complete": complete}
        )

    def adopt(self, name: str, versions: Sequence[Version], *, newest: int) -> None:
        """Insert versions found in the bucket, all or none; the newest only ever goes forwards.

        `newest` is the newest number that was seen when they were chosen.

        Raises: `NumberTakenError` if it is another by now, and nothing was changed.
        """
        with self._durable("A bucket is not indexed inside a transaction."):
            row = self._locked(name, after=newest)
            for version in versions:
                StoredVersion.objects.using(self.using).create(stored_object=row, **as_columns(version))
            youngest = max(versions, key=lambda version: version.number)
            if youngest.number > newest:
                self._make_newest(row, youngest)

    # How it is done

    @contextmanager
    def _durable(self, refusal: str) -> Iterator[None]:
        """Open a transaction that is nobody else's part."""
        with ExitStack() as stack:
            try:
                stack.enter_context(transaction.atomic(using=self.using, durable=True))
            except RuntimeError as error:
                raise PolicyError(refusal) from error
            yield

    def _settle(self, version: Version, error: Error) -> None:
        """After a commit without an answer: the row itself tells, if the database does."""
        connections[self.using].close()
        try:
            found = self.at(version.name, version.number)
        except Error:
            found = None
        if found is None or found.details.write_id != version.details.write_id:
            raise OutcomeUnknownError(
                f"Nobody can say whether version {version.number} of {version.name!r} was committed: the database "
                f"gave no answer ({error}). Look in the history for the write id {version.details.write_id}.",
                name=version.name,
                number=version.number,
                write_id=version.details.write_id,
            ) from error

    def _versions(self, name: str) -> models.QuerySet[StoredVersion]:
        return StoredVersion.objects.using(self.using).filter(stored_object__digest=digest(self.place, name))

    def _superseded(self, versions: Sequence[Version]) -> models.QuerySet[StoredVersion]:
        """Return the rows of some versions that are not the newest of a name that exists."""
        rows = StoredVersion.objects.using(self.using).filter(
            key__in=[version.key for version in versions],
            number__in={version.number for version in versions},  # which is indexed, and keys are not
            stored_object__digest__in={digest(self.place, version.name) for version in versions},
        )
        return rows.exclude(number=models.F("stored_object__newest"), tombstone=False)

    def _advance(self, version: Version, after: int) -> None:
        try:
            with transaction.atomic(using=self.using):
                row = self._locked(version.name, after=after)
                StoredVersion.objects.using(self.using).create(stored_object=row, **as_columns(version))
                self._make_newest(row, version)
        except IntegrityError as error:
            raise NumberTakenError(f"Another writer has version {version.number} of {version.name!r}.") from error

    def _make_newest(self, row: StoredObject, version: Version) -> None:
        """Note a version as the newest of its name, with what lists are ordered and filtered by: one query."""
        row.newest, row.deleted, row.size = version.number, version.tombstone, version.size
        row.changed = as_columns(version)["modified"]
        row.content_type = storable(version.details.content_type)[:CONTENT_TYPE_LENGTH]
        row.save(using=self.using, update_fields=["newest", "deleted", "size", "changed", "content_type"])

    def _locked(self, name: str, *, after: int) -> StoredObject:
        """Return the row of a name, locked, if `after` is the number of its newest version; made if there is none.

        Always by a locking read, which sees what others have committed: MariaDB's transactions see a snapshot
        otherwise. A row that may be new is made by an upsert, since MariaDB locks the gap when it finds nothing, and
        two who hold that lock and insert into the gap are a deadlock.
        """
        if after == 0:
            self._make(name)
        row = self._rows(name).select_for_update().first()
        newest = row.newest if row else 0
        if row is None or newest != after:
            raise NumberTakenError(f"Version {newest} of {name!r} is the newest, not {after}.")
        return row

    def _make(self, name: str) -> None:
        directory = name.rpartition("/")[0]
        new = StoredObject(
            digest=digest(self.place, name),
            place_digest=digest(self.place),
            place=self.place,
            name=name,
            directory=directory,
            directory_digest=digest(self.place, directory),
        )
        targets = connections[self.using].features.supports_update_conflicts_with_target
        StoredObject.objects.using(self.using).bulk_create(
            [new],
            update_conflicts=True,
            update_fields=["place_digest"],
            unique_fields=["digest"] if targets else None,
        )

    def _rows(self, name: str) -> models.QuerySet[StoredObject]:
        return StoredObject.objects.using(self.using).filter(digest=digest(self.place, name))

    def _place(self) -> models.QuerySet[StoredPlace]:
        return StoredPlace.objects.using(self.using).filter(digest=digest(self.place))


def _was_rolled_back(error: Error) -> bool:
    """Return whether the database says that it undid the whole transaction, or never began it, since others write."""
    if "database is locked" in str(error) or "database table is locked" in str(error):  # SQLite has no code for it
        return True
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return state in _ROLLED_BACK or error.args[:1] in {(code,) for code in _ROLLED_BACK_BY_MARIADB}
