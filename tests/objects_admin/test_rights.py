"""Who may do what: rights, addresses and methods, cell by cell."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import get_resolver, reverse

from consistent_s3.models import Hold, StoredObject, StoredVersion
from tests.objects_admin.conftest import clerk, row, save, url

pytestmark = pytest.mark.django_db

VIEW, READ, RESTORE = "view_storedobject", "download_storedobject", "restore_storedobject"
DELETE, ERASE, HOLD, RELEASE = "tombstone_storedobject", "delete_storedobject", "add_hold", "change_hold"
PURGE = "delete_storedversion"
RIGHTS = [READ, RESTORE, DELETE, ERASE, HOLD, RELEASE, PURGE, "change_storedobject", "add_storedobject", "view_hold"]

PAGES: dict[str, tuple[tuple[Any, ...], str, str]] = {
    "changelist": ((), "", ""),
    "export": (("csv",), "", "405"),
    "change": (("PK",), "", ""),
    "versions": (("PK", "file"), "", ""),
    "file_download": (("PK", "file"), READ, READ),
    "versions_compare": (("PK", "file"), READ, READ),
    "version_download": (("PK", "file", 1), READ, READ),
    "version_preview": (("PK", "file", 1), READ, READ),
    "version_restore": (("PK", "file", 1), RESTORE, RESTORE),
    "version_copy": (("PK", "file", 1), RESTORE, RESTORE),
    "version_hold": (("PK", "file", 1), HOLD, HOLD),
    "versions_hold": (("PK", "file"), HOLD, HOLD),
    "versions_release": (("PK", "file", "HOLD"), RELEASE, RELEASE),
    "versions_erase": (("PK", "file"), ERASE, ERASE),
    "version_delete": (("PK", "file", 1), PURGE, PURGE),
    "moment": ((), RESTORE, RESTORE),
    "bulk-undelete": (("undelete",), "405", RESTORE),
    "bulk-delete": (("delete",), "405", DELETE),
    "bulk-hold": (("hold",), "405", HOLD),
    "bulk-release": (("release",), "405", RELEASE),
    "history": (("PK",), "", ""),
    "add": ((), "nobody", "nobody"),
    "delete": (("PK",), "nobody", "nobody"),
}
"""For each page its arguments, and the right beside `VIEW` that reading it and posting to it need."""


@pytest.fixture
def things(storage: Any) -> dict[str, Any]:
    save(storage, "a.png", b"not a picture", b"two")
    hold = storage.hold("a.png", reason="lawsuit")
    return {"PK": row("a.png").pk, "HOLD": hold.pk}


def address(page: str, things: dict[str, Any]) -> str:
    return url(page.partition("-")[0], *[things.get(arg, arg) for arg in PAGES[page][0]])


def state() -> Any:
    return (
        list(StoredObject.objects.values_list("newest", "deleted")),
        StoredVersion.objects.count(),
        list(Hold.objects.values_list("released_at", flat=True)),
    )


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_given_to_whom_it_is_for(things, page):
    before, found, expected = state(), {}, {}
    for right in [None, *RIGHTS]:
        client = clerk(VIEW, *([right] if right else []))
        for method, needed in zip(("get", "post"), PAGES[page][1:], strict=True):
            status = getattr(client, method)(address(page, things)).status_code
            found[method, right] = "given" if status in {200, 302, 404} else status  # 404 is for what is no picture
            expected[method, right] = 405 if needed == "405" else "given" if needed in {"", right} else 403

    assert found == expected
    assert state() == before, "neither looking nor an empty form changes anything"


def test_nobody_comes_to_a_page_without_the_right_to_see(things):
    every = Permission.objects.filter(content_type__app_label="consistent_s3").exclude(codename=VIEW)
    client = clerk(*every.values_list("codename", flat=True).distinct())

    found = {
        (page, method): getattr(client, method)(address(page, things)).status_code
        for page in PAGES
        for method in ("get", "post", "put", "delete")
    }

    assert {cell for cell, status in found.items() if status not in {403, 405}} == set()


def test_who_is_no_staff_is_sent_to_the_login(things):
    client = clerk(VIEW, READ, RESTORE, DELETE, ERASE, HOLD, RELEASE, PURGE, is_staff=False)

    answers = {
        (page, method): getattr(client, method)(address(page, things)) for page in PAGES for method in ("get", "post")
    }

    login = reverse("admin:login")
    assert {
        cell
        for cell, answer in answers.items()
        if (answer.status_code, answer.get("Location", "").partition("?")[0]) != (302, login)
    } == set()


def test_every_address_is_in_the_table(things):
    named = {
        name.removeprefix("consistent_s3_storedobject_")
        for patterns in [get_resolver().url_patterns]
        for pattern in patterns
        for name in pattern.reverse_dict
        if isinstance(name, str) and name.startswith("consistent_s3_storedobject_")
    }

    assert named - {"bulk"} == {page for page in PAGES if "-" not in page}


@pytest.mark.parametrize("model", ["deletedobject", "recentchange"])
def test_lists_are_only_read(things, model):
    assert clerk(VIEW).get(url("changelist", model=model)).status_code == 200
    assert clerk(VIEW).post(url("changelist", model=model)).status_code == 405
    assert clerk(RESTORE).get(url("changelist", model=model)).status_code == 403
    assert Client().get(url("changelist", model=model)).status_code == 302


@pytest.mark.parametrize("name", ["bulk", "versions_hold", "version_restore", "versions_erase", "release"])
def test_what_changes_something_asks_for_a_token(things, admin_user, name):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    posted = {
        "bulk": url("bulk", "delete"),
        "versions_hold": url("versions_hold", things["PK"], "file"),
        "version_restore": url("version_restore", things["PK"], "file", 1),
        "versions_erase": url("versions_erase", things["PK"], "file"),
        "release": url("release", things["HOLD"], model="hold"),
    }
    before = state()

    assert client.post(posted[name], {"confirmed": "yes"}).status_code == 403
    assert state() == before


def test_a_project_may_decide_for_each_object(things, storage, monkeypatch):
    from consistent_s3.objects_admin.stored import StoredObjectAdmin

    save(storage, "b.txt")

    def has_tombstone_permission(self: Any, request: Any, obj: Any = None) -> bool:
        return obj is None or obj.name == "a.png"

    monkeypatch.setattr(StoredObjectAdmin, "has_tombstone_permission", has_tombstone_permission)
    chosen = [f"{found.pk}-{found.newest}" for found in StoredObject.objects.order_by("name")]
    answer = clerk(VIEW).post(url("bulk", "delete"), {"confirmed": "yes", "chosen": chosen, "comment": ""}, follow=True)

    assert [str(message) for message in answer.context["messages"]] == [
        "Deleted 1 file.",
        "“b.txt”: You may not do this.",
    ]
    assert storage.exists("b.txt")
