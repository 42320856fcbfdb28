"""The page of one stored object, also where no row of the project points to it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consistent_s3.models import Hold, StoredObject
from consistent_s3.testing import assert_requests
from tests.archive.models import Contract, Document
from tests.objects_admin.conftest import clerk, row, said, save, token, url
from tests.objects_admin.rows import fill, place_of

pytestmark = pytest.mark.django_db

NAME = "loose/prices.csv"


@pytest.fixture
def loose(storage: Any) -> Any:
    """Return a storage with a file of two versions that no row has."""
    save(storage, NAME, b"one", b"three", author="bob", comment="new prices")
    return storage


def page_of(name: str, page: str = "change", *args: Any) -> str:
    pk = row(name).pk
    return url(page, pk) if page == "change" else url(page, pk, "file", *args)


def test_the_page_says_what_the_object_is_and_which_versions_it_has(loose, admin_client):
    answer = admin_client.get(page_of(NAME))

    text = re.sub(r"<[^>]+>|\s+", " ", answer.content.decode())
    assert [line.version.number for line in answer.context["rows"]] == [2, 1]
    assert "No row that you may see uses this file." in text
    assert "exists" in text
    assert "new prices" in text


def test_a_version_is_downloaded_as_an_attachment(loose, admin_client):
    answer = admin_client.get(page_of(NAME, "version_download", 1))

    assert b"".join(answer.streaming_content) == b"one"
    assert answer["Content-Disposition"] == 'attachment; filename="prices.csv"'
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_version_is_restored_in_the_users_name_on_top_of_what_was_seen(loose):
    client = clerk("view_storedobject", "restore_storedobject")
    asked = client.get(page_of(NAME, "version_restore", 1))

    answer = client.post(page_of(NAME, "version_restore", 1), {"expected": 2, "comment": "back"}, follow=True)
    late = client.post(page_of(NAME, "version_restore", 1), {"expected": 2, "comment": "again"}, follow=True)

    assert asked.status_code == 200
    assert answer.redirect_chain == [(page_of(NAME), 302)]
    assert said(answer) == [f"Restored version 1 of “{NAME}” as version 3."]
    assert said(late)[0].startswith("Somebody else was faster: ")
    current = loose.current(NAME)
    assert (current.number, current.author, current.comment) == (3, "clerk", "back")
    assert LogEntry.objects.get().get_change_message() == said(answer)[0]


def test_a_deleted_object_is_brought_back_from_its_page(loose, admin_client):
    loose.delete(NAME, author="eve")
    asked = admin_client.get(page_of(NAME))

    data = {"chosen": token(NAME), "confirmed": "yes", "back": "object", "comment": ""}
    answer = admin_client.post(url("bulk", "undelete"), data, follow=True)

    assert "Undelete: bring version 2 back" in asked.content.decode()
    assert answer.redirect_chain == [(page_of(NAME), 302)]
    assert loose.open(NAME).read() == b"three"


def test_an_object_is_deleted_from_its_page_after_a_question(loose, admin_client):
    asked = admin_client.post(url("bulk", "delete"), {"chosen": token(NAME), "back": "object"})
    there = loose.exists(NAME)

    data = {"chosen": token(NAME), "confirmed": "yes", "back": "object", "comment": "obsolete"}
    answer = admin_client.post(url("bulk", "delete"), data, follow=True)

    assert (asked.status_code, asked.context["title"], there) == (200, "Delete 1 file?", True)
    assert said(answer) == ["Deleted 1 file."]
    tombstone = loose.archive.newest(NAME)
    assert (tombstone.tombstone, tombstone.author, tombstone.comment) == (True, "admin", "obsolete")


def test_a_hold_is_placed_and_released_from_its_page(loose):
    client = clerk("view_storedobject", "add_hold", "change_hold")

    placed = client.post(page_of(NAME, "versions_hold"), {"reason": "lawsuit"}, follow=True)
    hold = Hold.objects.get()
    released = client.post(page_of(NAME, "versions_release", hold.pk), {"reason": "settled"}, follow=True)

    assert said(placed) == [f"Held all versions of “{NAME}”: lawsuit"]
    assert said(released) == [f"Released the hold on all versions of “{NAME}”: settled"]
    assert loose.holds(NAME) == []


@pytest.mark.django_db(transaction=True)
def test_an_object_is_erased_after_its_name_was_typed(loose):
    client = clerk("view_storedobject", "delete_storedobject")

    wrong = client.post(page_of(NAME, "versions_erase"), {"confirmation": "prices"})
    kept = len(list(loose.history(NAME)))
    answer = client.post(page_of(NAME, "versions_erase"), {"confirmation": NAME}, follow=True)

    assert (wrong.status_code, kept) == (200, 2)
    assert said(answer) == [f"Erased 2 versions of “{NAME}” for good (8\xa0bytes)."]
    assert "Nothing is left of this file" in answer.content.decode()


def test_whoever_erases_is_told_how_many_rows_lose_the_file(storage, admin_client):
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"x"))
    Document.objects.create(title="Copy", file=contract.file.name)
    save(storage, NAME, b"one")

    used = admin_client.get(page_of(contract.file.name, "versions_erase")).content.decode()
    unused = admin_client.get(page_of(NAME, "versions_erase")).content.decode()

    assert "2 rows use this file and lose it." in used
    assert "and lose" not in unused


def test_the_rows_that_use_it_are_linked(storage, admin_client):
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"x"))
    Document.objects.create(title="Copy", file=contract.file.name)

    answer = admin_client.get(page_of(contract.file.name))

    found = {(line.model, line.label, line.pinned): line.url for line in answer.context["referrers"]}
    assert set(found) == {("contract", "Lease", 1), ("document", "Copy", None)}
    assert found["contract", "Lease", 1] == reverse("admin:archive_contract_versions", args=[contract.pk, "file"])


def test_rows_that_somebody_may_not_see_are_not_told(storage):
    contract = Contract(title="Secret lease")
    contract.file.save("lease.txt", ContentFile(b"x"))

    answer = clerk("view_storedobject").get(page_of(contract.file.name))

    assert answer.context["referrers"] == []
    assert "Secret lease" not in answer.content.decode()


def test_the_page_costs_the_same_for_few_versions_and_for_many(storage, admin_client):
    fill(place_of(storage), 1, versions=30)
    fill(place_of(storage), 1, begin=1, versions=400)
    few, many = StoredObject.objects.order_by("name")
    admin_client.get(url("change", few.pk))

    def cost(stored: StoredObject) -> int:
        with CaptureQueriesContext(connection) as queries, assert_requests(storage):
            assert admin_client.get(url("change", stored.pk)).status_code == 200
        return len(queries)

    assert cost(few) == cost(many)


@pytest.mark.parametrize("pk", ["999", "x", "99999999999999999999999999"])
def test_what_is_not_there_is_not_found(loose, admin_client, pk):
    assert admin_client.get(url("change", pk)).status_code == 404
    assert admin_client.get(url("versions_hold", pk, "file")).status_code == 404


def test_an_object_of_a_storage_that_is_gone_says_so(loose, admin_client, settings):
    address, hold = page_of(NAME), page_of(NAME, "versions_hold")
    settings.STORAGES = {"staticfiles": settings.STORAGES["staticfiles"]}

    answer = admin_client.get(address)

    assert "No storage in STORAGES has the place" in answer.content.decode()
    assert admin_client.get(hold).status_code == 404
    listed = admin_client.get(url("changelist"))
    assert [found.name for found in listed.context["cl"].result_list] == [NAME]
    failed = admin_client.post(url("bulk", "delete"), {"chosen": token(NAME), "confirmed": "yes", "comment": ""})
    assert failed.status_code == 302


def test_the_address_of_a_file_leads_to_its_current_version(loose, admin_client):
    address = url("file_download", row(NAME).pk, "file")

    found = admin_client.get(address)
    loose.delete(NAME)

    assert found["Location"] == url("version_download", row(NAME).pk, "file", 2)
    assert admin_client.get(address).status_code == 404
