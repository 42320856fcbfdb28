"""Holding, releasing, copying and erasing in the admin, each asked for before and told of afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils import timezone

from consistent_s3.admin import VersionHistoryMixin
from consistent_s3.models import Hold
from consistent_s3.testing import count_requests
from tests.archive.models import Contract, Document, Letter
from tests.test_admin import staff, url

pytestmark = pytest.mark.django_db

NAME = "contracts/lease.txt"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def contract(default_storage: Any) -> Contract:
    """Return a row whose file has two versions."""
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"one"), author="ann", comment="signed")
    contract.file.save("lease-2.txt", ContentFile(b"two"), author="bob", comment="corrected")
    return contract


def said(answer: Any) -> list[str]:
    """Return the messages that the next page shows."""
    return [str(message) for message in get_messages(answer.wsgi_request)]


def history(client: Any, contract: Any) -> str:
    return client.get(url("versions", contract)).content.decode().partition('id="content-main"')[2]


# Holds


def test_a_hold_is_placed_shown_and_logged(contract, admin_client, default_storage):
    answer = admin_client.post(url("version_hold", contract, 1), {"reason": "lawsuit", "until": ""})

    (hold,) = default_storage.holds(NAME)
    assert (hold.number, hold.reason, hold.author, hold.until) == (1, "lawsuit", "admin", None)
    assert said(answer) == [f"Held version 1 of “{NAME}”: lawsuit"]
    assert LogEntry.objects.get().change_message == f"Held version 1 of “{NAME}”: lawsuit"
    page = history(admin_client, contract)
    assert page.count(">held<") == 1
    assert "until it is released" in page
    assert url("versions_release", contract, hold.pk) in page


def test_all_versions_are_held_until_the_end_of_a_day(contract, admin_client, default_storage):
    day = timezone.localdate() + timedelta(days=10)

    admin_client.post(url("versions_hold", contract), {"reason": "audit", "until": day.isoformat()})

    (hold,) = default_storage.holds(NAME)
    end = timezone.localtime(hold.until)
    assert hold.number is None
    assert (end.date(), end.hour, end.minute) == (day + timedelta(days=1), 0, 0)
    assert history(admin_client, contract).count(">held<") == 2


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"reason": ""}, "This field is required."),
        ({"reason": "   "}, "This field is required."),
        ({"reason": "x", "until": "2001-01-01"}, "This day is over, so nothing would be held."),
        ({"reason": "x", "until": "soon"}, "Enter a valid date."),
        ({"reason": "x" * 1001}, "at most 1000 characters"),
    ],
    ids=["none", "blank", "over", "no date", "long"],
)
def test_a_hold_without_a_reason_or_with_a_wrong_end_is_asked_for_again(contract, admin_client, data, complaint):
    answer = admin_client.post(url("version_hold", contract, 1), data)

    assert complaint in answer.content.decode()
    assert not Hold.objects.exists()


@pytest.mark.parametrize("number", [0, 7, 2**63 + 1, 10**30])
def test_what_is_not_there_cannot_be_held(contract, admin_client, number):
    assert admin_client.post(url("version_hold", contract, number), {"reason": "x"}).status_code == 404
    assert not Hold.objects.exists()


def test_a_hold_is_released_for_a_reason_and_kept_as_a_record(contract, admin_client, default_storage):
    hold = default_storage.hold(NAME, 1, reason="lawsuit", author="ann")

    asked = admin_client.get(url("versions_release", contract, hold.pk)).content.decode()
    refused = admin_client.post(url("versions_release", contract, hold.pk), {"reason": ""})
    answer = admin_client.post(url("versions_release", contract, hold.pk), {"reason": "settled"})

    assert "Held by ann: lawsuit" in asked
    assert refused.status_code == 200
    assert default_storage.holds(NAME) == []
    hold.refresh_from_db()
    assert (hold.released_by, hold.release_reason) == ("admin", "settled")
    assert said(answer) == [f"Released the hold on version 1 of “{NAME}”: settled"]
    assert LogEntry.objects.count() == 1


def test_a_hold_on_another_file_or_an_ended_one_is_not_found(contract, admin_client, default_storage):
    default_storage.write("other.txt", ContentFile(b"x"))
    other = default_storage.hold("other.txt", reason="x")
    ended = default_storage.release(default_storage.hold(NAME, reason="x"))

    for hold in (other, ended):
        answer = admin_client.post(url("versions_release", contract, hold.pk), {"reason": "x"})
        assert answer.status_code == 404
    other.refresh_from_db()
    assert other.in_force


def test_of_two_who_release_at_once_one_is_told(contract, admin_client, default_storage, monkeypatch):
    hold = default_storage.hold(NAME, 1, reason="x")
    author = VersionHistoryMixin.versions_author

    def released_meanwhile(self: Any, request: Any) -> str:
        if hold.in_force:
            default_storage.release(hold, author="bob")
            hold.refresh_from_db()
        return author(self, request)

    monkeypatch.setattr(VersionHistoryMixin, "versions_author", released_meanwhile)

    answer = admin_client.post(url("versions_release", contract, hold.pk), {"reason": "x"})

    assert answer.status_code == 302
    assert "was released before" in said(answer)[0]
    assert not LogEntry.objects.exists()


# Copies


def test_a_copy_is_a_new_file_beside_the_old_one(contract, admin_client, default_storage):
    answer = admin_client.post(url("version_copy", contract, 1), {"name": "old lease", "comment": "for Bob"})

    version = default_storage.version("contracts/old lease")
    assert default_storage.open(version.name).read() == b"one"
    assert (version.number, version.author, version.comment) == (1, "admin", "for Bob")
    assert version.content_type == "text/plain"
    assert said(answer) == [f"Copied version 1 of “{NAME}” to “contracts/old lease”."]
    assert LogEntry.objects.count() == 1
    contract.refresh_from_db()
    assert (contract.file.name, contract.file_version) == (NAME, 2)


def test_the_suggested_name_says_which_version_it_is(contract, admin_client):
    assert 'value="lease-1.txt"' in admin_client.get(url("version_copy", contract, 1)).content.decode()


def test_where_no_page_shows_a_copy_it_is_told_before(contract, admin_client):
    page = admin_client.get(url("version_copy", contract, 1)).content.decode()

    assert "No row has the copy: it is found in “Stored objects”, where there is that list, or by code." in page


@pytest.mark.parametrize("deleted", [False, True])
def test_a_copy_never_overwrites_nor_continues_what_was_deleted(contract, admin_client, default_storage, deleted):
    default_storage.write("contracts/taken.txt", ContentFile(b"mine"))
    if deleted:
        default_storage.delete("contracts/taken.txt")

    answer = admin_client.post(url("version_copy", contract, 1), {"name": "taken.txt"})

    numbers = [version.number for version in default_storage.history("contracts/taken.txt")]
    assert numbers == ([2, 1] if deleted else [1])
    assert said(answer)[0].endswith("“contracts/taken.txt” was taken.")
    assert default_storage.exists("contracts/taken.txt") is not deleted


@pytest.mark.parametrize("name", ["../up.txt", "a/b.txt", "a\\b.txt", "", "..", ".", "a\0b", "x" * 201])
def test_a_copy_leaves_its_directory_for_no_name(contract, admin_client, default_storage, name):
    before = default_storage.listdir("")

    answer = admin_client.post(url("version_copy", contract, 1), {"name": name})

    assert answer.status_code == 200
    assert default_storage.listdir("") == before
    assert default_storage.listdir("contracts") == ([], ["lease.txt"])


# Erasing


def test_erasing_takes_everything_that_is_not_held_and_says_so(contract, admin_client, default_storage):
    default_storage.hold(NAME, 1, reason="lawsuit")

    answer = admin_client.post(url("versions_erase", contract), {"confirmation": NAME})

    receipt = f"Erased 1 version of “{NAME}” for good (3\xa0bytes). Kept, since held: version 1 (lawsuit)."
    assert said(answer) == [receipt]
    assert LogEntry.objects.get().change_message == receipt
    assert [version.number for version in default_storage.history(NAME)] == [3, 1]
    assert "This file is deleted." in history(admin_client, contract)


@pytest.mark.parametrize("typed", ["", "lease.txt", "CONTRACTS/LEASE.TXT", f" {NAME}", f"{NAME} "])
def test_erasing_needs_the_name_typed_exactly(contract, admin_client, default_storage, typed):
    answer = admin_client.post(url("versions_erase", contract), {"confirmation": typed})

    assert answer.status_code == 200
    assert len(list(default_storage.history(NAME))) == 2
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("model", [Contract, Document, Letter])
def test_a_file_that_another_row_of_any_model_has_is_not_erased(contract, admin_client, default_storage, model):
    model.objects.create(file=contract.file.name)

    asked = admin_client.get(url("versions_erase", contract)).content.decode()
    admin_client.post(url("versions_erase", contract), {"confirmation": NAME})

    assert "Another row has the same file." in asked
    assert "Erase for good" not in asked
    assert len(list(default_storage.history(NAME))) == 2


def test_erasing_tells_what_the_store_kept(contract, admin_client, default_storage):
    client = default_storage.make_object_store().client()

    def refuse(parsed: Any, **_: Any) -> None:
        parsed["Errors"] = [
            {"Key": one["Key"], "Code": "AccessDenied", "Message": "locked"} for one in parsed["Deleted"]
        ]
        parsed["Deleted"] = []

    client.meta.events.register("after-call.s3.DeleteObjects", refuse)
    try:
        answer = admin_client.post(url("versions_erase", contract), {"confirmation": NAME})
    finally:
        client.meta.events.unregister("after-call.s3.DeleteObjects", refuse)

    assert said(answer)[0] == "The store kept 2 objects: locked. Erase again."


# All of them

PAGES = {
    "version_hold": ([1], {"reason": "x"}),
    "versions_hold": ([], {"reason": "x"}),
    "versions_release": (["hold"], {"reason": "x"}),
    "version_copy": ([1], {"name": "x.txt"}),
    "version_restore": ([1], {"expected": 2}),
    "versions_erase": ([], {"confirmation": NAME}),
}


def address(page: str, contract: Any, storage: Any) -> str:
    arguments = PAGES[page][0]
    if arguments == ["hold"]:
        arguments = [storage.hold(NAME, 2, reason="x").pk]
    return url(page, contract, *arguments)


@pytest.mark.parametrize("page", PAGES)
def test_asking_changes_nothing(contract, admin_client, default_storage, page):
    where = address(page, contract, default_storage)
    holds = list(Hold.objects.values())

    with count_requests(default_storage) as log:
        answer = admin_client.get(where)

    assert answer.status_code == 200
    assert not set(log.counts) - {"LIST", "HEAD"}
    assert list(Hold.objects.values()) == holds
    assert not LogEntry.objects.exists()


RIGHTS = [
    ([], set()),
    (["view_contract"], set()),
    (["view_contract", "add_hold", "change_hold", "delete_storedobject"], set()),
    (["add_contract", "delete_contract", "delete_storedobject"], set()),
    (["change_contract"], {"version_copy", "version_restore"}),
    (["change_contract", "add_hold"], {"version_copy", "version_restore", "version_hold", "versions_hold"}),
    (["change_contract", "change_hold"], {"version_copy", "version_restore", "versions_release"}),
    (["view_contract", "delete_contract"], set()),
    (["view_contract", "delete_contract", "delete_storedobject"], {"versions_erase"}),
]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(("rights", "allowed"), [pytest.param(*row, id="+".join(row[0]) or "none") for row in RIGHTS])
def test_each_action_needs_its_right(contract, default_storage, rights, allowed, page, method):
    where = address(page, contract, default_storage)

    answer = getattr(staff(*rights), method)(where, PAGES[page][1])

    assert answer.status_code == (403 if page not in allowed else 200 if method == "get" else 302)


OVERRIDABLE = {
    "has_history_permission": {
        *PAGES,
        "versions",
        "version_download",
        "version_preview",
        "versions_compare",
        "version_delete",
    },
    "has_download_version_permission": {"version_download", "version_preview", "versions_compare"},
    "has_restore_version_permission": {"version_restore", "version_copy"},
    "has_hold_version_permission": {"version_hold", "versions_hold"},
    "has_release_version_permission": {"versions_release"},
    "has_delete_version_permission": {"version_delete"},
    "has_erase_versions_permission": {"versions_erase"},
}


@pytest.mark.parametrize("right", OVERRIDABLE)
def test_a_project_may_take_each_right_away_for_a_row(contract, admin_client, default_storage, monkeypatch, right):
    model_admin = admin.site.get_model_admin(Contract)
    monkeypatch.setattr(model_admin, right, lambda request, obj: obj.title != "Lease", raising=False)
    arguments = {"version_download": [1], "version_preview": [1], "version_delete": [1]}
    where = {page: address(page, contract, default_storage) for page in PAGES}
    where |= {
        page: url(page, contract, *arguments.get(page, []))
        for page in ("versions", "version_download", "version_preview", "versions_compare", "version_delete")
    }

    refused = {page for page, path in where.items() if admin_client.get(path).status_code == 403}

    assert refused == OVERRIDABLE[right]


def test_the_history_offers_only_what_is_allowed(contract, admin_client):
    clerk, chief = history(staff("view_contract"), contract), history(admin_client, contract)

    for offer in ("Hold all versions…", "Erase everything…", "Hold<span", "Restore<span"):
        assert offer not in clerk
        assert offer in chief


@pytest.mark.parametrize("page", PAGES)
def test_strangers_are_sent_to_the_login(contract, client, default_storage, page):
    answer = client.post(address(page, contract, default_storage), PAGES[page][1])

    assert "/login/" in answer["Location"]


def test_what_people_type_is_never_markup(default_storage, admin_client):
    contract = Contract(title=SCRIPT)
    contract.file.save("lease.txt", ContentFile(b"1"), author=SCRIPT, comment=SCRIPT)
    hold = default_storage.hold(NAME, 1, reason=SCRIPT, author=SCRIPT)
    addresses = [url("versions", contract), url("versions_release", contract, hold.pk)]
    addresses += [url(page, contract, 1) for page in ("version_hold", "version_copy")]
    addresses += [url(page, contract) for page in ("versions_hold", "versions_erase")]

    for path in addresses:
        page = admin_client.get(path).content.decode().partition("<main")[2]
        assert SCRIPT not in page
        assert "style=" not in page
    answer = admin_client.post(url("versions_erase", contract), {"confirmation": NAME}, follow=True)
    assert SCRIPT not in answer.content.decode()


def test_a_row_without_a_pin_has_the_same_pages(default_storage, admin_client):
    document = Document(title="x")
    document.file.save("x.txt", ContentFile(b"1"))

    for page in ("versions", "versions_hold", "versions_erase"):
        assert (
            admin_client.get(reverse(f"admin:archive_document_{page}", args=[document.pk, "file"])).status_code == 200
        )
