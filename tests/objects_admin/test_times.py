"""Times of stored objects on both sides of UTC, with and without `USE_TZ`: told and compared where the user is."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from consistent_s3.models import Hold
from consistent_s3.objects_admin import changes, deleted
from consistent_s3.testing.aging import age
from tests.objects_admin.conftest import row, save, token, url

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where somebody is, and a moment whose day there is another one than in UTC."""

    zone: str
    moment: datetime
    day: date
    told: str
    told_in_utc: str


SHANGHAI = Place(
    zone="Asia/Shanghai",
    moment=datetime(2026, 1, 1, 20, 30, 30, tzinfo=UTC),
    day=date(2026, 1, 2),
    told="4:30 a.m.",
    told_in_utc="8:30 p.m.",
)
NEW_YORK = Place(
    zone="America/New_York",
    moment=datetime(2026, 1, 2, 2, 30, 30, tzinfo=UTC),
    day=date(2026, 1, 1),
    told="9:30 p.m.",
    told_in_utc="2:30 a.m.",
)


@pytest.fixture(params=[True, False], ids=["aware", "naive"])
def use_tz(request: Any, settings: Any) -> bool:
    settings.USE_TZ = request.param
    return bool(request.param)


@pytest.fixture(params=[SHANGHAI, NEW_YORK], ids=lambda place: place.zone)
def place(request: Any, settings: Any, use_tz: bool) -> Place:
    settings.TIME_ZONE = request.param.zone
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def files(storage: Any, place: Place) -> Any:
    """Return a storage in which one file was replaced, and one deleted, at the moment of the place."""
    save(storage, "kept.txt", b"one", b"two")
    save(storage, "gone.txt")
    storage.delete("gone.txt")
    age(storage, storage.archive.clock.now() - place.moment)
    return storage


