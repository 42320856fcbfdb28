"""Deleted files: which, by whom, what is left, and back again at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistent_s3.models import StoredVersion
from consistent_s3.objects_admin.deleted import PAGE
from consistent_s3.testing import assert_requests
from consistent_s3.testing.aging import age
from tests.objects_admin.conftest import clerk, row, said, save, token, url
from tests.objects_admin.rows import fill, place_of

pytestmark = pytest.mark.django_db


def deleted_url() -> str:
    return url("changelist", model="deletedobject")


def listed(client: Client, query: str = "") -> list[str]:
    answer = client.get(deleted_url() + query)
    assert answer.status_code == 200
    return [line.row.name for line in answer.context["rows"]]


def undelete(client: Client, *tokens: str, button: str = "chosen") -> Any:
    data = {"confirmed": "yes", "back": "deleted", "comment": "", button: tokens}
    return client.post(url("bulk", "undelete"), data, follow=True)


@pytest.fixture
def gone(storage: Any) -> Any:
    """Delete two of three files."""
    for name in ("a.txt", "b.txt", "c.txt"):
        save(storage, name, b"first", b"second of " + name.encode(), author="ann")
    storage.delete("a.txt", author="eve", comment="not needed")
    storage.delete("b.txt", author="bob")
    return storage


def test_deleted_files_are_listed_last_deletion_first(gone, admin_client):
    answer = admin_client.get(deleted_url())

    assert listed(admin_client) == ["b.txt", "a.txt"]
    line = answer.context["rows"][1]
    assert (line.tombstone.author, line.tombstone.comment, line.hidden.number, line.hidden.size) == (
        "eve",
        "not needed",
        2,
        15,
    )
    assert "version 2, 15\xa0bytes" in answer.content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?name=A.", ["a.txt"]),
        ("?person=EV", ["a.txt"]),
        ("?person=ann", []),
        ("?words=needed", ["a.txt"]),
        ("?since=2999-01-01", []),
        ("?until=2999-01-01", ["b.txt", "a.txt"]),
        ("?since=soon&name=b", ["b.txt"]),
        ("?after=rubbish", ["b.txt", "a.txt"]),
        ("?after=2026-01-01T00:00:00Z~999999999999999999", []),
        ("?after=2026-01-01T00:00:00~1", ["b.txt", "a.txt"]),
        ("?after=2026-01-01T00:00:00Z~99999999999999999999999", ["b.txt", "a.txt"]),
    ],
)
def test_deleted_files_are_found(gone, admin_client, query, found):
    assert listed(admin_client, query) == found


def test_one_click_brings_a_file_back_in_the_users_name(gone):
    client = clerk("view_storedobject", "restore_storedobject")

    answer = undelete(client, token("a.txt"), button="only")

    assert said(answer) == ["Undeleted 1 file."]
    assert answer.redirect_chain == [(deleted_url(), 302)]
    assert gone.open("a.txt").read() == b"second of a.txt"
    current = gone.current("a.txt")
    assert (current.number, current.author, current.details.restored_from) == (4, "clerk", 2)
    assert listed(client) == ["b.txt"]
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.user.username) == ("a.txt", "clerk")
    assert entry.get_change_message() == "Undeleted “a.txt”: version 2 is back as version 4."


def test_many_are_brought_back_and_each_failure_is_told(gone, admin_client):
    seen = [token("a.txt"), token("b.txt"), token("c.txt")]
    gone.undelete("a.txt", author="eve")
    gone.delete("a.txt", author="eve")

    answer = undelete(admin_client, *seen)

    done, *failed = said(answer)
    assert done == "Undeleted 1 file."
    assert sorted(failed) == [
        "'a.txt' was deleted by version 5, but 3 was expected. Undelete it, or write with expected=0.",
        "“c.txt” is not deleted: version 2 is current.",
    ]
    assert gone.exists("b.txt")
    assert not gone.exists("a.txt"), "what somebody deleted meanwhile is not touched"


def test_what_somebody_wrote_meanwhile_is_not_overwritten(gone, admin_client):
    seen = token("a.txt")
    save(gone, "a.txt", b"written meanwhile", author="eve")

    answer = undelete(admin_client, seen)

    assert said(answer) == ["“a.txt” is not deleted: version 4 is current."]
    assert gone.open("a.txt").read() == b"written meanwhile"


def test_a_file_of_which_nothing_is_left_says_so(gone, admin_client):
    StoredVersion.objects.filter(stored_object=row("a.txt"), tombstone=False).delete()

    page = admin_client.get(deleted_url())
    answer = undelete(admin_client, token("a.txt"))

    assert {line.row.name: line.may_undelete for line in page.context["rows"]} == {"b.txt": True, "a.txt": False}
    assert "Nothing: its bytes were collected or erased." in page.content.decode()
    assert said(answer) == ["Nothing is left of “a.txt”: its bytes were collected or erased."]


def test_it_says_until_when_a_file_can_be_brought_back(configure, admin_client):
    storage = configure(retention={"keep_for": timedelta(days=30)})
    save(storage, "a.txt")
    storage.delete("a.txt")

    (line,) = admin_client.get(deleted_url()).context["rows"]

    assert line.outlook.when.date() == (timezone.now() + timedelta(days=30)).date()
    age(storage, timedelta(days=60))
    assert "goes at the next collection" in admin_client.get(deleted_url()).content.decode()


def test_a_page_costs_the_same_for_few_and_for_many(storage, admin_client):
    fill(place_of(storage), 10, deleted_each=1)
    admin_client.get(deleted_url())

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries, assert_requests(storage):
            shown = len(listed(admin_client))
        assert shown in {10, PAGE}
        return len(queries)

    few = cost()
    fill(place_of(storage), 200, begin=10, versions=3, deleted_each=1)

    assert few == cost()


def test_pages_follow_each_other_without_gap_or_repetition(storage, admin_client):
    fill(place_of(storage), 2 * PAGE + 7, deleted_each=1)
    query, found = "", []

    for _page in range(3):
        answer = admin_client.get(deleted_url() + query)
        found += [line.row.name for line in answer.context["rows"]]
        query = f"?after={answer.context['page'].older}"

    assert found == sorted(set(found), reverse=True)
    assert len(found) == 2 * PAGE + 7


def test_who_may_only_look_gets_no_button_and_is_refused(gone):
    client = clerk("view_storedobject")

    page = client.get(deleted_url()).content.decode()

    assert "<button" not in page.partition('id="content-main"')[2].replace("theme", "")
    assert client.post(url("bulk", "undelete"), {"chosen": token("a.txt"), "confirmed": "yes"}).status_code == 403
    assert not gone.exists("a.txt")


def test_undeleting_needs_a_token_against_forgery(gone, admin_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)

    assert undelete(client, token("a.txt")).status_code == 403
    assert not gone.exists("a.txt")
