"""How do the rows of names and versions keep times? In UTC: aware with `USE_TZ`, naive without.

Other rows keep times as Django does, which without `USE_TZ` are local.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings


def as_kept(moment: datetime) -> datetime:
    """Return an aware moment as these rows have it."""
    moment = moment.astimezone(UTC)
    return moment if settings.USE_TZ else moment.replace(tzinfo=None)


def as_aware(kept: datetime) -> datetime:
    """Return a time of these rows as the aware moment that it is."""
    return kept if settings.USE_TZ else kept.replace(tzinfo=UTC)
