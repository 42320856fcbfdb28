"""Django's cache on a storage: on each index it behaves as Django's own caches do, also where many use it at once."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import CacheKeyWarning, caches
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils.crypto import salted_hmac

from consistent_s3.core.documents import Documents
from consistent_s3.core.errors import CorruptDocumentError, PolicyError
from consistent_s3.core.seams import Attributes, SystemClock
from consistent_s3.core.writing import spool
from consistent_s3.state import S3Cache
from consistent_s3.testing import assert_requests
from tests.state.test_races import closing as closing_connections
from tests.test_storage_races import at_once

on_listing = pytest.mark.parametrize("index", ["listing"], indirect=True)


@pytest.fixture
def make_cache(storage: Any, settings: Any) -> Callable[..., S3Cache]:
    """Return a function that makes caches on one storage, with parameters to add."""

    def make(**more: Any) -> S3Cache:
        cache = {"BACKEND": "consistent_s3.state.S3Cache", "LOCATION": "default", **more}
        settings.CACHES = {**settings.CACHES, "s3": cache}
        return caches["s3"]

    return make


@pytest.fixture
def cache(make_cache: Callable[..., S3Cache]) -> S3Cache:
    return make_cache()


@pytest.fixture
def by_clock(make_cache: Callable[..., S3Cache], settings: Any) -> S3Cache:
    """Return a cache on a storage where writers are not told of each other."""
    options = {**settings.STORAGES["default"]["OPTIONS"], "numbering": "clock"}
    settings.STORAGES = {**settings.STORAGES, "default": {**settings.STORAGES["default"], "OPTIONS": options}}
    return make_cache()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that lets time pass for caches."""
    passed = timedelta()
    real = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: real(self) + passed)

    def let_pass(seconds: float) -> None:
        nonlocal passed
        passed += timedelta(seconds=seconds)

    return let_pass


class Unpicklable:
    def __reduce__(self) -> Any:
        raise pickle.PicklingError("not this one")


# One entry


@pytest.mark.parametrize(
    "value",
    ["text", 1, None, b"\x00\xff", {"a": [1, (2, 3)]}, {1, 2}, "x" * 100_000, Exception],
    ids=lambda v: str(v)[:9],
)
def test_what_was_set_is_got(cache, value):
    cache.set("key", value)

    assert cache.get("key", "default") == value
    assert cache.has_key("key")
    assert "key" in cache


def test_what_was_never_set_is_the_default(cache):
    assert cache.get("key") is None
    assert cache.get("key", "default") == "default"
    assert "key" not in cache


def test_a_value_is_a_copy(cache):
    value = [1]
    cache.set("key", value)
    value.append(2)

    cache.get("key").append(3)

    assert cache.get("key") == [1]


def test_setting_again_replaces(cache):
    cache.set("key", 1)
    cache.set("key", 2)

    assert cache.get("key") == 2


def test_what_was_deleted_is_gone(cache):
    cache.set("key", 1)

    assert (cache.delete("key"), cache.get("key"), cache.delete("key")) == (True, None, False)


def test_adding_keeps_only_what_is_new(cache):
    assert cache.add("key", 1)
    assert not cache.add("key", 2)
    assert cache.get("key") == 1


def test_adding_after_a_deletion_keeps(cache):
    cache.set("key", 1)
    cache.delete("key")

    assert cache.add("key", 2)
    assert cache.get("key") == 2


def test_counting_up_and_down(cache):
    cache.set("key", 40)

    assert (cache.incr("key"), cache.incr("key", 5), cache.decr("key"), cache.decr("key", 3)) == (41, 46, 45, 42)
    assert cache.get("key") == 42


@pytest.mark.parametrize("count", ["incr", "decr", "incr_version", "decr_version"])
def test_counting_what_is_not_there_is_refused(cache, count):
    with pytest.raises(ValueError, match="Key 'key' not found"):
        getattr(cache, count)("key")


def test_counting_what_is_no_number_is_refused(cache):
    cache.set("key", "text")

    with pytest.raises(TypeError):
        cache.incr("key")

    assert cache.get("key") == "text"


def test_an_answer_is_worked_out_once(cache):
    asked = []

    assert [cache.get_or_set("key", lambda: asked.append(1) or "answer") for _ in range(2)] == ["answer"] * 2
    assert asked == [1]


@pytest.mark.parametrize("operation", ["set", "add"])
def test_what_cannot_be_pickled_is_an_error_and_nothing_is_kept(cache, operation):
    with pytest.raises(pickle.PicklingError, match="not this one"):
        getattr(cache, operation)("key", Unpicklable())

    assert "key" not in cache


# Many entries


def test_many_at_once(cache):
    assert cache.set_many({"a": 1, "b": None, "c": 3}) == []
    cache.delete_many(["c", "d"])

    assert cache.get_many(["a", "b", "c", "d"]) == {"a": 1, "b": None}


