"""Replacing a file in the admin: who was faster is told of, what was chosen is kept, comments are asked for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from consistent_s3 import kept_uploads
from consistent_s3.collection import collect_garbage
from consistent_s3.core.errors import ConflictError, UnreachableError
from consistent_s3.forms import VersionedFormField
from consistent_s3.runs import Order
from consistent_s3.testing import assert_requests, count_requests
from consistent_s3.testing.aging import age
from tests.archive.models import Contract, Document, Picture
from tests.test_admin import change_url
from tests.test_fields import image

pytestmark = pytest.mark.django_db

NAME = "contracts/lease.txt"


@pytest.fixture(params=["listing", "database"])
def storage(request: pytest.FixtureRequest, settings: Any, storage_options: dict[str, Any]) -> Any:
    from django.core.files.storage import storages

    backend = "consistent_s3.storage.ConsistentS3Storage"
    options = {**storage_options, "index": request.param}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    return storages["default"]


@pytest.fixture
def contract(storage: Any) -> Contract:
    """Return a row whose file has two versions."""
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"one"), author="ann", comment="signed")
    contract.file.save("lease.txt", ContentFile(b"two"), author="bob", comment="corrected")
    return contract


def upload(content: bytes = b"mine", name: str = "mine.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="text/plain")


def inputs(page: str, form: str = "contract_form") -> dict[str, str]:
    """Return the hidden inputs and ticked boxes of a page's main form, as a browser would send them."""
    found = {}
    for tag in re.findall(r"<input [^>]*>", page.partition(f'id="{form}"')[2]):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        ticked = attributes.get("type") == "checkbox" and " checked" in tag
        if "name" in attributes and (ticked or attributes.get("type") == "hidden" or attributes["type"] == "text"):
            found[attributes["name"]] = attributes.get("value", "on")
    return found


def opened(client: Client, contract: Contract) -> dict[str, str]:
    return inputs(client.get(change_url(contract)).content.decode())


def somebody_replaces(contract: Contract, content: bytes = b"theirs") -> None:
    other = Contract.objects.get(pk=contract.pk)
    other.file.save("lease.txt", ContentFile(content), author="eve", comment="new rent")


def contents(contract: Contract) -> list[bytes]:
    contract.refresh_from_db()
    return [contract.file.at(version.number).read() for version in contract.file.history()]


# Replaced meanwhile


def test_what_nobody_replaced_meanwhile_is_replaced_without_a_question(contract, admin_client):
    data = opened(admin_client, contract)

    answer = admin_client.post(change_url(contract), {**data, "title": "Lease", "file": upload()})

    assert answer.status_code == 302
    assert contents(contract) == [b"mine", b"two", b"one"]


def test_who_replaces_what_somebody_replaced_meanwhile_is_told_and_nothing_is_lost(contract, admin_client):
    data = opened(admin_client, contract)
    somebody_replaces(contract)

    answer = admin_client.post(
        change_url(contract), {**data, "title": "Typed", "file": upload(), "file-comment": "my reason"}
    )

    page = answer.content.decode()
    shown = inputs(page)
    assert answer.status_code == 200
    assert "You are replacing version 2, but version 3 is current (by eve, " in page
    assert "“new rent”). Look at what is there now, or tick “Replace version 3 anyway”." in page
    assert "?old=2&amp;new=3" in page
    assert (shown["title"], shown["file-comment"]) == ("Typed", "my reason")
    assert "Use the file that you chose: mine.txt (4\xa0bytes)." in page
    assert contents(contract) == [b"theirs", b"two", b"one"]


def warned(client: Client, contract: Contract, **more: Any) -> dict[str, str]:
    """Return the form of somebody who was told of a newer version."""
    data = opened(client, contract)
    somebody_replaces(contract)
    answer = client.post(change_url(contract), {**data, "title": "Typed", "file": upload(), **more})
    return {**inputs(answer.content.decode()), "file-anyway": f"3:{NAME}"}


def test_who_goes_on_anyway_replaces_with_what_was_kept(contract, admin_client, storage):
    data = warned(admin_client, contract, **{"file-comment": "my reason"})

    answer = admin_client.post(change_url(contract), data)

    assert answer.status_code == 302
    assert contents(contract) == [b"mine", b"theirs", b"two", b"one"]
    version = contract.file.version
    assert (contract.title, version.author, version.comment) == ("Typed", "admin", "my reason")
    assert (version.original_name, version.content_type) == ("mine.txt", "text/plain")
    assert bodies(storage) == [], "what was kept is not needed any more"


