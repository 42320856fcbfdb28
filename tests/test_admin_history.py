"""A file's history: what is found in it, what retention will do, and what a page costs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.core.files.base import ContentFile
from django.db import connection
from django.db.models import F
from django.db.models.signals import pre_save
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from consistent_s3.collection import collect_garbage
from consistent_s3.history_admin import finding
from consistent_s3.history_admin import history as history_pages
from consistent_s3.history_admin.finding import LISTED, PAGE
from consistent_s3.history_admin.outlook import known, outlooks
from consistent_s3.models import StoredVersion
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import count_requests
from consistent_s3.testing.aging import age
from tests.archive.admin import ContractAdmin
from tests.archive.models import Contract
from tests.seeding import seed
from tests.test_admin import url
from tests.test_admin_holds import said

pytestmark = pytest.mark.django_db

NAME = "contracts/lease.txt"


@pytest.fixture
def configure(settings: Any, storage_options: dict[str, Any], s3_server: Any) -> Callable[..., ConsistentS3Storage]:
    """Return a function that makes Django's default storage one with options to add."""
    from django.core.files.storage import storages

    def configure(**more: Any) -> ConsistentS3Storage:
        backend = "consistent_s3.storage.ConsistentS3Storage"
        options = {"BACKEND": backend, "OPTIONS": {**storage_options, **more}}
        settings.STORAGES = {**settings.STORAGES, "default": options}
        return storages["default"]

    return configure


@pytest.fixture(params=["listing", "database"])
def storage(request: pytest.FixtureRequest, configure: Any) -> ConsistentS3Storage:
    return configure(index=request.param)


def contract_of(*said: tuple[str, str]) -> Contract:
    """Return a row whose file has a version by each author, with each comment."""
    contract = Contract(title="Lease")
    for author, comment in said:
        contract.file.save("lease.txt", ContentFile(comment.encode()), author=author, comment=comment)
    return contract


def history(client: Client, contract: Any, query: str = "") -> str:
    answer = client.get(url("versions", contract) + query)
    assert answer.status_code == 200
    return answer.content.decode().partition('id="content-main"')[2]


def shown(page: str) -> list[int]:
    """Return the numbers of the versions that a page lists."""
    return [int(number) for number in re.findall(r'<th scope="row" class="consistent-s3-number">(\d+)', page)]


# Finding


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("?person=ann", [3, 1]),
        ("?person=AN", [3, 1]),
        ("?words=price", [3, 2]),
        ("?words=PRICE&person=bob", [2]),
        ("?person=eve", []),
        ("?person=", [3, 2, 1]),
        ("?words=%25", []),
        ("?since=soon", [3, 2, 1]),
    ],
)
def test_versions_are_found_by_person_and_by_words_of_the_comment(storage, admin_client, query, numbers):
    contract = contract_of(("ann", "first"), ("bob", "new Prices"), ("Ann", "prices again"))

    assert shown(history(admin_client, contract, query)) == numbers


def test_versions_are_found_by_day(storage, admin_client):
    contract = contract_of(("ann", "old"))
    age(storage, timedelta(days=3))
    contract.file.save("lease.txt", ContentFile(b"new"))
    today, old = (timezone.localdate(version.modified) for version in storage.history(NAME))

    found = [
        shown(history(admin_client, contract, query))
        for query in (f"?since={today}", f"?until={old}", f"?since={old}&until={today}", f"?until={old - timedelta(1)}")
    ]

    assert found == [[2], [1], [2, 1], []]


def test_what_is_found_goes_on_on_the_next_page(storage, admin_client):
    contract = contract_of(*[("ann" if number % 2 else "bob", f"change {number}") for number in range(2 * PAGE + 6)])

    first = history(admin_client, contract, "?person=ann")
    link = re.search(r'href="[^"]*(\?person=ann&amp;before=\d+)">Older', first)
    second = history(admin_client, contract, link[1].replace("&amp;", "&"))

    assert shown(first) == list(range(2 * PAGE + 6, 6, -2))
    assert shown(second) == [6, 4, 2]
    assert "Older" not in second


