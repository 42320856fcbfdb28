"""What the pages of a file answer when the store fails, and under ATOMIC_REQUESTS."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.base import ContentFile
from django.db import connection
from django.urls import reverse

from consistent_s3.core.archiving import archive_version
from consistent_s3.core.errors import AccessDeniedError, OutcomeUnknownError, StoreError, VersionNotFoundError
from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.models import StoredObject
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import count_requests
from consistent_s3.testing.aging import age
from tests.archive.models import Attachment, Contract, Document
from tests.test_admin import url
from tests.test_admin_holds import said

pytestmark = pytest.mark.django_db

NAME = "contracts/lease.txt"
UNKNOWN = "It is not known whether this was done. Look at the history before you try again."


@pytest.fixture(params=["listing", "database"])
def storage(request: pytest.FixtureRequest, settings: Any, storage_options: dict[str, Any]) -> ConsistentS3Storage:
    from django.core.files.storage import storages

    backend = "consistent_s3.storage.ConsistentS3Storage"
    options = {**storage_options, "index": request.param}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    return storages["default"]


on_listing = pytest.mark.parametrize("storage", ["listing"], indirect=True)
on_database = pytest.mark.parametrize("storage", ["database"], indirect=True)


@pytest.fixture
def contract(storage: ConsistentS3Storage) -> Contract:
    """Return a row whose file has two versions, the first superseded days ago."""
    contract = Contract(title="Lease")
    for body in (b"one", b"two"):
        contract.file.save("lease.txt", ContentFile(body))
    age(storage, timedelta(days=3))
    return contract


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Return a function after which the store answers everything with an error."""

    def fail(error: Exception) -> None:
        def answer(*_: Any, **__: Any) -> Any:
            raise error

        for request in ("list", "get", "head", "put"):
            monkeypatch.setattr(S3ObjectStore, request, answer)

    return fail


@pytest.fixture
def atomic_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


def words(answer: Any) -> str:
    """Return the words of a page, without markup, on one line."""
    main = answer.content.decode().partition('id="content-main"')[2]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


PAGES = {
    "versions_compare": [],
    "version_download": [1],
    "version_preview": [1],
    "version_restore": [1],
    "version_copy": [1],
    "version_delete": [1],
}


# A store that fails


@on_listing
@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_happened_and_leads_back(contract, admin_client, fail, page):
    fail(StoreError("The store is being moved."))

    answer = admin_client.get(url(page, contract, *PAGES[page]))

    assert answer.status_code == 503
    assert "This cannot be done now" in answer.content.decode()
    assert "The store is being moved. Nothing was changed." in words(answer)
    assert answer.content.decode().count(f'href="{url("versions", contract)}"') == 2


@pytest.mark.parametrize(
    ("page", "data"),
    [
        ("version_restore", {"expected": "2", "comment": ""}),
        ("version_copy", {"name": "copy.txt", "comment": ""}),
    ],
)
def test_who_changes_something_is_told_to_look_before_trying_again(contract, admin_client, fail, page, data):
    fail(StoreError("The store is being moved."))

    answer = admin_client.post(url(page, contract, 1), data)

    assert answer.status_code == 503
    assert "Nobody knows whether this was done" in answer.content.decode()
    assert f"The store is being moved. {UNKNOWN}" in words(answer)
    assert not LogEntry.objects.exists()


def test_a_restoration_of_which_nobody_knows_leaves_the_row_as_it_was(contract, admin_client, monkeypatch):
    def restore(*_: Any, **__: Any) -> Any:
        raise OutcomeUnknownError("No answer came.")

    monkeypatch.setattr(ConsistentS3Storage, "restore", restore)

    answer = admin_client.post(url("version_restore", contract, 1), {"expected": "2", "comment": ""})

    assert UNKNOWN in words(answer)
    contract.refresh_from_db()
    assert contract.file_version == 2


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_the_store_refuses_was_not_done(contract, admin_client, monkeypatch, method):
    def refuse(*_: Any, **__: Any) -> Any:
        raise AccessDeniedError("It is archived.")

    monkeypatch.setattr(S3ObjectStore, "get", refuse)
    page = "version_restore" if method == "post" else "version_download"

    answer = getattr(admin_client, method)(url(page, contract, 1), {"expected": "2", "comment": ""})

    assert answer.status_code == 503
    assert "It is archived. Nothing was changed." in words(answer)


@pytest.mark.parametrize(
    ("method", "page", "data"),
    [
        ("get", "version_download", {}),
        ("get", "version_preview", {}),
        ("post", "version_restore", {"expected": "2", "comment": ""}),
        ("post", "version_copy", {"name": "copy.txt", "comment": ""}),
    ],
)
def test_an_archived_version_that_cannot_be_read_at_once_is_told(contract, admin_client, storage, method, page, data):
    archive_version(storage.archive.store, storage.version(NAME, 1), "GLACIER")

    answer = getattr(admin_client, method)(url(page, contract, 1), data)

    assert answer.status_code == 503
    assert "it is archived. Restore it in S3 first, which takes hours." in words(answer)
    assert "Nothing was changed." in words(answer)
    assert [version.number for version in storage.history(NAME)] == [2, 1]