PAGES: dict[str, Callable[[], str]] = {
    "stored": lambda: url("changelist"),
    "changes": lambda: url("changelist", model="recentchange"),
    "deleted": lambda: url("changelist", model="deletedobject"),
    "object": lambda: url("change", row("kept.txt").pk),
    "compare": lambda: url("versions_compare", row("kept.txt").pk, "file") + "?old=1&new=2",
    "restore": lambda: url("version_restore", row("kept.txt").pk, "file", 1),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_tells_when_it_was_where_the_user_is(files, admin_client, place, page):
    text = admin_client.get(PAGES[page]()).content.decode()

    assert place.told in text
    assert place.told_in_utc not in text
    moments = {datetime.fromisoformat(said) for said in re.findall(r'datetime="([^"]+)"', text)}
    assert all(abs(moment - place.moment) < timedelta(minutes=1) for moment in moments)


@pytest.mark.parametrize(("model", "found"), [("recentchange", 4), ("deletedobject", 1)])
def test_a_day_is_that_of_the_user(files, admin_client, place, model, found):
    def count(**days: date) -> int:
        return len(admin_client.get(url("changelist", model=model), days).context["rows"])

    assert count(since=place.day, until=place.day) == found
    assert (count(since=place.day), count(until=place.day)) == (found, found)
    assert (count(since=place.day + DAY), count(until=place.day - DAY)) == (0, 0)


def test_the_filter_by_the_last_change_means_the_day_of_the_user(files, admin_client, place, use_tz, monkeypatch):
    now = place.moment if use_tz else timezone.localtime(place.moment).replace(tzinfo=None)
    monkeypatch.setattr(timezone, "now", lambda: now)
    page = html.unescape(admin_client.get(url("changelist")).content.decode())
    today = re.search(r'href="([^"]+)"[^>]*>\s*Today', page)[1]  # type: ignore[index]

    shown = admin_client.get(url("changelist") + today)

    assert {found.name for found in shown.context["cl"].result_list} == {"kept.txt", "gone.txt"}
    chosen = re.search(r'<li class="selected">\s*<a[^>]*>\s*Today', shown.content.decode())
    assert chosen
    age(files, DAY)
    assert not admin_client.get(url("changelist") + today).context["cl"].result_list


@pytest.mark.parametrize(("model", "module"), [("recentchange", changes), ("deletedobject", deleted)])
def test_every_row_is_on_one_page(files, admin_client, model, module, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 1)
    files.delete("kept.txt")
    found, query = [], ""

    while True:
        shown = admin_client.get(url("changelist", model=model) + query)
        found += [getattr(line, "version", None) or line.row for line in shown.context["rows"]]
        if shown.context["page"].older is None:
            break
        query = "?" + html.unescape(re.search(r'rel="next" href="\?([^"]+)"', shown.content.decode())[1])  # type: ignore[index]

    assert len({each.pk for each in found}) == len(found) == (5 if model == "recentchange" else 2)


@pytest.mark.parametrize(
    "query",
    [
        "until=9999-12-31",
        "since=9999-12-31",
        "until=0001-01-01",
        "since=0001-01-01",
        "after=0001-01-01T00:00:00%2B23:59~1",
        "after=0001-01-01T00:00:00~1",
        "after=9999-12-31T23:59:59-23:59~1",
        "after=9999-12-31T23:59:59~1",
    ],
)
@pytest.mark.parametrize("model", ["recentchange", "deletedobject"])
def test_a_list_can_be_asked_for_days_at_the_edges_of_time(files, admin_client, model, query):
    assert admin_client.get(f"{url('changelist', model=model)}?{query}").status_code == 200
    assert admin_client.get(f"{url('export', 'csv', model=model)}?{query}").status_code == 200


@pytest.mark.parametrize("model", ["storedobject", "recentchange", "deletedobject"])
def test_an_export_says_the_moment(files, admin_client, place, model):
    rows = b"".join(admin_client.get(url("export", "json", model=model)).streaming_content).decode()

    told = re.findall(r'"(?:when|changed)": "([^"]+)"', rows)
    assert told
    assert all(abs(datetime.fromisoformat(said) - place.moment) < timedelta(minutes=1) for said in told)


@pytest.mark.parametrize("page", ["hold", "bulk"])
def test_a_hold_ends_with_the_day_of_the_user(files, admin_client, place, use_tz, page):
    def hold(until: str) -> Any:
        if page == "hold":
            return admin_client.post(
                url("versions_hold", row("kept.txt").pk, "file"), {"reason": "audit", "until": until}
            )
        data = {"chosen": token("kept.txt"), "confirmed": "yes", "reason": "audit", "until": until}
        return admin_client.post(url("bulk", "hold"), data)

    assert hold("2030-12-31").status_code == 302

    held = Hold.objects.get()
    end = timezone.localtime(held.until) if use_tz else held.until
    assert f"{end:%Y-%m-%d %H:%M}" == "2031-01-01 00:00"
    for url_of_page in (url("change", row("kept.txt").pk), url("changelist", model="hold")):
        assert "Jan. 1, 2031, midnight" in admin_client.get(url_of_page).content.decode()


@pytest.mark.parametrize("page", ["hold", "bulk"])
def test_a_hold_can_last_as_long_as_days_can_be_told(files, admin_client, place, settings, page):
    data = {"reason": "for good", "until": "9999-12-31"}
    if page == "bulk":
        admin_client.post(url("bulk", "hold"), {**data, "chosen": token("kept.txt"), "confirmed": "yes"})
    else:
        admin_client.post(url("versions_hold", row("kept.txt").pk, "file"), data)

    assert Hold.objects.get().in_force
    settings.TIME_ZONE = "Pacific/Kiritimati"
    for shown in (url("change", row("kept.txt").pk), url("changelist", model="hold")):
        assert "Dec. 29, 9999" in admin_client.get(shown).content.decode()


def test_a_hold_until_yesterday_is_refused_and_until_today_is_not(files, admin_client, place, monkeypatch):
    monkeypatch.setattr("consistent_s3.local_times.SystemClock.now", lambda self: place.moment)

    page = url("versions_hold", row("kept.txt").pk, "file")
    refused = admin_client.post(page, {"reason": "audit", "until": f"{place.day - DAY}"})
    form = refused.context["form"].__class__({"reason": "audit", "until": f"{place.day}"})

    assert "This day is over, so nothing would be held." in refused.content.decode()
    assert form.is_valid()