def test_a_search_that_was_bounded_says_so_and_goes_on_from_there(configure, admin_client):
    storage = configure()
    contract = contract_of(("ann", "first"))
    seed(storage, NAME, range(2, LISTED + 10))

    with count_requests(storage) as log:
        first = history(admin_client, contract, "?person=ann")
    link = re.search(r'href="(\?person=ann&amp;before=\d+)">Look further back', first)
    second = history(admin_client, contract, link[1].replace("&amp;", "&"))

    assert f"Only {LISTED} versions were looked through; older ones were not." in first
    assert shown(first) == []
    assert log.counts["HEAD"] <= LISTED
    assert shown(second) == [1]
    assert "Look further back" not in second


def test_where_the_index_knows_all_a_search_asks_the_store_for_nothing(configure, admin_client, monkeypatch):
    storage = configure(index="database")
    contract = contract_of(*[("ann", str(number)) for number in range(6)])
    monkeypatch.setattr(finding, "ROWS", 4)

    with count_requests(storage) as log:
        page = history(admin_client, contract, "?person=eve")

    assert not log.counts
    assert "Only 4 versions were looked through" in page


# What it costs


def many(storage: ConsistentS3Storage, contract: Contract, count: int) -> None:
    """Give a file many more versions."""
    if storage.index_kind == "listing":
        seed(storage, NAME, range(3, count + 1))
        return
    (row,) = StoredVersion.objects.filter(number=2)
    rows = []
    for number in range(3, count + 1):
        key = storage.archive.layout.version_key(NAME, number)
        copy = StoredVersion(**{field.attname: getattr(row, field.attname) for field in row._meta.fields})
        copy.pk, copy.number, copy.key = None, number, key
        rows.append(copy)
    StoredVersion.objects.bulk_create(rows)
    row.stored_object.newest = count
    row.stored_object.save()


@pytest.mark.parametrize("query", ["", "?before=19", "?person=eve", "?words=x&since=2001-01-01"])
def test_a_page_costs_the_same_for_20_and_for_2000_versions(storage, admin_client, query):
    contract = contract_of(("ann", "one"), ("bob", "two"))
    costs = []
    for count in (PAGE, 2_000):
        many(storage, contract, count) if count == PAGE else grow(storage, contract, count)
        with (
            count_requests(storage) as log,
            CaptureQueriesContext(
                connection,
            ) as queries,
        ):
            history(admin_client, contract, query)
        costs.append((log.counts["LIST"], log.counts["GET"], len(queries)))
        assert log.counts["HEAD"] <= (LISTED if query.startswith(("?person", "?words")) else PAGE)

    assert costs[0] == costs[1]


def grow(storage: ConsistentS3Storage, contract: Contract, count: int) -> None:
    if storage.index_kind == "database":
        StoredVersion.objects.filter(number__gt=2).delete()
    many(storage, contract, count)


# What retention will do


POLICY = {"keep_last": 2, "keep_for": timedelta(days=30), "grace": timedelta(days=1)}


def test_the_outlook_of_each_version_is_told_in_words(configure, admin_client):
    storage = configure(index="database", retention=POLICY)
    contract = contract_of(("ann", "1"), ("ann", "2"))
    age(storage, timedelta(days=40))
    for text in ("3", "4", "5"):
        contract.file.save("lease.txt", ContentFile(text.encode()))
    storage.hold(NAME, 2, reason="lawsuit")

    page = history(admin_client, contract)

    said = [re.sub(r"\s+", " ", one) for one in re.findall(r'class="consistent-s3-outlook">(.*?)</td>', page)]
    superseded = storage.version(NAME, 4).modified
    when = date_format(timezone.localtime(superseded + timedelta(days=30)), "DATE_FORMAT")
    assert said == [
        "Stays: current",
        "Stays: one of the newest (keep_last)",
        f"Stays until {when}: was current not long ago (keep_for)",
        "Stays: a hold covers it",
        "Goes at the next collection: superseded, and no rule keeps it",
    ]


