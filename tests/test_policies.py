"""Which policy counts for a name, and what the project says may not go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from consistent_s3.core.retention import Circumstances, RetentionPolicy
from consistent_s3.policies import circumstances, constant_part, keep_alike, lets_nothing_go, overlap
from consistent_s3.storage import ConsistentS3Storage
from tests.archive.models import Attachment, Contract, ContractRecord, Document, Letter, Report, SignedContract

pytestmark = pytest.mark.django_db

BACKEND = "consistent_s3.storage.ConsistentS3Storage"
DAY = timedelta(days=1)
GENERAL = RetentionPolicy(keep_last=9)

Configure = Callable[..., ConsistentS3Storage]


@pytest.fixture
def configure(settings: Any, storage_options: dict[str, Any]) -> Configure:
    """Return a function that gives the default storage rules, and the storage."""

    def configure(retention: dict[str, Any] | None = None, **options: Any) -> ConsistentS3Storage:
        options = {**storage_options, "retention": retention or {"keep_last": 9}, **options}
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
        return storages["default"]

    return configure


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that changes options of a model's field for a test."""

    def give(model: type[models.Model], **options: Any) -> None:
        for option, value in options.items():
            monkeypatch.setattr(model._meta.get_field("file"), option, value)

    return give


def policy_of(storage: ConsistentS3Storage, name: str) -> RetentionPolicy:
    return circumstances(storage)([name])[name].policy


def kept_by(policy: RetentionPolicy) -> set[int | None]:
    """Return the `keep_last` of every policy that counts."""
    return {one.keep_last for one in policy.each}


# Storage and patterns


def test_storage_decides_where_nothing_else_does(configure):
    assert circumstances(configure())(["a.txt"]) == {"a.txt": Circumstances(policy=GENERAL)}


def test_pattern_beats_the_storage(configure):
    storage = configure({"keep_last": 9, "names": {"drafts/*": {"keep_last": 1}}})

    assert policy_of(storage, "drafts/a.txt") == RetentionPolicy(keep_last=1)
    assert policy_of(storage, "a.txt") == GENERAL


def test_every_name_that_was_asked_for_is_answered(configure):
    names = [f"{number}.txt" for number in range(1201)]

    assert list(circumstances(configure())(names)) == names
    assert circumstances(configure())([]) == {}


# Fields


def test_field_beats_pattern_and_storage_for_the_names_of_its_rows(configure, give):
    storage = configure({"keep_last": 9, "names": {"*": {"keep_last": 8}}})
    give(Document, retention={"keep_last": 2}, upload_to=lambda *_: "x")
    Document.objects.create(file="anywhere/a.txt")

    assert policy_of(storage, "anywhere/a.txt") == RetentionPolicy(keep_last=2)
    assert policy_of(storage, "anywhere/b.txt") == RetentionPolicy(keep_last=8)


def test_file_whose_row_was_deleted_keeps_the_fields_policy(configure, give):
    storage = configure()
    give(Document, retention={"keep_last": 2})

    assert policy_of(storage, "documents/gone.txt") == RetentionPolicy(keep_last=2)
    assert policy_of(storage, "documents2/a.txt") == GENERAL
    assert policy_of(storage, "documents") == GENERAL


def test_empty_policy_of_a_field_keeps_everything(configure, give):
    storage = configure()
    give(Document, retention={})

    assert policy_of(storage, "documents/a.txt") == RetentionPolicy()


def test_of_several_fields_what_any_keeps_stays(configure, give):
    storage = configure()
    give(Document, retention={"keep_last": 2})
    give(Letter, retention={"keep_last": 3})
    Letter.objects.create(file="documents/a.txt")

    assert kept_by(policy_of(storage, "documents/a.txt")) == {2, 3}
    assert kept_by(policy_of(storage, "documents/b.txt")) == {2}
    assert kept_by(policy_of(storage, "letters/b.txt")) == {3}


@pytest.mark.parametrize("upload_to", ["documents", "documents/%Y", lambda *_: "x"])
def test_field_without_a_policy_has_its_say_for_the_names_that_it_shares(configure, give, upload_to):
    """Its developer never wrote that its files may go so early."""
    storage = configure({"keep_last": 9, "names": {"documents/p*": {"keep_last": 8}}})
    give(Document, retention={"keep_last": 2})
    give(Attachment, upload_to=upload_to)
    document = Document.objects.create(file="documents/a.txt")
    for name in ("documents/a.txt", "documents/p.txt"):
        Attachment.objects.create(document=document, file=name)

    assert kept_by(policy_of(storage, "documents/a.txt")) == {2, 9}
    assert kept_by(policy_of(storage, "documents/p.txt")) == {2, 8}
    assert kept_by(policy_of(storage, "documents/own.txt")) == ({2} if callable(upload_to) else {2, 9})


