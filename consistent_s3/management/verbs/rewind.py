"""`manage.py consistent_s3 rewind`: bring names, or the files of rows, back to what they were at a moment.

Without `--yes` it only says what would be done.
"""

from __future__ import annotations

import json as encoder
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import models, router
from django.forms.utils import from_current_timezone
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from consistent_s3.collection import FAILURES, storage_aliases, versioned_storage
from consistent_s3.core.rewinding import Action, Step
from consistent_s3.core.seams import SystemClock
from consistent_s3.core.versions import Version
from consistent_s3.rewinding import Outcome, Rewinder, matching
from consistent_s3.rewinding_rows import RowRewinder, RowStep, versioned_fields

HELP = "Bring names, or the files of rows, back to what they were at a moment; without --yes only say what would be."
AUTHOR = "manage.py"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument(
        "--to",
        type=_moment,
        required=True,
        dest="moment",
        metavar="TIME",
        help="The moment, as 2026-11-17T14:00, in the project's time zone, or with one: 2026-11-17T14:00+01:00.",
    )
    parser.add_argument("--storage", metavar="ALIAS", help="The storage of the names; needed if there are several.")
    parser.add_argument(
        "--name",
        action="append",
        metavar="PATTERN",
        help="A name, or a pattern such as 'invoices/*'; may be repeated. '*' for all.",
    )
    parser.add_argument(
        "--model",
        metavar="app.Model",
        help="Rows whose files to bring back, with their pins; --name chooses among them.",
    )
    parser.add_argument("--comment", default="", help="Why; kept with each version. Default: 'as it was at TIME'.")
    parser.add_argument("--author", default=AUTHOR, help="Who; kept with each version.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--dry-run", action="store_true", help="Change nothing, and say what would be done: the default."
    )
    which.add_argument("--yes", action="store_true", help="Do it.")
    parser.add_argument("--json", action="store_true", help="Print JSON, for scripts.")


def handle(
    command: BaseCommand,
    *,
    moment: datetime,
    storage: str | None,
    name: list[str] | None,
    model: str | None,
    comment: str,
    author: str,
    yes: bool,
    json: bool,
    verbosity: int,
    **_: Any,
) -> None:
    """Rewind. Raises `CommandError` if something cannot be brought back, or was not."""
    if moment > SystemClock().now():
        raise CommandError(f"{_told(moment)} has not come yet. Give a moment in the past.")
    printer = _Printer(command, moment=moment, dry_run=not yes, as_json=json, verbosity=verbosity)
    said = {"author": author, "comment": comment or f"as it was at {_told(moment)}"}
    try:
        work = _rows(model, storage, name, moment) if model else _names(storage, name, moment)
        printer.begin()
        for where, step, carry_out in work:
            printer.tell(where, carry_out(**said) if yes else Outcome(step=step))
    except FAILURES as error:
        printer.end()
        raise CommandError(f"{error} What was done until then is done. Running it again is safe.") from error
    printer.end()
    if printer.failed:
        raise CommandError("Not everything can be brought back; see above. Running it again is safe.")


Work = Iterator[tuple[dict[str, Any], Step, Callable[..., Outcome]]]
"""Where something is to be done, what, and a function that does it."""


def _names(alias: str | None, patterns: list[str] | None, moment: datetime) -> Work:
    if not patterns:
        raise CommandError("Say what is to be brought back: --name PATTERN, or --model app.Model. --name '*' is all.")
    aliases = [alias] if alias else storage_aliases()
    if len(aliases) != 1:
        raise CommandError(f"Say in which storage, with --storage: {', '.join(aliases) or 'none keeps versions'}.")
    try:
        rewinder = Rewinder(storage=versioned_storage(aliases[0]), moment=moment)
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
    where = {"storage": aliases[0]}
    return ((where, step, partial(rewinder.carry_out, step)) for step in rewinder.plan_matching(patterns))


def _rows(label: str, alias: str | None, patterns: list[str] | None, moment: datetime) -> Work:
    if alias:
        raise CommandError("--storage goes with names. The files of rows lie where their fields say: leave it out.")
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise CommandError(f"There is no model {label!r}: {error} Give it as app.Model.") from error
    fields = versioned_fields(model)
    if not fields:
        raise CommandError(f"{label} has no VersionedFileField, so its files have no history.")
    rewinder = RowRewinder(fields=fields, moment=moment)
    rows: models.QuerySet[Any] = models.QuerySet(model).using(router.db_for_write(model))
    return (
        (_row(planned), planned.step, partial(rewinder.carry_out, planned))
        for planned in rewinder.plan(rows.order_by("pk").iterator(chunk_size=500))
        if not patterns or matching(planned.step.name, patterns)
    )