def test_clearing_forgets_everything_of_every_prefix_and_version_and_nothing_else(cache, make_cache, storage):
    cache.set("a", 1)
    cache.set("a", 1, version=2)
    other = make_cache(OPTIONS={"prefix": "other"})
    other.set("a", 2)
    storage.save("cache.txt", ContentFile(b"text"))

    cache.clear()

    assert (cache.get("a"), cache.get("a", version=2), other.get("a")) == (None, None, 2)
    assert storage.exists("cache.txt")


# Times


def test_an_entry_is_missing_once_its_time_is_over(cache, clock):
    cache.set("key", 1, timeout=1000)
    cache.set("forever", 1, timeout=None)

    clock(500)
    before = cache.get("key")
    clock(501)

    assert (before, cache.get("key"), "key" in cache, cache.get_many(["key"])) == (1, None, False, {})
    clock(10**8)
    assert cache.get("forever") == 1


def test_an_entry_stays_as_long_as_the_cache_is_told(make_cache, clock):
    cache = make_cache(TIMEOUT=1000)
    cache.set("key", 1)

    clock(500)
    before = cache.get("key")
    clock(501)

    assert (before, cache.get("key")) == (1, None)


def test_what_is_over_can_be_added_and_neither_counted_nor_touched(cache, clock):
    cache.set("key", 1, timeout=10)
    clock(11)

    with pytest.raises(ValueError, match="not found"):
        cache.incr("key")
    assert not cache.touch("key")
    assert cache.add("key", 2)
    assert cache.get("key") == 2


@pytest.mark.parametrize("timeout", [0, -1])
def test_no_time_at_all_forgets_what_was_there(cache, timeout):
    cache.set("set", 1)
    cache.set("touched", 1)

    cache.set("set", 2, timeout=timeout)

    assert cache.touch("touched", timeout=timeout)
    assert cache.add("added", 1, timeout=timeout)
    assert cache.get_many(["set", "touched", "added"]) == {}


def test_touching_gives_a_new_time_and_keeps_the_value(cache, clock):
    cache.set("key", 1, timeout=10)

    assert cache.touch("key", 100)
    assert not cache.touch("other")
    clock(50)

    assert cache.get("key") == 1


def test_counting_keeps_the_time(cache, clock):
    cache.set("key", 1, timeout=10)
    cache.incr("key")

    clock(11)

    assert cache.get("key") is None


def test_culling_forgets_only_what_is_over(cache, clock, storage):
    cache.set_many({"a": 1, "b": 2}, timeout=10)
    cache.set("c", 3, timeout=None)
    clock(11)

    assert (cache.cull(), cache.cull()) == (2, 0)
    assert cache.get("c") == 3
    assert len(storage.listdir("cache")[1]) == 1


@on_listing
def test_what_is_set_anew_meanwhile_is_not_culled(cache, clock, monkeypatch):
    cache.set("key", 1, timeout=10)
    clock(11)
    meanwhile(monkeypatch, "delete", lambda: caches["s3"].set("key", 2))

    assert cache.cull() == 0
    assert cache.get("key") == 2


@on_listing
def test_culling_forgets_what_is_over_also_where_nobody_is_told_of_races(by_clock, clock):
    by_clock.set("a", 1, timeout=10)
    by_clock.set("b", 2)
    clock(11)

    assert (by_clock.cull(), by_clock.cull()) == (1, 0)
    assert by_clock.get("b") == 2


class Gone:
    """A class that is no more when its instances are unpickled."""

    def __reduce__(self) -> Any:
        return is_gone, ()


def is_gone() -> None:
    raise ModuleNotFoundError("No module named 'gone'")


@on_listing
def test_an_entry_whose_class_is_gone_is_an_error_only_to_whoever_asks_for_it(cache, clock):
    for key in ("a", "b", "c"):
        cache.set(key, Gone(), timeout=10)

    with pytest.raises(ModuleNotFoundError):
        cache.get("a")
    assert cache.touch("a", 1000)
    assert not cache.add("b", 1)
    clock(11)

    assert cache.get("c", "over") == "over"
    assert cache.add("b", 1)
    assert cache.cull() == 1


# Keys


def test_versions_and_prefixes_keep_keys_apart(cache, make_cache):
    cache.set("key", 1)
    cache.set("key", 2, version=2)
    prefixed = make_cache(KEY_PREFIX="p", VERSION=2)
    prefixed.set("key", 3)

    assert (cache.get("key"), cache.get("key", version=2), prefixed.get("key")) == (1, 2, 3)
    assert prefixed.get("key", version=1) is None


def test_a_value_moves_to_another_version(cache):
    cache.set("key", 1)

    assert (cache.incr_version("key"), cache.get("key"), cache.get("key", version=2)) == (2, None, 1)
    assert (cache.decr_version("key", version=2), cache.get("key")) == (1, 1)