def test_who_was_told_and_does_not_tick_is_told_again(contract, admin_client):
    data = warned(admin_client, contract)
    del data["file-anyway"]

    page = admin_client.post(change_url(contract), data).content.decode()

    assert "You are replacing version 2, but version 3 is current" in page
    assert "Use the file that you chose: mine.txt" in page
    assert contents(contract) == [b"theirs", b"two", b"one"]


def test_who_agreed_to_replace_one_version_is_asked_about_the_next(contract, admin_client):
    data = warned(admin_client, contract)
    somebody_replaces(contract, b"theirs again")

    page = admin_client.post(change_url(contract), data).content.decode()

    assert "You are replacing version 2, but version 4 is current" in page
    assert contents(contract)[0] == b"theirs again"


def test_who_does_not_want_it_any_more_saves_the_rest(contract, admin_client):
    data = warned(admin_client, contract)
    del data["file-anyway"], data["file-kept"]

    answer = admin_client.post(change_url(contract), data)

    assert answer.status_code == 302
    assert contents(contract)[0] == b"theirs"
    assert contract.title == "Typed"


def test_another_choice_counts_more_than_what_was_kept(contract, admin_client, storage):
    data = warned(admin_client, contract)

    admin_client.post(change_url(contract), {**data, "file": upload(b"better")})

    assert contents(contract)[0] == b"better"
    assert bodies(storage) == []


def test_clearing_what_somebody_replaced_is_told_and_can_be_done_anyway(contract, admin_client):
    data = opened(admin_client, contract)
    somebody_replaces(contract)
    clearing = {**data, "title": "Lease", "file-clear": "on"}

    page = admin_client.post(change_url(contract), clearing).content.decode()
    contract.refresh_from_db()
    kept = contract.file.name
    admin_client.post(change_url(contract), {**clearing, "file-anyway": f"3:{NAME}"})

    assert "Clear version 3 anyway" in page
    assert kept == NAME
    assert not Contract.objects.get().file


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda contract: contract.file.storage.delete(NAME, author="eve"), "Somebody deleted this file while"),
        (lambda contract: contract.file.storage.erase(NAME), "Somebody"),
        (lambda contract: Contract.objects.update(file=""), "Somebody took the file off this row"),
        (
            lambda contract: Contract.objects.get().file.save("other.txt", ContentFile(b"x")),
            "You are replacing version 2, but version 3 is current",
        ),
    ],
    ids=["deleted", "erased", "cleared", "replaced"],
)
def test_whatever_happened_is_told_in_words_and_gone_on_from(contract, admin_client, change, told):
    data = opened(admin_client, contract)
    change(contract)

    answer = admin_client.post(change_url(contract), {**data, "title": "Lease", "file": upload()})
    page = answer.content.decode()
    anyway = re.search(r'name="file-anyway"[^>]* value="([^"]*)"', page)
    after = admin_client.post(change_url(contract), {**inputs(page), "file-anyway": anyway[1]})

    assert told in page
    assert after.status_code == 302
    assert Contract.objects.get().file.read() == b"mine"


def test_another_file_on_the_row_and_a_first_one_are_told(storage, admin_client):
    contract = Contract.objects.create(title="Lease")
    empty = opened(admin_client, contract)
    contract.file.save("lease.txt", ContentFile(b"one"), author="eve")
    one = opened(admin_client, contract)
    contract.file = None
    contract.save()
    contract.file.save("else.txt", ContentFile(b"other"), author="eve")

    first = admin_client.post(change_url(contract), {**empty, "title": "Lease", "file": upload()}).content.decode()
    other = admin_client.post(change_url(contract), {**one, "title": "Lease", "file": upload()}).content.decode()

    assert "There was no file here when you opened this form, but now there is version 1 (by eve, " in first
    assert "Somebody gave this row another file while you had this form open: version 1 (by eve, " in other
    assert Contract.objects.get().file.read() == b"other"


@pytest.mark.parametrize("seen", ["", "x", "2", "²:a", "-1:a", f"{'9' * 30}:a"])
def test_a_form_that_does_not_say_what_was_seen_is_not_asked(contract, admin_client, seen):
    somebody_replaces(contract)

    answer = admin_client.post(change_url(contract), {"title": "Lease", "file": upload(), "file-seen": seen})

    assert answer.status_code == 302
    assert contents(contract)[0] == b"mine"


