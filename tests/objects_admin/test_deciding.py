"""A project's own admin for stored objects decides for every list and export what is told to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from consistent_s3.models import DeletedObject, Hold, RecentChange, StoredObject
from consistent_s3.objects_admin.deleted import PAGE
from consistent_s3.objects_admin.stored import StoredObjectAdmin
from consistent_s3.testing import assert_requests
from tests.objects_admin.conftest import clerk, row, save, token, url
from tests.objects_admin.rows import fill, place_of
from tests.objects_admin.test_exporting import LISTS, exported

pytestmark = pytest.mark.django_db

SECRETS = ("salaries", "mallory", "dismissals")
"""The name, the author and the comment of what is kept from the clerk."""


class ByObject(StoredObjectAdmin):
    """Refuses one object."""

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and (obj is None or "salaries" not in obj.name)


class ByList(StoredObjectAdmin):
    """Does not list one object."""

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).exclude(name__contains="salaries")


class NothingToUndelete(StoredObjectAdmin):
    """Refuses to bring one object back."""

    def has_restore_permission(self, request: Any, obj: Any = None) -> bool:
        return super().has_restore_permission(request, obj) and (obj is None or obj.name != "terms.txt")


@pytest.fixture
def register(settings: Any) -> Callable[[type[StoredObjectAdmin]], None]:
    """Return a function that gives the project a site on which an admin for stored objects is registered."""

    def register(decides: type[StoredObjectAdmin]) -> None:
        site = AdminSite(name="admin")
        site.register(StoredObject, decides)
        for model in (DeletedObject, RecentChange, Hold):
            site.register(model, type(admin.site.get_model_admin(model)))
        settings.ROOT_URLCONF = (path("admin/", site.urls),)

    return register


@pytest.fixture
def files(storage: Any) -> Any:
    """Delete two of three files; of one of the two nobody is to know."""
    save(storage, "terms.txt", author="ann", comment="for all")
    save(storage, "salaries.txt", author="mallory", comment="before dismissals")
    save(storage, "prices.txt", author="ann")
    storage.delete("terms.txt", author="bob", comment="outdated")
    storage.delete("salaries.txt", author="mallory", comment="after dismissals")
    return storage


@pytest.fixture
def client() -> Client:
    return clerk("view_storedobject", "restore_storedobject")


@pytest.mark.parametrize("decides", [ByObject, ByList])
@pytest.mark.parametrize("model", LISTS)
def test_a_list_tells_nothing_of_what_a_user_may_not_see(files, register, client, decides, model):
    register(decides)

    page = client.get(url("changelist", model=model)).content.decode()

    assert "terms.txt" in page
    assert [secret for secret in SECRETS if secret in page] == []
    assert client.get(url("change", row("salaries.txt").pk)).status_code in {403, 404}


@pytest.mark.parametrize("decides", [ByObject, ByList])
@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("form", ["csv", "json"])
def test_an_export_tells_nothing_of_what_a_user_may_not_see(files, register, client, decides, model, form):
    register(decides)

    found = exported(client, model, form)

    assert {line["name"] for line in found} == {"terms.txt", "prices.txt"} - (
        {"prices.txt"} if model == "deletedobject" else set()
    )
    assert [secret for secret in SECRETS if secret in str(found)] == []


@pytest.mark.parametrize("decides", [ByObject, ByList])
@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_a_user_may_not_see_is_not_exported_when_it_is_chosen(files, register, client, decides, form):
    register(decides)
    chosen = [row(name).pk for name in ("terms.txt", "salaries.txt")]

    answer = client.post(url("changelist"), {"action": f"export_{form}_chosen", "_selected_action": chosen})

    told = b"".join(answer.streaming_content).decode()
    assert "terms.txt" in told
    assert [secret for secret in SECRETS if secret in told] == []


@pytest.mark.parametrize("decides", [ByObject, ByList])
def test_a_plan_for_a_moment_tells_nothing_of_what_a_user_may_not_see(files, register, client, decides):
    register(decides)
    chosen = [row(name).pk for name in ("terms.txt", "salaries.txt")]

    answer = client.post(
        url("moment"), {"_selected_action": chosen, "day": "2020-01-01", "time": "00:00", "comment": ""}
    )

    assert [line.step.name for line in answer.context["lines"]] == ["terms.txt"]
    assert [secret for secret in SECRETS if secret in answer.content.decode()] == []


def test_nothing_is_found_by_what_a_user_may_not_see(files, register, client):
    register(ByList)

    for model, query in [
        ("storedobject", "?q=salar"),
        ("deletedobject", "?words=dismiss"),
        ("recentchange", "?person=mall"),
    ]:
        assert exported(client, model, "json", query) == []
    page = client.get(url("changelist", model="recentchange") + "?person=mall").content.decode()
    assert "No change is like that." in page


def test_what_a_user_may_not_bring_back_has_no_button(files, register, client):
    register(NothingToUndelete)

    page = client.get(url("changelist", model="deletedobject"))

    assert {line.row.name: line.may_undelete for line in page.context["rows"]} == {
        "salaries.txt": True,
        "terms.txt": False,
    }
    assert f'value="{token("salaries.txt")}"' in page.content.decode()
    assert f'value="{token("terms.txt")}"' not in page.content.decode()
    page = client.get(url("changelist", model="deletedobject") + "?name=terms")
    assert "terms.txt" in page.content.decode()
    assert not page.context["may_undelete"], "no button is left for nothing"


@pytest.mark.parametrize("model", ["deletedobject", "recentchange"])
def test_who_may_see_no_object_at_all_sees_no_list(files, register, client, model):
    class Closed(StoredObjectAdmin):
        def has_view_permission(self, request: Any, obj: Any = None) -> bool:
            return False

    register(Closed)

    assert client.get(url("changelist", model=model)).status_code == 403
    assert client.get(url("export", "csv", model=model)).status_code == 403


def test_a_page_on_which_nothing_may_be_seen_says_so_and_leads_on(storage, register, client):
    class Newest(StoredObjectAdmin):
        def has_view_permission(self, request: Any, obj: Any = None) -> bool:
            return super().has_view_permission(request, obj) and (obj is None or obj.pk in seen)

    fill(place_of(storage), PAGE + 3, deleted_each=1)
    seen = {*StoredObject.objects.order_by("changed", "pk").values_list("pk", flat=True)[:3]}
    register(Newest)

    for model in ("deletedobject", "recentchange"):
        address, found = url("changelist", model=model), []
        first = client.get(address)
        assert first.context["rows"] == []
        assert "There is nothing on this page that you may see." in first.content.decode()
        shown = first.context["page"]
        while shown.older:
            answer = client.get(f"{address}?after={shown.older}".replace("+", "%2B"))
            shown, found = answer.context["page"], found + answer.context["rows"]
        assert len(found) == (3 if model == "deletedobject" else 6)


@pytest.mark.parametrize("decides", [StoredObjectAdmin, ByObject, ByList])
@pytest.mark.parametrize("model", LISTS)
def test_deciding_for_each_row_asks_the_database_nothing(storage, register, client, decides, model):
    register(decides)
    fill(place_of(storage), 5, deleted_each=1)
    address = url("changelist", model=model)
    client.get(address)

    def cost() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as page, assert_requests(storage):
            assert client.get(address).status_code == 200
        with CaptureQueriesContext(connection) as export, assert_requests(storage):
            exported(client, model, "json")
        return len(page), len(export)

    few = cost()
    fill(place_of(storage), 60, begin=5, deleted_each=1)

    assert cost() == few


@pytest.mark.parametrize("decides", [StoredObjectAdmin, ByObject, ByList])
def test_a_copy_is_linked_for_whom_may_see_it(files, register, client, decides):
    register(decides)
    page = url("version_copy", row("prices.txt").pk, "file", 1)

    for name in ("<b>.txt", "salaries-too.txt"):
        answer = client.post(page, {"name": name, "comment": ""})
        told = [str(message) for message in get_messages(answer.wsgi_request)][-1]
        copy = StoredObject.objects.latest("pk")
        linked = decides is StoredObjectAdmin or "salaries" not in copy.name
        assert (f'<a href="{url("change", copy.pk)}">Go to the copy</a>' in told) == linked
        assert ("<b>" in told) == (not linked and "<b>" in name), "what is marked up is escaped"
        assert "<" not in LogEntry.objects.latest("pk").change_message.replace(copy.name, "")
    assert "No row has the copy" not in client.get(page).content.decode()
