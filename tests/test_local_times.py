"""Times where the user is, on both sides of UTC, with and without `USE_TZ`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.template import Context, Template
from django.utils import timezone

import consistent_s3
from consistent_s3 import local_times
from consistent_s3.index.row_times import as_aware, as_kept
from consistent_s3.testing.aging import age
from tests.archive.models import Contract
from tests.test_admin import change_url, url

ZONES = ["Asia/Shanghai", "America/New_York", "Pacific/Kiritimati", "Etc/GMT+12", "UTC"]
DAYS = [date.min, date(2026, 3, 8), date(2026, 11, 1), date.max]


@pytest.fixture(params=[True, False], ids=["aware", "naive"])
def use_tz(request: Any, settings: Any) -> bool:
    settings.USE_TZ = request.param
    return bool(request.param)


@pytest.fixture(params=ZONES)
def zone(request: Any, settings: Any, use_tz: bool) -> str:
    settings.TIME_ZONE = request.param
    return str(request.param)


TOLD = [
    ("Asia/Shanghai", datetime(2026, 1, 1, 20, 30, tzinfo=UTC), "Jan. 2, 2026, 4:30 a.m."),
    ("America/New_York", datetime(2026, 1, 2, 2, 30, tzinfo=UTC), "Jan. 1, 2026, 9:30 p.m."),
]


@pytest.mark.parametrize(("name", "when", "told"), TOLD, ids=[row[0] for row in TOLD])
def test_an_aware_time_is_told_where_the_user_is(settings, use_tz, name, when, told):
    settings.TIME_ZONE = name

    page = Template('{% load consistent_s3_times %}{{ when|moment }}; {{ when|moment:"Y-m-d" }}; {{ none|moment }}')

    assert page.render(Context({"when": when, "none": None})) == f"{told}; {timezone.localtime(when):%Y-%m-%d}; "


def test_a_naive_time_is_local_already(settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Shanghai"

    assert local_times.moment(timezone.now(), "Y-m-d H") == f"{timezone.localtime(datetime.now(UTC)):%Y-%m-%d %H}"


def test_every_time_of_every_page_is_told_so():
    pages = [*Path(consistent_s3.__file__).parent.glob("templates/**/*.html")]

    told = {
        style
        for page in pages
        for style in re.findall(r"\|(?:date|time|timesince|timeuntil)\b(?::\S*)?", page.read_text())
    }

    assert len(pages) > 30
    assert told == {'|date:"c"'}


PAGES = {
    "form": change_url,
    "versions": lambda contract: url("versions", contract),
    "compare": lambda contract: url("versions_compare", contract) + "?old=1&new=2",
    "restore": lambda contract: url("version_restore", contract, 1),
    "delete": lambda contract: url("version_delete", contract, 1),
}


@pytest.mark.parametrize(("name", "when", "told"), TOLD, ids=[row[0] for row in TOLD])
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.django_db
def test_a_page_of_a_row_tells_when_it_was_where_the_user_is(
    default_storage, admin_client, settings, use_tz, name, when, told, page
):
    settings.TIME_ZONE = name
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"one"))
    contract.file.save("lease.txt", ContentFile(b"two"))
    age(default_storage, default_storage.archive.clock.now() - when - timedelta(seconds=30))

    assert told in admin_client.get(PAGES[page](contract)).content.decode()


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_a_day_is_what_the_calendar_there_says(zone, day):
    begin, end = local_times.begin_of(day), local_times.end_of(day)

    for moment in (begin, end):
        assert as_aware(as_kept(moment)) == moment
        assert timezone.localtime(moment).time() == time()
        for name in ZONES:
            with timezone.override(name):
                assert local_times.moment(moment)
    assert timezone.localtime(begin).date() == min(max(day, local_times.EARLIEST), local_times.LATEST)
    assert timezone.localtime(end).date() == timezone.localtime(begin).date() + timedelta(days=1)


def test_today_is_the_day_there(zone, monkeypatch):
    monkeypatch.setattr(local_times.SystemClock, "now", lambda self: datetime(2026, 1, 1, 20, 30, tzinfo=UTC))

    ahead = {"Asia/Shanghai", "Pacific/Kiritimati"}
    assert local_times.today() == (date(2026, 1, 2) if zone in ahead else date(2026, 1, 1))


@pytest.mark.parametrize(
    ("day", "clock"), [(date(2026, 3, 8), time(2, 30)), (date(2026, 11, 1), time(1, 30))], ids=["never", "twice"]
)
def test_a_time_that_clocks_showed_twice_or_never_is_no_moment(settings, use_tz, day, clock):
    settings.TIME_ZONE = "America/New_York"

    with pytest.raises(ValueError, match="twice, or never") as refused:
        local_times.at(day, clock)

    assert str(refused.value) == (
        f"On {day}, clocks in America/New_York showed {clock} twice, or never. Choose another time."
    )
    assert local_times.at(day, time(4)) == datetime(
        day.year, day.month, day.day, 4 + (5 if day.month == 11 else 4), tzinfo=UTC
    )
