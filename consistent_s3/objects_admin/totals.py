"""How many objects were found, and how many bytes have they, without loading one?"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator
from django.db import models


class TotalsPaginator(Paginator):  # type: ignore[type-arg]
    """Counts and sums in the one query that a list of Django's admin makes for its number of pages."""

    @cached_property
    def totals(self) -> dict[str, Any]:
        """Return `count` and `bytes` of all rows, in the newest version of each."""
        rows: Any = self.object_list
        return dict(rows.order_by().aggregate(count=models.Count("pk"), bytes=models.Sum("size", default=0)))

    @cached_property
    def count(self) -> int:
        """Return the number of rows."""
        return int(self.totals["count"])
