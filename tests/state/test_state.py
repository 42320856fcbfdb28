"""State documents, on each index: what is read, written, changed and refused, and what it costs."""

from __future__ import annotations

import gzip
import json
import pickle
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction

from consistent_s3 import attribution, state
from consistent_s3.clients import shared_client
from consistent_s3.core.collector import Collector
from consistent_s3.core.errors import (
    AlreadyExistsError,
    CommentTooLongError,
    ConflictError,
    CorruptDocumentError,
    InvalidNameError,
    PolicyError,
    UnserializableError,
    VersionNotFoundError,
)
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import Attributes
from consistent_s3.core.writing import spool
from consistent_s3.testing import assert_requests
from consistent_s3.testing.aging import age
from tests import databases

on_listing = pytest.mark.parametrize("index", ["listing"], indirect=True)
on_database = pytest.mark.parametrize("index", ["database"], indirect=True)


def add_one(value: int) -> int:
    return value + 1


# Reading and writing


@pytest.mark.parametrize(
    "value",
    [{"a": [1, 2.5, None, True]}, [], "", 0, False, "\ud800 ä 日本", {"x" * 100_000: "y"}],
    ids=["mixed", "no items", "no text", "zero", "false", "strange text", "large"],
)
def test_what_was_written_is_read(storage, value):
    state.write("job", value)

    assert state.read("job") == value


def test_null_that_was_written_is_read_and_not_the_default(storage):
    state.write("job", None)

    assert state.read("job", "default") is None


def test_a_document_that_was_never_written_reads_as_the_default(storage):
    assert state.read("job") is None
    assert state.read("job", {"done": 0}) == {"done": 0}


def test_a_default_is_not_shared_by_those_who_read_it(storage):
    default = {"done": []}

    state.read("job", default)["done"].append(1)

    assert state.read("job", default) == {"done": []}


def test_a_document_that_was_deleted_reads_as_the_default(storage):
    state.write("job", 1)

    state.delete("job")

    assert state.read("job", "none") == "none"


def test_a_document_is_read_with_its_version(storage):
    written = state.write("job", 1)

    document = state.read_versioned("job")

    assert (document.key, document.value, document.version) == ("job", 1, written)
    assert document.number == written.number
    assert state.read_versioned("other", 5).number == 0


def test_what_django_can_write_is_written(storage):
    moment = datetime(2026, 11, 21, 12, tzinfo=UTC)

    state.write("job", {"at": moment, "price": Decimal("1.10"), "took": timedelta(seconds=90)})

    assert state.read("job") == {"at": "2026-11-21T12:00:00Z", "price": "1.10", "took": "P0DT00H01M30S"}


@on_listing
def test_what_only_json_knows_of_is_written_with_another_encoder(storage):
    class Encoder(json.JSONEncoder):
        def default(self, o: Any) -> Any:
            return sorted(o)

    store = state.StateStore[Any](serializer=state.JSONSerializer(encoder=Encoder))

    store.write("job", {"done": {3, 1, 2}})

    assert store.read("job") == {"done": [1, 2, 3]}


@on_listing
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({1, 2}, "Object of type set is not JSON serializable"),
        (float("nan"), "Out of range float values are not JSON compliant"),
        ([{1: "a", "1": "b"}], "two keys of a dictionary are '1' as text"),
    ],
    ids=["set", "not a number", "two keys"],
)
def test_what_cannot_be_written_is_refused_before_any_request(storage, value, why):
    with assert_requests(storage), pytest.raises(UnserializableError) as refused:
        state.write("job", value)

    assert str(refused.value).startswith(f"The value for 'state/job' cannot be written as application/json: {why}")
    assert str(refused.value).endswith("Change the value, or use a serializer that can write it.")


@on_listing
@pytest.mark.parametrize("key", ["", "a//b", "../a", "a.-v", "a\\b"])
def test_a_key_that_is_no_name_is_refused_before_any_request(storage, key):
    with assert_requests(storage), pytest.raises(InvalidNameError):
        state.read(key)


# Versions


def test_whoever_expects_the_version_that_is_there_replaces_it(storage):
    first = state.write("job", 1, expected=0)

    state.write("job", 2, expected=first.number)

    assert state.read("job") == 2