def _row(planned: RowStep) -> dict[str, Any]:
    pk = planned.row.pk
    pk = pk if isinstance(pk, int) else str(pk)
    return {"model": planned.row._meta.label, "pk": pk, "field": planned.field.name}


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = from_current_timezone(moment) if timezone.is_naive(moment) else moment
    except (ValueError, ValidationError) as error:
        why = " ".join(error.messages) if isinstance(error, ValidationError) else "It is no time."
        raise ArgumentTypeError(f"{text!r}: {why} Give it as 2026-11-17T14:00, or 2026-11-17T14:00+01:00.") from error
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment, timezone.get_default_timezone())


def _told(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S %Z}"


class _Printer:
    """Says what happens, as text or as JSON; holds no more than one line."""

    def __init__(self, command: BaseCommand, *, moment: datetime, dry_run: bool, as_json: bool, verbosity: int) -> None:
        self._command = command
        self._moment = moment
        self._dry_run = dry_run
        self._as_json = as_json
        self._verbosity = verbosity
        self._counts: Counter[str] = Counter()
        self.failed = False

    def begin(self) -> None:
        if self._as_json:
            head = encoder.dumps({"moment": self._moment.isoformat(), "dry_run": self._dry_run})
            self._write(f'{head[:-1]}, "steps": [', ending="")
        elif self._dry_run:
            self._write(f"As it was at {_told(self._moment)}; nothing is changed, this is a dry run. Do it with --yes.")

    def tell(self, where: dict[str, Any], outcome: Outcome) -> None:
        step = outcome.step
        self.failed = self.failed or bool(outcome.error) or step.action is Action.CANNOT
        if self._as_json:
            comma = "," if self._counts.total() else ""
            self._write(f"{comma}\n  {encoder.dumps(where | _values(outcome))}", ending="")
        self._counts["failed" if outcome.error else str(step.action)] += 1
        if self._as_json:
            return
        if step.action is not Action.NOTHING or self._verbosity > 1:
            self._write(
                f"  {_verb(outcome, dry_run=self._dry_run):14}  {_place(where, step)}  {_what(step)}  ({step.why})"
            )
        if outcome.error:
            self._command.stderr.write(f"  {_place(where, step)}: {outcome.error}")
        if self._command.stderr.isatty():
            self._command.stderr.write(f"  {self._counts.total()} looked at", ending="\r")

    def end(self) -> None:
        if self._as_json:
            self._write(f'],\n"counts": {encoder.dumps(dict(sorted(self._counts.items())))}}}')
            return
        restored, deleted = ("would be restored", "would be deleted") if self._dry_run else ("restored", "deleted")
        counts = self._counts
        self._write(
            f"{counts.total()} looked at: {counts['restore']} {restored}, {counts['delete']} {deleted}, "
            f"{counts['nothing']} as they were, {counts['cannot']} cannot be brought back, {counts['failed']} failed"
        )

    def _write(self, text: str, ending: str = "\n") -> None:
        self._command.stdout.write(text, ending=ending)


def _verb(outcome: Outcome, *, dry_run: bool) -> str:
    action = outcome.step.action
    if outcome.error:
        return "conflict" if outcome.conflict else "failed"
    if action is Action.NOTHING:
        return "stays"
    if action is Action.CANNOT:
        return "cannot"
    return f"would {action}" if dry_run else f"{action}d"


def _place(where: dict[str, Any], step: Step) -> str:
    return f"{where['model']} {where['pk']}: {step.name or where['field']}" if "model" in where else step.name


def _what(step: Step) -> str:
    if step.collected:
        return f"version {step.collected} is gone"
    now = _version(step.now) if step.now else "no version"
    return f"{_version(step.then)} over {now}" if step.action is Action.RESTORE and step.then else now


def _version(version: Version) -> str:
    kind = "deletion" if version.tombstone else filesizeformat(version.size)
    return f"version {version.number} ({kind})"


def _values(outcome: Outcome) -> dict[str, Any]:
    step = outcome.step
    return {
        "name": step.name,
        "action": str(step.action),
        "why": str(step.why),
        "now": step.now.number if step.now else None,
        "then": step.then.number if step.then else None,
        "collected": step.collected or None,
        "written": outcome.version.number if outcome.version else None,
        "error": outcome.error,
        "conflict": outcome.conflict,
    }
