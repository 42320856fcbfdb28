"""What the lists ask, on every kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connections

from consistent_s3.models import StoredObject, StoredVersion
from consistent_s3.objects_admin.hidden import hidden_versions, newest_versions
from consistent_s3.objects_admin.paging import all_rows, page
from consistent_s3.objects_admin.totals import TotalsPaginator
from tests.databases import ALIAS, KINDS, made
from tests.objects_admin.rows import fill

pytestmark = pytest.mark.django_db(databases=["default"])


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock(), made(request.param, tmp_path) as alias:
        yield alias


def test_rows_are_found_page_by_page_with_what_they_hide(database):
    fill("bucket/", 25, versions=2, deleted_each=5, using=database)
    rows = StoredObject.objects.using(database).all()
    deleted = list(rows.filter(deleted=True))

    first = page(rows, "changed", after=None, size=10)
    every = list(all_rows(rows, "changed", size=7))

    assert [row.pk for row in first.rows] == [row.pk for row in every][:10]
    assert len({row.pk for row in every}) == len(every) == 25
    assert {version.number for version in hidden_versions(deleted, using=database).values()} == {2}
    assert {version.tombstone for version in newest_versions(deleted, using=database).values()} == {True}
    assert len(newest_versions(every, using=database)) == 25
    assert TotalsPaginator(rows.order_by("pk"), 10).totals == {"count": 25, "bytes": sum(row.size for row in every)}


def test_rows_from_before_learn_what_their_newest_version_says(database):
    fill("bucket/", 10, versions=2, deleted_each=5, using=database)
    rows = StoredObject.objects.using(database)
    before = list(rows.order_by("pk").values_list("deleted", "size", "changed", "content_type"))
    rows.update(deleted=False, size=7, content_type="x", changed=StoredVersion.objects.using(database).first().modified)

    with connections[ALIAS].schema_editor() as editor:
        import_module("consistent_s3.migrations.0006_newest_on_objects").note(apps, editor)

    after = list(rows.order_by("pk").values_list("deleted", "size", "changed", "content_type"))
    assert after == before