def test_saving_the_rest_of_a_form_asks_nothing_of_the_store(contract, admin_client, storage):
    data = opened(admin_client, contract)
    somebody_replaces(contract)

    with assert_requests(storage):
        answer = admin_client.post(change_url(contract), {**data, "title": "Typed"})

    assert answer.status_code == 302


@pytest.mark.parametrize("storage", ["listing"], indirect=True)  # in one database, the other would be rolled back too
def test_who_is_second_between_comparison_and_save_is_told_and_nothing_is_lost(contract, admin_client, monkeypatch):
    data = opened(admin_client, contract)
    model_admin = admin.site.get_model_admin(Contract)
    save_model = model_admin.save_model
    races = iter([somebody_replaces])

    def save_after_somebody(request: Any, obj: Any, form: Any, change: Any) -> None:
        next(races, lambda _: None)(contract)
        save_model(request, obj, form, change)

    monkeypatch.setattr(model_admin, "save_model", save_after_somebody)
    answer = admin_client.post(
        change_url(contract), {**data, "title": "Typed", "file": upload(), "file-comment": "my reason"}
    )

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "You are replacing version 2, but version 3 is current (by eve, " in page
    assert "Use the file that you chose: mine.txt (4\xa0bytes)." in page
    assert inputs(page)["title"] == "Typed"
    assert contents(contract) == [b"theirs", b"two", b"one"]
    assert contract.title == "Lease"


def always_second(*_: Any, **__: Any) -> None:
    raise ConflictError("Version 9 is current.")


SECOND = "Nothing was saved, since somebody else is replacing the file right now: Version 9 is current."


def test_who_is_second_again_and_again_is_told_and_nothing_is_lost(contract, admin_client, monkeypatch):
    data = opened(admin_client, contract)
    monkeypatch.setattr(admin.site.get_model_admin(Contract), "save_model", always_second)

    answer = admin_client.post(
        change_url(contract), {**data, "title": "Typed", "file": upload(), "file-comment": "my reason"}
    )
    monkeypatch.undo()
    page = answer.content.decode()
    shown = inputs(page)
    saved = contents(contract)
    admin_client.post(change_url(contract), shown)

    assert page.count(SECOND) == 1
    assert (shown["title"], shown["file-comment"]) == ("Typed", "my reason")
    assert saved == [b"two", b"one"]
    assert contents(contract)[0] == b"mine"


def test_who_is_second_in_an_action_is_told(contract, admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(Contract), "response_action", always_second)
    data = {"action": "delete_selected", "_selected_action": contract.pk}

    answer = admin_client.post(reverse("admin:archive_contract_changelist"), data, follow=True)

    assert SECOND in answer.content.decode()


def test_a_store_that_fails_while_comparing_is_said(contract, admin_client, storage, monkeypatch):
    data = opened(admin_client, contract)

    def unreachable(_: Any) -> None:
        raise UnreachableError("No answer.")

    monkeypatch.setattr("consistent_s3.forms.standing", unreachable)
    page = admin_client.post(change_url(contract), {**data, "title": "Typed", "file": upload()}).content.decode()

    assert "The store does not answer, so nothing can be saved: No answer." in page


def test_saving_as_new_is_no_replacement(contract, admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(Contract), "save_as", True)
    data = opened(admin_client, contract)
    somebody_replaces(contract)

    admin_client.post(change_url(contract), {**data, "title": "New", "file": upload(), "_saveasnew": "1"})

    assert Contract.objects.get(title="New").file.read() == b"mine"
    assert contents(contract)[0] == b"theirs"


def test_clock_numbering_compares_without_expecting(contract, admin_client, settings, storage_options):
    backend = settings.STORAGES["default"]["BACKEND"]
    options = {**storage_options, "numbering": "clock"}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    contract.file.save("lease.txt", ContentFile(b"three"))
    data = opened(admin_client, contract)

    answer = admin_client.post(change_url(contract), {**data, "title": "Lease", "file": upload()})

    assert answer.status_code == 302
    assert Contract.objects.get().file.read() == b"mine"


# What was chosen is kept


