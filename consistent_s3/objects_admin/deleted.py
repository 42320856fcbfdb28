"""Deleted files, what was deleted last first, each with a button that brings it back.

A page costs the same few queries however many names are deleted, and the store is asked nothing before somebody presses
a button.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.utils.translation import gettext as _

from consistent_s3.history_admin.outlook import Outlook, outlooks
from consistent_s3.index.row_times import as_aware
from consistent_s3.index.version_rows import as_version
from consistent_s3.models import DeletedObject, StoredVersion
from consistent_s3.objects_admin.asking import Asked, AskedForm
from consistent_s3.objects_admin.deciding import DecidedByObjects
from consistent_s3.objects_admin.exporting import OF_OBJECTS, batches, exported
from consistent_s3.objects_admin.hidden import hidden_versions, newest_versions
from consistent_s3.objects_admin.paging import cursor, page
from consistent_s3.objects_admin.places import Places, database, places
from consistent_s3.objects_admin.showing import listed
from consistent_s3.objects_admin.stored import StoredObjectAdmin
from consistent_s3.policies import circumstances

PAGE = 50
"""Files on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedFile:
    """One line of the list."""

    row: DeletedObject
    storage: str
    url: str
    """Its page; empty where there is none."""
    tombstone: StoredVersion | None
    """What deleted it."""
    hidden: StoredVersion | None
    """What undeleting brings back; `None` if nothing is left."""
    outlook: Outlook | None
    """What retention will do with that; `None` where nobody can say."""
    may_undelete: bool

    @property
    def when(self) -> datetime:
        """Return when it was deleted."""
        return as_aware(self.row.changed)

    @property
    def token(self) -> str:
        """Return what tells the server which deletion is to be undone."""
        return f"{self.row.pk}-{self.row.newest}"


@admin.register(DeletedObject)
class DeletedObjectAdmin(DecidedByObjects):
    """The deleted files."""

    ordering = ("-changed", "-pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeletedObject]:
        """Return the names whose newest version is a deletion."""
        found = super().get_queryset(request).using(database()).filter(deleted=True)
        return self._narrowed(request, listed(found, places()))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List them; `?after=` goes on from there."""
        self._require(self.has_view_permission(request))
        known = places()
        form = AskedForm(request.GET, places=known)
        rows = self._asked_for(request, form.asked)
        shown = page(rows, "changed", after=cursor(request.GET.get("after", "")), size=PAGE)
        lines = self._lines(request, shown.rows, known)
        may_undelete = self._undeletes and self.has_restore_permission(request)
        context = {
            "title": _("Deleted files"),
            "form": form,
            "missing": known.missing,
            "page": shown,
            "begun": "after" in request.GET,
            "rows": lines,
            "may_undelete": may_undelete and any(line.may_undelete for line in lines),
            "undelete_url": self._url("bulk", "undelete") if self._undeletes else "",
            "csv_url": self._url("export", "csv", model="deletedobject"),
            "json_url": self._url("export", "json", model="deletedobject"),
        }
        return self._show(request, "deleted.html", {**context, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        """Offer the list and nothing else: a deleted file's page is that of the stored object."""
        return [
            self._readable("", self.changelist_view, "changelist"),
            self._readable("export/<str:form>/", self.export_view, "export"),
        ]

    def export_view(self, request: HttpRequest, form: str) -> HttpResponseBase:
        """Send what is found as a file."""
        self._require(self.has_view_permission(request))
        known = places()
        rows = self._asked_for(request, AskedForm(request.GET, places=known).asked)
        lines = batches(rows, "changed", known, may_view=partial(self.has_view_permission, request))
        return exported(form, "deleted-files", OF_OBJECTS, lines)

    # How it is done

    @property
    def _undeletes(self) -> bool:
        """Return whether this site has the page that brings files back."""
        return isinstance(self._decides, StoredObjectAdmin)

    def _asked_for(self, request: HttpRequest, asked: Asked) -> QuerySet[DeletedObject]:
        rows: QuerySet[DeletedObject] = asked.within(
            self.get_queryset(request), by="changed", place="place_digest", name="name"
        )
        said = asked.said("versions__")
        return rows.filter(said, versions__number=F("newest")) if said else rows

    def _lines(self, request: HttpRequest, found: Sequence[DeletedObject], known: Places) -> list[DeletedFile]:
        rows = [row for row in found if self.has_view_permission(request, row)]
        tombstones = newest_versions(rows, using=database())
        hidden = hidden_versions(rows, using=database())
        to_come = _outlooks(rows, tombstones, hidden, known)
        return [
            DeletedFile(
                row=row,
                storage=known.label(row),
                url=self._object_url(row),
                tombstone=tombstones.get(row.pk),
                hidden=hidden.get(row.pk),
                outlook=to_come.get(row.pk),
                may_undelete=(
                    row.pk in hidden and known.storage(row) is not None and self.has_restore_permission(request, row)
                ),
            )
            for row in rows
        ]


def _outlooks(
    rows: Sequence[DeletedObject],
    tombstones: Mapping[int, StoredVersion],
    hidden: Mapping[int, StoredVersion],
    known: Places,
) -> dict[int, Outlook]:
    """Return what retention will do with what is hidden: for each storage a query for each field, and one for holds."""
    found: dict[int, Outlook] = {}
    for source in known.sources.values():
        here = [row for row in rows if row.place_digest == source.digest and row.pk in tombstones and row.pk in hidden]
        if not here:
            continue
        said = circumstances(source.storage)([row.name for row in here])
        now = source.storage.archive.clock.now()
        for row in here:
            history = [as_version(row.name, version) for version in (tombstones[row.pk], hidden[row.pk])]
            number = history[1].number
            told = outlooks(source.storage, said[row.name], history, {number}, now=now)
            if number in told:
                found[row.pk] = told[number]
    return found
