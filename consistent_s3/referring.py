"""Which fields of the project keep files where a storage does, and how many of their rows have a name?

All rows count, whatever managers hide, and the primary is asked: nothing is removed for good because of a replica.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import models, router

from consistent_s3.policies import called_there, overlap, root_of
from consistent_s3.storage import ConsistentS3Storage


def fields(storage: ConsistentS3Storage) -> Iterator[models.FileField]:
    """Yield the fields whose files lie where a storage keeps its own."""
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.local_fields:
            if isinstance(field, models.FileField) and overlap(field.storage, storage):
                yield field


def rows_with(storage: ConsistentS3Storage, name: str) -> int:
    """Return how many rows have a name of a storage as their file: one query for each field."""
    return sum(_rows_of(field, storage, name) for field in fields(storage))


def _rows_of(field: models.FileField, storage: ConsistentS3Storage, name: str) -> int:
    there = called_there([name], here=root_of(storage), there=root_of(field.storage))
    rows: models.QuerySet[Any] = models.QuerySet(field.model).using(router.db_for_write(field.model))
    found = rows.filter(**{f"{field.attname}__in": [*there]}).values_list(field.attname, flat=True)
    return sum(1 for text in found if text in there)  # a database may find names that differ in case
