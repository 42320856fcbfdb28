"""What a storage's retention may say, and what each bad word is answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from consistent_s3.core.retention import RetentionPolicy, Tier
from consistent_s3.rules import Rules, policy, rules
from consistent_s3.storage import ConsistentS3Storage

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WHERE = "files['retention']"


def parsed(retention: Any, *, index: str = "database") -> Rules:
    return rules(retention, index=lambda: index, where="files")


def refused(retention: Any, *, index: str = "database") -> str:
    with pytest.raises(ImproperlyConfigured) as error:
        parsed(retention, index=index)
    return str(error.value)


# What may be said


def test_without_rules_everything_is_kept() -> None:
    made = parsed({})

    assert made == Rules(policy=RetentionPolicy())
    assert made.keeps_everything
    assert (made.max_delete_ratio, made.max_requests_per_second, made.strays_every) == (None, None, 7 * DAY)


def test_every_rule_may_be_given() -> None:
    made = parsed(
        {
            "keep_last": 3,
            "keep_for": DAY,
            "tiers": [(HOUR, DAY), [DAY, 30 * DAY]],
            "tombstone_for": 2 * DAY,
            "archive_after": 3 * DAY,
            "archive_class": "STANDARD_IA",
            "grace": 2 * DAY,
            "max_delete_ratio": 1,
            "max_requests_per_second": 20,
            "strays_every": DAY,
            "names": {"drafts/*": {"keep_last": 1}},
        }
    )

    assert made.policy == RetentionPolicy(
        keep_last=3,
        keep_for=DAY,
        tiers=(Tier(every=HOUR, for_=DAY), Tier(every=DAY, for_=30 * DAY)),
        tombstone_for=2 * DAY,
        archive_after=3 * DAY,
        archive_class="STANDARD_IA",
    )
    assert made.names == (("drafts/*", RetentionPolicy(keep_last=1)),)
    assert (made.max_delete_ratio, made.max_requests_per_second, made.strays_every) == (1.0, 20.0, DAY)


def test_times_may_be_seconds_and_none_says_nothing() -> None:
    made = parsed({"keep_for": 60, "keep_last": None, "tiers": [(3600, 86400)], "archive_after": None})

    assert made.policy == RetentionPolicy(keep_for=timedelta(seconds=60), tiers=(Tier(every=HOUR, for_=DAY),))
    assert parsed({"tiers": None, "archive_class": None, "max_requests_per_second": None}).keeps_everything


def test_storage_exposes_its_rules() -> None:
    storage = ConsistentS3Storage(
        bucket_name="files", index="listing", retention={"keep_last": 2, "names": {"a/*": {}}, "max_delete_ratio": 0.1}
    )

    assert storage.rules.policy == storage.policy == RetentionPolicy(keep_last=2)
    assert storage.rules.max_delete_ratio == 0.1
    assert storage.rules.for_name("a/b").keeps_everything


# Patterns


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        pytest.param("invoices/*", "invoices/a.pdf", True, id="directly"),
        pytest.param("invoices/*", "invoices/2026/7/a.pdf", True, id="deeper"),
        pytest.param("invoices/*", "old/invoices/a.pdf", False, id="only from the beginning"),
        pytest.param("invoices/*", "invoices", False, id="not the directory's own name"),
        pytest.param("invoices/*", "Invoices/a.pdf", False, id="case counts"),
        pytest.param("*.tmp", "a/b/c.tmp", True, id="an extension anywhere"),
        pytest.param("*.tmp", "a.tmp.txt", False, id="to the end"),
        pytest.param("a?c", "abc", True, id="one character"),
        pytest.param("[ab].txt", "b.txt", True, id="one of some"),
        pytest.param("a.b", "axb", False, id="a dot is a dot"),
        pytest.param("exact.txt", "exact.txt", True, id="a name"),
    ],
)
def test_pattern_is_compared_with_the_whole_name(pattern: str, name: str, matches: bool) -> None:
    made = parsed({"keep_last": 9, "names": {pattern: {"keep_last": 1}}})

    assert made.for_name(name) == RetentionPolicy(keep_last=1 if matches else 9)


def test_first_pattern_that_matches_decides() -> None:
    made = parsed({"names": {"a/b/*": {"keep_last": 1}, "a/*": {"keep_last": 2}, "*": {"keep_last": 3}}})

    assert [made.for_name(name).keep_last for name in ("a/b/c", "a/c", "c")] == [1, 2, 3]


def test_pattern_inherits_nothing_from_the_storage() -> None:
    made = parsed({"keep_last": 5, "keep_for": DAY, "tiers": [(HOUR, DAY)], "names": {"a": {"keep_last": 1}, "b": {}}})

    assert made.for_name("a") == RetentionPolicy(keep_last=1)
    assert made.for_name("b").keeps_everything


def test_rules_keep_everything_only_if_no_pattern_lets_anything_go() -> None:
    assert not parsed({"names": {"a": {"keep_last": 1}}}).keeps_everything
    assert not parsed({"keep_last": 1, "names": {"a": {}}}).keeps_everything
    assert parsed({"names": {"a": {}}}).keeps_everything


# What is refused

TIERS = "Use pairs of times such as [(timedelta(hours=1), timedelta(days=1))]: one version an hour, for a day."
NUMBER = "Use a number from 0 (nothing may go) to 1 (all may)."
RATE = "Use a number greater than 0, or None for no limit."


@pytest.mark.parametrize(
    ("retention", "sentence"),
    [
        ({"tier": []}, "{} has no option 'tier'. Did you mean 'tiers'?"),
        ({"tiers": 3}, "{}['tiers'] is 3. " + TIERS),
        ({"tiers": "1h"}, "{}['tiers'] is '1h'. " + TIERS),
        ({"tiers": {1: 2}}, "{}['tiers'] is {{1: 2}}. " + TIERS),
        ({"tiers": [HOUR]}, "{}['tiers'][0] is datetime.timedelta(seconds=3600). " + TIERS),
        ({"tiers": [(HOUR, DAY), "ab"]}, "{}['tiers'][1] is 'ab'. " + TIERS),
        ({"tiers": [(1, 2, 3)]}, "{}['tiers'][0] is (1, 2, 3). " + TIERS),
        ({"tiers": [(HOUR, "x")]}, "{}['tiers'][0][1] is 'x'. Use a timedelta, or a number of seconds."),
        (
            {"tiers": [(0, DAY)]},
            "{}: A tier keeps one version every 0:00:00. The period must be longer than nothing.",
        ),
        (
            {"tiers": [(-HOUR, DAY)]},
            "{}: A tier keeps one version every -1 day, 23:00:00. The period must be longer than nothing.",
        ),
        (
            {"tiers": [(DAY, HOUR)]},
            (
                "{}: A tier keeps one version every 1 day, 0:00:00 for 1:00:00. The first is the period, the second "
                "how long: it must be at least as long."
            ),
        ),
        (
            {"archive_after": -1, "archive_class": "GLACIER"},
            "{}: archive_after is -1 day, 23:59:59. It must not be negative.",
        ),
        (
            {"archive_after": DAY},
            "{}: archive_after says when, but not where to. Set archive_class, for example 'STANDARD_IA'.",
        ),
        (
            {"archive_class": "STANDARD_IA"},
            (
                "{}: archive_class is 'STANDARD_IA', but nothing says when. Set archive_after to the time since a "
                "version was superseded."
            ),
        ),
        (
            {"archive_after": DAY, "archive_class": "glacier"},
            (
                "{}: archive_class is 'glacier', which is no storage class. Their names are words of capital letters, "
                "for example 'STANDARD_IA'."
            ),
        ),
        (
            {"archive_after": DAY, "archive_class": 7},
            "{}['archive_class'] is 7. Use a word such as 'STANDARD_IA'.",
        ),
        ({"max_delete_ratio": 50}, "{}['max_delete_ratio'] is 50. " + NUMBER),
        ({"max_delete_ratio": -0.1}, "{}['max_delete_ratio'] is -0.1. " + NUMBER),
        ({"max_delete_ratio": float("nan")}, "{}['max_delete_ratio'] is nan. " + NUMBER),
        ({"max_delete_ratio": "50%"}, "{}['max_delete_ratio'] is '50%'. " + NUMBER),
        ({"max_delete_ratio": True}, "{}['max_delete_ratio'] is True. " + NUMBER),
        ({"max_requests_per_second": 0}, "{}['max_requests_per_second'] is 0. " + RATE),
        ({"max_requests_per_second": float("inf")}, "{}['max_requests_per_second'] is inf. " + RATE),
        ({"max_requests_per_second": "9"}, "{}['max_requests_per_second'] is '9'. " + RATE),
        ({"strays_every": 0}, "{}['strays_every'] is 0:00:00. It must be longer than nothing."),
        ({"strays_every": None}, "{}['strays_every'] is None. Use a timedelta, or a number of seconds."),
        (
            {"names": ["drafts/*"]},
            (
                "{}['names'] is ['drafts/*']. Use a dictionary of patterns and their rules, such as "
                "{{'drafts/*': {{'keep_last': 1}}}}."
            ),
        ),
        ({"names": {"": {}}}, "{}['names'] has the pattern ''. Use a text such as 'drafts/*'."),
        ({"names": {7: {}}}, "{}['names'] has the pattern 7. Use a text such as 'drafts/*'."),
        (
            {"names": {"/a/*": {}}},
            "{}['names'] has the pattern '/a/*', which no name matches: names are relative. Did you mean 'a/*'?",
        ),
        (
            {"names": {"a/": {}}},
            "{}['names'] has the pattern 'a/', which no name matches: it is a directory. Did you mean 'a/*'?",
        ),
        (
            {"names": {"*": {}, "a/*": {}}},
            "{}['names'] has the pattern 'a/*' after '*', which matches every name: it never counts. Put '*' last.",
        ),
        ({"names": {"a": 3}}, "{}['names']['a'] is 3. Use a dictionary such as {{'keep_last': 10}}."),
        ({"names": {"a": {"keep_lst": 3}}}, "{}['names']['a'] has no option 'keep_lst'. Did you mean 'keep_last'?"),
        (
            {"names": {"a": {"keep_last": 0}}},
            "{}['names']['a']: keep_last is 0. Keep at least 1, or a name would be left nothing.",
        ),
        (
            {"names": {"a": {"keep_last": 1, "grace": 60}}},
            (
                "{}['names']['a'] has 'grace', which counts for a whole storage. Set it in the storage's own "
                "OPTIONS['retention']; here belong: archive_after, archive_class, keep_for, keep_last, tiers, "
                "tombstone_for."
            ),
        ),
        (
            {"names": {"a": {"names": {}}}},
            (
                "{}['names']['a'] has 'names', which counts for a whole storage. Set it in the storage's own "
                "OPTIONS['retention']; here belong: archive_after, archive_class, keep_for, keep_last, tiers, "
                "tombstone_for."
            ),
        ),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_bad_rule_is_refused_with_what_to_write_instead(retention: Any, sentence: str) -> None:
    assert refused(retention) == sentence.format(WHERE)


@pytest.mark.parametrize("index", ["listing", "redis"])
@pytest.mark.parametrize("pattern", [None, "a/*"])
def test_archiving_needs_the_database(index: str, pattern: str | None) -> None:
    archive = {"archive_after": DAY, "archive_class": "GLACIER"}
    where = WHERE if pattern is None else f"{WHERE}['names']['a/*']"

    sentence = refused(archive if pattern is None else {"names": {pattern: archive}}, index=index)

    assert sentence == (
        f"{where} has archive_after, which needs index 'database', and the index is {index!r}: moving an object to "
        "another storage class changes the only time that a listing shows, so nobody could say how old it is. "
        "Leave archive_after and archive_class out, or use a lifecycle rule of the bucket."
    )


def test_storage_refuses_to_archive_by_its_listing() -> None:
    with pytest.raises(ImproperlyConfigured, match="needs index 'database', and the index is 'listing'"):
        ConsistentS3Storage(
            bucket_name="files", index="listing", retention={"archive_after": 1, "archive_class": "GLACIER"}
        )


@pytest.mark.parametrize("word", ["GLACIER", "DEEP_ARCHIVE", "STANDARD_IA", "EXPRESS_ONEZONE", "COLD2"])
def test_storage_class_may_be_one_of_the_stores_own(word: str) -> None:
    assert parsed({"archive_after": 1, "archive_class": word}).policy.archive_class == word


def test_policy_of_a_field_takes_the_keep_rules_only() -> None:
    assert policy({"keep_last": 1}, index=lambda: "database", where="f") == RetentionPolicy(keep_last=1)
    with pytest.raises(ImproperlyConfigured, match=r"f has 'max_delete_ratio', which counts for a whole storage"):
        policy({"max_delete_ratio": 1}, index=lambda: "database", where="f")