def test_whoever_expects_another_version_is_told_both_numbers(storage):
    first = state.write("job", 1)
    second = state.write("job", 2)

    with pytest.raises(ConflictError) as refused:
        state.write("job", 3, expected=first.number)

    assert str(refused.value) == (
        f"Version {second.number} of 'state/job' is current, but {first.number} was expected. "
        f"Read version {second.number} and decide again."
    )
    assert state.read("job") == 2


def test_whoever_expects_none_is_told_that_there_is_one(storage):
    state.write("job", 1)

    with pytest.raises(AlreadyExistsError):
        state.write("job", 2, expected=0)

    assert state.read("job") == 1


def test_whoever_expects_none_may_write_after_a_deletion(storage):
    state.write("job", 1)
    state.delete("job")

    state.write("job", 2, expected=0)

    assert state.read("job") == 2


@on_listing
@pytest.mark.parametrize("expected", [-1, True, "1", 1.0], ids=repr)
def test_what_is_no_version_cannot_be_expected(storage, expected):
    said = f"expected is {expected!r}. Give the number of the version that is to be replaced, or 0 for none yet."

    for refused in (lambda: state.write("job", 2, expected=expected), lambda: state.delete("job", expected=expected)):
        with assert_requests(storage), pytest.raises(PolicyError) as caught:
            refused()
        assert str(caught.value) == said


@on_listing
def test_a_comment_that_is_too_long_is_refused_with_an_error_of_our_own(storage):
    with pytest.raises(CommentTooLongError, match="The comment takes 2000 bytes when encoded; 1000 is the most"):
        state.write("job", 1, comment="x" * 2000)

    assert state.read("job") is None


def test_a_deletion_may_expect_a_version_too(storage):
    first = state.write("job", 1)
    state.write("job", 2)

    with pytest.raises(ConflictError):
        state.delete("job", expected=first.number)

    assert state.read("job") == 2


def test_deleting_what_is_not_there_writes_nothing(storage):
    assert state.delete("job") is None
    assert list(state.history("job")) == []


def test_a_history_has_every_value_newest_first(storage):
    with attribution(author="ann", comment="by hand"):
        state.write("job", 1)
    state.update("job", add_one, author="bob")
    state.delete("job", comment="over")

    past = list(state.history("job"))

    assert [document.deleted for document in past] == [True, False, False]
    assert [document.read() for document in past[1:]] == [2, 1]
    assert [document.number for document in past] == [document.version.number for document in past]
    told = [(document.version.author, document.version.comment) for document in past]
    assert told == [("", "over"), ("bob", ""), ("ann", "by hand")]
    with pytest.raises(VersionNotFoundError, match="is a deletion and has no value"):
        past[0].read()
    assert [document.read() for document in state.history("job", before=past[1].number)] == [1]


def test_a_document_is_a_version_of_the_storage(storage):
    written = state.write("jobs/import", {"done": 1}, comment="begun")

    version = storage.current("state/jobs/import")

    assert version == written
    assert (version.content_type, version.comment) == ("application/json", "begun")
    assert storage.open("state/jobs/import").read() == b'{"done":1}'
    assert state.StateStore().name("jobs/import") == "state/jobs/import"


def test_what_the_storage_restores_is_read(storage):
    first = state.write("job", 1)
    state.write("job", "x" * 100_000)

    restored = storage.restore("state/job", first.number)
    assert state.read_versioned("job") == state.Document(key="job", value=1, version=restored)
    storage.restore("state/job", next(iter(state.history("job", before=restored.number))).number)

    assert state.read("job") == "x" * 100_000


def test_keys_are_those_that_are_there(storage):
    for key in ("b", "a/2", "a/1/x", "gone", "a/10"):
        state.write(key, 1)
    state.delete("gone")
    storage.save("elsewhere/c", ContentFile(b"1"))

    assert sorted(state.keys()) == ["a/1/x", "a/10", "a/2", "b"]


# Compression


@pytest.mark.parametrize(("length", "compressed"), [(16 * 1024 - 2, False), (16 * 1024 - 1, True)])
def test_what_is_large_is_compressed(storage, length, compressed):
    version = state.write("job", "x" * length)

    assert (version.details.content_encoding == "gzip") is compressed
    assert (version.size < 1024) is compressed
    assert state.read("job") == "x" * length