@pytest.mark.parametrize(
    "retention",
    [
        {"keep_for": timedelta(days=30)},
        {"keep_last": 2, "keep_for": timedelta(days=5)},
        {"keep_last": 1, "grace": timedelta(days=20)},
        {"tiers": [(timedelta(days=1), timedelta(days=40)), (timedelta(days=7), timedelta(days=90))]},
        {"keep_for": timedelta(days=3), "tiers": [(timedelta(days=2), timedelta(days=10))]},
    ],
    ids=["time", "newest and time", "grace", "tiers", "time and tier"],
)
@pytest.mark.parametrize("state", ["there", "deleted", "times in disorder"])
def test_what_is_said_of_when_comes_true_to_the_moment(configure, retention, state):
    storage = configure(index="database", retention=retention)
    contract = contract_of(("ann", "1"))
    for days in (9, 1, 0, 3, 2):
        age(storage, timedelta(days=days, hours=5))
        contract.file.save("lease.txt", ContentFile(b"x"))
    if state == "deleted":
        storage.delete(NAME)
    if state == "times in disorder":
        StoredVersion.objects.filter(number__in=[3, 5]).update(modified=F("modified") - timedelta(days=12))

    Contract.objects.update(file_version=None)
    versions = list(storage.history(NAME))
    numbers = {version.number for version in versions}
    now = timezone.now()

    def look(moment: datetime) -> dict[int, Any]:
        return outlooks(storage, known(storage, NAME), versions, numbers, now=moment)

    dated = {number: one.when for number, one in look(now).items() if one.when}
    assert dated or state == "times in disorder"
    for number, when in dated.items():
        assert when > now
        assert not look(when - timedelta(microseconds=1))[number].goes
        assert look(when)[number].goes
    later = look(now + timedelta(days=1000))
    assert {number for number, one in later.items() if one.goes} == {
        number for number, one in look(now).items() if one.goes or one.when
    }


def test_what_is_said_to_go_is_what_a_collection_takes(configure, admin_client):
    storage = configure(index="database", retention=POLICY)
    contract = contract_of(*[("ann", str(number)) for number in range(6)])
    age(storage, timedelta(days=40))
    contract.file.save("lease.txt", ContentFile(b"new"))
    age(storage, timedelta(days=2))
    storage.hold(NAME, 1, reason="lawsuit")
    versions = list(storage.history(NAME))
    numbers = {version.number for version in versions}
    looked = outlooks(storage, known(storage, NAME), versions, numbers, now=timezone.now())

    collect_garbage("default", dry_run=False)

    assert [version.number for version in storage.history(NAME)] == [n for n, one in looked.items() if not one.goes]


def test_a_later_page_of_a_listing_says_nothing_of_retention(configure, admin_client):
    storage = configure(retention=POLICY)
    contract = contract_of(*[("ann", str(number)) for number in range(PAGE + 5)])
    assert storage.index_kind == "listing"

    assert "consistent-s3-outlook" in history(admin_client, contract)
    assert "consistent-s3-outlook" not in history(admin_client, contract, "?before=5")


def test_a_later_page_of_the_database_says_the_same_as_the_first(configure, admin_client):
    configure(index="database", retention={"keep_last": 3})
    contract = contract_of(*[("ann", str(number)) for number in range(6)])

    first = re.findall(r'class="consistent-s3-outlook">(.*?)</td>', history(admin_client, contract))
    second = re.findall(r'class="consistent-s3-outlook">(.*?)</td>', history(admin_client, contract, "?before=5"))

    assert second == first[2:]


UNTOLD = "What retention will do is"


