"""Files in an editable list: what holds of a row's own form holds there."""

# ruff: noqa: F811 - a fixture is imported, and then named by who needs it

from __future__ import annotations

import pytest
from django.contrib import admin
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse_lazy

from consistent_s3.testing import count_requests
from tests.archive.models import Contract
from tests.test_admin_replacing import (
    NAME,
    SECOND,
    always_second,
    bodies,
    contents,
    contract,  # noqa: F401
    inputs,
    somebody_replaces,
    storage,  # noqa: F401
    upload,
)

pytestmark = pytest.mark.django_db

LIST = reverse_lazy("admin:archive_contract_changelist")


@pytest.fixture(autouse=True)
def editable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files be replaced in the list of contracts."""
    model_admin = admin.site.get_model_admin(Contract)
    monkeypatch.setattr(model_admin, "list_display", ["__str__", "title", "file"])
    monkeypatch.setattr(model_admin, "list_editable", ["title", "file"])
    monkeypatch.setattr(model_admin, "ordering", ["pk"])


def listed(client: Client) -> dict[str, str]:
    return inputs(client.get(LIST).content.decode(), "changelist-form")


def test_a_file_is_replaced_in_an_editable_list(contract, admin_client):
    data = listed(admin_client)

    answer = admin_client.post(LIST, {**data, "form-0-file": upload(), "form-0-file-comment": "why", "_save": "Save"})

    assert answer.status_code == 302
    assert contents(contract)[0] == b"mine"
    assert contract.file.version.comment == "why"


def test_who_was_second_in_an_editable_list_is_told_and_nothing_is_lost(contract, admin_client, storage):
    data = listed(admin_client)
    somebody_replaces(contract)
    typed = {**data, "form-0-title": "Typed", "form-0-file": upload(), "form-0-file-comment": "why", "_save": "Save"}

    page = admin_client.post(LIST, typed).content.decode()
    shown = inputs(page, "changelist-form")
    saved = contents(contract)
    answer = admin_client.post(LIST, {**shown, "form-0-file-anyway": f"3:{NAME}", "_save": "Save"})

    assert "You are replacing version 2, but version 3 is current (by eve, " in page
    assert "Use the file that you chose: mine.txt (4\xa0bytes)." in page
    assert (shown["form-0-title"], shown["form-0-file-comment"]) == ("Typed", "why")
    assert saved[0] == b"theirs"
    assert answer.status_code == 302
    assert contents(contract)[0] == b"mine"
    assert bodies(storage) == []


def test_who_is_second_between_comparison_and_save_of_a_list_is_told_at_the_row(contract, admin_client, monkeypatch):
    Contract.objects.create(title="Another")
    data = listed(admin_client)
    monkeypatch.setattr(admin.site.get_model_admin(Contract), "save_model", always_second)

    page = admin_client.post(
        LIST, {**data, "form-0-title": "Typed", "form-0-file": upload(), "_save": "Save"}
    ).content.decode()

    assert page.count(SECOND) == 1
    assert inputs(page, "changelist-form")["form-0-title"] == "Typed"
    assert "Use the file that you chose: mine.txt (4\xa0bytes)." in page
    assert contents(contract)[0] == b"two"


@pytest.mark.parametrize("storage", ["database"], indirect=True)
def test_an_editable_list_looks_its_files_up_together(contract, admin_client):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(LIST)
        return len(captured)

    before = queries()
    for number in range(5):
        another = Contract(title=f"{number}")
        another.file.save("lease.txt", ContentFile(b"one"))

    assert queries() == before


def test_what_was_kept_is_brought_back_once_however_often_its_token_comes(contract, admin_client, storage):
    Contract.objects.create(title="Another")
    typed = {**listed(admin_client), "form-0-title": "x" * 101, "form-0-file": upload(), "_save": "Save"}
    data = {**inputs(admin_client.post(LIST, typed).content.decode(), "changelist-form"), "form-0-title": "Short"}

    with count_requests(storage) as log:
        page = admin_client.post(
            LIST, {**data, "form-1-file-kept": data["form-0-file-kept"], "_save": "Save"}
        ).content.decode()

    assert log.counts["GET"] == 1
    assert page.count("The file that you had chosen is not kept any more. Choose it again.") == 1