@on_listing
def test_bytes_that_something_on_the_way_has_decompressed_are_read(storage):
    attributes = Attributes(content_type="application/json", content_encoding="gzip")
    with closing(spool([b'"plain"'])) as body:
        storage.archive.write("state/job", body, attributes=attributes)

    assert state.read("job") == "plain"


@on_listing
def test_a_storage_that_compresses_by_itself_can_write_documents(storage, settings):
    options = {**settings.STORAGES["default"]["OPTIONS"], "gzip": True, "gzip_content_types": ["application/json"]}
    settings.STORAGES = {**settings.STORAGES, "zipped": {**settings.STORAGES["default"], "OPTIONS": options}}
    state.write("job", [1], using="zipped")
    storages["zipped"].write("state/by-hand.json", ContentFile(b"[2]"))

    assert state.read("job", using="zipped") == [1]
    assert state.read("by-hand.json", using="zipped") == [2]


# What is broken


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"\x1f\x8bno gzip"], ids=["empty", "cut", "no text", "no gzip"])
def test_bytes_that_are_no_json_are_an_error_that_names_key_and_version(storage, data):
    version = storage.write("state/job", ContentFile(data))

    with pytest.raises(CorruptDocumentError) as broken:
        state.read("job", default="not this")

    assert str(broken.value).startswith(f"Version {version.number} of 'state/job' cannot be read as application/json: ")
    assert str(broken.value).endswith("Read an earlier version out of its history, and write that.")
    assert (broken.value.name, broken.value.number) == ("state/job", version.number)


@on_listing
def test_bytes_that_are_too_deep_are_an_error_that_names_them(storage):
    version = storage.write("state/job", ContentFile(b"[" * 100_000 + b"]" * 100_000))

    with pytest.raises(CorruptDocumentError) as broken:
        state.read("job")

    assert (broken.value.name, broken.value.number) == ("state/job", version.number)


@on_listing
def test_a_compressed_document_that_is_cut_is_an_error_too(storage):
    with closing(spool([gzip.compress(b"[1, 2, 3]")[:-9]])) as body:
        storage.archive.write("state/job", body, attributes=Attributes(content_encoding="gzip"))

    with pytest.raises(CorruptDocumentError, match="Version 1 of 'state/job'"):
        state.read("job")


def test_what_is_broken_is_never_updated(storage):
    storage.write("state/job", ContentFile(b"{"))

    with pytest.raises(CorruptDocumentError):
        state.update("job", add_one, 0)

    assert len(list(state.history("job"))) == 1


# Updating


def test_an_update_makes_a_document_of_the_default(storage):
    assert state.update("job", add_one, 0) == 1
    assert state.read("job") == 1


def test_an_update_replaces_what_is_there(storage):
    state.write("job", {"done": [1]})

    def finish(job: dict[str, Any]) -> dict[str, Any]:
        job["done"].append(2)  # in place: it is the function's own
        return job

    assert state.update("job", finish) == {"done": [1, 2]}
    assert state.read("job") == {"done": [1, 2]}


def test_an_update_after_a_deletion_begins_with_the_default(storage):
    state.write("job", 41)
    state.delete("job")

    assert state.update("job", add_one, 0) == 1


@pytest.mark.parametrize("value", [{"a": [1]}, 0, None, "x" * 100_000], ids=["dictionary", "zero", "null", "large"])
def test_an_update_that_changes_nothing_writes_nothing(storage, value):
    written = state.write("job", value)

    assert state.update("job", lambda value: value) == value
    assert [document.version for document in state.history("job")] == [written]


def test_an_update_that_keeps_the_default_writes_nothing(storage):
    assert state.update("job", lambda value: value, {"done": 0}) == {"done": 0}
    assert list(state.history("job")) == []


def test_an_update_that_changes_the_default_in_place_is_written(storage):
    default: dict[str, Any] = {"done": []}

    state.update("job", lambda job: job["done"].append(1) or job, default)

    assert state.read("job") == {"done": [1]}
    assert default == {"done": []}