def test_a_page_that_says_nothing_of_retention_says_why(configure, admin_client):
    configure(retention=POLICY)
    contract = contract_of(*[("ann", str(number)) for number in range(PAGE + 5)])

    assert UNTOLD not in history(admin_client, contract)
    assert UNTOLD not in history(admin_client, contract, "?person=nobody")
    for query in ("?before=5", "?person=ann"):
        page = history(admin_client, contract, query)
        assert "What retention will do is only told on the first page, and not of what was searched for." in page


@pytest.mark.parametrize("query", ["?before=6", "?person=ann"])
def test_what_lies_below_the_versions_that_are_looked_at_says_so(configure, admin_client, monkeypatch, query):
    configure(index="database", retention={"keep_last": 2})
    contract = contract_of(*[("ann", str(number)) for number in range(6)])
    whole = history(admin_client, contract, query)
    monkeypatch.setattr(history_pages, "OUTLOOK", 3)

    page = history(admin_client, contract, query)

    told = [re.sub(r"<[^>]+>", "", one) for one in re.findall(r'class="consistent-s3-outlook">(.*?)</td>', page)]
    looked_at = 2 if "before" in query else 3
    assert UNTOLD not in whole
    assert [one != "–" for one in told] == [position < looked_at for position in range(len(shown(page)))]
    assert "What retention will do is only told of the newest 3 versions." in page


def test_a_page_far_below_the_versions_that_are_looked_at_says_so(configure, admin_client, monkeypatch):
    configure(index="database", retention={"keep_last": 2})
    contract = contract_of(*[("ann", str(number)) for number in range(6)])
    monkeypatch.setattr(history_pages, "OUTLOOK", 3)

    page = history(admin_client, contract, "?before=3")

    assert "consistent-s3-outlook" not in page
    assert "What retention will do is only told of the newest 3 versions." in page


def test_sizes_tell_how_much_they_grew(storage, admin_client):
    contract = Contract(title="Lease")
    for length in (10, 2000, 500, 500):
        contract.file.save("lease.txt", ContentFile(b"x" * length))

    page = re.sub(r"\s", " ", history(admin_client, contract))

    assert "+1.9 KB" in page
    assert "-1.5 KB" in page


def test_a_version_that_another_row_points_to_is_in_use(storage, admin_client):
    contract = contract_of(("ann", "1"), ("ann", "2"))
    Contract.objects.create(title="other", file=contract.file.name, file_version=1)

    assert history(admin_client, contract).count(">in use<") == 1


def test_a_version_in_the_archive_is_marked(configure, admin_client):
    configure(index="database")
    contract = contract_of(("ann", "1"), ("ann", "2"))
    StoredVersion.objects.filter(number=1).update(storage_class="GLACIER_IR")

    page = history(admin_client, contract)

    assert page.count(">archived<") == 1
    assert 'title="GLACIER_IR"' in page


def test_what_is_to_be_archived_says_so(configure, admin_client):
    storage = configure(
        index="database", retention={"archive_after": timedelta(days=9), "archive_class": "STANDARD_IA"}
    )
    contract = contract_of(("ann", "1"), ("ann", "2"))
    age(storage, timedelta(days=10))

    page = history(admin_client, contract)

    assert page.count("Moves to the archive at the next collection") == 1


def test_where_pointers_may_be_lost_nothing_is_said_of_retention(configure, admin_client, redis_server, settings):
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": redis_server.url}}
    configure(index="redis")
    contract = contract_of(("ann", "1"), ("ann", "2"))

    page = history(admin_client, contract)

    assert len(shown(page)) == 2
    assert "consistent-s3-outlook" not in page
    assert "What retention will do is not told: this index may forget when a version was replaced." in page


def test_the_form_links_to_no_history_that_may_not_be_seen(storage, admin_client, monkeypatch):
    contract = contract_of(("ann", "1"))
    model_admin = admin.site.get_model_admin(Contract)
    address = reverse("admin:archive_contract_change", args=[contract.pk])

    before = admin_client.get(address).content.decode()
    monkeypatch.setattr(model_admin, "has_history_permission", lambda request, obj: False, raising=False)
    after = admin_client.get(address).content.decode()

    assert before.count(f'href="{url("versions", contract)}"') == 2
    assert url("versions", contract) not in after


