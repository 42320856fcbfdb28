"""The probe: what it sees of stores that keep their promises and of those that do not, and what it leaves there."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consistent_s3.core import suitability as ask
from consistent_s3.core.errors import (
    AccessDeniedError,
    AnswerLostError,
    BucketMissingError,
    PreconditionTrippedError,
    StoreError,
    UnreachableError,
    UnsupportedByStoreError,
)
from consistent_s3.core.probe import Probe
from consistent_s3.core.seams import DeleteFailure, PutMode
from consistent_s3.core.suitability import EVENT_STORE, MODES, QUESTIONS, Held, Mode, Question, Report, mode_of
from consistent_s3.testing import ManualClock, MemoryObjectStore
from consistent_s3.testing.eventual import PROFILES, EventuallyConsistent
from consistent_s3.testing.worlds import SAFE

ALL = ["database", "listing", "listing with clock numbering", "redis", "redis on weak listings"]
WITHOUT_CONDITIONS = ["database", "listing with clock numbering", "redis", "redis on weak listings"]
WEAK_LISTINGS = ["database", "redis on weak listings"]
SAFE_MODES = {
    "modern S3": ALL,
    "S3 of 2019": WEAK_LISTINGS,
    "StorageGRID default": WITHOUT_CONDITIONS,
    "Swift": WEAK_LISTINGS,
    "S3 Express": ["database"],
    "replicated bucket": WEAK_LISTINGS,
    "ignores preconditions": WITHOUT_CONDITIONS,
    "races preconditions": WITHOUT_CONDITIONS,
}
"""Which modes are safe on each store. The others are refused."""
ROUNDS = 6
RACERS = 4


class RacingClock(ManualClock):
    """Lets a store that checks and then acts pause in between until all racers have checked."""

    def __init__(self, racers: int) -> None:
        super().__init__()
        self.all_have_checked = threading.Barrier(racers)

    def sleep(self, seconds: float) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.all_have_checked.wait(timeout=60)
        super().sleep(seconds)


class Bucket:
    """A bucket in memory whose methods a test replaces."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class Answers:
    """What S3 says beyond an `ObjectStore`."""

    versions: bool = False
    completes: bool = False
    error: StoreError | None = None
    asked: list[str] = field(default_factory=list)

    def keeps_versions(self) -> bool:
        if self.error:
            raise self.error
        return self.versions

    def completes_over(self, key: str, data: bytes) -> bool:
        self.asked.append(key)
        return self.completes


def probe_of(store: Any, clock: Any = None, **options: Any) -> Probe:
    options = {"rounds": ROUNDS, "connections": RACERS, **options}
    return Probe(store=store, clock=clock or ManualClock(), chance=random.Random(7), **options)


def told(report: Report) -> dict[str, tuple[str, str]]:
    """Return what did not hold, with what was seen."""
    return {
        finding.question.id: (finding.held.value, finding.evidence)
        for finding in report.findings
        if finding.held is not Held.YES
    }


def names(modes: Any) -> list[str]:
    return [mode.name for mode in modes]


# Stores that behave in known ways


def test_everything_holds_on_a_store_that_keeps_its_promises(memory, clock):
    report = probe_of(memory, clock, extras=Answers()).run()

    assert told(report) == {}
    assert tuple(finding.question for finding in report.findings) == QUESTIONS
    assert names(report.safe) == ALL


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_modes_that_cannot_be_right_on_a_store_are_refused(profile, seed):
    clock = RacingClock(RACERS)
    memory = MemoryObjectStore(clock=clock)
    store = EventuallyConsistent(inner=memory, clock=clock, chance=random.Random(seed), profile=profile)

    report = probe_of(store, clock).run()

    assert names(report.safe) == SAFE_MODES[profile.name]
    assert (report.verdict(EVENT_STORE).held is Held.YES) == ("listing" in SAFE_MODES[profile.name])
    assert memory.keys == []
    assert report.left_behind == ()


def test_the_table_of_modes_agrees_with_what_the_simulation_proves():
    safe = {
        index: {name for name, modes in SAFE_MODES.items() if {index, f"{index} on weak listings"} & set(modes)}
        for index in SAFE
    }

    assert safe == {index: set(profiles) for index, profiles in SAFE.items()}