@pytest.mark.parametrize(
    ("default", "value"),
    [(0, False), (True, 1), ({"on": 1}, {"on": True}), ([0], [False]), ([1], [1.0])],
    ids=["false is not zero", "one is not true", "in a dictionary", "in a list", "float"],
)
def test_an_update_to_another_value_that_only_python_calls_equal_is_written(storage, default, value):
    state.update("job", lambda _: value, default)

    assert repr(state.read("job")) == repr(value)


@on_listing
def test_an_update_that_keeps_a_default_which_cannot_be_written_writes_nothing(storage):
    assert state.update("job", lambda value: value, {1, 2}) == {1, 2}

    assert list(state.history("job")) == []


def test_a_function_that_returns_nothing_is_refused(storage):
    state.write("job", {"done": 0})

    with pytest.raises(TypeError) as refused:
        state.update("job", lambda job: job.update(done=1))

    assert str(refused.value) == (
        "The function given to update 'state/job' returned None. It must return the new value, also if it changed the "
        "old one in place."
    )
    assert state.read("job") == {"done": 0}


@pytest.mark.parametrize("default", [None, {"done": 0}], ids=["nothing", "default"])
def test_a_function_that_returns_nothing_is_refused_also_where_there_is_no_document(storage, default):
    with pytest.raises(TypeError, match="The function given to update 'state/job' returned None"):
        state.update("job", lambda _: None, default)

    assert list(state.history("job")) == []


def test_what_the_function_raises_is_raised_and_nothing_is_written(storage):
    state.write("job", 1)

    with pytest.raises(ZeroDivisionError):
        state.update("job", lambda value: value / 0)

    assert len(list(state.history("job"))) == 1


def test_an_update_that_is_not_the_first_reads_anew_and_begins_again(storage):
    state.write("job", [0])
    seen = []

    def add(value: list[int]) -> list[int]:
        seen.append(list(value))
        if len(seen) <= 2:
            state.write("job", [*value, len(seen)])
        return [*value, 9]

    assert state.update("job", add) == [0, 1, 2, 9]
    assert seen == [[0], [0, 1], [0, 1, 2]]
    assert state.read("job") == [0, 1, 2, 9]


def test_an_update_that_is_never_the_first_gives_up_and_names_the_versions(storage, settings):
    quick = {**settings.STORAGES["default"], "OPTIONS": {**settings.STORAGES["default"]["OPTIONS"], "patience": 0.001}}
    settings.STORAGES = {**settings.STORAGES, "default": quick}
    written = [state.write("job", 0)]

    def add(value: int) -> int:
        written.append(state.write("job", value + 1))
        return -1

    with pytest.raises(ConflictError) as refused:
        state.update("job", add)

    assert len(written) == 4
    assert str(refused.value) == (
        "'state/job' was not updated: others were first at each of 3 tries within 0:00:00.001000. "
        f"Version {written[0].number} was current at the first try, {written[-2].number} at the last. "
        "Try again later, or write it less often."
    )
    assert refused.value.expected == written[-2].number


@on_listing
@pytest.mark.parametrize("numbering", ["clock"])
def test_where_nobody_is_told_of_races_an_update_is_refused_before_any_request(storage, settings, numbering):
    options = {**settings.STORAGES["default"]["OPTIONS"], "numbering": numbering}
    settings.STORAGES = {**settings.STORAGES, "default": {**settings.STORAGES["default"], "OPTIONS": options}}

    with assert_requests(storage), pytest.raises(PolicyError, match="'state/job' cannot be updated: with numbering"):
        state.update("job", add_one, 0)

    state.write("job", 1)
    assert state.read("job") == 1


# Transactions


@on_database
def test_a_document_written_in_a_transaction_is_seen_by_it_and_gone_when_it_is_rolled_back(storage):
    state.write("job", 1)

    with transaction.atomic(using=databases.ALIAS):
        state.write("job", 2)
        assert state.update("job", add_one) == 3
        assert state.read("job") == 3
        transaction.set_rollback(True, using=databases.ALIAS)

    assert state.read("job") == 1
    assert [document.read() for document in state.history("job")] == [1]


@on_database
def test_a_document_written_in_a_transaction_is_there_after_it(storage):
    with transaction.atomic(using=databases.ALIAS):
        state.update("job", add_one, 0)
        state.update("job", add_one, 0)

    assert state.read("job") == 2


# Stores


