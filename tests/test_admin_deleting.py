"""One version deleted for good in the admin: asked with its facts, confirmed by its number, refused with a reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.base import ContentFile

from consistent_s3.core.deleting import Deleter
from consistent_s3.testing import count_requests
from consistent_s3.testing.aging import age
from tests.archive.models import Contract
from tests.test_admin import staff, url
from tests.test_admin_holds import history, said

pytestmark = pytest.mark.django_db

NAME = "contracts/lease.txt"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def contract(default_storage: Any) -> Contract:
    """Return a row whose file has three versions, the first two superseded days ago."""
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"one"), author="ann", comment=f"signed {SCRIPT}")
    contract.file.save("lease-2.txt", ContentFile(b"four"), author="bob")
    contract.file.save("lease-3.txt", ContentFile(b"three"))
    age(default_storage, timedelta(days=3))
    return contract


def numbers(storage: Any) -> list[int]:
    return [version.number for version in storage.history(NAME)]


def test_a_version_is_deleted_after_its_number_was_typed_and_a_receipt_says_so(contract, admin_client, default_storage):
    answer = admin_client.post(url("version_delete", contract, 1), {"confirmation": "1"})

    receipt = f"Deleted version 1 of “{NAME}” for good (3\xa0bytes)."
    assert answer.status_code == 302
    assert said(answer) == [receipt]
    assert LogEntry.objects.get().change_message == receipt
    assert numbers(default_storage) == [3, 2]


def test_the_page_that_asks_tells_what_would_go_and_changes_nothing(contract, admin_client, default_storage):
    with count_requests(default_storage) as log:
        page = admin_client.get(url("version_delete", contract, 1)).content.decode()

    assert f"Delete version 1 of “{NAME}” for good?" in page
    assert "3\xa0bytes, written on " in page
    assert "by ann." in page
    assert "Nobody can bring it back." in page
    assert "Type “1” to confirm." in page
    assert not set(log.counts) - {"LIST", "HEAD"}
    assert SCRIPT not in page
    assert numbers(default_storage) == [3, 2, 1]


@pytest.mark.parametrize("typed", ["", "2", "01", "yes", " "])
def test_any_other_number_deletes_nothing(contract, admin_client, default_storage, typed):
    answer = admin_client.post(url("version_delete", contract, 1), {"confirmation": typed})

    assert answer.status_code == 200
    assert numbers(default_storage) == [3, 2, 1]
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("number", [0, 7, 2**63 + 1, 10**30])
def test_what_is_not_there_is_404(contract, admin_client, number):
    assert admin_client.post(url("version_delete", contract, number), {"confirmation": number}).status_code == 404


def test_a_tombstone_is_404(contract, admin_client, default_storage):
    default_storage.delete(NAME)

    assert admin_client.get(url("version_delete", contract, 4)).status_code == 404


def refused(client: Any, contract: Contract, number: int) -> str:
    """Return what the page says, which offers no button, and deletes nothing for who posts all the same."""
    before = numbers(contract.file.storage)
    asked = client.get(url("version_delete", contract, number)).content.decode()
    posted = client.post(url("version_delete", contract, number), {"confirmation": str(number)})
    assert "Delete it for good" not in asked
    assert posted.status_code == 200
    assert numbers(contract.file.storage) == before
    return asked


def test_what_has_to_stay_stays_and_the_page_says_why(contract, admin_client, default_storage):
    default_storage.hold(NAME, 1, reason="lawsuit")
    Contract.objects.filter(pk=contract.pk).update(file_version=2)
    contract.refresh_from_db()

    assert "It cannot be deleted now: a hold covers it." in refused(admin_client, contract, 1)
    assert "It cannot be deleted now: a row points to it." in refused(admin_client, contract, 2)
    assert "It cannot be deleted now: current." in refused(admin_client, contract, 3)


def test_what_was_current_a_moment_ago_stays(contract, admin_client, default_storage):
    default_storage.write(NAME, ContentFile(b"four"))
    Contract.objects.filter(pk=contract.pk).update(file_version=4)

    assert "It cannot be deleted now: was current a moment ago (grace)." in refused(admin_client, contract, 3)


def test_what_was_held_since_the_page_was_made_stays_and_the_message_says_why(
    contract, admin_client, default_storage, monkeypatch
):
    delete = Deleter.delete

    def held_meanwhile(self: Any, name: str, number: int) -> Any:
        default_storage.hold(name, number, reason="lawsuit")
        return delete(self, name, number)

    monkeypatch.setattr(Deleter, "delete", held_meanwhile)

    answer = admin_client.post(url("version_delete", contract, 1), {"confirmation": "1"})

    assert said(answer) == ["Nothing was deleted: a hold covers it."]
    assert numbers(default_storage) == [3, 2, 1]
    assert not LogEntry.objects.exists()


def test_what_was_deleted_since_the_page_was_made_is_told(contract, admin_client, default_storage, monkeypatch):
    delete = Deleter.delete

    def twice(self: Any, name: str, number: int) -> Any:
        delete(self, name, number)
        return delete(self, name, number)

    monkeypatch.setattr(Deleter, "delete", twice)

    answer = admin_client.post(url("version_delete", contract, 1), {"confirmation": "1"})

    assert said(answer)[0].startswith(f"Nothing was deleted: '{NAME}' has no version 1")


def test_the_history_offers_it_where_it_may_go(contract, admin_client, default_storage):
    default_storage.hold(NAME, 2, reason="lawsuit")

    page = history(admin_client, contract)

    assert url("version_delete", contract, 1) in page
    assert url("version_delete", contract, 2) not in page, "it is held"
    assert url("version_delete", contract, 3) not in page, "it is current"
    assert "version_delete" not in history(staff("change_contract", "delete_contract"), contract)


RIGHTS = [
    ([], 403, 403),
    (["view_contract"], 403, 403),
    (["change_contract"], 403, 403),
    (["view_contract", "delete_contract"], 403, 403),
    (["view_contract", "delete_storedversion"], 403, 403),
    (["delete_contract", "delete_storedversion"], 403, 403),
    (["view_contract", "delete_contract", "delete_storedobject"], 403, 403),
    (["view_contract", "delete_contract", "delete_storedversion"], 200, 302),
    (["change_contract", "delete_contract", "delete_storedversion"], 200, 302),
]


@pytest.mark.parametrize(
    ("rights", "get", "post"), [pytest.param(*row, id="+".join(row[0]) or "none") for row in RIGHTS]
)
def test_it_needs_the_right_to_the_row_and_to_versions(contract, default_storage, rights, get, post):
    client = staff(*rights)

    assert client.get(url("version_delete", contract, 1)).status_code == get
    assert client.post(url("version_delete", contract, 1), {"confirmation": "1"}).status_code == post
    assert (1 in numbers(default_storage)) is (post == 403)


def test_a_project_may_take_the_right_away_for_a_row(contract, admin_client, monkeypatch):
    from django.contrib import admin

    model_admin = admin.site.get_model_admin(Contract)
    refuse = lambda request, obj: obj.title != "Lease"  # noqa: E731
    monkeypatch.setattr(model_admin, "has_delete_version_permission", refuse, raising=False)

    assert admin_client.get(url("version_delete", contract, 1)).status_code == 403
    assert admin_client.post(url("version_delete", contract, 1), {"confirmation": "1"}).status_code == 403


def test_strangers_are_sent_to_the_login(contract, client):
    assert "/login/" in client.get(url("version_delete", contract, 1))["Location"]
