"""Streams in the admin: who may look, what pages say, what they cost, and that nothing in events runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consistent_s3.clients import shared_client
from consistent_s3.local_times import moment
from consistent_s3.streams import EventStore, NewEvent, event_store
from consistent_s3.streams_admin import budget, looking
from consistent_s3.testing import assert_requests
from tests.objects_admin.conftest import clerk
from tests.streams.conftest import Configure, configure, events, fill, storage  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db
VIEW = "view_eventstream"
PAGES = {
    "changelist": (),
    "type": ("default", "order"),
    "stream": ("default", "order", "7"),
    "state": ("default", "order", "7"),
    "event": ("default", "order", "7", 1),
}


@pytest.fixture
def orders(events: EventStore, settings: Any) -> EventStore:  # noqa: F811
    """Return an event store with two orders, and a fold."""
    settings.CONSISTENT_S3_STREAMS = {"order": {"fold": "tests.streams.conftest.add", "initial": {"paid": 0}}}
    fill(events, "7", 5, 6)
    fill(events, "8", 1)
    return events


def url(name: str, *args: Any, query: str = "") -> str:
    quoted = [quote(arg) if isinstance(arg, str) else arg for arg in args]
    return reverse(f"admin:consistent_s3_eventstream_{name}", args=quoted) + query


def text(answer: Any) -> str:
    body = re.sub(r"(?s)<(script|head|title).*?</\1>", "", answer.content.decode())
    return " ".join(re.sub(r"<[^>]+>", " ", body).replace("\xa0", " ").split())


@pytest.fixture
def page(admin_client: Client) -> Callable[..., str]:
    """Return a function that opens a page and returns its text, without marks."""

    def page(name: str, *args: Any, query: str = "", status: int = 200) -> str:
        answer = admin_client.get(url(name, *args, query=query))
        assert answer.status_code == status, answer
        return text(answer)

    return page


# Rights


METHODS = ("get", "head", "post", "put", "patch", "delete")


@pytest.mark.parametrize(
    ("rights", "status"),
    [((VIEW,), 200), ((), 403), (("view_storedobject", "change_hold", "view_collectionrun"), 403)],
    ids=["view", "none", "others"],
)
def test_rights(orders, rights: tuple[str, ...], status: int):
    """Cell by cell: each page, each method."""
    client = clerk(*rights)

    found = {
        (name, method): getattr(client, method)(url(name, *args)).status_code
        for name, args in PAGES.items()
        for method in METHODS
    }

    assert found == {
        (name, method): status if method in {"get", "head"} else 405 for name in PAGES for method in METHODS
    }
    assert orders.version("order", "7") == 2


def test_who_is_no_staff_is_sent_to_the_login(orders):
    client = clerk(VIEW, is_staff=False)

    for name, args in PAGES.items():
        answer = client.get(url(name, *args))
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, reverse("admin:login"))


@pytest.mark.parametrize(("rights", "shown"), [((VIEW,), True), (("view_hold",), False)], ids=["view", "others"])
def test_index_tells_of_streams_to_whom_they_are_shown(orders, rights, shown: bool):
    assert (url("changelist") in clerk(*rights).get(reverse("admin:index")).content.decode()) == shown


def test_project_may_refuse_single_streams(orders, monkeypatch):
    from consistent_s3.streams_admin.pages import EventStreamAdmin

    def only_7(self: Any, request: Any, obj: Any = None) -> bool:
        return obj is None or obj.id == "7"

    monkeypatch.setattr(EventStreamAdmin, "has_view_permission", only_7)
    client = clerk(VIEW)

    for name in ("stream", "state", "event"):
        rest = PAGES[name][3:]
        assert client.get(url(name, "default", "order", "7", *rest)).status_code == 200
        assert client.get(url(name, "default", "order", "8", *rest)).status_code == 403


# What pages say


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
@pytest.mark.parametrize("use_tz", [True, False], ids=["aware", "naive"])
def test_times_are_told_where_the_user_is(orders, page, settings, zone, use_tz):
    settings.TIME_ZONE, settings.USE_TZ = zone, use_tz
    first = next(iter(orders.read("order", "7")))

    assert moment(first.time) in page("event", "default", "order", "7", 1)
    assert moment(first.time, "SHORT_DATETIME_FORMAT") in page("stream", "default", "order", "7")


def test_all_storages_and_their_types_are_listed(orders, configure: Configure, page):  # noqa: F811
    configure("empty", location="empty")
    configure("clock", location="clock", numbering="clock")
    configure("lost", bucket_name="lost")
    fill(orders, "1", 1, stream_type="Müller & Söhne")

    shown = page("changelist")

    assert "Storage “default” Müller &amp; Söhne order " in shown
    assert "Storage “empty” No stream has been begun here." in shown
    assert "has numbering=&#x27;clock&#x27; with index=&#x27;listing&#x27;" in shown
    assert "there is no bucket &#x27;lost&#x27;" in shown


def test_streams_of_a_type_are_listed_in_order(orders, page, monkeypatch):
    monkeypatch.setattr(looking, "IDS", 2)
    fill(orders, "10", 1)
    fill(orders, "9", 1)

    first = page("type", "default", "order")
    second = page("type", "default", "order", query="?after=7")
    last = page("type", "default", "order", query="?after=9")

    assert "by their ids Stream 10 7 Next" in first
    assert "by their ids Stream 8 9 First" in second
    assert "Next" not in second
    assert "There are no more. First" in last


def test_streams_are_found_by_how_their_ids_begin(orders, page):
    for stream_id in ("Müller", "Müllerin", "Möller"):
        fill(orders, stream_id, 1)

    assert "Stream Müller Müllerin" in page("type", "default", "order", query="?q=M%C3%BC")
    assert "Stream 7" in page("type", "default", "order", query="?q=7")
    assert "No stream has an id that begins so." in page("type", "default", "order", query="?q=x")
    assert "is one segment of a key" in page("type", "default", "order", query="?q=a/b")


def test_events_are_listed_the_newest_first(orders, page):
    shown = page("stream", "default", "order", "7")

    assert "Events 1 to 2, the newest first Event Type When Data 2 Paid" in shown
    assert "{&quot;amount&quot;: 6} 1 Paid" in shown


def test_events_are_paged_by_position(orders, page, monkeypatch):
    monkeypatch.setattr(looking, "EVENTS", 10)
    fill(orders, "7", *range(3, 26))

    assert "Events 16 to 25, the newest first" in page("stream", "default", "order", "7")
    second = page("stream", "default", "order", "7", query="?until=15")
    assert "Events 6 to 15, the newest first" in second
    assert second.rstrip().count("Newest Newer Older") == 1
    assert "Events 1 to 5, the newest first" in page("stream", "default", "order", "7", query="?until=5")
    assert "Events 16 to 25" in page("stream", "default", "order", "7", query="?until=x")
    assert "Events 16 to 25" in page("stream", "default", "order", "7", query=f"?until={10**18}")


def test_links_to_newer_and_older_lead_there(orders, admin_client, monkeypatch):
    monkeypatch.setattr(looking, "EVENTS", 10)
    fill(orders, "7", *range(3, 26))

    answer = admin_client.get(url("stream", "default", "order", "7", query="?until=15"))

    assert re.findall(r'rel="(\w+)" href="\?type=&amp;until=(\d+)"', answer.content.decode()) == [
        ("prev", "25"),
        ("next", "5"),
    ]


def test_events_of_a_type_are_found_among_those_looked_through(orders, page, monkeypatch):
    monkeypatch.setattr(looking, "LOOKED_THROUGH", 5)
    orders.append("order", "7", [NewEvent(type="Shipped", data={})], expected_version=2)
    fill(orders, "7", *range(4))

    shown = page("stream", "default", "order", "7", query="?type=Shipped")
    assert "Events 3 to 7, the newest first Event Type When Data 3 Shipped" in shown
    assert "Paid" not in shown
    assert "None of the events 3 to 7 is of this type." in page("stream", "default", "order", "7", query="?type=x")
    assert "None of the events 1 to 2" in page("stream", "default", "order", "7", query="?type=Shipped&until=2")


def test_event_is_shown_whole(orders, page):
    [new] = orders.append(
        "order",
        "7",
        [NewEvent(type="Shipped", data={"to": ["Bärbel"]}, metadata={"by": "ann"})],
        expected_version=2,
    ).events

    shown = page("event", "default", "order", "7", 3)

    assert f"Id {new.id} " in shown
    assert "Data { &quot;to&quot;: [ &quot;Bärbel&quot; ] } Metadata { &quot;by&quot;: &quot;ann&quot; }" in shown
    assert "Event before" in shown
    assert "Event after" not in shown
    assert "Event after" in page("event", "default", "order", "7", 1)


def test_long_data_are_cut_and_it_is_said(orders, page, monkeypatch):
    monkeypatch.setattr(looking, "LONG", 100)
    orders.append("order", "7", [NewEvent(type="Noted", data="x" * 300)], expected_version=2)

    assert "x" * 150 in page("stream", "default", "order", "7")
    assert "x" * 170 not in page("stream", "default", "order", "7")
    assert "202 more characters are not shown here." in page("event", "default", "order", "7", 3)


def test_state_is_folded(orders, page):
    assert "Show what the events fold to" in page("stream", "default", "order", "7")

    shown = page("state", "default", "order", "7")

    assert "After event 2 Schema version 1 Events folded for this page 2" in shown
    assert "State { &quot;paid&quot;: 11, &quot;last&quot;: &quot;Paid&quot; }" in shown
    assert len(list(orders.chunks("order", "7"))) == 2


def test_state_that_takes_too_many_requests_is_not_folded(orders, page, monkeypatch):
    monkeypatch.setattr(budget, "MOST", 8)
    fill(orders, "7", *range(20))

    shown = page("state", "default", "order", "7")

    assert "Folding this stream takes more requests than a page may send" in shown
    assert "manage.py consistent_s3 events show --state order/7" in shown


def test_fold_that_fails_is_told(orders, page, settings):
    settings.CONSISTENT_S3_STREAMS = {"order": {"fold": "operator.add"}}

    assert "The fold failed. TypeError: " in page("state", "default", "order", "7")


def test_state_that_is_no_json_is_told(orders, page, settings):
    settings.CONSISTENT_S3_STREAMS = {"order": {"fold": lambda state, event: {event.type}}}

    assert "The state cannot be serialized: Object of type set is not JSON serializable." in page(
        "state", "default", "order", "7", status=503
    )


def test_stream_of_a_type_that_nobody_folds_has_no_state(orders, page):
    fill(orders, "1", 1, stream_type="invoice")

    assert "Show what the events fold to" not in page("stream", "default", "invoice", "1")
    page("state", "default", "invoice", "1", status=404)


def test_ended_stream_says_so(orders, page):
    orders.tombstone("order", "7")

    assert "This stream was ended after event 2." in page("stream", "default", "order", "7")
    page("event", "default", "order", "7", 1, status=404)
    assert "was ended by a tombstone after event 2" in page("state", "default", "order", "7", status=503)


def test_store_that_cannot_be_read_is_told(orders, storage, page):  # noqa: F811
    [chunk] = orders.chunks("order", "8")
    shared_client(storage).put_object(Bucket=storage.bucket_name, Key=chunk.key, Body=b"x" * 1025)

    assert "is no chunk of a stream" in page("stream", "default", "order", "8", status=503)


STRANGE = [
    ("type", "default", "a.-vb"),
    ("type", "lost", "order"),
    ("type", "staticfiles", "order"),
    ("stream", "default", "order", "9"),
    ("stream", "default", "order", " 7"),
    ("stream", "default", "order", "a/b"),
    ("stream", "default", "..", "7"),
    ("stream", "default", "order", "x" * 300),
    ("state", "default", "order", "9"),
    ("event", "default", "order", "7", 0),
    ("event", "default", "order", "7", 3),
    ("event", "default", "order", "7", 10**30),
    ("event", "default", "order", "9", 1),
]


def test_address_of_nothing_is_not_found(orders, admin_client):
    found = {address: admin_client.get(url(*address)).status_code for address in STRANGE}

    assert found == dict.fromkeys(STRANGE, 404)


def test_strange_names_have_addresses(events, page):  # noqa: F811
    stream_id = "100%_Ä ?#&=<b>'\"\u202e"
    fill(events, stream_id, 1, stream_type="bestellung %2F")

    assert "Events 1 to 1" in page("stream", "default", "bestellung %2F", stream_id)
    assert "Position 1" in page("event", "default", "bestellung %2F", stream_id, 1)


# What pages cost


COSTS = {
    "changelist": {"LIST": 1},
    "type": {"LIST": 1},
    "stream": {"LIST": 2, "GET": 1},
    "state": {"LIST": 1, "GET": 1},
    "event": {"LIST": 2, "GET": 1},
}


@pytest.mark.parametrize("name", PAGES)
def test_page_costs_the_same_however_much_there_is(orders, storage, name: str):  # noqa: F811
    """A stream of 1,100 events, folded and compacted; a hundred streams."""
    fill(orders, "7", *range(1098), each=549)
    for number in range(100, 200 if name == "type" else 100):
        fill(orders, str(number), 1)
    orders.state("order", "7", lambda state, event: {"paid": 1}, {}, schema_version=1)
    client = clerk(VIEW)
    client.get(url(name, *PAGES[name]))  # content types and sessions are known now

    with (
        assert_requests(storage, **COSTS[name]),
        CaptureQueriesContext(
            connection,
        ) as queries,
    ):
        assert client.get(url(name, *PAGES[name])).status_code == 200

    assert len(queries) == 4  # session, user, rights, and those of groups


def test_list_of_single_events_costs_a_get_for_each(orders, storage):  # noqa: F811
    fill(orders, "7", *range(3, 103))
    client = clerk(VIEW)

    with assert_requests(storage, LIST=2, GET=50):
        client.get(url("stream", "default", "order", "7"))
    with assert_requests(storage, LIST=3, GET=50):
        client.get(url("stream", "default", "order", "7", query="?until=60"))


def test_no_page_can_write():
    kept = budget.ReadingBudget(inner=None)  # type: ignore[arg-type]
    writing = {
        "put": ("key", None, {"mode": None, "attributes": None}),
        "delete": (["key"], {}),
        "begin_upload": ("key", {"attributes": None}),
        "put_part": ("key", "upload", 1, b"", {}),
        "complete_upload": ("key", "upload", [], {}),
        "abort_upload": ("key", "upload", {}),
        "move": ("key", "COLD", {"metadata": {}}),
    }

    for method, (*args, options) in writing.items():
        with pytest.raises(RuntimeError, match="The pages of streams only read"):
            getattr(kept, method)(*args, **options)


# What runs


HOSTILE = "</pre></bdi><script>alert(1)</script><img src=x onerror=alert(1)>\"'"


def test_nothing_in_events_runs(events, admin_client, settings):  # noqa: F811
    settings.CONSISTENT_S3_STREAMS = {
        name: {"fold": "tests.streams_admin.test_pages.last_data", "schema_version": HOSTILE} for name in ("order",)
    }
    hostile_id = HOSTILE.replace("/", "")
    new = NewEvent(type=HOSTILE, data={HOSTILE: HOSTILE}, metadata={HOSTILE: [HOSTILE]})
    events.append("order", hostile_id, [new, NewEvent(type="a", data=HOSTILE)], expected_version=0)
    events.append(hostile_id, "7", [new], expected_version=0)
    addresses = [
        url("changelist"),
        url("type", "default", "order", query="?q=<script>alert(1)</script>&after=<script>"),
        url("type", "default", "order"),
        url("type", "default", hostile_id),
        url("stream", "default", "order", hostile_id, query="?type=%22%3E<script>alert(1)</script>&until=<script>"),
        url("stream", "default", "order", hostile_id),
        url("event", "default", "order", hostile_id, 1),
        url("state", "default", "order", hostile_id),
    ]

    for address in addresses:
        answer = admin_client.get(address)
        body = answer.content.decode()
        assert answer.status_code == 200, address
        assert not [(tag, name) for tag, name in marks(body) if name.startswith("on") or tag in {"img", "b"}]
        assert "<script>alert" not in body


def marks(body: str) -> list[tuple[str, str]]:
    """Return all elements of a page, each with each of its attributes, or with none."""
    found: list[tuple[str, str]] = []

    class Marks(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend((tag, name) for name in ["", *(name for name, _ in attrs)])

    Marks().feed(body)
    return found


def last_data(state: Any, event: Any) -> Any:
    """Fold to what came last."""
    return event.data


def test_pages_have_no_script_and_no_style_of_their_own(orders, admin_client):
    for name, args in PAGES.items():
        body = admin_client.get(url(name, *args)).content.decode()
        content = body[body.index('id="content"') : body.index('id="footer"')]
        assert not re.search(r"<script|<style|style=", content)


def test_streams_of_another_storage_are_apart(orders, configure: Configure, page):  # noqa: F811
    configure("other", location="other")
    fill(event_store("other"), "1", 1, stream_type="invoice")

    assert "Storage “other” invoice" in page("changelist")
    page("stream", "default", "invoice", "1", status=404)
