"""What may not go, whatever policies say: placed and released by somebody, for a reason, and kept as a record.

1. A hold is found by the object's place in the bucket. So it counts for every storage that keeps its versions there,
   also for one whose location lies above or below, and with any index.
2. It is asked for in the primary database, never in a replica that lags behind; if that gives no answer, the error is
   raised and nothing goes.
3. A hold is in force as soon as it is committed. A collection notes what it is about to delete, and then asks for
   holds; `place` notes the hold, and then looks for such notes: so either the one sees the hold, or the other refuses.
   What an erasure was sending to the store at that very moment may be gone: then `place` finds no version, and refuses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models, router
from django.utils import timezone
from django.utils.timezone import get_default_timezone, is_naive, localtime, make_aware, make_naive

from consistent_s3.core.erasing import Holding
from consistent_s3.core.numbers import MAX_NUMBER
from consistent_s3.errors import BeingCollectedError, VersionNotFoundError
from consistent_s3.models import CollectionSlice, Hold, digest

if TYPE_CHECKING:
    from consistent_s3.storage import ConsistentS3Storage


def place(
    storage: ConsistentS3Storage, name: str, number: int | None, *, reason: str, until: datetime | None, author: str
) -> Hold:
    """Place a hold; see `HoldsVersions.hold`."""
    if not reason.strip():
        raise ValueError(f"Nobody could ever say whether the hold on {name!r} may be released. Give a reason.")
    end = None if until is None else _end(until)
    if number is not None and (not isinstance(number, int) or not 0 < number <= MAX_NUMBER):
        raise _no_version(name, number)
    made = Hold.objects.using(_using(storage)).create(
        digest=_digest(storage, name),
        place_digest=digest(_place(storage)),
        place=_place(storage),
        name=name,
        number=number,
        reason=reason.strip(),
        author=author,
        until=end,
    )
    # Looked up afterwards: what was still there then is not collected any more.
    try:
        _check_there(storage, name, number)
        _check_not_going(storage, name, number)
    except BaseException:
        made.delete()
        raise
    return made


def release(storage: ConsistentS3Storage, hold: Hold | int, *, reason: str, author: str) -> Hold:
    """Release a hold; see `HoldsVersions.release`."""
    pk = hold.pk if isinstance(hold, Hold) else hold
    rows = Hold.objects.using(_using(storage)).filter(pk=pk)
    found = rows.first()
    if found is None:
        raise ValueError(f"There is no hold {pk}. See storage.holds(name), or the admin.")
    if found.place_digest != digest(_place(storage)):
        raise ValueError(
            f"Hold {pk} is on {found.name!r} in {found.place!r}, not in {_place(storage)!r}. "
            "Release it with the storage that has this place."
        )
    # Decided by the row itself, so of two who release at once one is told.
    done = rows.filter(released_at__isnull=True).update(
        released_at=timezone.now(), released_by=author, release_reason=reason.strip()
    )
    found.refresh_from_db()
    if not done:
        by = f" by {found.released_by}" if found.released_by else ""
        raise ValueError(f"Hold {pk} on {found.name!r} was released before, at {found.released_at}{by}.")
    return found


def on(storage: ConsistentS3Storage, name: str) -> list[Hold]:
    """Return the holds in force on a name or its versions, newest first."""
    return list(_rows(storage, [name]))


def on_each(storage: ConsistentS3Storage, names: Sequence[str]) -> Mapping[str, list[Hold]]:
    """Return the holds in force on some names or their versions, those without a hold left out: one query."""
    by_digest = {_digest(storage, name): name for name in names}
    found: dict[str, list[Hold]] = defaultdict(list)
    for hold in _rows(storage, names):
        found[by_digest[hold.digest]].append(hold)
    return dict(found)


def in_force(storage: ConsistentS3Storage, names: Sequence[str]) -> Mapping[str, Holding]:
    """Return what is held of some names, those without a hold left out: one query."""
    return {name: _holding(holds) for name, holds in on_each(storage, names).items()}


def _holding(holds: Sequence[Hold]) -> Holding:
    reasons: dict[int | None, list[str]] = defaultdict(list)
    for hold in holds:
        reasons[hold.number].append(_why(hold))
    whole = "; ".join(reasons.pop(None, []))
    return Holding(whole=whole, numbers={number: "; ".join(why) for number, why in reasons.items() if number})


def _why(hold: Hold) -> str:
    if hold.until is None:
        return hold.reason
    until = hold.until if is_naive(hold.until) else localtime(hold.until)
    return f"{hold.reason} (until {until:%Y-%m-%d %H:%M})"


def _rows(storage: ConsistentS3Storage, names: Sequence[str]) -> models.QuerySet[Hold]:
    now = timezone.now()
    not_over = models.Q(until__isnull=True) | models.Q(until__gt=now)
    digests = [_digest(storage, name) for name in names]
    return Hold.objects.using(_using(storage)).filter(not_over, digest__in=digests, released_at__isnull=True)


def _end(until: datetime) -> datetime:
    """Return the end of a hold as the database takes it."""
    if not isinstance(until, datetime):
        raise TypeError(f"until is {until!r}. Use an aware datetime, as timezone.now() returns.")
    if is_naive(until):
        if settings.USE_TZ:
            raise ValueError(f"{until!r} has no time zone. Use an aware datetime, as timezone.now() returns.")
        until = make_aware(until, get_default_timezone())
    end = until if settings.USE_TZ else make_naive(until, get_default_timezone())
    if end <= timezone.now():
        raise ValueError(f"The hold would have ended at {until}, so it would keep nothing. Give an end in the future.")
    return end


def _check_there(storage: ConsistentS3Storage, name: str, number: int | None) -> None:
    index = storage.archive.index
    if number is None:
        if index.newest(name) is None:
            raise VersionNotFoundError(f"{name!r} has no versions to hold. Look for a misspelling, or write it first.")
    elif index.at(name, number) is None:
        raise _no_version(name, number)


def _check_not_going(storage: ConsistentS3Storage, name: str, number: int | None) -> None:
    prefix = storage.archive.layout.versions_prefix(name)
    if number is not None:
        prefix = storage.archive.layout.number_prefix(name, number)
    under_way = CollectionSlice.objects.filter(finished=None, sweeps=True).exclude(intended=[])
    for batch in under_way.values_list("intended", flat=True):
        if any(key.startswith(prefix) for _, _, key, *_ in batch):
            raise BeingCollectedError(
                f"{name!r} is being collected at this moment, and what goes cannot be held any more. Look at its "
                "history and try again in a minute."
            )


def _no_version(name: str, number: object) -> VersionNotFoundError:
    return VersionNotFoundError(
        f"{name!r} has no version {number!r} to hold: it was never written, or it was collected. See its history."
    )


def _using(storage: ConsistentS3Storage) -> str:
    return storage.index_database or router.db_for_write(Hold)


def _place(storage: ConsistentS3Storage) -> str:
    return f"{storage.bucket_name}/{storage.archive.layout.location}"


def _digest(storage: ConsistentS3Storage, name: str) -> str:
    return digest(str(storage.bucket_name), f"{storage.archive.layout.root}{name}")