# What a form shows read-only


@pytest.fixture
def read_only(storage, monkeypatch) -> Contract:
    """Return a row with two versions of a file that its form shows read-only."""
    monkeypatch.setattr(ContractAdmin, "readonly_fields", ["file"])
    return contract_of(("ann", "one"), ("bob", "two"))


@pytest.mark.parametrize("page", ["versions", "versions_compare"])
def test_a_read_only_file_can_be_looked_at_and_is_not_offered_to_be_restored(read_only, admin_client, page):
    shown = admin_client.get(url(page, read_only)).content.decode()

    assert "/restore/" not in shown
    assert f"Version{'s' if page == 'versions_compare' else ''}" in shown


@pytest.mark.parametrize(
    ("page", "data"),
    [("version_restore", {"expected": "2", "comment": ""}), ("version_copy", {"name": "copy.txt", "comment": ""})],
)
def test_a_read_only_file_is_not_restored(read_only, admin_client, storage, page, data):
    answer = admin_client.post(url(page, read_only, 1), data)

    assert answer.status_code == 403
    assert [version.number for version in storage.history(NAME)] == [2, 1]
    assert not storage.exists("contracts/copy.txt")


def test_a_read_only_file_can_be_downloaded(read_only, admin_client):
    answer = admin_client.get(url("version_download", read_only, 1))

    assert b"".join(answer.streaming_content) == b"one"


# Restoring while somebody else saves the row


@pytest.fixture
def meanwhile(storage, monkeypatch) -> Callable[..., None]:
    """Return a function that has rows changed after they were read, and before anything is restored."""

    def meanwhile(**values: Any) -> None:
        history = ConsistentS3Storage.history

        def changed_then(*args: Any, **options: Any) -> Any:
            Contract.objects.update(**values)
            return history(*args, **options)

        monkeypatch.setattr(ConsistentS3Storage, "history", changed_then)

    return meanwhile


def test_what_others_saved_in_the_row_meanwhile_stays(meanwhile, admin_client):
    contract = contract_of(("ann", "one"), ("bob", "two"))
    meanwhile(title="Lease of the mill")

    admin_client.post(url("version_restore", contract, 1), {"expected": "2", "comment": ""})

    contract.refresh_from_db()
    assert (contract.title, contract.file_version) == ("Lease of the mill", 3)
    assert contract.file.read() == b"one"


@pytest.mark.parametrize("values", [{"file": "contracts/other.txt"}, {"file_version": 1}], ids=["file", "version"])
def test_a_row_that_was_given_another_file_or_version_meanwhile_is_left_alone(meanwhile, admin_client, storage, values):
    contract = contract_of(("ann", "one"), ("bob", "two"))
    meanwhile(**values)

    answer = admin_client.post(url("version_restore", contract, 1), {"expected": "2", "comment": ""})

    (told,) = said(answer)
    assert told == (
        f"Somebody else was faster: The row of {NAME!r} was given another file or another version meanwhile. Look at "
        "it and decide again."
    )
    assert storage.archive.newest(NAME).number == 2
    assert Contract.objects.filter(**values).exists()


@pytest.mark.parametrize("storage", ["database"], indirect=True)
def test_a_row_that_cannot_be_saved_leaves_its_file_as_it_was(storage, admin_client):
    contract = contract_of(("ann", "one"), ("bob", "two"))

    def refuse(**_: Any) -> None:
        raise RuntimeError("Not today.")

    pre_save.connect(refuse, sender=Contract)
    try:
        with pytest.raises(RuntimeError, match="Not today"):
            admin_client.post(url("version_restore", contract, 1), {"expected": "2", "comment": ""})
    finally:
        pre_save.disconnect(refuse, sender=Contract)

    assert storage.current(NAME).number == 2
