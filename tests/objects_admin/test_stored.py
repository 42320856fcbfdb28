"""The list of all stored objects: what is found, what it says, and what it costs."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from consistent_s3.models import digest
from consistent_s3.testing import assert_requests
from consistent_s3.testing.aging import age
from tests.objects_admin.conftest import clerk, row, save, url
from tests.objects_admin.rows import fill, place_of

pytestmark = pytest.mark.django_db


def names(client: Any, query: str = "") -> list[str]:
    """Return the names that the list shows, in its order."""
    answer = client.get(url("changelist") + query)
    assert answer.status_code == 200, answer.get("Location")
    return [found.name for found in answer.context["cl"].result_list]


def test_objects_are_listed_with_all_that_is_known_of_them(storage, admin_client):
    save(storage, "prices/march.csv", b"one", b"three", author="bob")
    save(storage, "terms.pdf", b"x" * 2048, author="ann")
    storage.delete("terms.pdf", author="eve")

    page = admin_client.get(url("changelist"))

    text = re.sub(r"<[^>]+>|\s+", " ", page.content.decode())
    lines = {found.name: found for found in page.context["cl"].result_list}
    assert [found.name for found in page.context["cl"].result_list] == ["terms.pdf", "prices/march.csv"]
    assert (lines["terms.pdf"].deleted, lines["terms.pdf"].author, lines["terms.pdf"].newest) == (True, "eve", 2)
    march = lines["prices/march.csv"]
    assert (march.storage_label, march.size, march.author, march.content_type) == ("default", 5, "bob", "text/csv")
    assert f'href="{url("change", march.pk)}"' in page.content.decode()
    assert "2 files found, 5\xa0bytes in their newest versions" in page.content.decode()
    assert "deleted" in text
    assert "exists" in text


@pytest.fixture
def many(storage: Any, configure: Any) -> Any:
    archive = configure("archive", location="old")
    save(storage, "a/picture.png", b"x" * 10)
    save(storage, "a/Report.PDF", b"x" * 200_000)
    save(storage, "b/notes.txt", b"")
    save(storage, "b/gone.txt", b"x")
    storage.delete("b/gone.txt")
    save(archive, "a/film.mp4", b"x" * 2_000_000)
    return archive


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=report", {"a/Report.PDF"}),
        ("?q=b/", {"b/notes.txt", "b/gone.txt"}),
        ("?q=nothing", set()),
        ("?state=deleted", {"b/gone.txt"}),
        ("?state=exists&q=b/", {"b/notes.txt"}),
        ("?type=picture", {"a/picture.png"}),
        ("?type=pdf", {"a/Report.PDF"}),
        ("?type=media", {"a/film.mp4"}),
        ("?type=text", {"b/notes.txt"}),
        ("?type=other", set()),
        ("?bytes=0", {"b/notes.txt"}),
        ("?bytes=1", {"a/picture.png"}),
        ("?bytes=2", {"a/Report.PDF"}),
        ("?bytes=3", {"a/film.mp4"}),
        ("?bytes=9", {"a/picture.png", "a/Report.PDF", "b/notes.txt", "b/gone.txt", "a/film.mp4"}),
    ],
)
def test_objects_are_found(many, admin_client, query, found):
    assert set(names(admin_client, query)) == found


def test_objects_are_found_by_storage_and_by_date(many, storage, admin_client):
    age(many, timedelta(days=40))

    archive = digest(place_of(many))
    assert names(admin_client, f"?storage={archive}") == ["a/film.mp4"]
    since = urlencode({"changed__gte": row("a/picture.png").changed.isoformat()})
    assert "a/film.mp4" not in names(admin_client, f"?{since}")
    assert names(admin_client, "?o=1") == ["a/Report.PDF", "a/film.mp4", "a/picture.png", "b/gone.txt", "b/notes.txt"]
    assert names(admin_client)[-1] == "a/film.mp4"


def test_totals_are_those_of_what_is_found(many, admin_client):
    answer = admin_client.get(url("changelist") + "?q=a/")

    assert answer.context["totals"] == {"count": 3, "bytes": 2_200_010}


@pytest.mark.parametrize("query", ["", "?p=2", "?q=file-", "?type=text&bytes=1"])
def test_a_page_costs_the_same_for_few_and_for_many(storage, admin_client, query):
    fill(place_of(storage), 110)
    admin_client.get(url("changelist"))

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries, assert_requests(storage):
            assert admin_client.get(url("changelist") + query).status_code == 200
        return len(queries)

    few = cost()
    fill(place_of(storage), 300, begin=110, versions=3, deleted_each=10)

    assert few == cost() == 5


def test_who_may_not_see_objects_sees_nothing(storage):
    save(storage, "a.txt")

    assert clerk().get(url("changelist")).status_code == 403
    assert names(clerk("view_storedobject")) == ["a.txt"]


def test_autocompletion_obeys_the_right_to_see(storage):
    save(storage, "secret.txt")
    address = "/admin/autocomplete/?app_label=consistent_s3&model_name=storedversion&field_name=stored_object&term=sec"

    assert clerk("download_storedobject").get(address).status_code == 403
    answer = clerk("view_storedobject").get(address)

    assert [found["text"] for found in answer.json()["results"]] == ["secret.txt"]
