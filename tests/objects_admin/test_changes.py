"""Recent changes: who did what, when and where, in all files."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consistent_s3.models import digest
from consistent_s3.objects_admin.changes import PAGE
from consistent_s3.testing import assert_requests
from tests.archive.models import Contract
from tests.objects_admin.conftest import clerk, row, save, url
from tests.objects_admin.rows import fill, place_of

pytestmark = pytest.mark.django_db


def changes_url(query: str = "") -> str:
    return url("changelist", model="recentchange") + query


def listed(client: Client, query: str = "") -> list[tuple[str, str, str]]:
    answer = client.get(changes_url(query))
    assert answer.status_code == 200
    rows = answer.context["rows"]
    return [(line.version.stored_object.name, line.version.author, line.what) for line in rows]


@pytest.fixture
def busy(storage: Any, configure: Any) -> Any:
    archive = configure("archive", location="old")
    save(storage, "prices.csv", b"1", author="ann", comment="march prices")
    save(storage, "prices.csv", b"2", author="bob", comment="typo")
    storage.delete("prices.csv", author="eve")
    storage.undelete("prices.csv", author="ann", comment="50% was right")
    save(archive, "film.mp4", author="bob")
    return archive


def test_changes_of_all_files_are_listed_newest_first(busy, admin_client):
    assert listed(admin_client) == [
        ("film.mp4", "bob", "added"),
        ("prices.csv", "ann", "restored from version 2"),
        ("prices.csv", "eve", "deleted"),
        ("prices.csv", "bob", "saved"),
        ("prices.csv", "ann", "added"),
    ]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?person=AN", 2),
        ("?words=march", 1),
        ("?words=50%25", 1),
        ("?words=%25", 1),
        ("?name=film", 1),
        ("?since=2999-01-01", 0),
        ("?until=2999-01-01", 5),
        ("?until=1999-01-01", 0),
        ("?since=rubbish", 5),
        ("?storage=rubbish", 5),
    ],
)
def test_changes_are_found(busy, admin_client, query, count):
    assert len(listed(admin_client, query)) == count


def test_changes_are_found_by_storage(busy, admin_client):
    assert [name for name, _, _ in listed(admin_client, f"?storage={digest(place_of(busy))}")] == ["film.mp4"]


def test_a_change_leads_to_its_file_and_to_its_row(storage, admin_client):
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"x"))

    page = admin_client.get(changes_url()).content.decode()

    assert f'href="{url("change", row(contract.file.name).pk)}"' in page
    assert f'href="{reverse("admin:archive_contract_versions", args=[contract.pk, "file"])}"' in page
    assert "Lease" not in clerk("view_storedobject").get(changes_url()).content.decode()


def test_pages_follow_each_other_without_gap_or_repetition(storage, admin_client):
    fill(place_of(storage), 3, versions=PAGE)
    address, found = changes_url(), []

    for _page in range(3):
        page = admin_client.get(address)
        found += [line.version.pk for line in page.context["rows"]]
        older = re.search(r'<a rel="next" href="([^"]+)"', page.content.decode())
        address = changes_url(older[1].replace("&amp;", "&")) if older else ""

    assert address == ""
    assert len(set(found)) == len(found) == 3 * PAGE


def test_a_page_costs_the_same_for_few_and_for_many(storage, admin_client):
    fill(place_of(storage), 10)
    admin_client.get(changes_url())

    def cost(query: str) -> int:
        with CaptureQueriesContext(connection) as queries, assert_requests(storage):
            assert admin_client.get(changes_url(query)).status_code == 200
        return len(queries)

    few = [cost(query) for query in ("", "?person=ann", "?words=change")]
    fill(place_of(storage), 190, begin=10, versions=3, deleted_each=5)

    assert few == [cost(query) for query in ("", "?person=ann", "?words=change")]
    assert len(set(few)) == 1


def test_who_may_not_see_objects_sees_no_change(busy):
    assert clerk("view_hold", "restore_storedobject").get(changes_url()).status_code == 403
