"""Files that the admin shows without an input: a name, a link for who may download it, and no request to the store."""

from __future__ import annotations

import re
from typing import Any

import django
import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consistent_s3.admin import VersionHistoryMixin
from consistent_s3.testing import assert_requests
from tests.archive.admin import AttachmentInline
from tests.archive.models import Attachment, Contract, Document
from tests.test_admin import change_url

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["listing", "database"])
def storage(request: pytest.FixtureRequest, settings: Any, storage_options: dict[str, Any]) -> Any:
    from django.core.files.storage import storages

    backend = "consistent_s3.storage.ConsistentS3Storage"
    options = {**storage_options, "index": request.param}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    return storages["default"]


@pytest.fixture
def document(storage: Any) -> Document:
    """Return an unpinned row with an inlined one."""
    document = Document(title="Lease")
    document.file.save("lease.txt", ContentFile(b"one"))
    document.file.save("lease.txt", ContentFile(b"two"))
    attachment = Attachment(document=document)
    attachment.file.save("plan.txt", ContentFile(b"plan"))
    return document


def viewer(*permissions: str) -> Client:
    """Return the browser of a staff member who may look at everything, and more."""
    user = User.objects.create_user("viewer", is_staff=True)
    codenames = ["view_document", "view_contract", "view_attachment", *permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def links(page: str, name: str) -> list[str]:
    """Return the addresses that the file's name leads to."""
    return re.findall(rf'<a href="([^"]*)">{name}</a>', page)


def document_url(document: Document) -> str:
    return reverse("admin:archive_document_change", args=[document.pk])


FILE = "documents/lease.txt"
PLAN = "attachments/plan.txt"


def test_who_may_only_look_gets_a_link_to_the_download_and_the_store_is_not_asked(document, storage):
    client = viewer()

    with assert_requests(storage):
        page = client.get(document_url(document)).content.decode()
    [address] = links(page, FILE)
    answer = client.get(address, follow=True)

    assert address == f"/admin/archive/document/{document.pk}/versions/file/download/"
    assert b"".join(answer.streaming_content) == b"two"
    assert answer.redirect_chain == [(f"/admin/archive/document/{document.pk}/versions/file/2/download/", 302)]


def test_the_file_of_an_inline_leads_to_its_download_below_the_form(document, storage):
    client = viewer()

    [address] = links(client.get(document_url(document)).content.decode(), PLAN)
    answer = client.get(address, follow=True)

    assert "/inlines/attachment_set/" in address
    assert b"".join(answer.streaming_content) == b"plan"


def test_a_file_that_may_be_changed_elsewhere_is_a_link_where_it_is_read_only(
    document, storage, admin_client, monkeypatch
):
    monkeypatch.setattr(admin.site.get_model_admin(Document), "readonly_fields", ["file"])
    monkeypatch.setattr(AttachmentInline, "readonly_fields", ["file"])

    with assert_requests(storage):
        page = admin_client.get(document_url(document)).content.decode()

    assert len(links(page, FILE)) == len(links(page, PLAN)) == 1
    assert 'type="file"' not in page


def test_who_may_add_inlined_rows_has_inputs_for_new_ones_only(document):
    page = viewer("change_document", "add_attachment").get(document_url(document)).content.decode()

    assert len(links(page, PLAN)) == 1
    assert 'name="attachment_set-1-file"' in page
    assert 'name="attachment_set-0-file"' not in page


@pytest.mark.parametrize("right", ["has_download_version_permission", "has_history_permission"])
def test_who_may_not_download_gets_the_mere_name(document, monkeypatch, right):
    monkeypatch.setattr(admin.site.get_model_admin(Document), right, lambda *_: False)
    monkeypatch.setattr(AttachmentInline, right, lambda *_: False)
    client = viewer()

    page = client.get(document_url(document)).content.decode()

    assert FILE in page
    assert PLAN in page
    assert links(page, FILE) == links(page, PLAN) == []
    assert "Signature" not in page
    assert client.get(f"/admin/archive/document/{document.pk}/versions/file/download/").status_code == 403


def test_a_row_without_a_file_shows_what_stands_for_nothing(storage):
    document = Document.objects.create(title="Empty")

    page = viewer().get(document_url(document)).content.decode()

    assert '<div class="readonly">-</div>' in page


def test_a_row_whose_file_is_gone_is_shown_and_the_download_is_not_found(document, storage):
    storage.delete(FILE)
    client = viewer()

    [address] = links(client.get(document_url(document)).content.decode(), FILE)

    assert client.get(address).status_code == 404


def test_a_pinned_row_leads_to_its_version(storage):
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"one"))
    contract.file.save("lease.txt", ContentFile(b"two"))
    Contract.objects.update(file_version=1)
    client = viewer()

    [address] = links(client.get(change_url(contract)).content.decode(), "contracts/lease.txt")

    assert b"".join(client.get(address, follow=True).streaming_content) == b"one"


