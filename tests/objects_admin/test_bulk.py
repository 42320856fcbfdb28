"""What is done with many objects at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from consistent_s3.core.errors import StoreError
from consistent_s3.models import Hold
from consistent_s3.objects_admin import bulk
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from tests.archive.models import Contract
from tests.objects_admin.conftest import clerk, row, said, save, token, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def three(storage: Any) -> Any:
    for name in ("a.txt", "b.txt", "c.txt"):
        save(storage, name, name.encode())
    return storage


def choose(client: Client, action: str, *names: str, **more: Any) -> Any:
    """Choose some objects in the list, and an action."""
    data = {"action": f"{action}_chosen", "_selected_action": [row(name).pk for name in names], **more}
    return client.post(url("changelist"), data, follow=True)


def confirm(client: Client, action: str, *tokens: str, **data: str) -> Any:
    data = {"confirmed": "yes", **data}
    return client.post(url("bulk", action), {**data, "chosen": tokens}, follow=True)


def tokens_of(answer: Any) -> list[str]:
    return [line["token"] for line in answer.context["rows"]]


def test_files_are_deleted_after_a_page_that_names_them(three, admin_client):
    asked = choose(admin_client, "delete", "a.txt", "b.txt")
    there = [three.exists(name) for name in ("a.txt", "b.txt")]

    answer = confirm(admin_client, "delete", *tokens_of(asked), comment="obsolete")

    assert (asked.context["title"], there) == ("Delete 2 files?", [True, True])
    assert said(answer) == ["Deleted 2 files."]
    assert [three.exists(name) for name in ("a.txt", "b.txt", "c.txt")] == [False, False, True]
    assert {three.archive.newest(name).author for name in ("a.txt", "b.txt")} == {"admin"}
    assert sorted(entry.get_change_message() for entry in LogEntry.objects.all()) == [
        "Deleted “a.txt” by version 2.",
        "Deleted “b.txt” by version 2.",
    ]


def test_what_was_replaced_meanwhile_is_not_deleted_and_the_others_are(three, admin_client):
    asked = choose(admin_client, "delete", "a.txt", "b.txt", "c.txt")
    save(three, "b.txt", b"written meanwhile")
    three.delete("c.txt")

    answer = confirm(admin_client, "delete", *tokens_of(asked), comment="")

    assert said(answer) == [
        "Deleted 1 file.",
        "“c.txt” is deleted already.",
        "Version 2 of 'b.txt' is current, but 1 was expected. Read version 2 and decide again.",
    ]
    assert three.open("b.txt").read() == b"written meanwhile"


def test_the_question_whether_to_delete_names_the_rows_that_use_a_file(storage, admin_client):
    contract = Contract(title="Lease of the north wing")
    contract.file.save("lease.txt", ContentFile(b"x"))

    asked = choose(admin_client, "delete", contract.file.name)

    assert "Lease of the north wing" in asked.content.decode()


def test_files_are_undeleted_with_a_comment(three, admin_client):
    three.delete("a.txt")
    three.delete("b.txt")

    asked = choose(admin_client, "undelete", "a.txt", "b.txt")
    answer = confirm(admin_client, "undelete", *tokens_of(asked), comment="a mistake")

    assert said(answer) == ["Undeleted 2 files."]
    assert three.current("a.txt").comment == "a mistake"


def test_files_are_held_with_a_reason_and_released_with_another(three, admin_client):
    asked = choose(admin_client, "hold", "a.txt", "b.txt")
    refused = confirm(admin_client, "hold", *tokens_of(asked), reason="")
    none = Hold.objects.count()

    held = confirm(admin_client, "hold", *tokens_of(asked), reason="lawsuit", until="")
    page = choose(admin_client, "release", "a.txt", "b.txt", "c.txt")
    released = confirm(admin_client, "release", *tokens_of(page), reason="settled", holds=page.context["holds"])

    assert (refused.status_code, "This field is required." in refused.content.decode(), none) == (200, True, 0)
    assert said(held) == ["Held 2 files."]
    assert said(released) == ["Released 2 files.", "Nothing holds “c.txt”."]
    assert {(hold.author, hold.released_by, hold.release_reason) for hold in Hold.objects.all()} == {
        ("admin", "admin", "settled")
    }


def test_the_question_whether_to_release_names_every_hold_and_its_reason(three, admin_client):
    save(three, "b.txt", b"second")
    three.hold("a.txt", reason="lawsuit", author="<ann>")
    three.hold("b.txt", 1, reason="audit")

    page = choose(admin_client, "release", "a.txt", "b.txt", "c.txt")

    text = page.content.decode()
    assert "All versions: <bdi>lawsuit</bdi>" in text
    assert "(<bdi>&lt;ann&gt;</bdi>)" in text
    assert "Version 1: <bdi>audit</bdi>" in text
    assert {line["row"].name: len(line["holds"]) for line in page.context["rows"]} == {
        "a.txt": 1,
        "b.txt": 1,
        "c.txt": 0,
    }
    assert f'name="holds" value="{page.context["holds"]}"' in text


def test_only_the_holds_that_were_shown_end_and_newer_ones_are_told(three, admin_client):
    three.hold("a.txt", reason="lawsuit")
    three.hold("b.txt", reason="audit")
    page = choose(admin_client, "release", "a.txt", "b.txt", "c.txt")
    three.hold("a.txt", reason="court order")
    three.hold("c.txt", 1, reason="inquiry")

    answer = confirm(admin_client, "release", *tokens_of(page), reason="settled", holds=page.context["holds"])

    assert said(answer) == [
        "Released 2 files.",
        "“c.txt” is still held by what was not shown when you decided: inquiry",
        "“a.txt” is still held by what was not shown when you decided: court order",
    ]
    assert {hold.reason: hold.in_force for hold in Hold.objects.all()} == {
        "lawsuit": False,
        "audit": False,
        "court order": True,
        "inquiry": True,
    }


def test_a_release_that_breaks_off_logs_each_hold_that_it_released(three, admin_client, monkeypatch):
    three.hold("a.txt", 1, reason="older")
    three.hold("a.txt", reason="newer")
    three.hold("b.txt", reason="other")
    page = choose(admin_client, "release", "a.txt", "b.txt")
    release = ConsistentS3Storage.release

    def release_all_but_the_older(storage: Any, hold: Any, **said: Any) -> Any:
        if hold.reason == "older":
            raise StoreError("The store is being moved.")
        return release(storage, hold, **said)

    monkeypatch.setattr(ConsistentS3Storage, "release", release_all_but_the_older)
    answer = confirm(admin_client, "release", *tokens_of(page), reason="settled", holds=page.context["holds"])

    assert said(answer) == ["Released 1 file.", "“a.txt”: The store is being moved."]
    assert [hold.reason for hold in three.holds("a.txt")] == ["older"]
    assert sorted(entry.get_change_message() for entry in LogEntry.objects.all()) == [
        "Released the hold on all versions of “a.txt”: settled",
        "Released what held “b.txt”: settled",
    ]


def test_a_release_that_names_no_hold_releases_none(three, admin_client):
    three.hold("a.txt", reason="lawsuit")

    for holds in ("", "x,,-1", "9" * 19, "9" * 5000):
        answer = confirm(admin_client, "release", token("a.txt"), reason="settled", holds=holds)

        assert said(answer) == ["“a.txt” is still held by what was not shown when you decided: lawsuit"]
    assert Hold.objects.get().in_force


RIGHTS = {"undelete": "restore_storedobject", "delete": "tombstone_storedobject", "hold": "add_hold"}
RIGHTS["release"] = "change_hold"


@pytest.mark.parametrize("right", [*RIGHTS.values(), "delete_storedobject", "change_storedobject", "view_storedobject"])
@pytest.mark.parametrize("action", bulk.BULKS)
def test_each_action_is_offered_and_done_with_its_right_alone(three, action, right):
    client = clerk(*{"view_storedobject", right})
    allowed = RIGHTS[action] == right

    offered = f'value="{action}_chosen"' in client.get(url("changelist")).content.decode()
    asked = client.post(url("bulk", action), {"chosen": token("a.txt")})
    done = client.post(url("bulk", action), {"chosen": token("a.txt"), "confirmed": "yes", "reason": "x"})

    assert offered == allowed
    assert (asked.status_code, done.status_code) == ((200, 302) if allowed else (403, 403))


@pytest.mark.parametrize("action", bulk.BULKS)
def test_nothing_is_done_without_the_right_to_see(three, action):
    client = clerk(RIGHTS[action])

    answer = client.post(url("bulk", action), {"chosen": token("a.txt"), "confirmed": "yes", "reason": "x"})

    assert answer.status_code == 403
    assert three.exists("a.txt")
    assert not Hold.objects.exists()


def test_nothing_is_changed_by_looking(three, admin_client):
    assert admin_client.get(url("bulk", "delete")).status_code == 405
    assert admin_client.post(url("bulk", "burn")).status_code == 404
    assert three.exists("a.txt")


def test_what_makes_no_sense_chooses_nothing(three, admin_client):
    answer = confirm(
        admin_client, "delete", "x-1", "1", "-", "1-", "9" * 50 + "-1", "9" * 19 + "-1", "1-1-1", "999-1", comment=""
    )

    assert said(answer) == ["Choose at least one file."]


def test_too_many_are_refused_whole(three, admin_client, monkeypatch):
    monkeypatch.setattr(bulk, "MOST", 2)

    listed = choose(admin_client, "delete", "a.txt", select_across="1")
    sent = confirm(admin_client, "delete", *map(token, ("a.txt", "b.txt", "c.txt")), comment="")

    told = "3 files were chosen, and at most 2 are taken at once. Nothing was changed."
    assert (said(listed), said(sent)) == ([told], [told])
    assert three.exists("a.txt")


@pytest.mark.parametrize("action", ["delete", "release"])
def test_asking_costs_the_same_for_few_and_for_many_and_the_store_nothing(storage, admin_client, action):
    for number in range(12):
        save(storage, f"{number}.txt")
        storage.hold(f"{number}.txt", reason="lawsuit")
    choose(admin_client, "delete", "1.txt")

    def cost(*names: str) -> int:
        chosen = [row(name).pk for name in names]
        with CaptureQueriesContext(connection) as queries, assert_requests(storage):
            admin_client.post(url("changelist"), {"action": f"{action}_chosen", "_selected_action": chosen})
        return len(queries)

    assert cost("1.txt") == cost(*[f"{number}.txt" for number in range(12)])


def test_the_filters_of_the_list_are_kept(three, admin_client):
    asked = admin_client.post(
        url("changelist") + "?q=a.txt", {"action": "delete_chosen", "_selected_action": [row("a.txt").pk]}
    )

    assert asked.context["cancel_url"] == url("changelist") + "?q=a.txt"
