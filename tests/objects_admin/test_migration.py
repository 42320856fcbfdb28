"""What a database that was there before has after it was migrated."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def before() -> Any:
    """Go back to the release before, and forwards again afterwards; return the models of then."""
    executor = MigrationExecutor(connection)
    executor.migrate([("consistent_s3", "0004_collection_rights")])
    yield executor.loader.project_state([("consistent_s3", "0004_collection_rights")]).apps
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


@pytest.mark.django_db(transaction=True)
def test_rows_from_before_know_what_their_newest_version_says(before):
    objects, versions = (before.get_model("consistent_s3", name) for name in ("StoredObject", "StoredVersion"))
    for number, (name, size, tombstone, kind) in enumerate(
        [("a.txt", 5, False, "text/plain"), ("b.txt", 0, True, ""), ("c", 7, False, "x" * 300)], 1
    ):
        row = objects.objects.create(digest=str(number), place_digest="p", place="b/", name=name, newest=2)
        for which in (1, 2):
            versions.objects.create(
                stored_object=row,
                number=which,
                key=f"{name}-{which}",
                size=size if which == 2 else 99,
                modified=MOMENT,
                tombstone=tombstone and which == 2,
                content_type=kind,
            )
    objects.objects.create(digest="none", place_digest="p", place="b/", name="never written")

    MigrationExecutor(connection).migrate([("consistent_s3", "0006_newest_on_objects")])

    from consistent_s3.models import StoredObject

    told = StoredObject.objects.filter(newest=2).order_by("name")
    assert [(row.deleted, row.size, row.changed, row.content_type) for row in told] == [
        (False, 5, MOMENT, "text/plain"),
        (True, 0, MOMENT, ""),
        (False, 7, MOMENT, "x" * 100),
    ]
    assert StoredObject.objects.get(newest=0).deleted is False
