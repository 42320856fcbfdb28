"""The filters of the list of stored objects: each bounds the rows by columns that are indexed, or lie in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from consistent_s3.index.row_times import as_kept
from consistent_s3.objects_admin.places import places

KB, MB = 1024, 1024**2
SIZES: dict[str, tuple[Promise, int, int | None]] = {
    "0": (_("empty"), 0, 1),
    "1": (_("up to 100 KB"), 1, 100 * KB),
    "2": (_("100 KB to 1 MB"), 100 * KB, MB),
    "3": (_("1 MB to 10 MB"), MB, 10 * MB),
    "4": (_("10 MB to 100 MB"), 10 * MB, 100 * MB),
    "5": (_("100 MB and more"), 100 * MB, None),
}
"""What it is called, from how many bytes, and below how many."""
TYPES: dict[str, tuple[Promise, tuple[str, ...]]] = {
    "picture": (_("pictures"), ("image/",)),
    "text": (_("text"), ("text/", "application/json", "application/xml")),
    "pdf": (_("PDF"), ("application/pdf",)),
    "office": (
        _("office documents"),
        (
            "application/vnd.openxmlformats",
            "application/vnd.oasis",
            "application/vnd.ms-",
            "application/msword",
            "application/rtf",
        ),
    ),
    "media": (_("sound and film"), ("audio/", "video/")),
    "archive": (_("archives"), ("application/zip", "application/gzip", "application/x-tar", "application/x-7z")),
}
"""What it is called, and how the media types of the newest version begin."""
OTHER = "other"


class StorageFilter(admin.SimpleListFilter):
    """By storage."""

    title = _("storage")
    parameter_name = "storage"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the storages with rows."""
        return [(source.digest, source.label) for source in places().sources.values()]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return the objects of one place."""
        return queryset.filter(place_digest=self.value()) if self.value() else queryset


class StateFilter(admin.SimpleListFilter):
    """By whether the file can be read."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return both states."""
        return [("exists", _("exists")), ("deleted", _("deleted"))]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return the objects in one state."""
        return queryset.filter(deleted=self.value() == "deleted") if self.value() else queryset


class TypeFilter(admin.SimpleListFilter):
    """By what the newest version is said to be."""

    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, Any]]:
        """Return the kinds of files."""
        yield from ((key, words) for key, (words, _begins) in TYPES.items())
        yield OTHER, _("other")

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return the objects of one kind, those that are deleted left out: a deletion has no type."""
        chosen = self.value()
        if chosen == OTHER:
            every = [begin for _words, begins in TYPES.values() for begin in begins]
            return queryset.filter(deleted=False).exclude(_begins(every))
        if chosen in TYPES:
            return queryset.filter(_begins(TYPES[chosen][1]), deleted=False)
        return queryset


class SizeFilter(admin.SimpleListFilter):
    """By the size of the newest version."""

    title = _("size")
    parameter_name = "bytes"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the ranges."""
        return [(key, words) for key, (words, _least, _below) in SIZES.items()]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return the objects in one range, those that are deleted left out."""
        if self.value() not in SIZES:
            return queryset
        _words, least, below = SIZES[str(self.value())]
        queryset = queryset.filter(deleted=False, size__gte=least)
        return queryset if below is None else queryset.filter(size__lt=below)


class ChangedFilter(admin.DateFieldListFilter):
    """By when the newest version was written."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = gettext("last change")
        self.links: Any = [
            (words, {lookup: _kept(moment) for lookup, moment in bounds.items()}) for words, bounds in self.links
        ]


def _kept(moment: datetime) -> datetime:
    return as_kept(moment if timezone.is_aware(moment) else timezone.make_aware(moment))


def _begins(beginnings: Any) -> models.Q:
    found = models.Q()
    for beginning in beginnings:
        found |= models.Q(content_type__startswith=beginning)
    return found
