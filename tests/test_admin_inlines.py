"""Files that are edited inline: their versions, their pages, and who may do what with them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consistent_s3.admin import VersionHistoryInline
from consistent_s3.testing import count_requests
from tests.archive.admin import AttachmentInline
from tests.archive.models import Attachment, Document

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(default_storage: Any) -> Document:
    """Return a row with an inlined row whose file has two versions."""
    document = Document.objects.create(title="Lease")
    attachment = Attachment(document=document)
    attachment.file.save("plan.txt", ContentFile(b"one"), author="ann", comment="first")
    attachment.file.save("plan-2.txt", ContentFile(b"two"), author="bob", comment="second")
    return document


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("clerk", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def change_url(document: Document) -> str:
    return reverse("admin:archive_document_change", args=[document.pk])


def url(page: str, document: Document, *args: Any, row: Any = None, prefix: str = "attachment_set") -> str:
    row = Attachment.objects.earliest("pk").pk if row is None else row
    path = f"{document.pk}/inlines/{prefix}/{row}"
    return reverse(f"admin:archive_document_{page}", args=[path, "file", *args])


def posted(document: Document, **more: Any) -> dict[str, Any]:
    """Return what a browser sends of the form."""
    return {
        "title": document.title,
        "attachment_set-TOTAL_FORMS": "2",
        "attachment_set-INITIAL_FORMS": "1",
        "attachment_set-0-id": Attachment.objects.earliest("pk").pk,
        "attachment_set-0-document": document.pk,
        "attachment_set-1-document": document.pk,
        **{f"attachment_set-{name}": value for name, value in more.items()},
    }


def contents() -> list[bytes]:
    attachment = Attachment.objects.earliest("pk")
    return [attachment.file.at(version.number).read() for version in attachment.file.history()]


def upload(content: bytes = b"mine") -> SimpleUploadedFile:
    return SimpleUploadedFile("mine.txt", content)


# What the form shows


def test_the_form_shows_version_author_history_and_download_of_each_row(document, admin_client):
    page = admin_client.get(change_url(document)).content.decode()

    assert "Version 2, 3\xa0bytes, by bob" in page
    assert f'href="{url("versions", document)}"' in page
    assert page.count(f'href="{url("version_download", document, 2)}"') == 2
    assert 'name="attachment_set-0-file-comment"' in page
    assert 'name="attachment_set-1-file-comment"' in page


@pytest.mark.parametrize("page", ["versions", "versions_compare", "version_download", "version_restore"])
def test_every_page_of_an_inlined_row_answers_and_leads_back_to_the_form(document, admin_client, page):
    arguments = [] if page.startswith("versions") else [1]

    answer = admin_client.get(url(page, document, *arguments))

    assert answer.status_code == 200
    if page == "version_download":
        assert b"".join(answer.streaming_content) == b"one"
    else:
        text = answer.content.decode()
        assert f'href="{change_url(document)}"' in text
        assert f'href="{url("version_download", document, 1)}"' in text or page == "version_restore"


def test_restoring_an_inlined_file_is_attributed_and_logged_with_the_form(document, admin_client):
    answer = admin_client.post(url("version_restore", document, 1), {"expected": 2, "comment": "back"})

    assert answer.status_code == 302
    assert answer["Location"] == url("versions", document)
    version = Attachment.objects.get().file.version
    assert (version.number, version.author, version.comment) == (3, "admin", "back")
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.content_type.model) == (str(document.pk), "document")
    assert entry.change_message == "Restored version 1 of “attachments/plan.txt” as version 3."


def test_a_row_that_is_being_added_has_no_history(document, admin_client):
    page = admin_client.get(reverse("admin:archive_document_add")).content.decode()

    assert 'name="attachment_set-0-file-comment"' in page
    assert "/inlines/attachment" not in page


@pytest.mark.parametrize("index", ["listing", "database"])
def test_a_form_costs_the_same_queries_however_many_files_it_shows(
    settings, storage_options, admin_client, default_storage, index
):
    backend = settings.STORAGES["default"]["BACKEND"]
    options = {**storage_options, "index": index}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    document = Document(title="Tender")
    document.file.save("tender.txt", ContentFile(b"x"), author="ann")
    page_of(admin_client, document)  # Django learns content types once
    costs = []

    for count in (2, 12):
        while Attachment.objects.count() < count:
            Attachment(document=document).file.save("plan.txt", ContentFile(b"x"), author="bob")
        with count_requests(document.file.storage) as log, CaptureQueriesContext(connection) as queries:
            page = page_of(admin_client, document)
        assert page.count(", by bob") == count
        costs.append((len(queries), dict(log.counts)))

    requests = {"database": ({}, {}), "listing": ({"LIST": 3, "HEAD": 3}, {"LIST": 13, "HEAD": 13})}
    assert [cost[0] for cost in costs] == [costs[0][0]] * 2
    assert tuple(cost[1] for cost in costs) == requests[index]


def test_a_form_whose_store_does_not_answer_for_any_file_still_works(document, admin_client, monkeypatch):
    Attachment(document=document).file.save("other.txt", ContentFile(b"x"))
    storage = Attachment.objects.first().file.storage
    monkeypatch.setattr(storage, "bucket_name", "missing-bucket")
    monkeypatch.setattr(storage, "_archive", None)

    assert page_of(admin_client, document).count("The store does not answer") == 2


# Saving


def test_uploads_in_an_inline_carry_author_and_comment(document, admin_client):
    data = posted(document, **{"0-file": upload(), "0-file-comment": "third", "1-file-comment": "of nothing"})

    answer = admin_client.post(change_url(document), data)

    assert answer.status_code == 302
    version = Attachment.objects.get().file.version
    assert (version.number, version.author, version.comment) == (3, "admin", "third")


def test_who_replaces_what_somebody_replaced_meanwhile_is_told_and_can_go_on(document, admin_client):
    seen = re.search(r'name="attachment_set-0-file-seen" value="([^"]*)"', page_of(admin_client, document))[1]
    Attachment.objects.get().file.save("x.txt", ContentFile(b"theirs"), author="eve", comment="other plan")
    data = posted(document, **{"0-file": upload(), "0-file-seen": seen, "1-file": upload(b"new")})

    page = admin_client.post(change_url(document), data).content.decode()
    tokens = dict(re.findall(r'name="attachment_set-(\d)-file-kept"[^>]* value="([^"]*)"', page))
    anyway = re.search(r'name="attachment_set-0-file-anyway"[^>]* value="([^"]*)"', page)[1]
    again = {f"{number}-file-kept": token for number, token in tokens.items()}
    saved = contents()
    answer = admin_client.post(
        change_url(document), posted(document, **again, **{"0-file-seen": seen, "0-file-anyway": anyway})
    )

    assert "You are replacing version 2, but version 3 is current (by eve, " in page
    assert f"{url('versions_compare', document)}?old=2&amp;new=3" in page
    assert sorted(tokens) == ["0", "1"], "also what was chosen for the new row is kept"
    assert saved == [b"theirs", b"two", b"one"]
    assert answer.status_code == 302
    assert [attachment.file.read() for attachment in Attachment.objects.order_by("pk")] == [b"mine", b"new"]


def page_of(client: Client, document: Document) -> str:
    return client.get(change_url(document)).content.decode()


def test_a_project_may_ask_for_a_comment_in_an_inline(document, admin_client, monkeypatch):
    monkeypatch.setattr(AttachmentInline, "versions_comment_required", True)

    page = admin_client.post(change_url(document), posted(document, **{"0-file": upload()})).content.decode()
    restoring = admin_client.post(url("version_restore", document, 1), {"expected": 2, "comment": ""})

    assert "Say what changed: a new version needs a comment here." in page
    assert "This field is required." in restoring.content.decode()
    assert contents() == [b"two", b"one"]


# Which rows


@pytest.mark.parametrize(
    "path",
    [
        "1/inlines/attachment_set/999",
        "1/inlines/other_set/{row}",
        "1/inlines/attachment_set/x",
        "1/inlines/{row}",
        "{other}/inlines/attachment_set/{row}",
        "999/inlines/attachment_set/{row}",
        "1/inlines/",
        "1/inlines//",
        "1/inlines/attachment_set/{row}/inlines/attachment_set/{row}",
    ],
)
def test_what_the_form_of_a_row_does_not_have_has_no_pages(document, admin_client, path):
    other = Document.objects.create(title="Other")
    path = path.replace("1/", f"{document.pk}/", 1).format(row=Attachment.objects.get().pk, other=other.pk)

    for page, arguments in (("versions", []), ("version_download", [1])):
        address = reverse(f"admin:archive_document_{page}", args=[path, "file", *arguments])
        assert admin_client.get(address).status_code == 404


@pytest.mark.parametrize("field_name", ["document", "nonsense", "id"])
def test_what_is_no_file_of_the_inline_has_no_pages(document, admin_client, field_name):
    address = url("versions", document).replace("/file/", f"/{field_name}/")

    assert admin_client.get(address).status_code == 404


def test_a_file_that_the_inline_hides_has_no_pages(document, admin_client, monkeypatch):
    monkeypatch.setattr(AttachmentInline, "exclude", ["file"])

    assert admin_client.get(url("versions", document)).status_code == 404


def test_rows_that_the_inline_leaves_out_have_no_pages(document, admin_client, monkeypatch):
    monkeypatch.setattr(AttachmentInline, "get_queryset", lambda self, request: Attachment.objects.none())

    assert admin_client.get(url("versions", document)).status_code == 404


def test_an_inline_that_is_left_out_has_no_pages(document, admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(Document), "inlines", [])

    assert admin_client.get(url("versions", document)).status_code == 404


def test_an_inline_without_the_mixin_is_djangos_own(document, admin_client, monkeypatch):
    class Plain(admin.TabularInline):
        model = Attachment

    monkeypatch.setattr(admin.site.get_model_admin(Document), "inlines", [Plain])

    assert admin_client.get(change_url(document)).status_code == 200
    assert admin_client.get(url("versions", document)).status_code == 404


def test_a_formset_that_shows_only_some_rows_has_pages_for_those(document, admin_client, monkeypatch):
    from django.forms.models import BaseInlineFormSet

    class LastOne(BaseInlineFormSet):
        def get_queryset(self) -> Any:
            return super().get_queryset().order_by("-pk")[:1]

    first = Attachment.objects.get().pk
    attachment = Attachment(document=document)
    attachment.file.save("other.txt", ContentFile(b"other"))
    monkeypatch.setattr(AttachmentInline, "formset", LastOne)

    assert admin_client.get(url("versions", document, row=attachment.pk)).status_code == 200
    assert admin_client.get(url("versions", document, row=first)).status_code == 404


def test_where_the_form_has_no_history_of_its_own_there_are_no_links(document, admin_client, rf, admin_user):
    site = admin.AdminSite(name="other")

    class Plain(admin.ModelAdmin):
        inlines = [AttachmentInline]

    site.register(Document, Plain)
    request = rf.get("/")
    request.user = admin_user
    page = Plain(Document, site).change_view(request, str(document.pk)).render().content.decode()

    assert "Version 2, 3\xa0bytes, by bob" in page
    assert "inlines/" not in page


def test_two_inlines_of_one_model_each_have_their_own_rows(document, admin_client, monkeypatch):
    class First(AttachmentInline):
        def get_queryset(self, request: Any) -> Any:
            return super().get_queryset(request).none()

    monkeypatch.setattr(admin.site.get_model_admin(Document), "inlines", [First, AttachmentInline])

    assert admin_client.get(url("versions", document)).status_code == 200


# Rights

VIEW, CHANGE = ["view_document"], ["change_document"]
PAGES = {
    "versions": [],
    "versions_compare": [],
    "version_download": [1],
    "version_preview": [1],
    "version_restore": [1],
    "version_copy": [1],
    "version_hold": [1],
    "version_delete": [1],
    "versions_hold": [],
    "versions_release": [],
    "versions_erase": [],
}
LOOKING = {"versions", "versions_compare", "version_download"}
RESTORING = {"version_restore", "version_copy"}
HOLDING = {"version_hold", "versions_hold"}
RIGHTS: list[tuple[list[str], set[str]]] = [
    ([], set()),
    (VIEW, set()),
    (CHANGE, set()),
    (["view_attachment"], set()),
    (["change_attachment", "delete_attachment", "add_hold", "change_hold", "delete_storedobject"], set()),
    ([*VIEW, "add_attachment"], set()),
    ([*VIEW, "delete_attachment"], set()),
    ([*VIEW, "view_attachment"], LOOKING),
    ([*VIEW, "change_attachment"], LOOKING),
    ([*VIEW, "change_attachment", "delete_attachment", "add_hold", "change_hold", "delete_storedobject"], LOOKING),
    ([*CHANGE, "view_attachment"], LOOKING),
    ([*CHANGE, "view_attachment", "add_hold", "change_hold", "delete_storedobject"], LOOKING),
    ([*CHANGE, "change_attachment"], LOOKING | RESTORING),
    ([*CHANGE, "change_attachment", "add_hold"], LOOKING | RESTORING | HOLDING),
    ([*CHANGE, "change_attachment", "change_hold"], LOOKING | RESTORING | {"versions_release"}),
    ([*CHANGE, "change_attachment", "delete_attachment"], LOOKING | RESTORING),
    ([*CHANGE, "change_attachment", "delete_storedobject"], LOOKING | RESTORING),
    ([*CHANGE, "change_attachment", "delete_storedversion"], LOOKING | RESTORING),
    (
        [*CHANGE, "change_attachment", "delete_attachment", "delete_storedversion"],
        LOOKING | RESTORING | {"version_delete"},
    ),
    (
        [*CHANGE, "change_attachment", "delete_attachment", "delete_storedobject"],
        LOOKING | RESTORING | {"versions_erase"},
    ),
]


@pytest.mark.parametrize(("rights", "allowed"), [pytest.param(*row, id="+".join(row[0]) or "none") for row in RIGHTS])
def test_each_right_is_asked_of_the_inline_and_of_its_form(document, default_storage, rights, allowed):
    hold = default_storage.hold("attachments/plan.txt", reason="audit")
    client = staff(*rights)
    data = {"expected": 2, "name": "copy.txt", "reason": "x", "confirmation": "attachments/plan.txt"}
    cells = [(page, method) for method in ("get", "post") for page in PAGES if page != "version_preview"]

    statuses = {}
    for page, method in cells:
        arguments = [hold.pk] if page == "versions_release" else PAGES[page]
        statuses[page, method] = getattr(client, method)(url(page, document, *arguments), data).status_code

    # What is held is not deleted: its page says so.
    asking = LOOKING | {"version_delete"}
    done = {(page, method): 302 if method == "post" and page not in asking else 200 for page, method in cells}
    denied = {cell: status for cell, status in statuses.items() if cell[0] not in allowed}
    assert {cell: status for cell, status in statuses.items() if cell[0] in allowed} == {
        cell: status for cell, status in done.items() if cell[0] in allowed
    }
    assert set(denied.values()) <= {403, 404}
    if not allowed - LOOKING:
        assert contents() == [b"two", b"one"]
        assert [held.pk for held in default_storage.holds("attachments/plan.txt")] == [hold.pk]


OVERRIDABLE = {
    "has_history_permission": "versions",
    "has_download_version_permission": "version_download",
    "has_restore_version_permission": "version_restore",
    "has_hold_version_permission": "version_hold",
    "has_release_version_permission": "versions_release",
    "has_delete_version_permission": "version_delete",
    "has_erase_versions_permission": "versions_erase",
}


@pytest.mark.parametrize("right", OVERRIDABLE)
def test_a_project_may_take_each_right_away_for_the_rows_of_a_form(
    document, admin_client, default_storage, monkeypatch, right
):
    hold = default_storage.hold("attachments/plan.txt", reason="audit")
    page = OVERRIDABLE[right]
    arguments = [hold.pk] if page == "versions_release" else PAGES[page]
    asked = []
    monkeypatch.setattr(AttachmentInline, right, lambda self, request, obj: asked.append(obj), raising=False)

    status = admin_client.get(url(page, document, *arguments)).status_code

    assert status == 403
    assert asked[0] == document


@pytest.mark.parametrize("right", ["view", "change"])
def test_rights_to_one_row_are_asked_of_the_admin_of_its_form(document, admin_client, monkeypatch, right):
    model_admin = admin.site.get_model_admin(Document)
    other = Document.objects.create(title="Other")

    def only_other(request: Any, obj: Any = None) -> bool:
        return obj is None or obj == other

    for name in ("view", "change") if right == "view" else ("change",):
        monkeypatch.setattr(model_admin, f"has_{name}_permission", only_other)
    look = admin_client.get(url("versions", document))
    restore = admin_client.post(url("version_restore", document, 1), {"expected": 2})

    assert look.status_code == (403 if right == "view" else 200)
    assert restore.status_code == 403
    assert contents() == [b"two", b"one"]


@pytest.mark.parametrize("page", PAGES)
def test_strangers_are_sent_to_the_login(document, client, page):
    answer = client.get(url(page, document, *(PAGES[page] or ([1] if page == "versions_release" else []))))

    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


def test_who_may_only_look_finds_history_and_download_and_no_input(document):
    page = staff("view_document", "view_attachment").get(change_url(document)).content.decode()
    history = staff_again().get(url("versions", document)).content.decode()

    assert "Versions of the files above" in page
    assert f'href="{url("versions", document)}"' in page
    assert 'type="file"' not in page
    assert "What changed?" not in page
    assert "Download<span" in history
    assert "Restore<span" not in history


def staff_again() -> Client:
    client = Client()
    client.force_login(User.objects.get(username="clerk"))
    return client


def test_what_is_read_only_or_not_there_has_its_history_or_none(document, admin_client, monkeypatch):
    Attachment.objects.create(document=document)
    editable = admin_client.get(change_url(document)).content.decode()
    monkeypatch.setattr(AttachmentInline, "readonly_fields", ["file"])

    read_only = admin_client.get(change_url(document)).content.decode()

    assert "Versions of the files above" not in editable
    assert len(re.findall(r'/inlines/attachment_set/\d+/versions/file/"', read_only)) == 1


def test_a_file_that_the_inline_shows_read_only_can_be_looked_at_and_not_restored(document, admin_client, monkeypatch):
    monkeypatch.setattr(AttachmentInline, "readonly_fields", ["file"])

    refused = admin_client.post(url("version_restore", document, 1), {"expected": "2", "comment": ""})
    page = admin_client.get(url("versions", document)).content.decode()

    assert refused.status_code == 403
    assert contents() == [b"two", b"one"]
    assert "second" in page
    assert "/restore/" not in page


def test_a_download_that_is_not_allowed_leaves_no_address_in_the_form(document, monkeypatch):
    monkeypatch.setattr(VersionHistoryInline, "has_download_version_permission", lambda self, request, obj: False)

    page = staff("view_document", "change_document", "change_attachment").get(change_url(document)).content.decode()

    assert "Version 2, 3\xa0bytes, by bob" in page
    assert "Signature" not in page
    assert "download" not in page


# Autocomplete


def autocompleted(client: Client) -> Any:
    query = {"app_label": "archive", "model_name": "attachment", "field_name": "document", "term": "Lea"}
    return client.get(reverse("admin:autocomplete"), query)


def test_autocomplete_shows_titles_alone_to_who_may_see_rows_and_opens_no_history(document, monkeypatch):
    model_admin = admin.site.get_model_admin(Document)
    monkeypatch.setattr(model_admin, "search_fields", ["title"])
    monkeypatch.setattr(model_admin, "ordering", ["title"])
    document.file.save("secret.txt", ContentFile(b"x"), author="ann", comment="secret")

    denied = staff("change_attachment", "add_attachment")
    seen = autocompleted(denied).status_code
    pages = [denied.get(reverse("admin:archive_document_versions", args=[document.pk, "file"])).status_code]
    pages += [denied.get(url("versions", document)).status_code]
    User.objects.get(username="clerk").user_permissions.add(Permission.objects.get(codename="view_document"))
    found = autocompleted(staff_again()).json()

    assert seen == 403
    assert pages == [403, 403]
    assert found["results"] == [{"id": str(document.pk), "text": "Lease"}]
