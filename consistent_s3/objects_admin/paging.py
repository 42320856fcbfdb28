"""How does one page through very many rows, newest first, as quickly at the end as at the beginning?

A page begins after the last row of the one before, by time and key, so an index finds it; nothing is counted, and
nothing is skipped over. What is written meanwhile moves no row from one page to another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.db import models
from django.utils.timezone import is_aware

from consistent_s3.local_times import EARLIEST, LATEST

Row = TypeVar("Row", bound=models.Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last row that was seen."""

    moment: datetime
    pk: int

    def __str__(self) -> str:
        return f"{self.moment.isoformat().replace('+00:00', 'Z')}~{self.pk}"


def cursor(text: str) -> Cursor | None:
    """Return what an address says, if it says anything that can be understood."""
    found = re.fullmatch(r"(.{10,40})~([0-9]{1,18})", text)
    try:
        moment = datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
    if found is None or moment is None or is_aware(moment) != settings.USE_TZ:
        return None
    if not EARLIEST <= moment.date() <= LATEST:
        return None
    return Cursor(moment=moment, pk=int(found[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows, newest first."""

    rows: Sequence[Any]
    older: Cursor | None = None
    """Where the next page begins; `None` if there is none."""


def page(rows: models.QuerySet[Row], by: str, *, after: Cursor | None, size: int) -> Page:
    """Return the next rows by a column with their time: one query, whatever comes before them."""
    found = list(_after(rows, by, after)[: size + 1])
    last = found[size - 1] if len(found) > size else None
    older = Cursor(moment=getattr(last, by), pk=last.pk) if last else None
    return Page(rows=found[:size], older=older)


def all_rows(rows: models.QuerySet[Row], by: str, *, size: int = 1000) -> Iterator[Row]:
    """Yield every row, newest first, a page in memory at a time."""
    after: Cursor | None = None
    while True:
        some = page(rows, by, after=after, size=size)
        yield from some.rows
        after = some.older
        if after is None:
            return


def _after(rows: models.QuerySet[Row], by: str, after: Cursor | None) -> models.QuerySet[Row]:
    ordered = rows.order_by(f"-{by}", "-pk")
    if after is None:
        return ordered
    # The first condition alone bounds the time, so that every database goes to its place in the index.
    later = models.Q(**{f"{by}__lt": after.moment}) | models.Q(pk__lt=after.pk)
    return ordered.filter(models.Q(**{f"{by}__lte": after.moment}), later)
