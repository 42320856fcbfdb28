"""All versions of a file, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.core.fetching import details_of
from consistent_s3.core.numbers import read_number
from consistent_s3.core.seams import ForgetfulIndex
from consistent_s3.core.versions import Details, Version
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.history_admin.finding import FilterForm, Found, Wanted, find, knows_all
from consistent_s3.history_admin.holding import HoldPages
from consistent_s3.history_admin.outlook import Outlook, known, outlooks
from consistent_s3.kinds import Kind, kind_of

if TYPE_CHECKING:
    from consistent_s3.models import Hold
    from consistent_s3.storage import ConsistentS3Storage

OUTLOOK = 1_000
"""Newer versions that are looked at to say what retention will do with those of a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One line of a history page."""

    version: Version
    details: Details
    current: bool
    """It is what a read of the name returns."""
    pinned: bool
    """A row points to it."""
    holds: Sequence[Hold] = ()
    """The holds in force that cover it."""
    outlook: Outlook | None = None
    """What retention will do with it; `None` where nobody can say."""
    follows: bool = False
    """There may be a version before it."""
    growth: int | None = None
    """Bytes more than the version before; `None` where that is not known."""

    @property
    def file_name(self) -> str:
        """Return what the file was called, or else the last segment of its name; never a request."""
        return self.details.original_name or self.version.name.rpartition("/")[2]

    @property
    def kind(self) -> Kind:
        """Return what kind of file it is, as its name says."""
        return kind_of(self.file_name)

    @property
    def shows_picture(self) -> bool:
        """Return whether it may be shown as a picture."""
        return not self.version.tombstone and self.kind.shown(self.version.size)


class HistoryPages(HoldPages):
    """Lists versions."""

    def versions_view(self, request: HttpRequest, object_id: str, field_name: str) -> HttpResponse:
        """List the versions of a file, newest first; `?before=` a number goes on from there.

        The requests and queries of a page do not depend on how many versions there are.
        """
        obj, file = self._file(request, object_id, field_name)
        before = request.GET.get("before", "")
        form = FilterForm(request.GET)
        wanted = Wanted(**form.cleaned_data) if form.is_valid() else Wanted()
        asked = {field: request.GET[field] for field in form.fields if request.GET.get(field)}
        context: dict[str, Any] = {"rows": [], "before": before, "choices": []}
        holds_are_kept = apps.is_installed("consistent_s3")
        may_download = self.has_download_version_permission(request, obj)
        try:
            context |= self._page(file, wanted, read_number(before))
        except ConsistentS3Error as error:
            context["store_error"] = str(error)
        context |= {
            "title": _("Versions of “%(name)s”") % {"name": file.name},
            "page_name": _("Versions"),
            "filter": form,
            "filtered": not wanted.anything,
            "query": urlencode(asked),
            "may_download": may_download,
            "may_compare": may_download and len(context["choices"]) > 1,
            "may_restore": self._may_restore(request, obj, field_name),
            "may_hold": holds_are_kept and self.has_hold_version_permission(request, obj),
            "may_release": self.has_release_version_permission(request, obj),
            "may_delete": self.has_delete_version_permission(request, obj),
            "may_erase": self.has_erase_versions_permission(request, obj),
        }
        return self._respond(request, "versions.html", obj, file, context)

    def _page(self, file: VersionedFieldFile, wanted: Wanted, before: int | None) -> dict[str, Any]:
        storage, name = file.storage, str(file.name)
        found = find(storage, name, wanted, before=before)
        shown = found.versions
        whole = before is None and wanted.anything
        newest = shown[0] if whole and shown else storage.archive.newest(name)
        said = known(storage, name)
        pinned = {file.field.pinned(file.instance), *said.referenced}
        holds = self._holds(file)
        newer = shown if whole else self._newer(file, shown)
        to_come = outlooks(storage, said, newer, {version.number for version in shown}, now=storage.archive.clock.now())
        growths = _growths(found) if wanted.anything else {}
        followed = {version.number for version in (shown if found.next_older else shown[:-1])}
        rows = [
            HistoryRow(
                version=version,
                details=details,
                current=newest is not None and version.number == newest.number and not version.tombstone,
                pinned=version.number in pinned,
                holds=[hold for hold in holds if hold.number in {None, version.number}],
                outlook=to_come.get(version.number),
                follows=version.number > 1 and (not wanted.anything or version.number in followed),
                growth=growths.get(version.number),
            )
            for version, details in zip(shown, details_of(shown), strict=True)
        ]
        choices = [version.number for version in shown if not version.tombstone]
        return {
            "rows": rows,
            "holds": holds,
            "choices": choices,
            "default_new": choices[0] if choices else None,
            "default_old": choices[1] if len(choices) > 1 else None,
            "older": found.before,
            "looked_at": found.looked_at,
            "has_outlook": bool(to_come),
            "untold": _untold(storage, shown, newer),
            "deleted": newest is not None and newest.tombstone,
        }

    def _newer(self, file: VersionedFieldFile, shown: Sequence[Version]) -> Sequence[Version]:
        """Return what is looked at, from the newest down to the last of a page; nothing where that would cost much."""
        if not (shown and knows_all(file.storage)):
            return []
        newer = []
        for version in file.storage.archive.history(str(file.name), limit=OUTLOOK):
            newer.append(version)
            if version.number == shown[-1].number:
                break
        return newer


def _untold(storage: ConsistentS3Storage, shown: Sequence[Version], newer: Sequence[Version]) -> str:
    """Return why it is not told what retention will do with some versions of a page; empty if it is told of all."""
    if shown and isinstance(storage.archive.index, ForgetfulIndex):
        return _("What retention will do is not told: this index may forget when a version was replaced.")
    if {version.number for version in shown} <= {version.number for version in newer}:
        return ""
    if knows_all(storage):
        return _("What retention will do is only told of the newest %(count)d versions.") % {"count": OUTLOOK}
    return _("What retention will do is only told on the first page, and not of what was searched for.")


def _growths(found: Found) -> dict[int, int]:
    """Return by how many bytes each version is larger than the one before it, where both have bytes."""
    older = [*found.versions[1:], *([found.next_older] if found.next_older else [])]
    return {
        version.number: version.size - before.size
        for version, before in zip(found.versions, older, strict=False)
        if not (version.tombstone or before.tombstone)
    }
