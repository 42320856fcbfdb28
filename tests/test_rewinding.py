"""Names and rows brought back to a moment, on each index, with what it costs and who may interfere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from consistent_s3.core.errors import InvalidNameError
from consistent_s3.core.rewinding import Action, Step, Why, around
from consistent_s3.rewinding import AT_ONCE, Outcome, Rewinder
from consistent_s3.rewinding_rows import RowRewinder, versioned_fields
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from consistent_s3.testing.aging import age
from tests.archive.models import Contract, Document, Picture

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
MOMENT = timedelta(minutes=150)
"""How long ago the moment is that everything is brought back to: between two of the writes below."""


@pytest.fixture(params=["listing", "database"])
def storage(request: pytest.FixtureRequest, settings: Any, storage_options: dict[str, Any]) -> ConsistentS3Storage:
    """Make the default storage one on each index; with `clock` on the listing that cannot tell of races."""
    from django.core.files.storage import storages

    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        location = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": server.url}
        settings.CACHES = {"default": location}
    kind = {"index": "listing", "numbering": "clock"} if request.param == "clock" else {"index": request.param}
    backend = "consistent_s3.storage.ConsistentS3Storage"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": backend, "OPTIONS": {**storage_options, **kind}},
    }
    return storages["default"]


KINDS = ["listing", "database", "clock", pytest.param("redis", marks=pytest.mark.service)]
everywhere = pytest.mark.parametrize("storage", KINDS, indirect=True)
on_database = pytest.mark.parametrize("storage", ["database"], indirect=True)
on_listing = pytest.mark.parametrize("storage", ["listing"], indirect=True)


def write(storage: ConsistentS3Storage, name: str, data: str) -> int:
    return storage.write(name, ContentFile(data.encode())).number


def moment_of(storage: ConsistentS3Storage) -> datetime:
    return storage.archive.clock.now() - MOMENT


@pytest.fixture
def week(storage: ConsistentS3Storage) -> ConsistentS3Storage:
    """Return a storage in which names were kept, changed, deleted and made since the moment."""
    for name in ("changed", "deleted", "kept", "was-deleted"):
        write(storage, f"{name}.txt", f"{name}, as it was")
    storage.delete("was-deleted.txt")
    age(storage, 2 * HOUR)
    write(storage, "changed.txt", "by a bad import")
    storage.delete("deleted.txt")
    write(storage, "new.txt", "new")
    write(storage, "was-deleted.txt", "made again")
    age(storage, HOUR)
    return storage


def read(storage: ConsistentS3Storage, name: str) -> str | None:
    if not storage.exists(name):
        return None
    with storage.open(name) as file:
        return file.read().decode()


NAMES = ["changed.txt", "deleted.txt", "kept.txt", "new.txt", "was-deleted.txt", "never.txt"]
STEPS = [
    ("changed.txt", Action.RESTORE, Why.CHANGED),
    ("deleted.txt", Action.RESTORE, Why.DELETED_SINCE),
    ("kept.txt", Action.NOTHING, Why.SAME),
    ("new.txt", Action.DELETE, Why.DID_NOT_EXIST),
    ("was-deleted.txt", Action.DELETE, Why.WAS_DELETED),
    ("never.txt", Action.CANNOT, Why.NO_VERSIONS),
]


def told(steps: Iterator[Step]) -> list[tuple[str, Action, Why]]:
    return [(step.name, step.action, step.why) for step in steps]


def test_a_plan_tells_what_is_to_be_done_with_each_name_and_writes_nothing(week):
    before = {name: [version.number for version in week.history(name)] for name in NAMES}

    steps = told(Rewinder(storage=week, moment=moment_of(week)).plan(NAMES))

    assert steps == STEPS
    assert {name: [version.number for version in week.history(name)] for name in NAMES} == before


@everywhere
def test_all_names_that_match_are_found(week):
    rewinder = Rewinder(storage=week, moment=moment_of(week))

    assert sorted(told(rewinder.plan_matching(["*"]))) == sorted(STEPS[:-1])
    assert told(rewinder.plan_matching(["*new*"])) == [STEPS[3]]
    assert told(rewinder.plan_matching(["never.txt", "kept.txt", "kept.txt"])) == [STEPS[5], STEPS[2]]
    assert told(rewinder.plan_matching(["KEPT*"])) == []


@everywhere
def test_carrying_out_brings_every_name_back_by_new_versions_and_doing_it_again_does_nothing(week):
    rewinder = Rewinder(storage=week, moment=moment_of(week))
    moment, before = rewinder.moment, sum(1 for name in NAMES for _ in week.history(name))

    for step in rewinder.plan(NAMES):
        assert not rewinder.carry_out(step, author="ann", comment="as it was").error

    assert [read(week, name) for name in NAMES] == [
        "changed, as it was",
        "deleted, as it was",
        "kept, as it was",
        None,
        None,
        None,
    ]
    newest = next(week.history("changed.txt"))
    assert (newest.author, newest.comment) == ("ann", "as it was")
    assert sum(1 for name in NAMES for _ in week.history(name)) == before + 4, "nothing is taken away"
    again = list(Rewinder(storage=week, moment=moment).plan(NAMES))
    assert {step.action for step in again} == {Action.NOTHING, Action.CANNOT}
    assert [rewinder.carry_out(step).version for step in again] == [None] * len(NAMES)


def test_what_was_rewound_can_be_rewound_again_to_the_time_before(week):
    rewinder = Rewinder(storage=week, moment=moment_of(week))
    for step in rewinder.plan(NAMES):
        rewinder.carry_out(step)
    age(week, HOUR)

    later = Rewinder(storage=week, moment=week.archive.clock.now() - HOUR - HOUR / 2)
    for step in later.plan(NAMES):
        later.carry_out(step)

    assert [read(week, name) for name in NAMES] == [
        "by a bad import",
        None,
        "kept, as it was",
        "new",
        "made again",
        None,
    ]


@everywhere
@pytest.mark.parametrize("name", ["changed.txt", "deleted.txt", "new.txt"])
def test_what_somebody_wrote_since_the_plan_is_a_conflict_and_stays(week, name):
    rewinder = Rewinder(storage=week, moment=moment_of(week))
    (step,) = rewinder.plan([name])
    theirs = write(week, name, "written meanwhile")

    outcome = rewinder.carry_out(step)

    assert outcome.conflict
    assert outcome.version is None
    assert f"Version {theirs} of {name!r} is " in outcome.error
    assert str(step.expected) in outcome.error
    assert read(week, name) == "written meanwhile"


@on_listing
def test_one_that_fails_is_told_and_keeps_no_other_from_being_brought_back(week):
    rewinder = Rewinder(storage=week, moment=moment_of(week))
    steps = list(rewinder.plan(NAMES))
    key = week.version("changed.txt", steps[0].then.number).key
    week.archive.store.delete([key])

    outcomes = [rewinder.carry_out(step) for step in steps]

    assert [bool(outcome.error) for outcome in outcomes] == [True, False, False, False, False, False]
    assert not outcomes[0].conflict
    assert read(week, "changed.txt") == "by a bad import"
    assert read(week, "deleted.txt") == "deleted, as it was"


def test_what_was_deleted_for_good_is_said_to_be_gone_and_nothing_is_guessed(storage):
    for data in ("one", "two", "three", "four"):
        write(storage, "a.txt", data)
        age(storage, 24 * HOUR)
    age(storage, 24 * HOUR)
    moments = [version.modified for version in storage.history("a.txt")][::-1]
    storage.delete_version("a.txt", 2)

    steps = [next(Rewinder(storage=storage, moment=moment).plan(["a.txt"])) for moment in moments]

    assert [(step.action, step.collected) for step in steps] == [
        (Action.CANNOT, 2),
        (Action.CANNOT, 2),
        (Action.RESTORE, 0),
        (Action.NOTHING, 0),
    ]


@everywhere
def test_every_index_says_of_each_moment_what_the_history_says(week):
    names = NAMES[:-1]
    times = sorted({version.modified for name in names for version in week.history(name)})
    moments = [time + shift for time in times for shift in (timedelta(seconds=-1), timedelta(), timedelta(seconds=1))]

    for moment in moments:
        known = Rewinder(storage=week, moment=moment).around(names)

        assert known == {name: around(week.history(name), moment) for name in names}


def test_a_comment_too_long_to_keep_is_an_error_of_the_name(week):
    rewinder = Rewinder(storage=week, moment=moment_of(week))
    (step,) = rewinder.plan(["changed.txt"])

    assert "Shorten it" in rewinder.carry_out(step, comment="x" * 1001).error


def test_what_can_be_no_name_is_refused_before_anything_is_asked(storage):
    with assert_requests(storage), pytest.raises(InvalidNameError):
        list(Rewinder(storage=storage, moment=moment_of(storage)).plan(["../a.txt"]))


# What it costs


def queries(work: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as log:
        work()
    return len(log)


@on_database
@pytest.mark.parametrize(("names", "versions"), [(1, 1), (3, 4), (15, 2)])
def test_with_rows_a_plan_costs_two_queries_for_a_batch_and_no_request(storage, names, versions):
    for _ in range(versions):
        for number in range(names):
            write(storage, f"{number}.txt", "x")
    rewinder = Rewinder(storage=storage, moment=moment_of(storage))
    wanted = [f"{number}.txt" for number in range(names)]

    with assert_requests(storage):
        assert queries(lambda: list(rewinder.plan(wanted))) == 2
        assert queries(lambda: list(rewinder.plan_matching(["*"]))) == 4, "and a page of names, and the end of them"


@on_database
def test_of_names_with_many_versions_three_each_are_made(storage, monkeypatch):
    from consistent_s3.index import moments

    made = []
    real = moments.as_version
    monkeypatch.setattr(moments, "as_version", lambda name, row: made.append(row.number) or real(name, row))
    for _ in range(12):
        write(storage, "a.txt", "x")

    list(Rewinder(storage=storage, moment=moment_of(storage)).plan(["a.txt"]))

    assert sorted(made) == [1, 12]


@on_listing
def test_without_rows_a_plan_of_everything_lists_the_bucket_once(week):
    rewinder = Rewinder(storage=week, moment=moment_of(week))

    # HEADs: the newest of `deleted` and what was then of `was-deleted` are tombstones, as their sizes let suspect.
    with assert_requests(week, LIST=1, HEAD=2):
        list(rewinder.plan_matching(["*"]))


@on_listing
def test_without_rows_a_name_costs_one_list(week):
    rewinder = Rewinder(storage=week, moment=moment_of(week))

    with assert_requests(week, LIST=1):
        list(rewinder.plan(["changed.txt"]))


@on_listing
def test_names_are_asked_about_side_by_side_and_told_in_their_order(storage):
    names = [f"{number}.txt" for number in range(2 * AT_ONCE)]
    for name in names:
        write(storage, name, "x")

    steps = list(Rewinder(storage=storage, moment=moment_of(storage)).plan(reversed(names)))

    assert [step.name for step in steps] == names[::-1]


@on_listing
def test_what_is_collected_between_its_listing_and_a_look_at_it_is_looked_for_again(week):
    rewinder = Rewinder(storage=week, moment=moment_of(week))
    tombstone = next(week.history("deleted.txt"))
    store = week.make_object_store()
    events = store.client().meta.events

    def collect(**_: Any) -> None:
        events.unregister("after-call.s3.ListObjectsV2", collect)
        store.delete([tombstone.key])

    events.register("after-call.s3.ListObjectsV2", collect)

    steps = told(rewinder.plan_matching(["dele*"]))

    assert steps == [("deleted.txt", Action.NOTHING, Why.SAME)]


# Rows


def contract(title: str, data: str = "") -> Contract:
    row = Contract(title=title)
    if data:
        row.file.save(f"{title}.txt", ContentFile(data.encode()))
    else:
        row.save()
    return row


def name_of(title: str) -> str:
    """Return the name of a row's file; with clock numbering it has a random part."""
    return str(Contract.objects.get(title=title).file.name)


