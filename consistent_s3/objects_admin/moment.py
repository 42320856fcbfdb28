"""The action of the list of stored objects: restore them as they were at a moment, whichever rows they belong to.

Only names are brought back. A row that is pinned to a version goes on showing that one, and is restored in its own
list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from consistent_s3.core.rewinding import Action, Step, Why
from consistent_s3.history_admin.moment import MomentPages
from consistent_s3.history_admin.moment_lines import Line
from consistent_s3.models import StoredObject
from consistent_s3.objects_admin.file import StoredField
from consistent_s3.objects_admin.places import places
from consistent_s3.objects_admin.showing import ObjectsAdmin
from consistent_s3.rewinding import Outcome, Rewinder


class ObjectMoments(MomentPages, ObjectsAdmin):
    """Brings chosen objects back to a moment."""

    @admin.action(permissions=["restore"], description=gettext_lazy("Restore as they were at…"))
    def restore_chosen_as_of(self, request: HttpRequest, queryset: QuerySet[StoredObject]) -> HttpResponse | None:
        """Ask for the moment."""
        return self._begin_moment(request, queryset)

    def _offers_moment(self, request: HttpRequest) -> bool:
        return self.has_restore_permission(request)

    def _moment_needs_comment(self, request: HttpRequest, rows: Iterable[Any]) -> bool:
        return self.comment_is_required(request, StoredField().name)

    def _moment_title(self, count: int) -> str:
        return ngettext("Restore %(count)d file as it was", "Restore %(count)d files as they were", count) % {
            "count": count
        }

    def _moment_says(self) -> list[str]:
        pins = _(
            "A row that is pinned to a version goes on showing that one. Restore such rows in their own list, where "
            "their pins follow."
        )
        return [*super()._moment_says(), pins]

    def _moment_lines(self, request: HttpRequest, rows: Sequence[Any], moment: datetime) -> Iterator[Line]:
        """Yield a line for each object that the user may see: two queries for each storage."""
        known = places()
        rows = [row for row in rows if self.has_view_permission(request, row)]
        steps: dict[int, tuple[Step, Rewinder]] = {}
        for source in known.sources.values():
            here = {row.name: row.pk for row in rows if row.place_digest == source.digest}
            rewinder = Rewinder(storage=source.storage, moment=moment)
            steps |= {here[step.name]: (step, rewinder) for step in rewinder.plan(here)}
        for row in rows:
            step, does = steps.get(row.pk, (Step(name=row.name, action=Action.CANNOT, why=Why.NO_VERSIONS), None))
            refused = self._refusal(request, row, step)
            if does is None:
                refused = _("No storage in STORAGES has the place “%s” any more.") % row.place
            yield Line(
                key=str(row.pk),
                row=row,
                kind=known.label(row),
                step=step,
                carry_out=partial(_carry_out, does, step) if does and not refused else None,
                refused=refused,
            )

    def _refusal(self, request: HttpRequest, row: StoredObject, step: Step) -> str:
        """Return why a user may not have a step done; empty if they may."""
        if not self.has_restore_permission(request, row):
            return _("You may not restore it.")
        if step.action is Action.DELETE and not self.has_tombstone_permission(request, row):
            return _("You may not delete it.")
        return ""


def _carry_out(rewinder: Rewinder, step: Step, comment: str) -> Outcome:
    return rewinder.carry_out(step, comment=comment)
