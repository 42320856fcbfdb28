"""What was changed in all files of the project: who, when, what, where, and why; what was changed last first.

A page costs the same few queries however many changes there are, and the store is asked nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.utils.translation import gettext as _

from consistent_s3.index.row_times import as_aware
from consistent_s3.models import RecentChange
from consistent_s3.objects_admin.asking import Asked, AskedForm
from consistent_s3.objects_admin.deciding import DecidedByObjects
from consistent_s3.objects_admin.exporting import OF_CHANGES, exported
from consistent_s3.objects_admin.paging import all_rows, cursor, page
from consistent_s3.objects_admin.places import Places, database, places
from consistent_s3.objects_admin.referring import Referrer, referrers
from consistent_s3.objects_admin.showing import listed

PAGE = 50
"""Changes on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of the list."""

    version: RecentChange
    storage: str
    url: str
    """The page of its file; empty where there is none."""
    referrers: Sequence[Referrer]
    """The rows that have the file and that the user may see."""

    @property
    def when(self) -> datetime:
        """Return when it was done."""
        return as_aware(self.version.modified)

    @property
    def what(self) -> str:
        """Return what was done, in words."""
        if self.version.tombstone:
            return _("deleted")
        if self.version.restored_from:
            return _("restored from version %(number)d") % {"number": self.version.restored_from}
        return _("saved") if self.version.predecessor else _("added")


@admin.register(RecentChange)
class RecentChangeAdmin(DecidedByObjects):
    """The changes."""

    ordering = ("-modified", "-pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RecentChange]:
        """Return all versions, with their names."""
        found = super().get_queryset(request).using(database()).select_related("stored_object")
        return self._narrowed(request, listed(found, places(), prefix="stored_object__"), by="stored_object")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List them; `?after=` goes on from there."""
        self._require(self.has_view_permission(request))
        known = places()
        form = AskedForm(request.GET, places=known)
        rows = self._asked_for(request, form.asked)
        shown = page(rows, "modified", after=cursor(request.GET.get("after", "")), size=PAGE)
        context = {
            "title": _("Recent changes"),
            "form": form,
            "missing": known.missing,
            "page": shown,
            "begun": "after" in request.GET,
            "rows": self._lines(request, shown.rows, known),
            "csv_url": self._url("export", "csv", model="recentchange"),
            "json_url": self._url("export", "json", model="recentchange"),
        }
        return self._show(request, "changes.html", {**context, **(extra_context or {})})

    def export_view(self, request: HttpRequest, form: str) -> HttpResponseBase:
        """Send what is found as a file."""
        self._require(self.has_view_permission(request))
        known = places()
        rows = self._asked_for(request, AskedForm(request.GET, places=known).asked)
        lines = _values(rows, known, may_view=partial(self.has_view_permission, request))
        return exported(form, "recent-changes", OF_CHANGES, lines)

    def get_urls(self) -> list[URLPattern]:
        """Offer the list and nothing else: a change is looked at on the page of its file."""
        return [
            self._readable("", self.changelist_view, "changelist"),
            self._readable("export/<str:form>/", self.export_view, "export"),
        ]

    # How it is done

    def _asked_for(self, request: HttpRequest, asked: Asked) -> QuerySet[RecentChange]:
        rows = asked.within(
            self.get_queryset(request),
            by="modified",
            place="stored_object__place_digest",
            name="stored_object__name",
        )
        return rows.filter(asked.said())  # type: ignore[no-any-return]

    def _lines(self, request: HttpRequest, found: Sequence[RecentChange], known: Places) -> list[Change]:
        versions = [version for version in found if self.has_view_permission(request, version.stored_object)]
        used: dict[tuple[str, str], list[Referrer]] = {}
        for source in known.sources.values():
            names = {
                version.stored_object.name
                for version in versions
                if version.stored_object.place_digest == source.digest
            }
            if names:
                by_name = referrers(request, self.admin_site, source.storage, sorted(names))
                used |= {(source.digest, name): rows for name, rows in by_name.items()}
        return [
            Change(
                version=version,
                storage=known.label(version.stored_object),
                url=self._object_url(version.stored_object),
                referrers=used.get((version.stored_object.place_digest, version.stored_object.name), []),
            )
            for version in versions
        ]


def _values(
    rows: QuerySet[RecentChange], known: Places, *, may_view: Callable[[Any], bool]
) -> Iterator[dict[str, Any]]:
    for version in all_rows(rows, "modified"):
        if not may_view(version.stored_object):
            continue
        action = "deleted" if version.tombstone else "restored" if version.restored_from else "saved"
        yield {
            "when": as_aware(version.modified),
            "author": version.author,
            "action": action,
            "name": version.stored_object.name,
            "storage": known.label(version.stored_object),
            "version": version.number,
            "restored_from": version.restored_from or "",
            "size": version.size,
            "comment": version.comment,
        }