@pytest.fixture
def office(storage: ConsistentS3Storage) -> ConsistentS3Storage:
    """Return a storage with rows whose files were kept, replaced and made since the moment."""
    for title in ("kept", "replaced", "withdrawn"):
        contract(title, f"{title}, as it was")
    age(storage, 2 * HOUR)
    Contract.objects.get(title="replaced").file.save("other.txt", ContentFile(b"by a bad import"))
    storage.delete(name_of("withdrawn"))
    contract("new", "new")
    contract("empty")
    age(storage, HOUR)
    return storage


def rewinder_of(model: Any, moment: datetime) -> RowRewinder:
    return RowRewinder(fields=versioned_fields(model), moment=moment)


@everywhere
def test_files_of_rows_are_brought_back_with_their_pins(office):
    rewinder = rewinder_of(Contract, moment_of(office))
    planned = list(rewinder.plan(Contract.objects.order_by("title")))

    outcomes = [rewinder.carry_out(step, author="ann", comment="as it was") for step in planned]

    assert [(step.row.title, step.step.action, step.step.why) for step in planned] == [
        ("empty", Action.NOTHING, Why.NO_FILE),
        ("kept", Action.NOTHING, Why.SAME),
        ("new", Action.DELETE, Why.DID_NOT_EXIST),
        ("replaced", Action.RESTORE, Why.CHANGED),
        ("withdrawn", Action.NOTHING, Why.SAME),
    ]
    assert [outcome.error for outcome in outcomes] == [""] * 5
    replaced = Contract.objects.get(title="replaced")
    assert replaced.file.read() == b"replaced, as it was"
    assert replaced.file_version == replaced.file.version.number == outcomes[3].version.number
    assert replaced.file.version.author == "ann"
    again = rewinder.plan(Contract.objects.order_by("title"))
    assert {step.step.action for step in again} == {Action.NOTHING}