def test_row_that_is_pinned_to_nothing_has_its_say(configure, give):
    storage = configure()
    give(Document, retention={"keep_last": 2})
    Contract.objects.create(file="documents/a.txt", file_version=None)

    assert kept_by(policy_of(storage, "documents/a.txt")) == {2, 9}


def test_row_that_its_manager_hides_has_its_say(configure, give):
    storage = configure()
    give(Report, retention={"keep_last": 2}, upload_to="")
    Report._base_manager.create(file="a.txt", hidden=True)

    assert policy_of(storage, "a.txt") == RetentionPolicy(keep_last=2)


def test_field_of_a_storage_above_or_below_has_its_say(configure, make_storage, give):
    outer, inner = configure(location="media"), make_storage(location="media/inner")
    give(Document, retention={"keep_last": 2}, upload_to="docs")
    give(Letter, retention={"keep_last": 3}, upload_to="letters", storage=inner)
    Letter.objects.create(file="z.txt")

    assert kept_by(policy_of(outer, "docs/a.txt")) == {2}
    assert kept_by(policy_of(outer, "inner/letters/a.txt")) == {3}
    assert kept_by(policy_of(outer, "inner/z.txt")) == {3}
    assert kept_by(policy_of(outer, "letters/a.txt")) == {9}
    assert kept_by(policy_of(make_storage(), "media/docs/a.txt")) == {2}
    assert kept_by(policy_of(inner, "letters/a.txt")) == {3}
    assert kept_by(policy_of(inner, "docs/a.txt")) == {None}


def test_field_of_another_bucket_has_no_say(configure, make_storage, give):
    storage = configure()
    give(Document, retention={"keep_last": 2}, storage=make_storage(bucket_name="another"))
    Document.objects.create(file="documents/a.txt")

    assert policy_of(storage, "documents/a.txt") == GENERAL


def test_bad_policy_of_a_field_stops_everything(configure, give):
    storage = configure()
    give(Document, retention={"keep_lst": 2})

    with pytest.raises(ImproperlyConfigured) as refused:
        circumstances(storage)

    assert str(refused.value) == (
        "archive.Document.file retention= has no option 'keep_lst'. Did you mean 'keep_last'?"
    )


@pytest.mark.parametrize(
    ("upload_to", "constant"),
    [
        ("documents", "documents/"),
        ("documents/", "documents/"),
        ("a/b", "a/b/"),
        ("./a//b/", "a/b/"),
        ("documents/%Y/%m", "documents/"),
        ("a/docs-%Y", "a/docs-"),
        ("docs-%Y", "docs-"),
        ("%Y/documents", ""),
        ("", ""),
        (".", ""),
        (lambda instance, filename: filename, ""),
    ],
)
def test_constant_part_of_upload_to(upload_to: Any, constant: str) -> None:
    assert constant_part(upload_to) == constant


# What rows point to


@pytest.mark.parametrize("retention", [None, {"keep_last": 2}], ids=["storage's", "field's"])
def test_numbers_that_rows_are_pinned_to_are_told(configure, give, retention):
    storage = configure()
    give(Contract, retention=retention)
    for number in (1, 3, 3, None):
        Contract.objects.create(file="contracts/a.txt", file_version=number)
    SignedContract.objects.create(file="contracts/b.txt", file_version=7)

    known = circumstances(storage)(["contracts/a.txt", "contracts/b.txt", "contracts/c.txt"])

    assert [known[name].referenced for name in known] == [{1, 3}, {7}, set()]


def test_numbers_are_told_also_where_other_fields_have_policies(configure, give):
    storage = configure()
    give(Document, retention={"keep_last": 2})
    Document.objects.create(file="documents/a.txt")
    Contract.objects.create(file="documents/a.txt", file_version=4)
    Contract.objects.create(file="contracts/a.txt", file_version=5)

    known = circumstances(storage)(["documents/a.txt", "contracts/a.txt"])

    assert known["documents/a.txt"].referenced == {4}
    assert known["contracts/a.txt"].referenced == {5}
    assert kept_by(known["documents/a.txt"].policy) == {2, 9}


