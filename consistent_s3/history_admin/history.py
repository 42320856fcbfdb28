"""All versions of a file, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from consistent_s3.core.errors import ConsistentS3Error, KeyMissingError
from consistent_s3.core.versions import Details, Version
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.history_admin.holding import HoldPages

if TYPE_CHECKING:
    from consistent_s3.models import Hold

PAGE = 20
"""Versions on one page of a history."""
AT_ONCE = 8
"""Requests for details that a history page has under way at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One line of a history page."""

    version: Version
    details: Details
    current: bool
    """It is what a read of the name returns."""
    pinned: bool
    """It is what the row points to."""
    holds: Sequence[Hold] = ()
    """The holds in force that cover it."""

    @property
    def file_name(self) -> str:
        """Return what the file was called, or else the last segment of its name; never a request."""
        return self.details.original_name or self.version.name.rpartition("/")[2]


class HistoryPages(HoldPages):
    """Lists versions."""

    def versions_view(self, request: HttpRequest, object_id: str, field_name: str) -> HttpResponse:
        """List the versions of a file, newest first; `?before=` a number goes on from there."""
        obj, file = self._file(request, object_id, field_name)
        before = request.GET.get("before", "")
        context: dict[str, Any] = {"rows": [], "before": before, "choices": []}
        holds_are_kept = apps.is_installed("consistent_s3")
        may_download = self.has_download_version_permission(request, obj)
        try:
            context |= self._page(file, int(before) if before.isascii() and before.isdigit() else None)
        except ConsistentS3Error as error:
            context["store_error"] = str(error)
        context |= {
            "title": _("Versions of “%(name)s”") % {"name": file.name},
            "page_name": _("Versions"),
            "may_download": may_download,
            "may_compare": may_download and len(context["choices"]) > 1,
            "may_restore": self.has_restore_version_permission(request, obj),
            "may_hold": holds_are_kept and self.has_hold_version_permission(request, obj),
            "may_release": self.has_release_version_permission(request, obj),
            "may_erase": self.has_erase_versions_permission(request, obj),
        }
        return self._respond(request, "versions.html", obj, file, context)

    def _page(self, file: VersionedFieldFile, before: int | None) -> dict[str, Any]:
        versions: list[Version] = []
        for version in file.history(before=before):
            versions.append(version)
            if len(versions) > PAGE:
                break
        shown = versions[:PAGE]
        newest = shown[0] if before is None and shown else next(file.history(), None)
        pinned = file.field.pinned(file.instance)
        holds = self._holds(file)
        rows = [
            HistoryRow(
                version=version,
                details=details,
                current=newest is not None and version.number == newest.number and not version.tombstone,
                pinned=version.number == pinned,
                holds=[hold for hold in holds if hold.number in {None, version.number}],
            )
            for version, details in zip(shown, _details(shown), strict=True)
        ]
        choices = [version.number for version in shown if not version.tombstone]
        return {
            "rows": rows,
            "holds": holds,
            "choices": choices,
            "default_new": choices[0] if choices else None,
            "default_old": choices[1] if len(choices) > 1 else None,
            "older": shown[-1].number if len(versions) > PAGE else None,
            "deleted": newest is not None and newest.tombstone,
        }


def _details(versions: Sequence[Version]) -> list[Details]:
    """Return the details of some versions, fetched side by side; those of a version just collected are empty."""

    def details(version: Version) -> Details:
        try:
            return version.details
        except KeyMissingError:
            return Details()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(details, versions))