def test_a_store_that_honours_one_after_the_other_and_races_is_not_safe():
    clock = RacingClock(RACERS)
    profile = next(profile for profile in PROFILES if profile.name == "races preconditions")
    memory = MemoryObjectStore(clock=clock)
    store = EventuallyConsistent(inner=memory, clock=clock, chance=random.Random(1), profile=profile)

    report = probe_of(store, clock).run()

    assert report.finding(ask.CREATE).held is Held.YES
    assert told(report) == {"race": ("no", "Up to 4 of 4 won in 6 of 6 rounds.")}
    assert report.verdict(MODES[1]).against == (report.finding(ask.RACE),)


# Stores that break one promise


def broken(name: str, replacement: Callable[..., Any]) -> Callable[[Any], Bucket]:
    def wrap(inner: Any) -> Bucket:
        bucket = Bucket(inner)
        setattr(bucket, name, lambda *args, **options: replacement(inner, *args, **options))
        return bucket

    return wrap


def put_with(change: Callable[[str, bytes, dict[str, Any]], tuple[bytes, dict[str, Any]]]) -> Callable[[Any], Bucket]:
    def put(inner: Any, key: str, body: Any, **options: Any) -> Any:
        import io

        data, options = change(key, body.read(), options)
        return inner.put(key, io.BytesIO(data), **options)

    return broken("put", put)


