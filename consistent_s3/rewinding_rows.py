"""Rows whose files are brought back to what they were at a moment.

1. Only files have a history, rows do not: the file of a row is what the history of the name that it has now says. A row
   without a file is left alone, since nobody knows which one it had.
2. A file that did not exist then, or was deleted, is deleted (with a tombstone), and the row's pin is taken away; the
   row keeps the name, so that its history stays in reach and everything can be brought back from there.
3. Each row is locked, looked at again and saved in a transaction of its own. A row that has another file or another pin
   by then, or whose file was written meanwhile, is a conflict and stays as it is.
4. A row that shares its file with another gets a file of its own, as with every restoration. Where the file would have
   to go, it stays, and the plan says so.
5. For a batch of rows a plan costs two queries for each field with rows of the index, and one more if files would go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import models, router
from django.db.models import Count

from consistent_s3.core.errors import ConflictError
from consistent_s3.core.rewinding import Action, Step, Why, plan
from consistent_s3.core.versions import Version
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.fields import VersionedFileField
from consistent_s3.index.moments import NAMES
from consistent_s3.rewinding import FAILURES, Outcome, Rewinder, batches, expected_by


@dataclass(frozen=True, slots=True, kw_only=True)
class RowStep:
    """What brings one file of one row back."""

    row: models.Model
    """As the plan saw it."""
    field: VersionedFileField
    step: Step


def versioned_fields(model: type[models.Model]) -> list[VersionedFileField]:
    """Return the fields of a model whose files have a history."""
    return [field for field in model._meta.get_fields() if isinstance(field, VersionedFileField)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRewinder:
    """Brings files of rows back to a moment."""

    fields: Sequence[VersionedFileField]
    moment: datetime
    """Aware."""

    def plan(self, rows: Iterable[models.Model]) -> Iterator[RowStep]:
        """Yield what is to be done with each file of some rows of one model, in their order. Writes nothing."""
        for batch in batches(rows, NAMES):
            by_field = [self._steps(field, batch) for field in self.fields]
            yield from (step for steps in zip(*by_field, strict=True) for step in steps)

    def carry_out(self, planned: RowStep, *, author: str | None = None, comment: str = "") -> Outcome:
        """Do a step, if what it rests on still is so, and return what came of it. Errors are told, not raised."""
        step = planned.step
        if not step.changes:
            return Outcome(step=step)
        as_planned: VersionedFieldFile = getattr(planned.row, planned.field.attname)
        try:
            with as_planned.locked() as file:
                if step.action is Action.RESTORE:
                    expected = expected_by(file.storage, step)
                    number = step.then.number if step.then else 0
                    version: Version | None = file.restore(number, expected=expected, author=author, comment=comment)
                else:
                    version = _delete(file, step, author, comment)
        except FAILURES as error:
            return Outcome(step=step, error=str(error), conflict=isinstance(error, ConflictError))
        return Outcome(step=step, version=version)

    # How it is done

    def _steps(self, field: VersionedFileField, rows: Sequence[models.Model]) -> list[RowStep]:
        files: list[VersionedFieldFile] = [getattr(row, field.attname) for row in rows]
        names = list(dict.fromkeys(str(file.name) for file in files if file.name))
        known = Rewinder(storage=field.versioned_storage(), moment=self.moment).around(names) if names else {}
        steps = [
            plan(str(file.name), known[str(file.name)], pinned=field.pinned(row) or 0)
            if file.name
            else Step(name="", action=Action.NOTHING, why=Why.NO_FILE)
            for row, file in zip(rows, files, strict=True)
        ]
        going = {step.name for step in steps if step.action is Action.DELETE}
        shared = _shared(field, going) if going else set()
        return [
            RowStep(
                row=row,
                field=field,
                step=replace(step, action=Action.CANNOT, why=Why.SHARED) if step.name in shared & going else step,
            )
            for row, step in zip(rows, steps, strict=True)
        ]


def _shared(field: VersionedFileField, names: set[str]) -> set[str]:
    """Return which names several rows have, whatever managers hide: one query."""
    rows: models.QuerySet[Any] = models.QuerySet(field.model).using(router.db_for_write(field.model))
    found = rows.filter(**{f"{field.attname}__in": names}).values_list(field.attname).annotate(rows_with_it=Count("*"))
    return {name for name, count in found.order_by() if count > 1}


def _delete(file: VersionedFieldFile, step: Step, author: str | None, comment: str) -> Version | None:
    """Delete the file, and leave its name on the row, so that its history stays in reach."""
    row: Any = file.instance
    if file.field.is_shared(row, step.name):
        raise ConflictError(f"Another row has {step.name!r} by now, and would lose it.", name=step.name)
    expected = expected_by(file.storage, step)
    version = file.storage.delete(step.name, expected=expected, author=author, comment=comment)
    file.field.pin(row, None)
    row.save()
    return version