@on_listing
def test_stores_of_other_prefixes_do_not_meet(storage):
    jobs, other = state.StateStore[int](prefix="jobs"), state.StateStore[int](prefix="jobs/deep")
    jobs.write("a", 1)
    other.write("a", 2)

    assert (jobs.read("a"), other.read("a"), state.read("a")) == (1, 2, None)
    assert (sorted(jobs.keys()), list(other.keys())) == (["a", "deep/a"], ["a"])


@on_listing
def test_a_store_can_be_pickled_and_holds_no_credentials(storage):
    store = state.StateStore[int](prefix="jobs")
    store.write("a", 1)

    pickled = pickle.dumps(store)

    assert pickle.loads(pickled).read("a") == 1
    assert b"secret" not in pickled


@dataclass(frozen=True)
class Lines:
    """A serializer of texts, one a line."""

    content_type: str = "text/plain"

    def dumps(self, value: list[str], /) -> bytes:
        return "\n".join(value).encode()

    def loads(self, data: bytes, /) -> list[str]:
        return data.decode().split("\n")


@on_listing
def test_another_serializer_writes_and_reads_its_own_bytes(storage):
    store = state.StateStore[list[str]](serializer=Lines())

    version = store.write("names", ["ann", "bob"])

    assert version.content_type == "text/plain"
    assert storage.open("state/names").read() == b"ann\nbob"
    assert store.update("names", lambda names: [*names, "carol"], []) == ["ann", "bob", "carol"]


@pytest.mark.parametrize(
    ("prefix", "why"),
    [("", "StateStore's prefix is empty. Keep"), ("../a", "StateStore's prefix: '../a' has the segment '..'.")],
)
def test_a_prefix_that_is_no_directory_is_refused(prefix, why):
    with pytest.raises(ImproperlyConfigured) as refused:
        state.StateStore(prefix=prefix)

    assert str(refused.value).startswith(why)


@on_listing
def test_an_alias_that_is_none_or_of_another_backend_is_refused_with_words(storage):
    with pytest.raises(ImproperlyConfigured) as unknown:
        state.read("job", using="defaut")
    with pytest.raises(ImproperlyConfigured) as other:
        state.read("job", using="staticfiles")

    assert str(unknown.value) == "STORAGES has no 'defaut'. It has 'default', 'staticfiles'."
    assert str(other.value) == (
        "STORAGES['staticfiles'] is a StaticFilesStorage, which keeps no versions. "
        "Use consistent_s3.storage.ConsistentS3Storage, or the alias of one."
    )


@on_listing
def test_what_the_storage_says_of_its_objects_counts_for_documents_too(storage, settings):
    told = {"CacheControl": "no-store", "Metadata": {"team": "a"}, "ContentType": "text/plain"}
    options = {**settings.STORAGES["default"]["OPTIONS"], "object_parameters": told}
    settings.STORAGES = {**settings.STORAGES, "default": {**settings.STORAGES["default"], "OPTIONS": options}}

    version = state.write("job", 1)
    tombstone = state.delete("job")

    client = shared_client(storages["default"])
    written = client.head_object(Bucket=options["bucket_name"], Key=version.key)
    assert (written["CacheControl"], written["Metadata"]["team"]) == ("no-store", "a")
    assert written["ContentType"] == "application/json"
    assert client.head_object(Bucket=options["bucket_name"], Key=tombstone.key)["CacheControl"] == "no-store"


# Retention


def test_retention_goes_by_the_name_of_a_document(storage, settings):
    options = {**settings.STORAGES["default"]["OPTIONS"], "retention": {"names": {"state/jobs/*": {"keep_last": 1}}}}
    settings.STORAGES = {**settings.STORAGES, "default": {**settings.STORAGES["default"], "OPTIONS": options}}

    rules = storages["default"].rules

    assert rules.for_name(state.StateStore().name("jobs/a")).keep_last == 1
    assert rules.for_name(state.StateStore().name("other")).keeps_everything


@on_database
def test_what_retention_no_longer_wants_is_collected(storage):
    for value in range(5):
        state.write("job", value)
    age(storage, timedelta(days=31))

    Collector(archive=storage.archive, policy=RetentionPolicy(keep_last=2), index_is_complete=True).run(dry_run=False)

    assert [document.read() for document in state.history("job")] == [4, 3]