def bodies(storage: Any) -> list[str]:
    """Return the keys of what is kept."""
    prefix = storage.archive.layout.bodies_prefix(kept_uploads.NAME)
    return [info.key for info in storage.archive.store.list(prefix).objects]


def test_an_upload_survives_whatever_else_must_be_corrected(contract, admin_client, storage):
    data = opened(admin_client, contract)

    with count_requests(storage) as log:
        page = admin_client.post(change_url(contract), {**data, "title": "x" * 101, "file": upload()}).content.decode()
    again = {**inputs(page), "title": "Short"}
    admin_client.post(change_url(contract), again)

    assert "Use the file that you chose: mine.txt (4\xa0bytes)." in page
    assert log.counts["PUT"] == 1
    assert contents(contract) == [b"mine", b"two", b"one"]
    assert bodies(storage) == []


def test_an_upload_is_put_aside_once_however_often_the_form_is_shown_again(contract, admin_client, storage):
    data = opened(admin_client, contract)
    first = admin_client.post(change_url(contract), {**data, "title": "x" * 101, "file": upload()})

    with count_requests(storage) as log:
        admin_client.post(change_url(contract), {**inputs(first.content.decode()), "title": "y" * 101})

    assert log.counts["PUT"] == 0
    assert len(bodies(storage)) == 1


def test_a_first_upload_to_a_new_row_is_kept_too(storage, admin_client):
    address = reverse("admin:archive_contract_add")

    page = admin_client.post(address, {"title": "x" * 101, "file": upload()}).content.decode()
    admin_client.post(address, {**inputs(page), "title": "New"})

    assert Contract.objects.get().file.read() == b"mine"


def test_a_picture_is_kept_and_measured_when_it_comes_back(storage, admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(Picture), "versions_comment_required", True, raising=False)
    address = reverse("admin:archive_picture_add")

    page = admin_client.post(address, {"image": image(5, 2)}).content.decode()
    token = re.search(r'name="image-kept"[^>]* value="([^"]*)"', page)[1]
    admin_client.post(address, {"image-kept": token, "image-comment": "first"})

    picture = Picture.objects.get()
    assert (picture.width, picture.height, picture.image.version.comment) == (5, 2, "first")


def test_what_is_wrong_itself_is_not_kept(storage, admin_client):
    page = admin_client.post(
        reverse("admin:archive_picture_add"), {"image": upload(b"not an image", "a.png")}
    ).content.decode()

    assert "Upload a valid image." in page
    assert "image-kept" not in page
    assert bodies(storage) == []


def test_what_is_too_large_to_be_kept_must_be_chosen_again(contract, admin_client, monkeypatch):
    monkeypatch.setattr(kept_uploads, "MOST", 3)

    page = admin_client.post(change_url(contract), {"title": "x" * 101, "file": upload()}).content.decode()

    assert "Choose the file again: what you had chosen could not be kept." in page


def test_a_store_that_keeps_nothing_does_not_break_the_form(contract, admin_client, storage, monkeypatch):
    def unreachable(*_: Any, **__: Any) -> None:
        raise UnreachableError("No answer.")

    monkeypatch.setattr(kept_uploads, "spool", unreachable)
    page = admin_client.post(change_url(contract), {"title": "x" * 101, "file": upload()}).content.decode()

    assert "Choose the file again: what you had chosen could not be kept." in page


def test_what_was_kept_is_dropped_when_its_form_is_saved_in_a_popup(contract, admin_client, storage):
    data = {**warned(admin_client, contract), "_popup": "1"}

    answer = admin_client.post(change_url(contract), data)

    assert "data-popup-response" in answer.content.decode()
    assert contents(contract)[0] == b"mine"
    assert bodies(storage) == []


def test_what_cannot_be_dropped_is_left_to_the_collector_and_the_form_is_saved(
    contract, admin_client, storage, monkeypatch, caplog
):
    data = warned(admin_client, contract)

    def unreachable(*_: Any) -> None:
        raise UnreachableError("No answer.")

    monkeypatch.setattr(type(storage.archive.store), "delete", unreachable)
    answer = admin_client.post(change_url(contract), data)

    assert answer.status_code == 302
    assert contents(contract)[0] == b"mine"
    assert "a kept upload was left: No answer." in caplog.messages


