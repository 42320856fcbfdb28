"""Stored objects brought back to a moment, whichever rows they belong to."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistent_s3.models import StoredObject
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from consistent_s3.testing.aging import age
from tests.objects_admin.conftest import clerk, row, save, url

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def zone(settings: Any) -> None:
    """Be where clocks are never changed, so that every moment has a time of its own."""
    settings.TIME_ZONE = "Asia/Kolkata"


@pytest.fixture
def week(storage: ConsistentS3Storage) -> ConsistentS3Storage:
    """Return a storage in which one name was replaced, one deleted and one made since two hours ago."""
    for name in ("changed.txt", "deleted.txt", "kept.txt"):
        save(storage, name, b"as it was")
    age(storage, 2 * HOUR)
    save(storage, "changed.txt", b"bad", author=SCRIPT, comment=SCRIPT)
    save(storage, "new.txt")
    storage.delete("deleted.txt")
    age(storage, HOUR)
    return storage


def post(client: Any, page: str, **data: Any) -> Any:
    return client.post(url(page), {ACTION_CHECKBOX_NAME: [row.pk for row in StoredObject.objects.all()], **data})


def show(client: Any, storage: ConsistentS3Storage, comment: str = "") -> Any:
    local = timezone.localtime(storage.archive.clock.now() - 2 * HOUR)
    return post(client, "moment", day=f"{local:%Y-%m-%d}", time=f"{local:%H:%M:%S}", comment=comment)


def confirm(client: Any, shown: Any) -> list[str]:
    plan = re.search(r'name="plan" value="([^"]+)"', shown.content.decode())[1]  # type: ignore[index]
    answer = client.post(url("moment"), {"plan": plan}, follow=True)
    return [str(message) for message in answer.context["messages"]]


def read(storage: ConsistentS3Storage, name: str) -> bytes | None:
    return storage.open(name).read() if storage.exists(name) else None


def contents(storage: ConsistentS3Storage) -> dict[str, bytes | None]:
    return {name: read(storage, name) for name in ("changed.txt", "deleted.txt", "kept.txt", "new.txt")}


AS_IT_WAS = {"changed.txt": b"as it was", "deleted.txt": b"as it was", "kept.txt": b"as it was", "new.txt": None}
RESTORED = {**AS_IT_WAS, "new.txt": b"x"}
"""All but what would have to be deleted."""


def test_chosen_objects_are_brought_back_after_the_plan_was_shown_and_confirmed(week, admin_client):
    before = contents(week)

    asked = post(admin_client, "changelist", action="restore_chosen_as_of").content.decode()
    shown = show(admin_client, week)

    assert "Restore 4 files as they were" in asked
    assert "A row that is pinned to a version goes on showing that one." in asked
    assert "This would happen to 3 files. Nothing was changed so far." in shown.content.decode()
    assert SCRIPT not in shown.content.decode()
    assert contents(week) == before
    (said,) = confirm(admin_client, shown)
    assert said.endswith(" IST: Restored 2 files. Deleted 1 file.")
    assert contents(week) == AS_IT_WAS
    assert next(week.history("changed.txt")).author == "admin"
    assert sorted(entry.object_repr for entry in LogEntry.objects.all()) == ["changed.txt", "deleted.txt", "new.txt"]


def test_where_versions_need_a_comment_so_do_restored_ones(week, admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(StoredObject), "versions_comment_required", True)

    refused = show(admin_client, week)
    shown = show(admin_client, week, comment="bad import")
    confirm(admin_client, shown)

    assert "This field is required." in refused.content.decode()
    assert 'name="plan"' not in refused.content.decode()
    assert week.current("changed.txt").comment == "bad import"


def test_what_was_written_since_the_plan_was_shown_is_left_alone_and_named(week, admin_client):
    shown = show(admin_client, week)
    save(week, "changed.txt", b"meanwhile")

    said = confirm(admin_client, shown)

    assert "“changed.txt” changed since the plan was shown, and was left alone. Plan again." in said
    assert contents(week) == {**AS_IT_WAS, "changed.txt": b"meanwhile"}


RIGHTS: list[tuple[list[str], Any]] = [
    ([], None),
    (["view_storedobject"], None),
    (["restore_storedobject"], None),
    (["view_storedobject", "tombstone_storedobject", "delete_storedobject", "download_storedobject"], None),
    (["view_storedobject", "restore_storedobject"], RESTORED),
    (["view_storedobject", "restore_storedobject", "delete_storedobject"], RESTORED),
    (["view_storedobject", "restore_storedobject", "tombstone_storedobject"], AS_IT_WAS),
]


@pytest.mark.parametrize(("rights", "after"), [pytest.param(*row, id="+".join(row[0]) or "none") for row in RIGHTS])
def test_it_needs_the_right_to_restore_stored_objects_and_to_delete_them(week, admin_client, rights, after):
    client = clerk(*rights)
    before, status = contents(week), 403 if after is None else 200

    shown = show(client, week)

    assert shown.status_code == status
    assert client.get(url("moment")).status_code == (302 if status == 200 else 403)
    offered = client.get(url("changelist")).content.decode()
    assert ("restore_chosen_as_of" in offered) is (status == 200)
    if status == 200:
        assert ("You may not delete it." in shown.content.decode()) is (after == RESTORED)
        confirm(client, shown)
    assert contents(week) == (after or before)


def test_who_may_not_delete_any_more_when_it_is_confirmed_deletes_nothing(week):
    client = clerk("view_storedobject", "restore_storedobject", "tombstone_storedobject")
    shown = show(client, week)
    clerk("view_storedobject", "restore_storedobject")

    said = confirm(client, shown)

    assert "“new.txt”: it is gone by now, or you may not restore it." in said
    assert contents(week) == RESTORED


def test_an_object_whose_storage_is_gone_is_told_of(week, admin_client):
    StoredObject.objects.filter(name="changed.txt").update(place_digest="0" * 64, place="elsewhere/")

    shown = show(admin_client, week).content.decode()

    assert "No storage in STORAGES has the place “elsewhere/” any more." in shown
    assert row("changed.txt").newest == 2


def test_a_plan_costs_no_request_and_as_many_queries_however_many_objects_there_are(week, admin_client):
    def cost() -> int:
        with CaptureQueriesContext(connection) as log, assert_requests(week):
            show(admin_client, week)
        return len(log)

    few = cost()
    for number in range(9):
        save(week, f"more-{number}.txt", b"x", b"y")

    assert cost() == few
