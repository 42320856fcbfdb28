"""Which retention rules does a storage, or a field, set?

    "retention": {
        "keep_last": 10,
        "keep_for": timedelta(days=30),
        "tiers": [(timedelta(hours=1), timedelta(days=1)), (timedelta(days=1), timedelta(days=30))],
        "names": {"invoices/*": {"keep_for": timedelta(days=3650)}, "drafts/*": {"keep_last": 1}},
    }

1. A pattern is compared with the whole logical name, case and all: `*` stands for any characters, slashes included,
   `?` for one, `[ab]` for one of some. So `invoices/*` also matches `invoices/2026/7.pdf`.
2. The first pattern that matches decides, and replaces the storage's rules; nothing is inherited. Without rules in it
   everything is kept.
3. What makes no sense is refused when the storage is made, with the word that was meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from consistent_s3.conf import check_known, duration
from consistent_s3.core.errors import PolicyError
from consistent_s3.core.retention import RetentionPolicy, Tier

KEEP_RULES = ("keep_last", "keep_for", "tiers", "tombstone_for", "archive_after", "archive_class")
"""What says which versions stay: of a storage, a pattern or a field."""
STORAGE_WIDE = ("grace", "max_delete_ratio", "max_requests_per_second", "strays_every", "names")
"""What counts for a storage as a whole."""

TIERS_HINT = "Use pairs of times such as [(timedelta(hours=1), timedelta(days=1))]: one version an hour, for a day."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The retention rules of a storage; `grace` is part of its `timing`."""

    policy: RetentionPolicy
    """What counts where no pattern matches."""
    names: tuple[tuple[str, RetentionPolicy], ...] = ()
    """Patterns, and what counts for the names that match, in the order in which they are tried."""
    max_delete_ratio: float | None = None
    """The part of a storage's versions, 0 to 1, that a collection may delete without being told to; `None` for what
    `runs` thinks best."""
    max_requests_per_second: float | None = None
    """How many requests a collection sends a second at most."""
    strays_every: timedelta = timedelta(days=7)
    """How often a collection looks for what no version points to."""

    def for_name(self, name: str) -> RetentionPolicy:
        """Return the policy of a name."""
        return next((policy for pattern, policy in self.names if fnmatchcase(name, pattern)), self.policy)

    @property
    def policies(self) -> tuple[RetentionPolicy, ...]:
        """Return every policy that may count for a name."""
        return self.policy, *(policy for _, policy in self.names)

    @property
    def keeps_everything(self) -> bool:
        """Return whether no rule lets anything go, of any name."""
        return all(policy.keeps_everything for policy in self.policies)

    @property
    def changes_nothing(self) -> bool:
        """Return whether no rule lets anything go, nor moves it to an archive."""
        return self.keeps_everything and all(policy.archive_after is None for policy in self.policies)


def rules(retention: Any, *, index: Callable[[], str], where: str) -> Rules:
    """Return the rules of a storage; `index` tells its kind of index. Raises `ImproperlyConfigured` for bad ones."""
    where = f"{where}['retention']"
    given = _dictionary(retention, where=where)
    check_known(given, (*KEEP_RULES, *STORAGE_WIDE), where=where)
    return Rules(
        policy=_policy(given, index=index, where=where),
        names=_names(given.get("names", {}), index=index, where=f"{where}['names']"),
        max_delete_ratio=_ratio(given.get("max_delete_ratio"), where=f"{where}['max_delete_ratio']"),
        max_requests_per_second=_rate(given.get("max_requests_per_second"), where=where),
        strays_every=_longer_than_nothing(
            given.get("strays_every", timedelta(days=7)), where=f"{where}['strays_every']"
        ),
    )


def policy(retention: Any, *, index: Callable[[], str], where: str) -> RetentionPolicy:
    """Return the policy of a pattern or a field. Raises `ImproperlyConfigured` for a bad one."""
    given = _dictionary(retention, where=where)
    if misplaced := [word for word in STORAGE_WIDE if word in given]:
        raise ImproperlyConfigured(
            f"{where} has {misplaced[0]!r}, which counts for a whole storage. Set it in the storage's own "
            f"OPTIONS['retention']; here belong: {', '.join(sorted(KEEP_RULES))}."
        )
    check_known(given, KEEP_RULES, where=where)
    return _policy(given, index=index, where=where)


