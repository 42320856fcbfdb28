"""Rows under django-simple-history: what its records say of files, and what comes back from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import models

from consistent_s3.collection import collect_garbage
from consistent_s3.core.errors import VersionNotFoundError
from consistent_s3.testing.aging import age
from tests.coexistence.conftest import body
from tests.coexistence.office.models import Notice, PriceList

pytestmark = [
    pytest.mark.django_db,
    # What newer Djangos deprecate of django-simple-history.
    pytest.mark.filterwarnings("ignore:Calling select_related"),
]


def test_records_keep_the_number_of_each_version(office):
    prices = office.add(PriceList, "Bread 3.20")
    office.replace(prices, "Bread 3.60")

    assert list(prices.history.values_list("file", "file_version")) == [
        ("prices/lease.txt", 2),
        ("prices/lease.txt", 1),
    ]
    assert type(PriceList.history.model._meta.get_field("file")) is models.TextField


def test_each_record_opens_its_own_bytes(office):
    prices = office.add(PriceList, "Bread 3.20")
    office.replace(prices, "Bread 3.60")

    assert [body(record.instance.file) for record in prices.history.all()] == ["Bread 3.60", "Bread 3.20"]
    assert [record.instance.file.size for record in prices.history.all()] == [10, 10]
    assert prices.history.earliest().instance.file.url == prices.file.storage.url(prices.file.name, version=1)


def test_the_row_as_of_a_moment_opens_the_bytes_of_that_moment(office):
    prices = office.add(PriceList, "Bread 3.20")
    prices.history.update(history_date=datetime.now(UTC) - timedelta(days=30))
    office.replace(prices, "Bread 3.60")

    march = prices.history.as_of(datetime.now(UTC) - timedelta(days=10))

    assert body(march.file) == "Bread 3.20"


def test_reverting_in_the_admin_brings_the_right_bytes_back(office):
    prices = office.add(PriceList, "Bread 3.20")
    office.replace(prices, "Bread 36.0")

    office.send(office.address(PriceList, "simple_history", prices.pk, prices.history.earliest().pk))

    prices.refresh_from_db()
    assert (prices.file_version, body(prices.file)) == (1, "Bread 3.20")
    assert prices.history.latest().file_version == 1


def test_the_page_before_reverting_shows_the_version_that_would_come_back(office):
    prices = office.add(PriceList, "Bread 3.20")
    office.replace(prices, "Bread 36.0")

    page = office.look(PriceList, "simple_history", prices.pk, prices.history.earliest().pk)

    assert "Version 1, 10\xa0bytes, by admin" in page


def test_records_of_a_row_that_is_not_pinned_open_the_newest_bytes(office):
    notice = office.add(Notice, "Closed on Monday")
    office.replace(notice, "Closed on Tuesday")

    assert [body(record.instance.file) for record in notice.history.all()] == ["Closed on Tuesday"] * 2


def test_restoring_a_version_is_on_record_with_its_user(office):
    prices = office.add(PriceList, "Bread 3.20")
    office.replace(prices, "Bread 36.0")

    office.post(
        office.address(PriceList, "version_restore", prices.pk, "file", 1), expected="2", comment="typing error"
    )

    record = prices.history.latest()
    assert (record.file_version, record.history_user.get_username()) == (3, "admin")


def test_django_simple_historys_own_pages_are_there(office):
    prices = office.add(PriceList, "Bread 3.20")

    page = office.look(PriceList, "history", prices.pk)

    assert office.address(PriceList, "simple_history", prices.pk, prices.history.get().pk) in page
    assert office.address(PriceList, "versions", prices.pk, "file") in office.look(PriceList, "change", prices.pk)


@pytest.fixture
def collect(settings, default_storage):
    """Return a function that collects all but the newest, a month later."""
    from django.core.files.storage import storages

    options = {**settings.STORAGES["default"]["OPTIONS"], "retention": {"keep_last": 1, "max_delete_ratio": 1}}
    settings.STORAGES = {**settings.STORAGES, "default": {**settings.STORAGES["default"], "OPTIONS": options}}

    def collect():
        age(storages["default"], timedelta(days=30))
        collect_garbage("default")

    return collect


def test_what_only_records_point_to_is_collected(collect, office):
    prices = office.add(PriceList, "Bread 3.20")
    office.replace(prices, "Bread 3.60")

    collect()

    assert body(prices.file) == "Bread 3.60"
    with pytest.raises(VersionNotFoundError, match="has no version 1"):
        prices.history.earliest().instance.file.open()


def test_what_records_point_to_stays_where_the_field_says_so(collect, office, monkeypatch):
    monkeypatch.setattr(PriceList._meta.get_field("file"), "pinned_by", ["office.HistoricalPriceList"])
    prices = office.add(PriceList, "Bread 3.20")
    office.replace(prices, "Bread 3.60")

    collect()

    assert [body(record.instance.file) for record in prices.history.all()] == ["Bread 3.60", "Bread 3.20"]


def test_the_check_accepts_a_history_that_pins(monkeypatch):
    field = PriceList._meta.get_field("file")
    monkeypatch.setattr(field, "pinned_by", ["office.HistoricalPriceList"])

    assert field.check() == []
