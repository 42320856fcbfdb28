"""Rows of very many objects and versions, made directly: what lists cost does not depend on objects in the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from consistent_s3.models import StoredObject, StoredVersion, digest

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 2000


def fill(
    place: str, count: int, *, begin: int = 0, versions: int = 1, deleted_each: int = 0, using: str = "default"
) -> None:
    """Make `count` names with some versions each; of every `deleted_each` names one is deleted."""
    for first in range(begin, begin + count, BATCH):
        objects = [
            _object(place, number, versions, deleted_each=deleted_each)
            for number in range(first, min(first + BATCH, begin + count))
        ]
        StoredObject.objects.using(using).bulk_create(objects)
        StoredVersion.objects.using(using).bulk_create(
            _version(stored, number) for stored in objects for number in range(1, stored.newest + 1)
        )


def _object(place: str, number: int, versions: int, *, deleted_each: int) -> StoredObject:
    directory, name = f"documents/{number // 1000}", f"documents/{number // 1000}/file-{number:07}.txt"
    deleted = bool(deleted_each) and number % deleted_each == 0
    return StoredObject(
        digest=digest(place, name),
        place_digest=digest(place),
        place=place,
        name=name,
        directory=directory,
        directory_digest=digest(place, directory),
        newest=versions + deleted,
        deleted=deleted,
        size=0 if deleted else 1000 + number,
        changed=BEGAN + timedelta(seconds=number, minutes=versions + deleted),
        content_type="" if deleted else "text/plain",
    )


def _version(stored: StoredObject, number: int) -> StoredVersion:
    tombstone = stored.deleted and number == stored.newest
    return StoredVersion(
        stored_object=stored,
        number=number,
        write_id=f"{number:024x}",
        key=f"{stored.name}/{number}",
        size=0 if tombstone else stored.size or 1000,
        modified=stored.changed - timedelta(minutes=stored.newest - number),
        tombstone=tombstone,
        author="ann" if number % 2 else "bob",
        comment=f"change {number}",
        content_type="" if tombstone else "text/plain",
        predecessor=number - 1,
    )


def place_of(storage: object) -> str:
    """Return a storage's place as rows have it."""
    return str(storage.make_database_index(storage.archive.layout).place)  # type: ignore[attr-defined]