def test_what_is_kept_may_have_a_very_long_extension(contract, admin_client):
    name = f"notes. {'x' * 240}"
    page = admin_client.post(change_url(contract), {"title": "x" * 101, "file": upload(name=name)}).content.decode()

    admin_client.post(change_url(contract), {**inputs(page), "title": "Short"})

    assert contents(contract)[0] == b"mine"
    assert contract.file.version.original_name.startswith("notes. xxx")


def test_nothing_is_fetched_for_who_may_not_save_nor_for_what_is_no_input(contract, admin_client, storage):
    page = admin_client.post(change_url(contract), {"title": "x" * 101, "file": upload()}).content.decode()
    tokens = {f"x{number}-kept": inputs(page)["file-kept"] for number in range(3)}

    with assert_requests(storage):
        answer = admin_client.post(change_url(contract), {**tokens, "title": "y"})
    User.objects.update(is_superuser=False)
    with assert_requests(storage):
        refused = admin_client.post(change_url(contract), inputs(page))

    assert (answer.status_code, refused.status_code) == (302, 403)


def test_what_was_kept_for_one_field_is_not_brought_back_for_another(contract, admin_client):
    page = admin_client.post(change_url(contract), {"title": "x" * 101, "file": upload()}).content.decode()

    answer = admin_client.post(reverse("admin:archive_picture_add"), {"image-kept": inputs(page)["file-kept"]})

    assert "The file that you had chosen is not kept any more. Choose it again." in answer.content.decode()


def test_what_is_chosen_in_an_input_of_no_field_must_be_chosen_again(contract, admin_client, monkeypatch):
    class WithAnotherFile(forms.ModelForm):
        extra = VersionedFormField(required=False)

        class Meta:
            model = Contract
            fields = ("title", "extra")

    monkeypatch.setattr(admin.site.get_model_admin(Contract), "form", WithAnotherFile)

    page = admin_client.post(change_url(contract), {"title": "x" * 101, "extra": upload()}).content.decode()

    assert "Choose the file again: what you had chosen could not be kept." in page


@pytest.mark.parametrize("token", ["forged", "another's", "old", "gone"])
def test_what_cannot_be_brought_back_is_said_and_nothing_else_is_saved(contract, admin_client, storage, token):
    page = admin_client.post(change_url(contract), {"title": "x" * 101, "file": upload()}).content.decode()
    data = {**inputs(page), "title": "Short"}
    client = admin_client
    if token == "forged":
        data["file-kept"] = data["file-kept"][:-1] + ("B" if data["file-kept"].endswith("A") else "A")
    elif token == "another's":
        client = Client()
        client.force_login(User.objects.create_superuser("eve"))
    elif token == "old":
        kept = kept_uploads.read(data["file-kept"], owner=str(User.objects.get(username="admin").pk))
        data["file-kept"] = old(kept)
    else:
        storage.archive.store.delete(bodies(storage))

    answer = client.post(change_url(contract), data)

    assert "The file that you had chosen is not kept any more. Choose it again." in answer.content.decode()
    assert contents(contract) == [b"two", b"one"]
    assert contract.title == "Lease"


def old(kept: kept_uploads.KeptUpload) -> str:
    """Return a token that was signed two days ago."""
    signer = signing.TimestampSigner(salt="consistent_s3.kept_uploads")
    value = kept.token.rpartition(":")[0].rpartition(":")[0]
    stamp = signing.b62_encode(signing.b62_decode(kept.token.split(":")[-2]) - 2 * 86400)
    stamped = f"{value}:{stamp}"
    return f"{stamped}:{signer.signature(stamped)}"


def test_what_nobody_came_back_for_is_collected(contract, admin_client, storage):
    admin_client.post(change_url(contract), {"title": "x" * 101, "file": upload()})
    assert len(bodies(storage)) == 1
    if storage.index_kind == "database":
        storage.archive.index.mark(complete=True)

    collect_garbage("default", order=Order(lists_bucket=True))
    young = bodies(storage)
    age(storage, storage.archive.timing.grace * 2)
    collect_garbage("default", order=Order(lists_bucket=True))

    assert len(young) == 1
    assert bodies(storage) == []
    assert contents(contract) == [b"two", b"one"]


def test_what_is_kept_is_no_file_of_the_storage(contract, admin_client, storage):
    admin_client.post(change_url(contract), {"title": "x" * 101, "file": upload()})

    assert storage.listdir("") == (["contracts"], [])
    assert not storage.exists(kept_uploads.NAME)


# Who may not see the history