def key_of_our_own(key: str, prefix: str, version: int) -> str:
    return f"own-{version}-{key}"


@pytest.mark.parametrize("function", [key_of_our_own, f"{__name__}.key_of_our_own"], ids=["function", "dotted"])
def test_keys_are_made_as_the_project_says(make_cache, function):
    cache = make_cache(KEY_FUNCTION=function)
    cache.set("key", 1)

    assert cache.make_key("key") == "own-1-key"
    assert cache.get("key") == 1


@on_listing
@pytest.mark.parametrize("key", ["with space", "ä\x00", "../../etc", "a.-v/b", "x" * 2000, "", "\ud800"], ids=repr)
def test_a_key_may_be_anything(make_cache, key):
    cache = make_cache(KEY_FUNCTION=lambda key, prefix, version: key)
    cache.validate_key = lambda key: None

    cache.set(key, 1)

    assert cache.get(key) == 1
    assert cache.get(f"{key}x") is None


@on_listing
def test_a_key_that_memcached_would_refuse_is_warned_of(cache):
    with pytest.warns(CacheKeyWarning, match="will cause errors if used with memcached"):
        cache.set("with space", 1)


# Whose bytes?


def keys_in(storage: Any) -> list[str]:
    return [f"cache/{name}" for name in storage.listdir("cache")[1]]


class Bomb:
    went_off = False

    def __reduce__(self) -> Any:
        return go_off, ()


def go_off() -> None:
    Bomb.went_off = True


def test_bytes_of_somebody_else_are_never_unpickled_and_missing(cache, storage, caplog):
    cache.set("key", 1)
    (name,) = keys_in(storage)
    pickle.loads(pickle.dumps(Bomb()))
    assert Bomb.went_off
    Bomb.went_off = False
    storage.write(name, ContentFile(b"\0" * 32 + pickle.dumps(Bomb())))

    with caplog.at_level(logging.WARNING):
        found = cache.get("key", "missing")

    assert (found, Bomb.went_off) == ("missing", False)
    assert f"of {name!r} cannot be read as application/octet-stream: it is not signed" in caplog.text
    assert cache.add("key", 2)
    assert cache.get("key") == 2


def test_an_entry_is_not_taken_for_another(cache, storage):
    cache.set("admin", "no")
    (name,) = keys_in(storage)
    cache.set("guest", "yes")
    (other,) = set(keys_in(storage)) - {name}

    storage.write(name, ContentFile(storage.open(other).read()))

    assert cache.get("admin") is None


@on_listing
def test_after_the_secret_was_changed_what_was_kept_is_missing_unless_the_old_one_still_counts(cache, settings):
    cache.set("key", 1)
    old = settings.SECRET_KEY

    settings.SECRET_KEY = "another"
    without = cache.get("key")
    settings.SECRET_KEY_FALLBACKS = [old]

    assert (without, cache.get("key")) == (None, 1)


@on_listing
def test_an_entry_of_an_earlier_way_to_write_them_is_missing(cache, storage):
    cache.set("key", 1)
    (name,) = keys_in(storage)
    data = pickle.dumps((cache.make_key("key"), 1, None), pickle.HIGHEST_PROTOCOL)
    signature = salted_hmac("consistent_s3.state.S3Cache", data, algorithm="sha256").digest()
    storage.write(name, ContentFile(signature + data))

    assert cache.get("key", "missing") == "missing"
    assert cache.add("key", 2)


@on_listing
@pytest.mark.parametrize("way", ["directory", "location"])
def test_an_entry_of_another_cache_is_missing(cache, make_cache, storage, settings, caplog, way):
    cache.set("key", 1)
    (name,) = keys_in(storage)
    data = storage.open(name).read()
    if way == "directory":
        storage.write(f"other/{name}", ContentFile(data))
        other = make_cache(OPTIONS={"prefix": "other/cache"})
    else:
        options = {**settings.STORAGES["default"]["OPTIONS"], "location": "other"}
        settings.STORAGES = {**settings.STORAGES, "other": {**settings.STORAGES["default"], "OPTIONS": options}}
        storages["other"].write(name, ContentFile(data))
        other = make_cache(LOCATION="other")

    with caplog.at_level(logging.WARNING):
        found = other.get("key", "missing")

    assert found == "missing"
    assert f"it was written by the cache in {storage.bucket_name}/cache" in caplog.text


@on_listing
def test_broken_bytes_are_missing_too(cache, storage):
    cache.set("key", 1)
    (name,) = keys_in(storage)
    with closing(spool([b"\x1f\x8bno gzip"])) as body:
        storage.archive.write(name, body, attributes=Attributes(content_encoding="gzip"))

    assert cache.get("key", "missing") == "missing"
    assert cache.add("key", 2)
    assert cache.get("key") == 2