def with_metadata(change: Callable[[str, str], tuple[str, str] | None]) -> Callable[[Any], Bucket]:
    def apply(key: str, data: bytes, options: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
        attributes = options["attributes"]
        changed = dict(filter(None, (change(*item) for item in attributes.metadata.items())))
        return data, {**options, "attributes": replace(attributes, metadata=changed)}

    return put_with(apply)


def list_with(**changed: Any) -> Callable[[Any], Bucket]:
    return broken("list", lambda inner, prefix, **options: inner.list(prefix, **{**options, **changed}))


def listed_in_order_of(order: Callable[[Any], Any]) -> Callable[[Any], Bucket]:
    def listing(inner: Any, prefix: str, *, limit: int = 1000, **options: Any) -> Any:
        page = inner.list(prefix, **options)
        if options:
            return inner.list(prefix, limit=limit, **options)
        return replace(page, objects=tuple(sorted(page.objects, key=lambda info: order(info.key)))[:limit])

    return broken("list", listing)


def repeats_pages(inner: Any, prefix: str, *, token: str = "", **options: Any) -> Any:
    return inner.list(prefix, **options)


def begins_too_late(inner: Any, prefix: str, *, start_after: str = "", **options: Any) -> Any:
    page = inner.list(prefix, start_after=start_after, **options)
    return replace(page, objects=page.objects[1:]) if start_after else page


def loses_a_directory(inner: Any, prefix: str, **options: Any) -> Any:
    page = inner.list(prefix, **options)
    return replace(page, prefixes=page.prefixes[1:])


def without_media_type(key: str, data: bytes, options: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    return data, {**options, "attributes": replace(options["attributes"], content_type="application/octet-stream")}


def refuses_missing(inner: Any, keys: Any) -> Any:
    missing = [key for key in keys if key not in inner.keys]
    inner.delete(keys)
    return tuple(DeleteFailure(key=key, code="NoSuchKey", message="It is not there.") for key in missing)


def refuses_long(key: str, data: bytes, options: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    if len(key) > 1000:
        raise StoreError("Cannot write it: 400 KeyTooLongError.")
    return data, options


def without_condition(key: str, data: bytes, options: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    return data, {**options, "mode": PutMode.OVERWRITE}


def replaces_and_refuses(inner: Any, key: str, body: Any, *, mode: PutMode, **options: Any) -> Any:
    there = key in inner.keys
    receipt = inner.put(key, body, mode=PutMode.OVERWRITE, **options)
    if there and mode is PutMode.CREATE:
        raise PreconditionTrippedError("It is there.")
    return receipt


def shouts(key: str, data: bytes, options: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    return data.upper() if b"\x00" not in data else data[::-1], options


BROKEN = [
    pytest.param(
        with_metadata(lambda name, value: None),
        {
            "metadata": ("no", "Lost or changed: write_id, author, comment, predecessor."),
            "metadata-size": (
                "no",
                (
                    "Lost or changed: write_id, author, comment, original_name, checksum, predecessor, "
                    "predecessor_etag, restored_from."
                ),
            ),
        },
        ["database"],
        id="loses metadata",
    ),
    pytest.param(
        with_metadata(lambda name, value: (name, value[:100])),
        {"metadata-size": ("no", "Lost or changed: author, comment, original_name.")},
        ALL,
        id="cuts long metadata",
    ),
    pytest.param(
        put_with(without_condition),
        {
            "create": ("no", "The second was accepted in 6 of 6 rounds."),
            "race": ("no", "Up to 4 of 4 won in 6 of 6 rounds."),
        },
        WITHOUT_CONDITIONS,
        id="ignores preconditions",
    ),
    pytest.param(
        list_with(limit=1000),
        {"max-keys": ("no", "1 was asked for, 5 came.")},
        ALL,
        id="ignores MaxKeys",
    ),
    pytest.param(
        list_with(start_after=""),
        {"start-after": ("no", "6 keys came that lie before it.")},
        ["database"],
        id="ignores StartAfter",
    ),
    pytest.param(
        broken("list", begins_too_late),
        {"start-after": ("no", "1 keys that lie after it did not come.")},
        ["database"],
        id="begins one key after StartAfter",
    ),
    pytest.param(
        broken("list", loses_a_directory),
        {"delimiter": ("no", "1 of 3 entries did not come.")},
        ["database"],
        id="loses a folded directory",
    ),
    pytest.param(
        put_with(without_media_type),
        {"stored": ("no", "The media type text/x-probe came back as 'application/octet-stream'.")},
        [],
        id="forgets the media type",
    ),
    pytest.param(
        list_with(delimiter=""),
        {"delimiter": ("no", "4 entries came that should not: 'a.-v/1'.")},
        ["database"],
        id="ignores the delimiter",
    ),
    pytest.param(
        broken("list", repeats_pages),
        {"pages": ("no", "30 of 15 keys came again in pages of 2.")},
        ["database"],
        id="shows the first page again and again",
    ),
    pytest.param(
        listed_in_order_of(str.lower),
        {"list-order-of-names": ("no", "'_' came too early in a page of 1000.")},
        ALL,
        id="lists without regard to case",
    ),
    pytest.param(
        listed_in_order_of(lambda key: key.encode("utf-16-be")),
        {"list-order-of-names": ("no", "'😀' came too early in a page of 1000.")},
        ALL,
        id="lists in the order of UTF-16",
    ),
    pytest.param(
        listed_in_order_of(lambda key: key.replace("-", "~")),
        {"list-order": ("no", "'a.pdf.-v/9999999999999999998.pdf' came too early in a page of 1000.")},
        ["database"],
        id="lists our dash elsewhere",
    ),
    pytest.param(
        broken("get", lambda inner, key, **span: inner.get(key)),
        {"range": ("no", "Bytes 0 to 16 were asked for; 256 others came.")},
        [],
        id="ignores ranges",
    ),
    pytest.param(
        put_with(lambda key, data, options: (data or b" ", options)),
        {"empty": ("no", "No bytes were written, 1 came back.")},
        [],
        id="has no empty objects",
    ),
    pytest.param(
        broken("delete", refuses_missing),
        {"batch-delete": ("no", "1 of 4 were refused: NoSuchKey It is not there.")},
        ALL,
        id="does not delete what is not there",
    ),
    pytest.param(
        put_with(refuses_long),
        {"long-key": ("no", "Cannot write it: 400 KeyTooLongError.")},
        ALL,
        id="refuses long keys",
    ),
]


@pytest.mark.parametrize(("wrap", "found", "safe"), BROKEN)
def test_a_broken_promise_is_found_and_nothing_else(wrap, found, safe, memory, clock):
    report = probe_of(wrap(memory), clock).run()

    assert told(report) == found
    assert names(report.safe) == safe
    assert memory.keys == []


def test_a_refused_put_that_replaces_the_bytes_all_the_same_is_found(memory, clock):
    report = probe_of(broken("put", replaces_and_refuses)(memory), clock).run()

    assert report.finding(ask.CREATE).evidence == "The second was accepted in 6 of 6 rounds."
    assert report.finding(ask.RACE).held is Held.NO
    assert "listing" not in names(report.safe)


def test_bytes_that_come_back_other_than_written_are_found(memory, clock):
    report = probe_of(put_with(shouts)(memory), clock).run()

    assert report.finding(ask.STORED).evidence == "10240 bytes were written, 10240 other ones came back."
    assert report.safe == []


def test_renamed_metadata_is_told_and_understood(memory, clock):
    renaming = with_metadata(lambda name, value: (name.replace("-", "_").title(), value))

    report = probe_of(renaming(memory), clock).run()

    assert report.finding(ask.METADATA).held is Held.YES
    assert report.finding(ask.METADATA).evidence == (
        "66 bytes came back; renamed, and understood: V_Author, V_Comment_1, V_Id, V_Prev."
    )


@pytest.mark.parametrize(
    ("ahead", "held", "evidence"),
    [
        pytest.param(1, Held.YES, "Less than 2 seconds apart.", id="rounding"),
        pytest.param(30, Held.YES, "Its clock is 30 seconds ahead.", id="a little"),
        pytest.param(90, Held.NO, "Its clock is 90 seconds ahead.", id="ahead"),
        pytest.param(-3600, Held.NO, "Its clock is 3600 seconds behind.", id="behind"),
    ],
)
def test_distance_of_the_clocks_is_told(ahead, held, evidence):
    here = ManualClock(time=datetime(2026, 1, 1, tzinfo=UTC))
    there = ManualClock(time=here.time + timedelta(seconds=ahead))

    report = probe_of(MemoryObjectStore(clock=there), here).run()

    finding = report.finding(ask.CLOCK)
    assert (finding.held, finding.evidence) == (held, evidence)
    assert names(report.safe) == ALL


# What only S3 can be asked


def test_what_only_s3_can_be_asked_is_asked_where_it_is_there(memory, clock):
    answers = Answers(versions=True, completes=True)

    report = probe_of(memory, clock, extras=answers).run()

    assert told(report) == {
        "completion": ("no", "An upload was completed over an object that was there."),
        "unversioned": ("no", "Versioning is on for this bucket."),
    }
    assert answers.asked == [f"{report.prefix}completion/a"]
    assert names(report.safe) == ALL


def test_versioning_that_may_not_be_asked_for_is_unknown(memory, clock):
    report = probe_of(memory, clock, extras=Answers(error=AccessDeniedError("Not for you."))).run()

    assert told(report) == {"unversioned": ("unknown", "Not for you.")}


def test_what_was_not_asked_is_unknown(memory, clock):
    report = probe_of(memory, clock).run()

    finding = report.finding(ask.UNVERSIONED)

    assert (finding.held, finding.evidence, finding.consequence) == (Held.UNKNOWN, "It was not asked.", "Not known.")


# Failures


@pytest.mark.parametrize("operation", ["put", "get", "head", "list", "delete"])
@pytest.mark.parametrize(
    "error", [StoreError, AccessDeniedError, BucketMissingError, UnreachableError, AnswerLostError]
)
def test_a_store_that_fails_is_unknown_in_its_own_words(operation, error, memory, clock):
    def fail(*args: Any, **options: Any) -> Any:
        raise error("It failed.")

    report = probe_of(broken(operation, fail)(memory), clock).run()

    unknown = told(report)
    assert unknown
    assert {held for held, _ in unknown.values()} == {"unknown"}
    assert all(evidence.endswith("It failed.") for _, evidence in unknown.values())
    assert "listing" not in names(report.safe) or operation == "delete"


def test_a_store_without_conditional_writes_is_a_no(memory, clock):
    def put(inner: Any, key: str, body: Any, *, mode: PutMode, **options: Any) -> Any:
        if mode is PutMode.CREATE:
            raise UnsupportedByStoreError("501.")
        return inner.put(key, body, mode=mode, **options)

    report = probe_of(broken("put", put)(memory), clock).run()

    assert told(report) == {"create": ("no", "501."), "race": ("no", "501.")}
    assert names(report.safe) == WITHOUT_CONDITIONS


def test_what_was_seen_once_stays_seen_when_the_store_fails_later(memory, clock):
    puts = []

    def put(inner: Any, key: str, body: Any, **options: Any) -> Any:
        if "/create/" in key or "/race/" in key:
            puts.append(key)
            if key.endswith("/5"):
                raise UnreachableError("Gone.")
        return inner.put(key, body, **{**options, "mode": PutMode.OVERWRITE})

    report = probe_of(broken("put", put)(memory), clock).run()

    assert told(report) == {
        "create": ("no", "The second was accepted in 5 of 6 rounds."),
        "race": ("no", "Up to 4 of 4 won in 5 of 6 rounds."),
    }


def test_a_race_that_nobody_wins_is_unknown(memory, clock):
    def put(inner: Any, key: str, body: Any, **options: Any) -> Any:
        if "/race/" in key:
            raise PreconditionTrippedError("409.")
        return inner.put(key, body, **options)

    report = probe_of(broken("put", put)(memory), clock).run()

    assert told(report) == {"race": ("unknown", "Nobody won in all 6 rounds.")}
    assert [verdict.held for verdict in report.verdicts][1] is Held.UNKNOWN
    assert names(report.safe) == WITHOUT_CONDITIONS


def test_an_object_that_never_shows_is_unknown_and_does_not_wait_for_ever(memory, clock):
    profile = replace(PROFILES[0], create_delay=1e12, list_delay=1e12)
    store = EventuallyConsistent(inner=memory, clock=clock, chance=random.Random(1), profile=profile)

    report = probe_of(store, clock).run()

    held, evidence = told(report)["stored"]
    assert held == "unknown"
    assert evidence.startswith("It was written, and 30 seconds later not there: There is no object ")
    assert report.safe == []


@pytest.mark.parametrize("rounds", [0, 501])
def test_rounds_beyond_a_page_are_refused(rounds, memory):
    with pytest.raises(ValueError, match=rf"^{rounds} rounds cannot be asked\. Use 1 to 500\.$"):
        probe_of(memory, rounds=rounds)


# What it touches and leaves


def test_it_keeps_below_a_prefix_of_its_own_and_tells_what_it_asks(memory, clock):
    seen: list[str] = []
    asked: list[Question] = []
    bucket = Bucket(memory)
    bucket.put = lambda key, *args, **options: (seen.append(key), memory.put(key, *args, **options))[1]
    bucket.delete = lambda keys: (seen.extend(keys), memory.delete(keys))[1]
    bucket.get = lambda key, **options: (seen.append(key), memory.get(key, **options))[1]
    bucket.list = lambda prefix, **options: (seen.append(prefix), memory.list(prefix, **options))[1]

    report = probe_of(bucket, clock, root="media/", tell=asked.append).run()

    assert report.prefix.startswith("media/.consistent-s3-probe-")
    assert {key for key in seen if not key.startswith(report.prefix)} == set()
    assert asked == [finding.question for finding in report.findings]


def test_each_probe_has_a_prefix_of_its_own(memory):
    assert Probe(store=memory).prefix != Probe(store=memory).prefix


def test_every_put_has_the_arguments_that_the_bucket_demands(memory, clock):
    extra = {"ServerSideEncryption": "AES256"}
    given = []
    bucket = broken("put", lambda inner, *args, **options: (given.append(options), inner.put(*args, **options))[1])(
        memory
    )

    probe_of(bucket, clock, extra=extra).run()

    assert all(options["attributes"].extra == extra for options in given)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_probe_cleans_up(interruption, memory, clock):
    def stop(question: Question) -> None:
        if question is ask.LIST_FORGETS:
            assert memory.keys
            raise interruption

    probe = probe_of(memory, clock, tell=stop)

    with pytest.raises(interruption):
        probe.run()

    assert memory.keys == []
    assert probe.left_behind == ()


def test_a_put_that_is_interrupted_is_cleaned_up(memory, clock):
    def put(inner: Any, key: str, body: Any, **options: Any) -> Any:
        inner.put(key, body, **options)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probe_of(broken("put", put)(memory), clock).run()

    assert memory.keys == []


def test_keys_that_cannot_be_deleted_are_named(memory, clock):
    def delete(inner: Any, keys: Any) -> Any:
        return tuple(DeleteFailure(key=key, code="AccessDenied", message="Locked.") for key in keys)

    report = probe_of(broken("delete", delete)(memory), clock).run()

    assert sorted(report.left_behind, key=str.encode) == memory.keys
    assert report.finding(ask.BATCH_DELETE).evidence == "4 of 4 were refused: AccessDenied Locked."


def test_a_clean_up_that_fails_names_what_it_left_also_when_it_is_interrupted(memory, clock):
    def delete(inner: Any, keys: Any) -> Any:
        raise KeyboardInterrupt

    probe = probe_of(broken("delete", delete)(memory), clock)

    with pytest.raises(KeyboardInterrupt):
        probe.run()

    assert sorted(probe.left_behind, key=str.encode) == memory.keys


def test_puts_that_were_never_answered_are_told_since_they_may_yet_land(memory, clock):
    def put(inner: Any, key: str, body: Any, **options: Any) -> Any:
        if "/empty/" in key:
            raise AnswerLostError("Lost.")
        return inner.put(key, body, **options)

    report = probe_of(broken("put", put)(memory), clock).run()

    assert report.may_land == (f"{report.prefix}empty/empty",)


@pytest.mark.parametrize("error", [AnswerLostError("Lost."), UnreachableError("Gone.")], ids=["lost", "unreachable"])
def test_a_long_key_without_an_answer_is_unknown_and_not_refused(error, memory, clock):
    def put(inner: Any, key: str, body: Any, **options: Any) -> Any:
        if len(key) > 1000:
            raise error
        return inner.put(key, body, **options)

    report = probe_of(broken("put", put)(memory), clock).run()

    assert told(report) == {"long-key": ("unknown", str(error))}
    assert bool(report.may_land) == isinstance(error, AnswerLostError)


def test_keys_whose_puts_were_refused_are_not_left_behind(memory, clock):
    def refuse(*args: Any, **options: Any) -> Any:
        raise AccessDeniedError("No.")

    bucket = broken("put", refuse)(memory)
    bucket.delete = refuse

    report = probe_of(bucket, clock).run()

    assert report.left_behind == ()


# What follows


def test_every_question_that_a_mode_rests_on_is_in_the_table():
    assert {question for mode in MODES for question in mode.rests_on} <= set(QUESTIONS)
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize("mode", [*MODES, EVENT_STORE], ids=lambda mode: mode.name)
def test_a_mode_is_refused_for_each_thing_it_rests_on(mode, memory, clock):
    report = probe_of(memory, clock).run()

    for question in mode.rests_on:
        findings = tuple(
            replace(finding, held=Held.NO) if finding.question is question else finding for finding in report.findings
        )
        changed = replace(report, findings=findings)
        assert changed.verdict(mode).held is Held.NO
        assert [finding.question for finding in changed.verdict(mode).against] == [question]
        assert changed.finding(question).consequence == question.if_not


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"index": "database", "numbering": "sequence", "strong_listing": True}, "database"),
        ({"index": "listing", "numbering": "sequence", "strong_listing": True}, "listing"),
        ({"index": "listing", "numbering": "clock", "strong_listing": True}, "listing with clock numbering"),
        ({"index": "redis", "numbering": "sequence", "strong_listing": False}, "redis on weak listings"),
    ],
)
def test_options_choose_a_mode(options, name):
    mode = mode_of(options)

    assert mode is not None
    assert mode.name == name


def test_options_that_no_mode_has_choose_none():
    assert mode_of({"index": "tea leaves"}) is None


def test_the_configured_mode_is_advised_where_it_is_safe_and_another_where_it_is_not(memory, clock):
    report = probe_of(memory, clock).run()
    _, listing, *_ = MODES
    unsafe = Mode(name="other", options={}, rests_on=frozenset({ask.COMPLETION}))

    assert report.advised(listing) is listing
    assert report.advised(unsafe) is MODES[0]
    assert replace(report, findings=()).advised(listing) is None
