"""The action of a list of rows: restore their files as they were at a moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consistent_s3.core.rewinding import Action, Step, Why
from consistent_s3.history_admin.moment import MomentPages
from consistent_s3.history_admin.moment_lines import Line
from consistent_s3.history_admin.pages import FilePages
from consistent_s3.history_admin.rights import Right
from consistent_s3.rewinding import Outcome
from consistent_s3.rewinding_rows import RowRewinder, RowStep, versioned_fields

ACTION = "restore_files_as_of"


class RowMoments(MomentPages, FilePages):
    """Offers the action on the list of a model with versioned files, whatever `actions` its admin has beside it."""

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        """Add it for who may change rows, unless there are no actions at all. Django 6.1 asks for a place, too."""
        where = {} if action_location is None else {"action_location": action_location}
        actions = super().get_actions(request, **where)
        if self.actions is None or IS_POPUP_VAR in request.GET or not self._offers_moment(request):
            return actions
        added: Any = self.get_action(ACTION, **where)
        return {**actions, ACTION: added} if added else actions

    @admin.action(description=gettext_lazy("Restore files as they were at…"))
    def restore_files_as_of(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Ask for the moment."""
        return self._begin_moment(request, queryset)

    def _offers_moment(self, request: HttpRequest) -> bool:
        return bool(versioned_fields(self.model)) and self.has_change_permission(request)

    def _moment_needs_comment(self, request: HttpRequest, rows: Iterable[Any]) -> bool:
        needing = {field for field in versioned_fields(self.model) if self.comment_is_required(request, field.name)}
        return bool(needing) and any(
            field in needing and self._may_restore(request, row, field.name)
            for row in rows
            if self._may_rewind(request, row)
            for field in self._shown_fields(request, row)
        )

    def _moment_lines(self, request: HttpRequest, rows: Sequence[Any], moment: datetime) -> Iterator[Line]:
        """Yield a line for each file that the form of its row shows; one line for a row that may not be restored."""
        may = {row.pk: self._may_rewind(request, row) for row in rows}
        shown = {row.pk: self._shown_fields(request, row) for row in rows if may[row.pk]}
        rewinder = RowRewinder(fields=versioned_fields(self.model), moment=moment)
        planned = rewinder.plan([row for row in rows if may[row.pk]])
        steps = {(step.row.pk, step.field.name): step for step in planned}
        for row in rows:
            if not may[row.pk]:
                yield Line(
                    key=f"{row.pk}",
                    row=row,
                    kind="",
                    step=Step(name="", action=Action.NOTHING, why=Why.NO_FILE),
                    refused=_("You may not restore the files of this row."),
                )
                continue
            for field in shown[row.pk]:
                yield self._moment_line(request, rewinder, steps[row.pk, field.name])

    def _moment_line(self, request: HttpRequest, rewinder: RowRewinder, planned: RowStep) -> Line:
        def carry_out(comment: str) -> Outcome:
            return rewinder.carry_out(planned, comment=comment)

        refused = self._refusal(request, planned)
        return Line(
            key=f"{planned.row.pk}:{planned.field.name}",
            row=planned.row,
            kind=capfirst(str(planned.field.verbose_name)),
            step=planned.step,
            carry_out=None if refused else carry_out,
            refused=refused,
        )

    def _refusal(self, request: HttpRequest, planned: RowStep) -> str:
        """Return why this user may not have a step done; empty if they may."""
        may = self._may_restore(request, planned.row, planned.field.name)
        return "" if may else _("The form of the row shows this file read-only.")

    def _may_rewind(self, request: HttpRequest, row: Any) -> bool:
        rights: tuple[Right, ...] = ("history", "restore_version")
        may_see = self.has_view_or_change_permission(request, row)
        return may_see and all(self._may(request, row, right) for right in rights)