def test_a_file_that_did_not_exist_is_deleted_and_its_row_keeps_the_name_to_bring_it_back(office):
    rewinder = rewinder_of(Contract, moment_of(office))
    (planned,) = rewinder.plan(Contract.objects.filter(title="new"))
    name = name_of("new")

    rewinder.carry_out(planned)

    row = Contract.objects.get(title="new")
    assert (row.file.name, row.file_version) == (name, None)
    assert read(office, name) is None
    age(office, HOUR)
    back = rewinder_of(Contract, office.archive.clock.now() - HOUR - HOUR / 2)
    (planned,) = back.plan([row])
    assert not back.carry_out(planned).error
    assert Contract.objects.get(title="new").file.read() == b"new"


def test_a_row_that_was_given_another_version_since_the_plan_is_a_conflict(office):
    rewinder = rewinder_of(Contract, moment_of(office))
    (planned,) = rewinder.plan(Contract.objects.filter(title="replaced"))
    Contract.objects.get(title="replaced").file.save("x.txt", ContentFile(b"meanwhile"))

    outcome = rewinder.carry_out(planned)

    assert outcome.conflict
    assert "was given another file or another version meanwhile" in outcome.error
    assert Contract.objects.get(title="replaced").file.read() == b"meanwhile"


@everywhere
def test_a_version_that_its_row_does_not_know_is_a_conflict_too(office):
    rewinder = rewinder_of(Contract, moment_of(office))
    (planned,) = rewinder.plan(Contract.objects.filter(title="replaced"))
    write(office, name_of("replaced"), "meanwhile")

    outcome = rewinder.carry_out(planned)

    assert outcome.conflict
    assert read(office, name_of("replaced")) == "meanwhile"
    assert Contract.objects.get(title="replaced").file.read() == b"by a bad import"