def test_who_may_not_see_the_history_is_not_told_who_and_why(contract, admin_client, monkeypatch):
    model_admin = admin.site.get_model_admin(Contract)
    shown = admin_client.get(change_url(contract)).content.decode()
    monkeypatch.setattr(model_admin, "has_history_permission", lambda *_: False)
    data = opened(admin_client, contract)
    somebody_replaces(contract)

    page = admin_client.get(change_url(contract)).content.decode()
    warning = admin_client.post(change_url(contract), {**data, "title": "Typed", "file": upload()}).content.decode()

    assert "by bob" in shown
    assert "Version 2, 3\xa0bytes" in shown
    assert "Version 3, 6\xa0bytes" in page
    assert "You are replacing version 2, but version 3 is current (" in warning
    assert not [told for told in ("by eve", "new rent", "by bob") if told in page + warning]


# A comment that the project asks for


@pytest.mark.parametrize("required", [True, ("file",), ["title", "file"]])
def test_a_project_may_ask_for_a_comment_with_each_new_version(contract, admin_client, monkeypatch, required):
    monkeypatch.setattr(admin.site.get_model_admin(Contract), "versions_comment_required", required)
    data = opened(admin_client, contract)

    page = admin_client.post(change_url(contract), {**data, "title": "Lease", "file": upload()}).content.decode()
    saved = contents(contract)
    admin_client.post(change_url(contract), {**inputs(page), "file-comment": "new rent"})

    assert "What changed? (required with a new file)" in page
    assert "Say what changed: a new version needs a comment here." in page
    assert saved == [b"two", b"one"]
    assert contents(contract)[0] == b"mine"
    assert contract.file.version.comment == "new rent"


@pytest.mark.parametrize(("page", "data"), [("restore", {"expected": 2}), ("copy", {"name": "copy.txt"})])
def test_a_comment_that_cannot_be_kept_is_refused_by_every_form(contract, admin_client, page, data):
    address = reverse(f"admin:archive_contract_version_{page}", args=[contract.pk, "file", 1])

    answer = admin_client.post(address, {**data, "comment": "价" * 150})

    assert "The comment is too long by about 350 characters. Shorten it." in answer.content.decode()
    assert contents(contract) == [b"two", b"one"]


@pytest.mark.parametrize("data", [{}, {"file-clear": "on"}], ids=["nothing uploaded", "cleared"])
def test_where_there_is_no_new_version_no_comment_is_asked_for(contract, admin_client, monkeypatch, data):
    monkeypatch.setattr(admin.site.get_model_admin(Contract), "versions_comment_required", True)

    answer = admin_client.post(change_url(contract), {"title": "Typed", **data})

    assert answer.status_code == 302
    assert Contract.objects.get().title == "Typed"


@pytest.mark.parametrize("comment", ["", "   "])
def test_a_restoration_asks_for_the_comment_too(contract, admin_client, monkeypatch, comment):
    monkeypatch.setattr(admin.site.get_model_admin(Contract), "versions_comment_required", ("file",))
    address = reverse("admin:archive_contract_version_restore", args=[contract.pk, "file", 1])

    refused = admin_client.post(address, {"expected": 2, "comment": comment})
    saved = len(contents(contract))
    accepted = admin_client.post(address, {"expected": 2, "comment": "back"})

    assert "This field is required." in refused.content.decode()
    assert saved == 2
    assert accepted.status_code == 302


def test_other_fields_need_no_comment(contract, admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(Contract), "versions_comment_required", ("appendix",))

    assert "(required" not in admin_client.get(change_url(contract)).content.decode()


def test_what_people_type_is_never_markup(storage, admin_client):
    text = '"><script>alert(1)</script>'
    document = Document(title="x")
    document.file.save("a.txt", ContentFile(b"1"))
    address = reverse("admin:archive_document_change", args=[document.pk])
    document.file.save("a.txt", ContentFile(b"2"), author=text, comment=text)
    data = {
        "title": "x",
        "file": upload(name="<script>alert(1)<script>.txt"),
        "file-comment": text,
        "file-seen": f"1:{document.file.name}",
        "attachment_set-TOTAL_FORMS": "0",
        "attachment_set-INITIAL_FORMS": "0",
    }

    page = admin_client.post(address, data).content.decode()

    assert "You are replacing version 1, but version 2 is current" in page
    assert "<script>alert" not in page
