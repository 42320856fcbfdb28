"""The holds of the project in the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistent_s3.models import Hold
from consistent_s3.testing import assert_requests
from tests.objects_admin.conftest import clerk, row, said, save, url

pytestmark = pytest.mark.django_db


def hold_url(page: str, *args: Any) -> str:
    return url(page, *args, model="hold")


@pytest.fixture
def holds(storage: Any) -> dict[str, Hold]:
    """Return a hold in force, one that was released, and one that is over."""
    for name in ("a.txt", "b.txt", "c.txt"):
        save(storage, name)
    found = {
        "now": storage.hold("a.txt", reason="lawsuit", author="ann"),
        "released": storage.release(storage.hold("b.txt", 1, reason="audit", author="bob"), author="eve"),
        "over": storage.hold("c.txt", reason="tax", until=timezone.now() + timedelta(days=1)),
    }
    Hold.objects.filter(pk=found["over"].pk).update(until=timezone.now() - timedelta(days=1))
    return found


def names(client: Any, query: str = "") -> list[str]:
    answer = client.get(hold_url("changelist") + query)
    assert answer.status_code == 200
    return [hold.name for hold in answer.context["cl"].result_list]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["c.txt", "b.txt", "a.txt"]),
        ("?force=now", ["a.txt"]),
        ("?force=released", ["b.txt"]),
        ("?force=over", ["c.txt"]),
        ("?q=lawsuit", ["a.txt"]),
        ("?q=bob", ["b.txt"]),
    ],
)
def test_holds_are_listed_and_found(holds, admin_client, query, found):
    assert names(admin_client, query) == found


def test_a_hold_leads_to_its_file_for_who_may_see_that(holds, admin_client):
    link = f'href="{url("change", row("a.txt").pk)}"'
    page = hold_url("change", holds["now"].pk)

    assert link in admin_client.get(hold_url("changelist")).content.decode()
    assert link in admin_client.get(page).content.decode()
    assert link not in clerk("view_hold").get(hold_url("changelist")).content.decode()
    assert link not in clerk("view_hold").get(page).content.decode()


def test_a_hold_is_released_with_a_reason_and_stays_as_a_record(holds, storage):
    client = clerk("change_hold")
    address = hold_url("release", holds["now"].pk)
    asked = client.get(address)
    without = client.post(address, {"reason": ""})
    held = len(storage.holds("a.txt"))

    answer = client.post(address, {"reason": "settled"}, follow=True)

    assert (asked.status_code, without.status_code, held) == (200, 200, 1)
    assert said(answer) == ["Released the hold on all versions of “a.txt”: settled"]
    released = Hold.objects.get(pk=holds["now"].pk)
    assert (released.released_by, released.release_reason, storage.holds("a.txt")) == ("clerk", "settled", [])
    assert LogEntry.objects.get().get_change_message() == said(answer)[0]
    assert client.post(address, {"reason": "again"}).status_code == 404


def test_a_hold_of_a_storage_without_rows_is_released(configure, admin_client):
    storage = configure(index="listing")
    save(storage, "a.txt")
    hold = storage.hold("a.txt", reason="lawsuit")

    answer = admin_client.post(hold_url("release", hold.pk), {"reason": "settled"}, follow=True)

    assert said(answer) == ["Released the hold on all versions of “a.txt”: settled"]


def test_a_hold_of_a_storage_that_is_gone_says_so(holds, admin_client, settings):
    settings.STORAGES = {"staticfiles": settings.STORAGES["staticfiles"]}

    answer = admin_client.post(hold_url("release", holds["now"].pk), {"reason": "settled"}, follow=True)

    assert said(answer)[0].startswith("No storage in STORAGES has the place ")
    assert Hold.objects.get(pk=holds["now"].pk).in_force


@pytest.mark.parametrize(
    ("rights", "sees", "releases"),
    [
        ((), 403, 403),
        (("view_hold",), 200, 403),
        (("change_hold",), 200, 200),
        (("add_hold",), 403, 403),
        (("delete_hold",), 403, 403),
        (("view_storedobject",), 403, 403),
    ],
    ids=str,
)
def test_rights_to_holds_page_by_page(holds, rights, sees, releases):
    client, pk = clerk(*rights), holds["now"].pk

    assert client.get(hold_url("changelist")).status_code == sees
    assert client.get(hold_url("change", pk)).status_code == sees
    assert client.get(hold_url("release", pk)).status_code == releases
    for page, args in (("add", ()), ("change", (pk,)), ("delete", (pk,))):
        assert client.post(hold_url(page, *args), {"reason": "x", "post": "yes"}).status_code == 403
    assert client.get(hold_url("add")).status_code == 403
    assert client.get(hold_url("delete", pk)).status_code == 403
    assert Hold.objects.get(pk=pk).reason == "lawsuit"
    assert Hold.objects.count() == 3


def test_the_list_costs_the_same_for_few_and_for_many(holds, storage, admin_client):
    admin_client.get(hold_url("changelist"))

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries, assert_requests(storage):
            names(admin_client)
        return len(queries)

    few = cost()
    for number in range(20):
        storage.hold("a.txt", reason=f"{number}")

    assert few == cost()