def test_a_row_that_was_deleted_since_the_plan_is_a_conflict(office):
    rewinder = rewinder_of(Contract, moment_of(office))
    (planned,) = rewinder.plan(Contract.objects.filter(title="replaced"))
    name = name_of("replaced")
    Contract.objects.all().delete()

    assert rewinder.carry_out(planned).error == f"The row of {name!r} was deleted meanwhile."


def test_other_columns_of_a_row_that_changed_since_the_plan_stay_as_they_are(office):
    rewinder = rewinder_of(Contract, moment_of(office))
    (planned,) = rewinder.plan(Contract.objects.filter(title="replaced"))
    Contract.objects.filter(title="replaced").update(title="renamed")

    assert not rewinder.carry_out(planned).error

    assert Contract.objects.get(pk=planned.row.pk).title == "renamed"


def test_a_file_that_another_row_has_too_is_never_deleted(office):
    copy = contract("copy")
    Contract.objects.filter(pk=copy.pk).update(file=name_of("new"))
    rewinder = rewinder_of(Contract, moment_of(office))
    rows = Contract.objects.filter(title__in=["new", "copy"])

    steps = [planned.step for planned in rewinder.plan(rows)]

    assert [(step.action, step.why) for step in steps] == [(Action.CANNOT, Why.SHARED)] * 2


