"""The admin's pages, asked as a browser asks: over HTTP views, with the rights of real users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import resolve, reverse

from consistent_s3.history_admin.finding import PAGE
from consistent_s3.testing import assert_requests, count_requests
from tests.archive.models import Contract, Document

pytestmark = pytest.mark.django_db


@pytest.fixture
def contract(default_storage: Any) -> Contract:
    """Return a row whose file has two versions."""
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"one"), author="ann", comment="signed")
    contract.file.save("lease-2.txt", ContentFile(b"two"), author="bob", comment="corrected")
    return contract


def staff(*permissions: str) -> Client:
    """Return a browser logged in as a staff member with some rights on contracts."""
    user = User.objects.create_user("clerk", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def url(page: str, contract: Any, *args: Any) -> str:
    return reverse(f"admin:archive_contract_{page}", args=[contract.pk, "file", *args])


def change_url(contract: Any) -> str:
    return reverse("admin:archive_contract_change", args=[contract.pk])


def test_saving_records_the_user_and_the_comment(default_storage, admin_client):
    upload = SimpleUploadedFile("plan.txt", b"plan")

    answer = admin_client.post(
        reverse("admin:archive_contract_add"), {"title": "Plan", "file": upload, "file-comment": "  first draft "}
    )

    assert answer.status_code == 302
    version = Contract.objects.get().file.version
    assert (version.author, version.comment, version.original_name) == ("admin", "first draft", "plan.txt")


def test_replacing_keeps_the_name_and_adds_a_version(contract, admin_client):
    upload = SimpleUploadedFile("other.txt", b"three")

    admin_client.post(change_url(contract), {"title": "Lease", "file": upload, "file-comment": "third"})

    contract.refresh_from_db()
    assert contract.file.name == "contracts/lease.txt"
    assert contract.file_version == 3
    assert [version.comment for version in contract.file.history()] == ["third", "corrected", "signed"]


def test_saving_without_an_upload_writes_no_version(contract, admin_client):
    admin_client.post(change_url(contract), {"title": "Renamed", "file-comment": "nothing was uploaded"})

    contract.refresh_from_db()
    assert contract.title == "Renamed"
    assert contract.file_version == 2


def test_clearing_takes_the_file_off_the_row_and_keeps_its_history(contract, admin_client, default_storage):
    admin_client.post(change_url(contract), {"title": "Lease", "file-clear": "on"})

    contract.refresh_from_db()
    assert not contract.file
    assert contract.file_version is None
    assert len(list(default_storage.history("contracts/lease.txt"))) == 2


def test_a_comment_too_long_to_keep_is_refused_and_nothing_is_written(contract, admin_client):
    upload = SimpleUploadedFile("other.txt", b"three")

    answer = admin_client.post(change_url(contract), {"title": "Lease", "file": upload, "file-comment": "ü" * 300})

    assert "The comment is too long by about 800 characters. Shorten it." in answer.content.decode()
    contract.refresh_from_db()
    assert contract.file_version == 2


def test_change_form_shows_version_size_author_and_history(contract, admin_client):
    page = admin_client.get(change_url(contract)).content.decode()

    assert "Version 2, 3\xa0bytes, by bob" in page
    assert f'href="{url("versions", contract)}"' in page
    assert "Versions of File" in page


def test_change_form_asks_the_store_once_for_the_version_and_once_for_its_author(
    contract, admin_client, default_storage
):
    with assert_requests(default_storage, LIST=1, HEAD=1):
        admin_client.get(change_url(contract))


def test_change_form_of_a_deleted_file_says_so(default_storage, admin_client):
    document = Document(title="Gone")
    document.file.save("gone.txt", ContentFile(b"x"))
    default_storage.delete(document.file.name)

    page = admin_client.get(reverse("admin:archive_document_change", args=[document.pk])).content.decode()

    assert "This file is deleted." in page


def test_change_form_works_when_the_store_does_not_answer(contract, admin_client, default_storage, monkeypatch):
    monkeypatch.setattr(default_storage, "bucket_name", "missing-bucket")
    monkeypatch.setattr(default_storage, "_archive", None)

    answer = admin_client.get(change_url(contract))

    assert answer.status_code == 200
    assert "The store does not answer" in answer.content.decode()


def test_history_page_lists_versions_newest_first(contract, admin_client):
    page = admin_client.get(url("versions", contract)).content.decode()

    newest, oldest = page.index("corrected"), page.index("signed")
    assert newest < oldest
    assert "lease-2.txt" in page
    assert page.count("Restore<span") == 1, "the current version offers no restoration"


def test_history_page_asks_one_head_for_each_version_it_shows(contract, admin_client, default_storage):
    for number in range(PAGE + 5):
        default_storage.write(contract.file.name, ContentFile(b"x"), comment=f"change {number}")

    with assert_requests(default_storage, LIST=1, HEAD=PAGE):
        admin_client.get(url("versions", contract))


def test_history_page_leads_to_older_versions_and_back(contract, admin_client, default_storage):
    for number in range(PAGE):
        default_storage.write(contract.file.name, ContentFile(b"x"), comment=f"change {number}")

    first = admin_client.get(url("versions", contract)).content.decode()
    second = admin_client.get(url("versions", contract) + "?before=3").content.decode()

    assert "?before=3" in first
    assert "signed" not in first
    assert "corrected" in second
    assert "signed" in second
    assert "current</span>" not in second
    assert "Newest" in second


@pytest.mark.parametrize(
    "before", ["x", "-1", "²", "9" * 40, "9" * 5000, "0"], ids=["x", "sign", "script", "40", "5000", "zero"]
)
def test_history_page_with_a_strange_position_still_answers(contract, admin_client, before):
    assert admin_client.get(url("versions", contract) + f"?before={before}").status_code == 200


def test_history_page_shows_a_deletion_and_offers_what_was_before(contract, admin_client, default_storage):
    default_storage.delete(contract.file.name, author="ann", comment="by mistake")

    page = admin_client.get(url("versions", contract)).content.decode()

    assert "This file is deleted. Restore a version to bring it back." in page
    assert "by mistake" in page
    assert "in use" in page, "the row is still pinned to version 2"


def test_history_page_says_that_the_store_does_not_answer(contract, admin_client, default_storage, monkeypatch):
    monkeypatch.setattr(default_storage, "bucket_name", "missing-bucket")
    monkeypatch.setattr(default_storage, "_archive", None)

    answer = admin_client.get(url("versions", contract))

    assert answer.status_code == 200
    assert "there is no bucket" in answer.content.decode()


def test_download_sends_the_version_as_an_attachment_under_its_original_name(contract, admin_client):
    answer = admin_client.get(url("version_download", contract, 1))

    assert b"".join(answer.streaming_content) == b"one"
    assert answer["Content-Disposition"] == 'attachment; filename="lease.txt"'
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_download_of_a_version_that_is_not_there_is_404(contract, admin_client):
    assert admin_client.get(url("version_download", contract, 7)).status_code == 404


def test_restore_page_writes_nothing(contract, admin_client, default_storage):
    with count_requests(default_storage) as log:
        page = admin_client.get(url("version_restore", contract, 1)).content.decode()

    assert "Restore version 1 of “contracts/lease.txt”?" in page
    assert not log.counts["PUT"]


def test_restoring_writes_a_new_version_with_author_comment_and_log_entry(contract, admin_client):
    answer = admin_client.post(url("version_restore", contract, 1), {"expected": 2, "comment": "the first was right"})

    assert answer.status_code == 302
    contract.refresh_from_db()
    version = contract.file.version
    assert contract.file.read() == b"one"
    assert (version.number, version.author, version.comment) == (3, "admin", "the first was right")
    assert version.details.restored_from == 1
    assert version.original_name == "lease.txt"
    assert LogEntry.objects.get().change_message == "Restored version 1 of “contracts/lease.txt” as version 3."


def test_restoring_what_somebody_replaced_meanwhile_is_refused(contract, admin_client, default_storage):
    default_storage.write(contract.file.name, ContentFile(b"three"))

    answer = admin_client.post(url("version_restore", contract, 1), {"expected": 2, "comment": ""}, follow=True)

    assert "Version 3 of &#x27;contracts/lease.txt&#x27; is current, but 2 was expected." in answer.content.decode()
    assert default_storage.current(contract.file.name).number == 3


def test_restoring_with_a_broken_form_asks_again(contract, admin_client, default_storage):
    answer = admin_client.post(url("version_restore", contract, 1), {"expected": "", "comment": ""})

    assert answer.status_code == 200
    assert default_storage.current(contract.file.name).number == 2


def test_restoring_a_version_that_is_not_there_is_404(contract, admin_client):
    assert admin_client.post(url("version_restore", contract, 9), {"expected": 2}).status_code == 404


RIGHTS = [
    # rights, page, method, status
    ([], "versions", "get", 403),
    ([], "version_download", "get", 403),
    ([], "version_restore", "get", 403),
    ([], "version_restore", "post", 403),
    (["view_contract"], "versions", "get", 200),
    (["view_contract"], "version_download", "get", 200),
    (["view_contract"], "version_restore", "get", 403),
    (["view_contract"], "version_restore", "post", 403),
    (["change_contract"], "versions", "get", 200),
    (["change_contract"], "version_download", "get", 200),
    (["change_contract"], "version_restore", "get", 200),
    (["change_contract"], "version_restore", "post", 302),
    (["delete_contract", "add_contract"], "versions", "get", 403),
    (["delete_contract", "add_contract"], "version_restore", "post", 403),
]


@pytest.mark.parametrize(
    ("rights", "page", "method", "status"),
    [pytest.param(*row, id=f"{'+'.join(row[0]) or 'none'}-{row[1]}-{row[2]}") for row in RIGHTS],
)
def test_rights_are_asked_at_every_page(contract, rights, page, method, status):
    arguments = [] if page == "versions" else [1]

    answer = getattr(staff(*rights), method)(url(page, contract, *arguments), {"expected": 2})

    assert answer.status_code == status


@pytest.mark.parametrize("page", ["versions", "version_download", "version_restore"])
def test_strangers_are_sent_to_the_login(contract, client, page):
    arguments = [] if page == "versions" else [1]

    answer = client.get(url(page, contract, *arguments))

    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


def test_who_may_only_look_finds_the_history_and_no_restoration(contract):
    client = staff("view_contract")

    form = client.get(change_url(contract)).content.decode()
    history = client.get(url("versions", contract)).content.decode()

    assert f'href="{url("versions", contract)}"' in form
    assert "Download" in history
    assert "Restore<span" not in history


def test_a_file_that_the_form_hides_has_no_pages(contract, admin_client, monkeypatch):
    from django.contrib import admin

    monkeypatch.setattr(admin.site.get_model_admin(Contract), "exclude", ["file"])

    assert admin_client.get(url("versions", contract)).status_code == 404
    assert admin_client.get(url("version_download", contract, 1)).status_code == 404


@pytest.mark.parametrize("field_name", ["title", "nonsense"])
def test_a_field_that_is_no_versioned_file_has_no_pages(contract, admin_client, field_name):
    address = reverse("admin:archive_contract_versions", args=[contract.pk, field_name])

    assert admin_client.get(address).status_code == 404


def test_a_row_that_is_not_there_or_has_no_file_has_no_pages(default_storage, admin_client):
    empty = Contract.objects.create(title="no file")

    assert admin_client.get(url("versions", empty)).status_code == 404
    assert admin_client.get(reverse("admin:archive_contract_versions", args=[999, "file"])).status_code == 404
    assert admin_client.get(change_url(empty)).status_code == 200


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7|add:1 }}"])
def test_what_people_type_is_never_markup(default_storage, admin_client, text):
    contract = Contract(title=text)
    contract.file.save("page.html", ContentFile(b"<script>alert(2)</script>"), author=text, comment=text)

    pages = [
        admin_client.get(address).content.decode()
        for address in (change_url(contract), url("versions", contract), url("version_restore", contract, 1))
    ]

    assert not any(text in page for page in pages if "<" in text)


def test_no_page_has_inline_script_or_style(contract, admin_client):
    for address in (url("versions", contract), url("version_restore", contract, 1)):
        main = admin_client.get(address).content.decode().partition("<main")[2].partition("</main>")[0]

        assert "<script" not in main
        assert "style=" not in main
        assert " on" not in "".join(part for part in main.split("<") if "=" in part and " onclick" in part)


def test_deleting_a_row_leaves_its_file_alone(contract, admin_client, default_storage):
    admin_client.post(reverse("admin:archive_contract_delete", args=[contract.pk]), {"post": "yes"})

    assert not Contract.objects.exists()
    assert default_storage.exists("contracts/lease.txt")


def test_inline_uploads_are_attributed_too(default_storage, admin_client):
    document = Document.objects.create(title="With attachments")
    data = {
        "title": "With attachments",
        "attachment_set-TOTAL_FORMS": "1",
        "attachment_set-INITIAL_FORMS": "0",
        "attachment_set-0-document": document.pk,
        "attachment_set-0-file": SimpleUploadedFile("note.txt", b"note"),
    }

    answer = admin_client.post(reverse("admin:archive_document_change", args=[document.pk]), data)

    assert answer.status_code == 302
    assert document.attachment_set.get().file.version.author == "admin"


def test_clock_numbering_restores_without_expecting(contract, admin_client, settings, storage_options):
    backend = settings.STORAGES["default"]["BACKEND"]
    options = {**storage_options, "numbering": "clock"}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}

    admin_client.post(url("version_restore", contract, 1), {"expected": 2, "comment": ""})

    contract.refresh_from_db()
    assert contract.file_version > 10**15
    assert contract.file.read() == b"one"


def test_the_list_of_rows_works_and_its_actions_are_attributed(contract, admin_client, default_storage, monkeypatch):
    from django.contrib import admin

    def withdraw(model_admin, request, queryset):
        for row in queryset:
            row.file.delete()

    monkeypatch.setattr(admin.site.get_model_admin(Contract), "actions", [withdraw], raising=False)
    address = reverse("admin:archive_contract_changelist")

    admin_client.post(address, {"action": "withdraw", "_selected_action": [contract.pk]})

    tombstone = next(default_storage.history("contracts/lease.txt"))
    assert (tombstone.tombstone, tombstone.author) == (True, "admin")


def test_a_version_collected_while_its_page_is_made_is_shown_without_details(contract, admin_client, default_storage):
    key = default_storage.version("contracts/lease.txt", 1).key
    store = default_storage.make_object_store()

    with gone_after_listing(store, key):
        answer = admin_client.get(url("versions", contract))

    page = answer.content.decode()
    assert "corrected" in page
    assert "signed" not in page


@contextmanager
def gone_after_listing(store: Any, key: str) -> Iterator[None]:
    """Delete an object as soon as a listing has shown it, as a collector does."""
    events = store.client().meta.events

    def collect(**_: Any) -> None:
        events.unregister("after-call.s3.ListObjectsV2", collect)
        store.delete([key])

    events.register("after-call.s3.ListObjectsV2", collect)
    try:
        yield
    finally:
        events.unregister("after-call.s3.ListObjectsV2", collect)


def test_the_page_to_add_a_row_has_no_history(default_storage, admin_client):
    page = admin_client.get(reverse("admin:archive_contract_add")).content.decode()

    assert "What changed?" in page
    assert "Versions of" not in page


def addresses(contract: Contract, hold_id: int) -> dict[str, str]:
    """Return where each page of a row's file is, by its name."""
    given = {"object_id": contract.pk, "field_name": "file"}
    found = {}
    for page in site.get_model_admin(Contract)._versions_pages():
        more = {"number": 1} if page.startswith("version_") else {}
        more |= {"hold_id": hold_id} if page == "versions_release" else {}
        found[page] = reverse(f"admin:archive_contract_{page}", kwargs=given | more)
    return found


