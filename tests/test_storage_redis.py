"""The storage on the Redis index: both cache backends, its options, and its requests (DESIGN.md section 9)."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile

from consistent_s3.core.collector import Collector
from consistent_s3.core.errors import ConflictError, IndexUnavailableError
from consistent_s3.core.fates import Summary
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.reindexing import Reindexer
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from consistent_s3.testing.aging import age
from tests.redis_server import RedisServer
from tests.seeding import seed

pytestmark = pytest.mark.service

NAME = "dir/a.txt"
WHERE = "ConsistentS3Storage for bucket 'files'"
BACKENDS = {"Django": "django.core.cache.backends.redis.RedisCache", "django-redis": "django_redis.cache.RedisCache"}


@pytest.fixture(params=BACKENDS)
def redis_cache(request: pytest.FixtureRequest, settings: Any, redis_server: RedisServer) -> None:
    settings.CACHES = {"default": {"BACKEND": BACKENDS[request.param], "LOCATION": redis_server.url}}


@pytest.fixture
def storage(redis_cache: None, make_storage: Callable[..., ConsistentS3Storage]) -> ConsistentS3Storage:
    return make_storage(index="redis")


def lose_pointers(redis_server: RedisServer) -> None:
    with redis_server.client as client:
        client.flushdb()


# What it costs


def test_a_save_costs_one_put(storage):
    storage.save(NAME, ContentFile(b"one"))

    with assert_requests(storage, PUT=1):
        storage.save(NAME, ContentFile(b"two"))


def test_the_first_save_of_a_name_costs_one_list_more(storage):
    with assert_requests(storage, LIST=1, PUT=1):
        storage.save(NAME, ContentFile(b"one"))


def test_open_and_read_cost_one_get(storage):
    storage.save(NAME, ContentFile(b"text"))

    with assert_requests(storage, GET=1), storage.open(NAME) as file:
        data = file.read()

    assert data == b"text"


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda storage: storage.exists(NAME), id="exists"),
        pytest.param(lambda storage: storage.size(NAME), id="size"),
        pytest.param(lambda storage: storage.get_modified_time(NAME), id="modified time"),
        pytest.param(lambda storage: storage.url(NAME), id="url"),
        pytest.param(lambda storage: storage.version(NAME).author, id="author"),
    ],
)
def test_a_question_costs_nothing(storage, ask):
    storage.save(NAME, ContentFile(b"text"))

    with assert_requests(storage):
        ask(storage)


def test_a_pointer_that_is_gone_costs_one_list_once(storage, redis_server):
    storage.save(NAME, ContentFile(b"text"))
    lose_pointers(redis_server)

    with assert_requests(storage, LIST=1, GET=1), storage.open(NAME) as file:
        file.read()
    with assert_requests(storage, GET=1), storage.open(NAME) as file:
        file.read()


def test_the_first_part_of_a_large_file_costs_one_get_of_that_part(storage):
    storage.save(NAME, ContentFile(b"x" * 2_000_000))

    with assert_requests(storage, GET=1), storage.open(NAME) as file:
        data = file.read(65536)

    assert data == b"x" * 65536


def test_a_deletion_costs_two_puts_and_is_known_at_once(storage):
    """One is the hint, without which a listing would have to look at every name."""
    storage.save(NAME, ContentFile(b"text"))

    with assert_requests(storage, PUT=2):
        storage.delete(NAME)
    with assert_requests(storage):
        assert not storage.exists(NAME)


@pytest.mark.parametrize(("versions", "lists"), [(3, 1), (2500, 3)])
def test_a_history_costs_a_list_for_each_thousand_versions(storage, versions, lists):
    seed(storage, NAME, range(1, versions + 1))
    last = storage.write(NAME, ContentFile(b"last"))

    with assert_requests(storage, LIST=lists):
        numbers = [version.number for version in storage.history(NAME)]

    assert numbers == [last.number, *range(versions, 0, -1)]


def test_a_version_by_number_costs_one_list_and_one_get(storage):
    first = storage.write(NAME, ContentFile(b"1"))
    storage.write(NAME, ContentFile(b"2"))

    with assert_requests(storage, LIST=1, GET=1), storage.open(NAME, version=first.number) as file:
        data = file.read()

    assert data == b"1"


def test_listing_2500_names_costs_three_lists_also_with_deleted_ones(storage):
    names = [f"file-{number:04}.txt" for number in range(2500)]
    for name in names[1:]:
        seed(storage, f"dir/{name}", range(1, 3))
    storage.save(f"dir/{names[0]}", ContentFile(b"text"))
    storage.delete(f"dir/{names[0]}")

    with assert_requests(storage, LIST=3):
        found = storage.listdir("dir")

    assert found == ([], names[1:])


def test_collecting_costs_a_list_for_each_thousand_keys_and_a_delete_for_each_thousand_that_go(storage):
    seed(storage, NAME, range(1, 2501))
    seed(storage, "dir/b.txt", range(1, 3))
    for name in (NAME, "dir/b.txt"):
        storage.save(name, ContentFile(b"text"))
    age(storage, timedelta(days=3))

    with assert_requests(storage, LIST=3, DELETE=3):
        summary = collect(storage, keep_last=1)

    assert (summary.scanned, summary.deleted) == (2504, 2502)


# What is collected


def collect(storage: ConsistentS3Storage, **policy: Any) -> Summary:
    return Collector(archive=storage.archive, policy=RetentionPolicy(**policy)).run(dry_run=False)


def test_what_was_superseded_a_moment_ago_is_kept_however_old_it_is(storage):
    storage.save(NAME, ContentFile(b"one"))
    age(storage, timedelta(days=300))
    storage.save(NAME, ContentFile(b"two"))

    young = collect(storage, keep_last=1).deleted
    age(storage, timedelta(days=2))

    assert (young, collect(storage, keep_last=1).deleted) == (0, 1)


def test_an_attempt_of_unknown_outcome_supersedes_nothing_and_goes_itself(storage):
    first = storage.write(NAME, ContentFile(b"one"))
    attempt = storage.archive.layout.version_key(NAME, first.number + 1, write_id="a" * 24)
    put(storage, attempt)
    age(storage, timedelta(days=300))
    last = storage.write(NAME, ContentFile(b"two"))

    deleted = collect(storage, keep_last=1).deleted

    assert deleted == 1
    assert [version.number for version in storage.history(NAME)] == [last.number, first.number]


def test_what_lies_above_the_pointer_is_never_collected(storage, redis_server):
    first = storage.write(NAME, ContentFile(b"one"))
    attempt = storage.archive.layout.version_key(NAME, first.number + 1, write_id="a" * 24)
    put(storage, attempt)
    age(storage, timedelta(days=300))

    deleted = collect(storage, keep_last=1).deleted
    lose_pointers(redis_server)

    assert deleted == 0
    assert storage.version(NAME).number == first.number + 1


def test_after_redis_lost_its_pointers_what_was_surely_superseded_goes_at_once_and_the_rest_a_grace_later(
    storage, redis_server
):
    for data in (b"one", b"two", b"three", b"four"):
        storage.save(NAME, ContentFile(data))
    age(storage, timedelta(days=2))
    lose_pointers(redis_server)

    with assert_requests(storage, LIST=2, HEAD=1, DELETE=1):
        surely = collect(storage, keep_last=1).deleted
    again = collect(storage, keep_last=1).deleted
    age(storage, timedelta(days=2))

    assert (surely, again) == (2, 0)
    assert collect(storage, keep_last=1).deleted == 1


def test_the_last_tombstone_stays_while_an_attempt_below_it_could_take_its_place(storage, redis_server):
    first = storage.write(NAME, ContentFile(b"one"))
    tombstone = storage.delete(NAME)
    collect(storage, keep_last=1)
    age(storage, timedelta(days=2))
    put(storage, storage.archive.layout.version_key(NAME, first.number + 1, write_id="a" * 24))
    collect(storage, keep_last=1, tombstone_for=timedelta(0))

    deleted = collect(storage, keep_last=1, tombstone_for=timedelta(0)).deleted
    lose_pointers(redis_server)

    assert deleted == 0
    assert tombstone is not None
    assert not storage.exists(NAME)


def put(storage: ConsistentS3Storage, key: str) -> None:
    """Put what no pointer names."""
    store = storage.make_object_store()
    store.put(key, io.BytesIO(b"attempt"), mode=PutMode.OVERWRITE, attributes=Attributes())


# What it does


def test_a_writer_is_told_of_another(storage):
    first = storage.write(NAME, ContentFile(b"one"))
    storage.write(NAME, ContentFile(b"two"), expected=first.number)

    with pytest.raises(ConflictError):
        storage.write(NAME, ContentFile(b"three"), expected=first.number)

    assert len(list(storage.history(NAME))) == 2


def test_without_overwrite_a_free_name_is_kept_and_a_taken_one_is_not(redis_cache, make_storage):
    storage = make_storage(index="redis", file_overwrite=False)

    names = [storage.save(NAME, ContentFile(b"text")) for _ in range(2)]

    assert names[0] == NAME != names[1]


def test_two_locations_and_two_key_prefixes_do_not_meet(redis_cache, make_storage, settings):
    settings.CACHES = {**settings.CACHES, "other": {**settings.CACHES["default"], "KEY_PREFIX": "other"}}
    here, there = make_storage(index="redis"), make_storage(index="redis", location="there")
    other = make_storage(index="redis", index_cache="other")
    here.save(NAME, ContentFile(b"here"))

    with assert_requests(here, LIST=2):
        found = (here.exists(NAME), there.exists(NAME), other.exists(NAME))

    assert found == (True, False, True)


def test_readers_go_on_without_redis_where_it_is_allowed(storage, make_storage, settings):
    storage.save(NAME, ContentFile(b"text"))
    down = {"BACKEND": BACKENDS["Django"], "LOCATION": "redis://127.0.0.1:1"}
    settings.CACHES = {**settings.CACHES, "down": down}
    strict = make_storage(index="redis", index_cache="down")
    lenient = make_storage(index="redis", index_cache="down", index_fallback="listing")

    with pytest.raises(IndexUnavailableError):
        strict.exists(NAME)
    with pytest.raises(IndexUnavailableError):
        lenient.save(NAME, ContentFile(b"two"))

    assert lenient.open(NAME).read() == b"text"


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"numbering": "sequence"},
            f"{WHERE}['numbering'] is 'sequence', which index 'redis' cannot use: a save that was refused would have "
            "the number of the one that was accepted. Leave it out, or set it to 'clock'.",
            id="numbering",
        ),
        pytest.param(
            {"index_timeout": 60},
            f"{WHERE}['index_timeout'] is 0:01:00, but a write may land up to 0:16:00 after it began. Raise it.",
            id="timeout",
        ),
        pytest.param(
            {"index_fallback": "listings"},
            f"{WHERE}['index_fallback'] has no option 'listings'. Did you mean 'listing'?",
            id="fallback",
        ),
        pytest.param(
            {"strong_listing": "yes"},
            f"{WHERE}['strong_listing'] is 'yes'. Use True or False.",
            id="strong_listing",
        ),
        pytest.param(
            {"index_fallback": "listing", "strong_listing": False},
            f"{WHERE}['index_fallback'] is 'listing', but strong_listing is False: readers would be shown old "
            "versions. Leave index_fallback out; while Redis is down they get an error.",
            id="fallback to a weak listing",
        ),
        pytest.param(
            {"index_cache": "none"},
            f"{WHERE}['index_cache'] is 'none', which CACHES does not have.",
            id="no such cache",
        ),
        pytest.param(
            {},
            f"{WHERE}['index_cache'] is 'default', and CACHES['default'] is a "
            "django.core.cache.backends.locmem.LocMemCache. Use django.core.cache.backends.redis.RedisCache or "
            "django_redis.cache.RedisCache.",
            id="another kind of cache",
        ),
    ],
)
def test_options_that_would_break_the_promise_are_refused(options, message):
    with pytest.raises(ImproperlyConfigured) as caught:
        ConsistentS3Storage(bucket_name="files", index="redis", **options).exists(NAME)

    assert str(caught.value) == message


def test_the_cache_itself_is_left_alone(storage, redis_server):
    caches["default"].set("mine", 1)

    storage.save(NAME, ContentFile(b"text"))

    assert caches["default"].get("mine") == 1


# Moving between indexes


def numbers(storage: ConsistentS3Storage) -> list[int]:
    return [version.number for version in storage.history(NAME)]


def refused_attempt(storage: ConsistentS3Storage, number: int) -> str:
    """Put an object as a writer does who was refused and died before it could delete it."""
    key = storage.archive.layout.version_key(NAME, number, write_id="f" * 24)
    storage.archive.store.put(key, io.BytesIO(b"refused"), mode=PutMode.CREATE, attributes=Attributes())
    return key


def test_a_bucket_moves_from_listing_to_redis_and_back_and_keeps_its_order(storage, make_storage, redis_server):
    listing = make_storage(index="listing", location=storage.location)
    for data in (b"1", b"2"):
        listing.save(NAME, ContentFile(data))
    for data in (b"3", b"4"):
        storage.save(NAME, ContentFile(data))
    on_redis = numbers(storage)
    refused = refused_attempt(storage, on_redis[1] + 1)
    hidden = numbers(storage)
    age(storage, timedelta(days=9))
    collector = Collector(archive=storage.archive, policy=RetentionPolicy())
    collector.run(dry_run=False)

    listing.save(NAME, ContentFile(b"5"))
    on_listing = numbers(listing)
    lose_pointers(redis_server)
    storage.save(NAME, ContentFile(b"6"))

    assert (on_redis[-2:], hidden) == ([2, 1], on_redis)
    assert on_listing == [on_redis[0] + 1, *on_redis]
    assert refused not in {version.key for version in listing.history(NAME)}
    assert numbers(storage)[1:] == on_listing
    assert [storage.open(NAME, version=number).read() for number in numbers(storage)] == [
        b"6",
        b"5",
        b"4",
        b"3",
        b"2",
        b"1",
    ]


@pytest.mark.django_db
def test_a_bucket_moves_from_redis_to_the_database_and_back(storage, make_storage, redis_server):
    rows = make_storage(index="database", location=storage.location)
    for data in (b"1", b"2"):
        storage.save(NAME, ContentFile(data))
    on_redis = numbers(storage)

    Reindexer(archive=rows.archive, index=rows.archive.index).run(dry_run=False)
    rows.save(NAME, ContentFile(b"3"))
    on_rows = numbers(rows)
    lose_pointers(redis_server)
    storage.save(NAME, ContentFile(b"4"))

    assert on_rows[1:] == on_redis
    assert numbers(storage)[1:] == on_rows
    assert [storage.open(NAME, version=number).read() for number in numbers(storage)] == [b"4", b"3", b"2", b"1"]
