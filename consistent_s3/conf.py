"""Which options does a storage take beyond django-storages' own, and are they sound?

Each option may stand in `STORAGES[alias]["OPTIONS"]` or, for all storages, as a setting.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from consistent_s3.core.errors import InvalidNameError, PolicyError
from consistent_s3.core.names import validate_directory
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.protocol import SIGNATURE_VALIDITY, Timing

OPTIONS: dict[str, tuple[str, Any]] = {
    "index": ("CONSISTENT_S3_INDEX", ""),
    "index_database": ("CONSISTENT_S3_INDEX_DATABASE", ""),
    "index_cache": ("CONSISTENT_S3_INDEX_CACHE", "default"),
    "index_timeout": ("CONSISTENT_S3_INDEX_TIMEOUT", timedelta(days=1)),
    "index_fallback": ("CONSISTENT_S3_INDEX_FALLBACK", ""),
    "strong_listing": ("CONSISTENT_S3_STRONG_LISTING", True),
    "numbering": ("CONSISTENT_S3_NUMBERING", ""),
    "write_deadline": ("CONSISTENT_S3_WRITE_DEADLINE", timedelta(seconds=60)),
    "patience": ("CONSISTENT_S3_PATIENCE", timedelta(seconds=30)),
    "retention": ("CONSISTENT_S3_RETENTION", {}),
}
"""Our options: the setting that serves for all storages, and the default."""

INDEXES = ("listing", "database", "redis")


def defaults() -> dict[str, Any]:
    """Return each option's default: its setting, or ours."""
    return {name: getattr(settings, setting, default) for name, (setting, default) in OPTIONS.items()}


def check_known(given: Iterable[str], known: Iterable[str], *, where: str) -> None:
    """Raise `ImproperlyConfigured` for a word that is none of the known ones, naming the likeliest."""
    known = list(known)
    for word in given:
        if word not in known:
            close = difflib.get_close_matches(str(word), known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(sorted(known))}."
            raise ImproperlyConfigured(f"{where} has no option {word!r}. {hint}")


def location(value: str, *, where: str) -> str:
    """Return the prefix that a location stands for, without slashes at its ends. Raises `ImproperlyConfigured`."""
    try:
        return validate_directory(value.strip("/"))
    except InvalidNameError as error:
        raise ImproperlyConfigured(f"{where}['location']: {error}") from error


def numbering(value: str, *, index: str, where: str) -> Numbering:
    """Return the numbering that an option names, or the one that suits an index. Raises `ImproperlyConfigured`."""
    if value == "":
        return Numbering.CLOCK if index == "redis" else Numbering.SEQUENCE
    check_known([value], [numbering.value for numbering in Numbering], where=f"{where}['numbering']")
    if index == "redis" and value != Numbering.CLOCK.value:
        raise ImproperlyConfigured(
            f"{where}['numbering'] is {value!r}, which index 'redis' cannot use: a save that was refused would have "
            "the number of the one that was accepted. Leave it out, or set it to 'clock'."
        )
    return Numbering(value)


def index_timeout(value: Any, timing: Timing, *, where: str) -> timedelta:
    """Return how long Redis keeps a pointer. Raises `ImproperlyConfigured` if a write may take longer."""
    timeout = duration(value, where=f"{where}['index_timeout']")
    least = timing.write_deadline + SIGNATURE_VALIDITY
    if timeout <= least:
        raise ImproperlyConfigured(
            f"{where}['index_timeout'] is {timeout}, but a write may land up to {least} after it began. Raise it."
        )
    return timeout


def check_fallback(fallback: Any, strong_listing: Any, *, where: str) -> None:
    """Raise `ImproperlyConfigured` if readers would fall back to a listing that cannot be trusted."""
    check_known([fallback] if fallback else [], ["listing"], where=f"{where}['index_fallback']")
    if not isinstance(strong_listing, bool):
        raise ImproperlyConfigured(f"{where}['strong_listing'] is {strong_listing!r}. Use True or False.")
    if fallback and not strong_listing:
        raise ImproperlyConfigured(
            f"{where}['index_fallback'] is 'listing', but strong_listing is False: readers would be shown old "
            "versions. Leave index_fallback out; while Redis is down they get an error."
        )


def timing(write_deadline: Any, patience: Any, retention: Mapping[str, Any], *, where: str) -> Timing:
    """Return the times of a storage. Raises `ImproperlyConfigured` when they would break the promise."""
    durations = {
        "write_deadline": duration(write_deadline, where=f"{where}['write_deadline']"),
        "patience": duration(patience, where=f"{where}['patience']"),
    }
    if "grace" in retention:
        durations["grace"] = duration(retention["grace"], where=f"{where}['retention']['grace']")
    try:
        return Timing(**durations)
    except PolicyError as error:
        raise ImproperlyConfigured(f"{where}: {error}") from error


def duration(value: Any, *, where: str) -> timedelta:
    """Return a duration given as `timedelta` or as a number of seconds. Raises `ImproperlyConfigured`."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError, ValueError):  # longer than a timedelta can be; not a number
            return timedelta(seconds=value)
    raise ImproperlyConfigured(f"{where} is {value!r}. Use a timedelta, or a number of seconds.")
