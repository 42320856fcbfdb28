"""Collecting garbage in the storages of a project: one function behind the Celery task and the command."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.db import DatabaseError, models, router
from django.utils.module_loading import import_string

from consistent_s3.core.collector import Collector, Lookup
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.retention import Circumstances
from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.fields import VersionedFileField
from consistent_s3.storage import ConsistentS3Storage

logger = logging.getLogger("consistent_s3.collection")

FAILURES = (ConsistentS3Error, DatabaseError, ImproperlyConfigured)
"""What may keep one storage from being collected, and must not keep the others from it."""


def storage_aliases() -> list[str]:
    """Return the aliases in `STORAGES` that keep versions; storages of other kinds are not built."""
    return [alias for alias in settings.STORAGES if _keeps_versions(alias)]


def versioned_storage(alias: str) -> ConsistentS3Storage:
    """Return the storage of an alias.

    Raises: `ImproperlyConfigured` if there is none, if it keeps no versions, or for bad options.
    """
    storage = storages[alias] if alias in settings.STORAGES and _keeps_versions(alias) else None
    if not isinstance(storage, ConsistentS3Storage):
        known = ", ".join(repr(known) for known in storage_aliases()) or "none"
        raise ImproperlyConfigured(f"{alias!r} is no storage that keeps versions. STORAGES has these: {known}.")
    return storage


def collect_garbage(alias: str, *, dry_run: bool = False, tell: Callable[[Fate], object] | None = None) -> Summary:
    """Delete what the retention policy of one storage lets go, or only say what would go.

    Safe to run at any time, any number of times, and while others write; `tell` hears the fate of each object.

    Raises: `ImproperlyConfigured` for an alias that keeps no versions, or that has another storage with other rules
    in its place; `StoreError` when the bucket cannot be listed;
    `DatabaseError` when nobody can say what the rows point to. Whatever was not collected by then is left.
    """
    storage = versioned_storage(alias)
    check_alone(alias)
    collector = Collector(
        archive=storage.archive,
        policy=storage.policy,
        circumstances=circumstances(storage),
        index_is_complete=getattr(storage.archive.index, "is_complete", True),
    )
    summary = collector.run(dry_run=dry_run, tell=tell)
    logger.info(
        "%(what)s %(alias)s: %(deleted)d of %(scanned)d keys, %(bytes_freed)d bytes, %(error_count)d errors",
        {"what": "dry run of" if dry_run else "collected", "alias": alias, **summary.as_dict()},
    )
    for error in summary.errors:
        logger.warning("kept %(key)s: %(code)s %(message)s", error)
    return summary


def check_alone(alias: str) -> None:
    """Raise `ImproperlyConfigured` if collecting a storage would apply its rules to files that have others.

    A storage holds everything below its location, also what another one keeps in a directory there.
    """
    storage = versioned_storage(alias)
    if storage.policy.keeps_everything:
        return
    for other_alias in storage_aliases():
        other = versioned_storage(other_alias)
        inside = _bucket(other) == _bucket(storage) and _root(other).startswith(_root(storage))
        if inside and (other.policy, other.timing.grace) != (storage.policy, storage.timing.grace):
            raise ImproperlyConfigured(
                f"Collecting STORAGES[{alias!r}] would apply its retention to the files of "
                f"STORAGES[{other_alias!r}], which lie in the same place and have another. Give each a location "
                "of its own, neither inside the other, or the same retention."
            )


def circumstances(storage: ConsistentS3Storage) -> Lookup:
    """Return a function that says what the project knows of some names."""
    referenced = references(storage)

    def known(names: Sequence[str]) -> Mapping[str, Circumstances]:
        pinned = referenced(names)
        return {
            name: Circumstances(policy=storage.policy, referenced=frozenset(pinned.get(name, ()))) for name in names
        }

    return known


def references(storage: ConsistentS3Storage) -> Callable[[Sequence[str]], Mapping[str, set[int]]]:
    """Return a function that says which versions of some names rows point to with their `version_field`."""
    fields = [field for field in _pinning_fields() if _overlap(field.storage, storage)]

    def referenced(names: Sequence[str]) -> Mapping[str, set[int]]:
        found: dict[str, set[int]] = defaultdict(set)
        for field in fields:
            # What this storage and the field's call one object, where one has its place inside the other's.
            root, fields_root = _root(storage), _root(field.storage)
            here = {
                (root + name).removeprefix(fields_root): name for name in names if (root + name).startswith(fields_root)
            }
            # The primary, not a replica that lags behind; every row, whatever its managers hide.
            rows: models.QuerySet[Any] = models.QuerySet(field.model).using(router.db_for_write(field.model))
            pinned = rows.filter(**{f"{field.attname}__in": [*here], f"{field.version_field}__isnull": False})
            for name, number in pinned.values_list(field.attname, str(field.version_field)):
                found[here.get(name, name)].add(number)  # a database may find names that differ in case
        return found

    return referenced


def _keeps_versions(alias: str) -> bool:
    configured: Any = settings.STORAGES[alias]
    try:
        kind = import_string(configured.get("BACKEND", ""))
    except ImportError:
        return False  # Django says so when the storage is used
    return isinstance(kind, type) and issubclass(kind, ConsistentS3Storage)


def _pinning_fields() -> list[VersionedFileField]:
    return [
        field
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_fields
        if isinstance(field, VersionedFileField) and field.version_field
    ]


def _overlap(one: Any, other: ConsistentS3Storage) -> bool:
    if not hasattr(one, "save_new") or _bucket(one) != _bucket(other):
        return False
    return _root(one).startswith(_root(other)) or _root(other).startswith(_root(one))


def _bucket(storage: Any) -> tuple[Any, ...]:
    return storage.endpoint_url, storage.bucket_name


def _root(storage: Any) -> str:
    return str(storage.archive.layout.root)