def _policy(given: Mapping[str, Any], *, index: Callable[[], str], where: str) -> RetentionPolicy:
    keep_last = given.get("keep_last")
    if keep_last is not None and (not isinstance(keep_last, int) or isinstance(keep_last, bool)):
        raise ImproperlyConfigured(f"{where}['keep_last'] is {keep_last!r}. Use a whole number, at least 1.")
    times: dict[str, Any] = {
        rule: duration(given[rule], where=f"{where}[{rule!r}]")
        for rule in ("keep_for", "tombstone_for", "archive_after")
        if given.get(rule) is not None
    }
    archive_class = given.get("archive_class") or ""
    if not isinstance(archive_class, str):
        raise ImproperlyConfigured(f"{where}['archive_class'] is {archive_class!r}. Use a word such as 'STANDARD_IA'.")
    try:
        made = RetentionPolicy(
            keep_last=keep_last,
            tiers=_tiers(given.get("tiers") or (), where=f"{where}['tiers']"),
            archive_class=archive_class,
            **times,
        )
    except PolicyError as error:
        raise ImproperlyConfigured(f"{where}: {error}") from error
    if made.archive_after is not None and (kind := index()) != "database":
        raise ImproperlyConfigured(
            f"{where} has archive_after, which needs index 'database', and the index is {kind!r}: moving an object to "
            "another storage class changes the only time that a listing shows, so nobody could say how old it is. "
            "Leave archive_after and archive_class out, or use a lifecycle rule of the bucket."
        )
    return made


def _names(given: Any, *, index: Callable[[], str], where: str) -> tuple[tuple[str, RetentionPolicy], ...]:
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(
            f"{where} is {given!r}. Use a dictionary of patterns and their rules, such as "
            "{'drafts/*': {'keep_last': 1}}."
        )
    made: list[tuple[str, RetentionPolicy]] = []
    for pattern, retention in given.items():
        if not isinstance(pattern, str) or not pattern.strip("/"):
            raise ImproperlyConfigured(f"{where} has the pattern {pattern!r}. Use a text such as 'drafts/*'.")
        if pattern.startswith("/"):
            raise ImproperlyConfigured(
                f"{where} has the pattern {pattern!r}, which no name matches: names are relative. "
                f"Did you mean {pattern.lstrip('/')!r}?"
            )
        if pattern.endswith("/"):
            raise ImproperlyConfigured(
                f"{where} has the pattern {pattern!r}, which no name matches: it is a directory. "
                f"Did you mean {f'{pattern}*'!r}?"
            )
        if any(earlier == "*" for earlier, _ in made):
            raise ImproperlyConfigured(
                f"{where} has the pattern {pattern!r} after '*', which matches every name: it never counts. "
                "Put '*' last."
            )
        made.append((pattern, policy(retention, index=index, where=f"{where}[{pattern!r}]")))
    return tuple(made)


def _tiers(given: Any, *, where: str) -> tuple[Tier, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise ImproperlyConfigured(f"{where} is {given!r}. {TIERS_HINT}")
    made = []
    for place, pair in enumerate(given):
        if not isinstance(pair, Sequence) or isinstance(pair, str | bytes) or len(pair) != 2:
            raise ImproperlyConfigured(f"{where}[{place}] is {pair!r}. {TIERS_HINT}")
        every, for_ = (duration(time, where=f"{where}[{place}][{part}]") for part, time in enumerate(pair))
        made.append(Tier(every=every, for_=for_))
    return tuple(made)


def _dictionary(retention: Any, *, where: str) -> Mapping[str, Any]:
    if not isinstance(retention, Mapping):
        raise ImproperlyConfigured(f"{where} is {retention!r}. Use a dictionary such as {{'keep_last': 10}}.")
    return retention


def _ratio(value: Any, *, where: str) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 0 <= value <= 1:
        raise ImproperlyConfigured(f"{where} is {value!r}. Use a number from 0 (nothing may go) to 1 (all may).")
    return float(value)


def _rate(value: Any, *, where: str) -> float | None:
    if value is not None and (not _is_number(value) or not 0 < value < math.inf):
        raise ImproperlyConfigured(
            f"{where}['max_requests_per_second'] is {value!r}. Use a number greater than 0, or None for no limit."
        )
    return None if value is None else float(value)


def _longer_than_nothing(value: Any, *, where: str) -> timedelta:
    time = duration(value, where=where)
    if time <= timedelta(0):
        raise ImproperlyConfigured(f"{where} is {time}. It must be longer than nothing.")
    return time


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