def test_a_file_that_another_row_was_given_since_the_plan_is_not_deleted(office):
    rewinder = rewinder_of(Contract, moment_of(office))
    (planned,) = rewinder.plan(Contract.objects.filter(title="new"))
    Contract.objects.filter(title="empty").update(file=name_of("new"))

    outcome = rewinder.carry_out(planned)

    assert outcome.error == f"Another row has {name_of('new')!r} by now, and would lose it."
    assert read(office, name_of("new")) == "new"


def test_a_row_that_shares_its_file_gets_one_of_its_own(office):
    copy = contract("copy")
    pinned = Contract.objects.get(title="replaced").file_version
    Contract.objects.filter(pk=copy.pk).update(file=name_of("replaced"), file_version=pinned)
    rewinder = rewinder_of(Contract, moment_of(office))
    (planned,) = rewinder.plan(Contract.objects.filter(title="copy"))

    assert not rewinder.carry_out(planned).error

    copy.refresh_from_db()
    assert copy.file.name != name_of("replaced")
    assert copy.file.read() == b"replaced, as it was"
    assert Contract.objects.get(title="replaced").file.read() == b"by a bad import"


def test_rows_without_pins_show_what_is_current(storage):
    document = Document(title="Plan")
    document.file.save("plan.txt", ContentFile(b"one"))
    age(storage, 3 * HOUR)
    document.file.save("plan.txt", ContentFile(b"two"))
    rewinder = rewinder_of(Document, moment_of(storage))
    (planned,) = rewinder.plan(Document.objects.all())

    rewinder.carry_out(planned)

    document = Document.objects.get()
    assert document.file.read() == b"one"


def test_an_error_of_the_row_writes_nothing_to_it_and_is_told(office, monkeypatch):
    rewinder = rewinder_of(Contract, moment_of(office))
    (planned,) = rewinder.plan(Contract.objects.filter(title="replaced"))

    def refuse(self: Any, *_: Any, **__: Any) -> None:
        raise ValueError("The lease is closed.")

    monkeypatch.setattr(Contract, "save", refuse)

    outcome = rewinder.carry_out(planned)

    assert outcome == Outcome(step=planned.step, error="The lease is closed.")
    assert Contract.objects.get(title="replaced").file.read() == b"by a bad import"


@on_database
@pytest.mark.parametrize("rows", [1, 12])
def test_a_plan_of_rows_costs_the_same_queries_however_many_there_are(storage, rows):
    for number in range(rows):
        contract(f"{number}", "new")
    rewinder = rewinder_of(Contract, moment_of(storage))
    found = list(Contract.objects.all())

    with assert_requests(storage):
        assert queries(lambda: list(rewinder.plan(found))) == 3, "two for the index, one for who shares what would go"


def test_rows_without_any_file_ask_nothing(storage):
    contract("empty")
    rewinder = rewinder_of(Contract, moment_of(storage))
    found = list(Contract.objects.all())

    with assert_requests(storage):
        assert queries(lambda: list(rewinder.plan(found))) == 0


def test_a_picture_is_measured_anew(storage, tmp_path):
    picture = Picture()
    picture.image.save("p.png", ContentFile(png(2, 3)))
    age(storage, 3 * HOUR)
    picture.image.save("p.png", ContentFile(png(5, 7)))
    rewinder = rewinder_of(Picture, moment_of(storage))
    (planned,) = rewinder.plan(Picture.objects.all())

    assert not rewinder.carry_out(planned).error

    picture.refresh_from_db()
    assert (picture.width, picture.height) == (2, 3)


def png(width: int, height: int) -> bytes:
    import io

    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (width, height)).save(data, "PNG")
    return data.getvalue()


def test_a_step_that_was_changed_by_hand_does_no_harm(week):
    rewinder = Rewinder(storage=week, moment=moment_of(week))
    (step,) = rewinder.plan(["changed.txt"])

    outcome = rewinder.carry_out(replace(step, then=None))

    assert "has no version 0" in outcome.error