@pytest.mark.parametrize("rights", [[], ["add_contract", "delete_contract"], ["view_document", "change_document"]])
def test_no_address_answers_who_may_not_see_the_row(contract, default_storage, rights):
    hold = default_storage.hold(contract.file.name, reason="audit")
    client = staff(*rights)

    answers = {
        (page, method): getattr(client, method)(address).status_code
        for page, address in addresses(contract, hold.pk).items()
        for method in ("get", "head", "post", "put", "patch", "delete")
    }

    assert {cell: status for cell, status in answers.items() if status not in {403, 404, 405}} == {}
    assert answers["file_download", "get"] == answers["version_download", "get"] == 403


def test_no_method_but_post_changes_anything(contract, admin_client, default_storage):
    hold = default_storage.hold(contract.file.name, reason="audit")
    data = {"expected": 2, "name": "copy.txt", "reason": "x", "confirmation": contract.file.name}

    for address in addresses(contract, hold.pk).values():
        for method in ("get", "head", "put", "patch", "delete", "options"):
            kind = {} if method in {"get", "head"} else {"content_type": "application/json"}
            assert getattr(admin_client, method)(address, data, **kind).status_code < 500

    assert [version.number for version in default_storage.history(contract.file.name)] == [2, 1]
    assert [held.pk for held in default_storage.holds(contract.file.name)] == [hold.pk]
    assert not default_storage.exists("contracts/copy.txt")


@pytest.mark.parametrize("field_name", ["file", "versions", "compare", "download", "holds"])
def test_every_address_leads_to_its_page_whatever_the_field_is_called(field_name):
    for page in site.get_model_admin(Contract)._versions_pages():
        given = {"object_id": "7", "field_name": field_name}
        if page.startswith("version_"):
            given["number"] = 2
        if page == "versions_release":
            given["hold_id"] = 3

        found = resolve(reverse(f"admin:archive_contract_{page}", kwargs=given))

        assert (found.url_name, found.kwargs) == (f"archive_contract_{page}", given)