@on_listing
def test_what_is_not_ours_is_culled(cache, settings):
    cache.set("key", 1)
    settings.SECRET_KEY = "another"
    cache.set("other", 1)

    assert (cache.cull(), cache.cull()) == (1, 0)
    assert cache.get("other") == 1


# Many at once


def meanwhile(monkeypatch: pytest.MonkeyPatch, method: str, act: Callable[[], Any], times: int = 1) -> None:
    """Let something happen right before documents are asked to do something, so many times."""
    real = getattr(Documents, method)
    left = [act] * times

    def interrupted(self: Documents[Any], *args: Any, **kwargs: Any) -> Any:
        if left:
            left.pop()()
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Documents, method, interrupted)


@on_listing
def test_of_two_who_add_after_the_secret_was_changed_one_is_told_that_it_did(cache, settings, monkeypatch):
    cache.set("key", 1)
    settings.SECRET_KEY = "another"
    added = []
    meanwhile(monkeypatch, "delete", lambda: added.append(caches["s3"].add("key", "other")))

    assert not cache.add("key", "mine")
    assert (added, cache.get("key")) == ([True], "other")


@on_listing
def test_a_change_goes_on_while_others_write_what_is_not_ours(cache, storage, monkeypatch):
    cache.set("key", 1)
    (name,) = keys_in(storage)
    meanwhile(monkeypatch, "update", lambda: storage.write(name, ContentFile(b"not ours")), times=3)

    assert cache.add("key", 2)
    assert cache.get("key") == 2


@on_listing
def test_a_change_gives_up_where_others_write_what_is_not_ours_for_ever(cache, storage, monkeypatch):
    cache.set("key", 1)
    (name,) = keys_in(storage)
    meanwhile(monkeypatch, "update", lambda: storage.write(name, ContentFile(b"not ours")), times=100)

    with pytest.raises(CorruptDocumentError, match="it is not signed with this project's SECRET_KEY"):
        cache.add("key", 2)


@on_listing
def test_of_many_who_add_one_is_told_that_it_did(cache):
    added = at_once(8, lambda index: caches["s3"].add("lock", index))

    assert sorted(added) == [False] * 7 + [True]
    assert cache.get("lock") == added.index(True)


@on_listing
def test_of_many_who_count_nobody_is_lost(cache):
    cache.set("key", 0)

    counted = at_once(4, lambda _: [caches["s3"].incr("key") for _ in range(2)])

    assert sorted(number for numbers in counted for number in numbers) == list(range(1, 9))


@pytest.mark.slow
@pytest.mark.parametrize("index", ["database", pytest.param("redis", marks=pytest.mark.service)], indirect=True)
def test_of_many_who_count_nobody_is_lost_on_any_index(cache, index):
    cache.set("key", 0)

    counted = at_once(4, closing_connections(lambda _: [caches["s3"].incr("key") for _ in range(4)]))

    assert sorted(number for numbers in counted for number in numbers) == list(range(1, 17))


@on_listing
def test_the_asynchronous_faces_are_as_right(cache):
    async def use() -> list[Any]:
        await cache.aset("key", 1)
        return [
            await cache.aincr("key"),
            await cache.aget("key"),
            await cache.aadd("key", 3),
            await cache.adelete("key"),
        ]

    assert asyncio.run(use()) == [2, 2, False, True]


# What it rests on


def test_what_each_operation_costs(cache, index, storage):
    listed = {"LIST": 1} if index == "listing" else {}
    cache.set("key", 1)

    with assert_requests(storage, **listed, GET=1):
        cache.get("key")
    with assert_requests(storage, **listed, PUT=1):
        cache.set("key", 2)
    with assert_requests(storage, **listed, GET=1, PUT=1):
        cache.incr("key")


@on_listing
def test_nobody_s_name_is_put_on_an_entry(cache, storage):
    from consistent_s3 import attribution

    with attribution(author="ann", comment="why"):
        cache.set("key", 1)

    (name,) = keys_in(storage)
    version = storage.current(name)
    assert (version.author, version.comment, version.content_type) == ("", "", "application/octet-stream")


@on_listing
def test_where_nobody_is_told_of_races_what_must_be_atomic_is_refused(by_clock):
    by_clock.set("key", 1)

    assert by_clock.get("key") == 1
    for refused in (lambda: by_clock.add("other", 1), lambda: by_clock.incr("key"), lambda: by_clock.touch("key")):
        with pytest.raises(PolicyError):
            refused()


def test_a_misspelt_option_is_refused_with_the_likeliest_word():
    with pytest.raises(ImproperlyConfigured) as refused:
        S3Cache("default", {"OPTIONS": {"prefx": "a"}})

    assert str(refused.value) == "The cache on storage 'default' has no option 'prefx'. Did you mean 'prefix'?"