@pytest.mark.parametrize("retention", [None, {"keep_last": 2}], ids=["storage's", "field's"])
def test_numbers_that_a_rows_history_points_to_are_told_where_the_field_says_so(configure, give, retention):
    storage = configure()
    give(Contract, retention=retention)
    for number in (1, 3, 3, None):
        ContractRecord.objects.create(file="contracts/a.txt", file_version=number)
    Contract.objects.create(file="contracts/a.txt", file_version=4)
    unasked = circumstances(storage)(["contracts/a.txt"])

    give(Contract, pinned_by=["archive.ContractRecord"])
    asked = circumstances(storage)(["contracts/a.txt"])

    assert unasked["contracts/a.txt"].referenced == {4}
    assert asked["contracts/a.txt"].referenced == {1, 3, 4}
    assert asked["contracts/a.txt"].policy == unasked["contracts/a.txt"].policy


def test_bad_pinned_by_stops_everything(configure, give):
    give(Contract, pinned_by=["archive.Gone"])

    with pytest.raises(LookupError):
        circumstances(configure())


# Holds


def test_holds_are_told(configure):
    storage = configure()
    for name in ("a.txt", "b.txt"):
        storage.write(name, ContentFile(b"x"))
    storage.hold("a.txt", 1, reason="lawsuit")
    storage.hold("b.txt", reason="lawsuit")

    known = circumstances(storage)(["a.txt", "b.txt", "c.txt"])

    assert (known["a.txt"].held, known["a.txt"].held_whole) == ({1}, False)
    assert [known["a.txt"].holds(number) for number in (1, 2)] == [True, False]
    assert known["b.txt"].holds(77)
    assert not known["c.txt"].holds(1)


# Queries


@contextmanager
def queries() -> Iterator[list[str]]:
    with CaptureQueriesContext(connection) as captured:
        found: list[str] = []
        yield found
    found += [query["sql"] for query in captured]


@pytest.mark.parametrize("with_policies", [False, True])
def test_queries_do_not_grow_with_the_names(configure, give, with_policies):
    storage = configure()
    if with_policies:
        give(Document, retention={"keep_last": 2})
    Document.objects.bulk_create(Document(file=f"documents/{number}.txt") for number in range(500))
    Contract.objects.bulk_create(
        Contract(file=f"documents/{number}.txt", file_version=number + 1) for number in range(500)
    )
    known = circumstances(storage)

    with queries() as few:
        known([f"documents/{number}.txt" for number in range(2)])
    with queries() as many:
        known([f"documents/{number}.txt" for number in range(500)])
    with queries() as twice_as_many:
        known([f"documents/{number}.txt" for number in range(501)])

    assert len(few) == len(many)
    assert len(twice_as_many) == 2 * len(many)
    assert sum("consistent_s3_hold" in query for query in many) == 1
    for model in (Document, Contract):
        assert sum(f'FROM "{model._meta.db_table}"' in query for query in many) == (
            1 if with_policies or model is Contract else 0
        )


# Comparing storages


@pytest.mark.parametrize(
    ("retention", "of_field", "nothing"),
    [
        ({"grace": DAY}, None, True),
        ({"names": {"a/*": {}}}, {}, True),
        ({"keep_last": 1}, None, False),
        ({"names": {"a/*": {"keep_for": DAY}}}, None, False),
        ({"archive_after": DAY, "archive_class": "GLACIER"}, None, False),
        ({"grace": DAY}, {"keep_last": 1}, False),
        ({"grace": DAY}, {"archive_after": DAY, "archive_class": "GLACIER"}, False),
    ],
)
def test_storage_whose_rules_let_nothing_go_is_known(configure, give, retention, of_field, nothing):
    give(Document, retention=of_field)

    assert lets_nothing_go(configure(retention, index="database")) is nothing


def test_storages_that_keep_alike_may_collect_each_others_files(make_storage):
    def make(**options: Any) -> ConsistentS3Storage:
        return make_storage(**{"retention": {"keep_last": 1}, **options})

    assert keep_alike(make(), make(location="a"))
    assert keep_alike(make(), make(retention={"keep_last": 1, "max_delete_ratio": 1}))
    assert not keep_alike(make(), make(retention={"keep_last": 2}))
    assert not keep_alike(make(), make(retention={"keep_last": 1, "grace": 2 * DAY}))
    patterns = {"keep_last": 1, "names": {"a/*": {}}}
    assert keep_alike(make(retention=patterns), make(retention=patterns))
    assert not keep_alike(make(retention=patterns), make(retention=patterns, location="a"))


def test_storages_overlap_where_one_lies_in_the_other(make_storage):
    assert overlap(make_storage(), make_storage(location="a"))
    assert overlap(make_storage(location="a/b"), make_storage(location="a"))
    assert not overlap(make_storage(location="ab"), make_storage(location="a"))
    assert not overlap(make_storage(bucket_name="another"), make_storage())
    assert not overlap(storages["staticfiles"], make_storage())