def test_a_name_that_leads_out_of_the_storage_is_a_bad_request(contract, admin_client):
    Contract.objects.update(file="../lease.txt")

    answer = admin_client.get(url("version_download", contract, 1))

    assert answer.status_code == 400


def test_an_erasure_that_breaks_off_says_that_something_may_be_left_and_is_logged(contract, admin_client, monkeypatch):
    def erase(*_: Any, **__: Any) -> Any:
        raise StoreError("The store is being moved.")

    monkeypatch.setattr(ConsistentS3Storage, "erase", erase)

    answer = admin_client.post(url("versions_erase", contract), {"confirmation": NAME})

    assert said(answer) == ["Not everything may be erased: The store is being moved."]
    assert answer["Location"] == url("versions", contract)
    (entry,) = LogEntry.objects.all()
    assert entry.get_change_message() == f"Erasing “{NAME}” broke off: The store is being moved."
    assert entry.object_id == str(contract.pk)


@on_listing
def test_holding_what_cannot_be_looked_up_is_told(contract, admin_client, fail, storage):
    fail(StoreError("The store is being moved."))

    answer = admin_client.post(url("version_hold", contract, 1), {"reason": "lawsuit", "until": ""})

    assert answer.status_code == 503
    assert not storage.holds(NAME)


def test_a_version_that_goes_while_it_is_sent_is_not_found(contract, admin_client, monkeypatch):
    def gone(*_: Any, **__: Any) -> Any:
        raise VersionNotFoundError("It was collected.")

    monkeypatch.setattr(S3ObjectStore, "get", gone)

    answer = admin_client.get(url("version_download", contract, 1))

    assert answer.status_code == 404


def test_looking_at_the_first_byte_of_a_download_costs_no_further_request(contract, admin_client, storage):
    with count_requests(storage) as log:
        answer = admin_client.get(url("version_download", contract, 1))
        body = b"".join(answer.streaming_content)

    assert body == b"one"
    assert log.counts["GET"] == 1


@on_database
def test_the_pages_of_a_stored_object_answer_as_well(contract, admin_client, fail):
    stored = StoredObject.objects.get(name=NAME)
    page = reverse("admin:consistent_s3_storedobject_version_download", args=[stored.pk, "file", 1])
    fail(StoreError("The store is being moved."))

    answer = admin_client.get(page)

    assert answer.status_code == 503
    back = reverse("admin:consistent_s3_storedobject_versions", args=[stored.pk, "file"])
    assert f'href="{back}"' in answer.content.decode()


@on_listing
def test_the_pages_of_an_inlined_row_answer_as_well(storage, admin_client, fail):
    attachment = Attachment(document=Document.objects.create(title="Lease"))
    attachment.file.save("plan.txt", ContentFile(b"one"))
    path = f"{attachment.document.pk}/inlines/attachment_set/{attachment.pk}"
    page = reverse("admin:archive_document_version_restore", args=[path, "file", 1])
    fail(StoreError("The store is being moved."))

    answer = admin_client.get(page)

    assert answer.status_code == 503
    back = reverse("admin:archive_document_versions", args=[path, "file"])
    assert f'href="{back}"' in answer.content.decode()


# ATOMIC_REQUESTS


@on_database
@pytest.mark.parametrize(
    ("page", "args", "typed"),
    [("version_delete", [1], "1"), ("versions_erase", [], NAME)],
    ids=["delete", "erase"],
)
def test_what_no_rollback_brings_back_runs_outside_of_transactions(
    contract, admin_client, storage, atomic_requests, page, args, typed
):
    answer = admin_client.post(url(page, contract, *args), {"confirmation": typed})

    assert "for good" in said(answer)[0]
    assert 1 not in [version.number for version in storage.history(NAME)]


@on_database
def test_the_pages_of_a_stored_object_run_outside_of_transactions_as_well(
    contract, admin_client, storage, atomic_requests
):
    stored = StoredObject.objects.get(name=NAME)
    page = reverse("admin:consistent_s3_storedobject_versions_erase", args=[stored.pk, "file"])

    answer = admin_client.post(page, {"confirmation": NAME})

    assert said(answer)[0].startswith("Erased 2 versions")


@on_database
def test_a_refusal_is_told_with_one_full_stop(contract, admin_client, monkeypatch):
    def refuse(*_: Any, **__: Any) -> Any:
        raise VersionNotFoundError("It was collected meanwhile.")

    monkeypatch.setattr(ConsistentS3Storage, "delete_version", refuse)

    answer = admin_client.post(url("version_delete", contract, 1), {"confirmation": "1"})

    assert said(answer) == ["Nothing was deleted: It was collected meanwhile."]


@on_database
def test_what_was_done_in_the_database_before_the_store_failed_is_rolled_back(
    contract, admin_client, atomic_requests, monkeypatch
):
    def save_new(*_: Any, **__: Any) -> Any:
        Contract.objects.update(title="half of it")
        raise OutcomeUnknownError("No answer came.")

    monkeypatch.setattr(ConsistentS3Storage, "save_new", save_new)

    answer = admin_client.post(url("version_copy", contract, 1), {"name": "copy.txt", "comment": ""})

    assert answer.status_code == 503
    contract.refresh_from_db()
    assert contract.title == "Lease"