def test_a_name_is_never_markup(storage):
    document = Document(title="x")
    document.file.name = "documents/<b>.txt"
    document.save()

    page = viewer().get(document_url(document)).content.decode()

    assert "documents/&lt;b&gt;.txt</a>" in page
    assert "<b>.txt" not in page


# Lists


def listed(client: Client, model: str = "document", query: str = "") -> str:
    return client.get(reverse(f"admin:archive_{model}_changelist") + query).content.decode()


def show(monkeypatch: pytest.MonkeyPatch, *columns: str, **more: Any) -> None:
    """Show columns in the list of documents."""
    model_admin = admin.site.get_model_admin(Document)
    for name, value in {"list_display": columns, **more}.items():
        monkeypatch.setattr(model_admin, name, value)


def queries(client: Client) -> int:
    with CaptureQueriesContext(connection) as captured:
        listed(client)
    return len(captured)


def test_a_list_shows_files_without_asking_however_many_there_are(document, storage, monkeypatch):
    show(monkeypatch, "title", "file")
    client = viewer()
    alone = queries(client)
    for _ in range(5):
        Document(title="Another").file.save("another.txt", ContentFile(b"1"))

    with assert_requests(storage):
        page = listed(client)
    [address] = links(page, FILE)

    assert queries(client) == alone
    assert address == f"/admin/archive/document/{document.pk}/versions/file/download/"
    assert '<td class="field-file">' in page


def test_who_may_not_download_gets_mere_names_in_the_list(document, monkeypatch):
    show(monkeypatch, "title", "file")
    monkeypatch.setattr(admin.site.get_model_admin(Document), "has_download_version_permission", lambda *_: False)

    page = listed(viewer())

    assert FILE in page
    assert links(page, FILE) == []


@pytest.mark.parametrize(
    ("more", "addresses"),
    [
        ({"list_display": ["file", "title"]}, ["change"]),
        ({"list_display": ["title", "file"], "list_display_links": ["file"]}, ["change"]),
        ({"list_display": ["file", "title"], "list_display_links": None}, ["download"]),
    ],
    ids=["first", "chosen", "none"],
)
def test_a_column_that_leads_to_the_row_does_so(document, monkeypatch, more, addresses):
    show(monkeypatch, **more)

    page = listed(viewer())

    assert [address.strip("/").rpartition("/")[2] for address in links(page, FILE)] == addresses


@pytest.mark.parametrize(("sortable_by", "sorts"), [(None, True), (["file"], True), (["title"], False)])
def test_a_column_is_called_and_sorted_as_the_field(document, monkeypatch, sortable_by, sorts):
    show(monkeypatch, "title", "file", sortable_by=sortable_by)

    page = listed(viewer(), query="?o=1")

    assert ("sortable column-file sorted ascending" in page) is sorts
    assert re.search(r'<(a [^>]*href="[^"]*"|span)>File</', page)


def test_the_file_of_a_related_row_is_shown_by_its_name(document, storage):
    class AttachmentAdmin(VersionHistoryMixin, admin.ModelAdmin):
        list_display = ("id", "document__file", "document__title")

    request = viewer().get(document_url(document)).wsgi_request

    with assert_requests(storage):
        page = AttachmentAdmin(Attachment, admin.site).changelist_view(request).render().content.decode()

    assert f'<td class="field-document__file">{FILE}</td>' in page
    assert ">Lease</td>" in page


def test_a_row_that_may_not_be_changed_shows_its_file_without_an_input_in_an_editable_list(
    document, admin_client, monkeypatch
):
    show(monkeypatch, "title", "file", list_editable=["file"])
    other = Document(title="Another")
    other.file.save("another.txt", ContentFile(b"1"))
    monkeypatch.setattr(
        admin.site.get_model_admin(Document), "has_change_permission", lambda _, obj=None: obj is None or obj == other
    )

    page = listed(admin_client)

    if django.VERSION >= (6, 1):
        assert len(links(page, FILE)) == 1
        assert page.count('type="file"') == 1
    else:  # Django gives every row of an editable list its inputs
        assert page.count('type="file"') == 2
