"""`manage.py consistent_s3 collect`: delete what the retention policy lets go, or only say what would go."""

from __future__ import annotations

import json as encoder
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat

from consistent_s3.collection import FAILURES, collect_garbage, go_on, storage_aliases
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.keys import STREAMS
from consistent_s3.models import CollectionRun
from consistent_s3.runs import Order, totals

HELP = "Delete the versions that the retention policies let go."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the verb's options."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--storage", action="append", metavar="ALIAS", help="A storage, by alias; default: all.")
    which.add_argument(
        "--run", type=int, metavar="NUMBER", help="Go on with a run that is under way, as one begun in the admin."
    )
    parser.add_argument("--dry-run", action="store_true", help="Delete nothing; list what would go, and why.")
    parser.add_argument("--json", action="store_true", help="Print JSON, for scripts.")
    parser.add_argument(
        "--max-delete-ratio",
        type=_ratio,
        metavar="PART",
        help="Refuse if more than this part of all objects would go, 0 to 1; default: what the storage says.",
    )
    parser.add_argument("--max-seconds", type=float, metavar="SECONDS", help="Stop cleanly when the time is over.")
    parser.add_argument("--max-objects", type=int, metavar="COUNT", help="Stop cleanly after about so many objects.")
    bucket = parser.add_mutually_exclusive_group()
    bucket.add_argument(
        "--look-through-bucket",
        action="store_true",
        dest="lists_bucket",
        default=None,
        help="Also look for what no row knows, as saves that were rolled back; default: as often as strays_every says.",
    )
    bucket.add_argument(
        "--only-rows", action="store_false", dest="lists_bucket", help="Plan from the rows; send no LIST."
    )


def handle(
    command: BaseCommand,
    *,
    storage: list[str] | None,
    dry_run: bool,
    json: bool,
    verbosity: int,
    run: int | None = None,
    max_delete_ratio: float | None = None,
    max_seconds: float | None = None,
    max_objects: int | None = None,
    lists_bucket: bool | None = None,
    **_: Any,
) -> None:
    """Collect each storage. Raises `CommandError` if one failed, or kept keys that should have gone."""
    order = Order(
        dry_run=dry_run,
        started_by="manage.py",
        max_delete_ratio=max_delete_ratio,
        max_seconds=max_seconds,
        max_objects=max_objects,
        lists_bucket=lists_bucket,
    )
    begun = None if run is None else _under_way(run, order)
    printer = _Printer(command, dry_run=begun.dry_run if begun else dry_run, as_json=json, verbosity=verbosity)
    failed = False
    for alias in [begun.storage] if begun else storage or storage_aliases():
        printer.begin(alias)
        try:
            if begun:
                summary = go_on(begun, tell=printer.fate, progress=printer.progress)
            else:
                summary = collect_garbage(alias, order=order, tell=printer.fate, progress=printer.progress)
        except FAILURES as error:
            printer.failure(alias, error)
            failed = True
        else:
            printer.summary(alias, summary)
            failed = failed or bool(summary.error_count)
    printer.end()
    if failed:
        raise CommandError("Not everything could be collected; see above. Running it again is safe.")


def _under_way(number: int, order: Order) -> CollectionRun:
    if order != Order(started_by=order.started_by):
        raise CommandError("--run goes on with a run as it was begun. Leave out what belongs to a new one.")
    run = CollectionRun.objects.filter(pk=number).first()
    if run is None or not run.is_active:
        state = "There is no such run" if run is None else f"It has ended: {run.get_state_display()}"
        raise CommandError(f"Run {number} is not under way. {state}. Begin another one without --run.")
    return run


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1
    if not 0 <= ratio <= 1:
        raise ArgumentTypeError(f"{text!r} is no number from 0 (nothing may go) to 1 (all may).")
    return ratio


class _Printer:
    """Says what happens, as text or as JSON."""

    def __init__(self, command: BaseCommand, *, dry_run: bool, as_json: bool, verbosity: int) -> None:
        self._command = command
        self._dry_run = dry_run
        self._as_json = as_json
        self._verbosity = verbosity
        self._results: dict[str, dict[str, Any]] = {}
        self._objects: list[dict[str, Any]] = []

    def begin(self, alias: str) -> None:
        self._objects = []
        if not self._as_json and self._dry_run:
            self._command.stdout.write(f"{alias}: nothing is deleted, this is a dry run")

    def fate(self, fate: Fate) -> None:
        if self._as_json:
            if self._dry_run and (fate.is_work or self._verbosity > 1):
                self._objects.append(_values(fate))
            return
        if (self._dry_run and fate.is_work) or self._verbosity > 1:
            what = f"version {fate.number}" if fate.number else "body or hint"
            if f"/{STREAMS}/" in f"/{fate.key}":
                what = f"events from {fate.number}"
            size = filesizeformat(fate.size)
            self._command.stdout.write(f"  {self._verb(fate):8}  {fate.name}  {what}  {size}  ({fate.reason})")

    def _verb(self, fate: Fate) -> str:
        if fate.goes:
            return "would go" if self._dry_run else "goes"
        if fate.storage_class:
            return f"{'would move' if self._dry_run else 'moves'} to {fate.storage_class}"
        return "stays"

    def progress(self, run: CollectionRun) -> None:
        """Tell a terminal how far the run is; of a planned run also how far that is of the whole."""
        if self._as_json or not self._command.stderr.isatty():
            return
        counted = totals(run)
        plans = run.state == CollectionRun.State.PLANNING
        doing, went = ("planning", "would go") if plans else ("collecting", "deleted")
        whole = run.planned.get("scanned", 0)
        part = f" of {whole} ({min(counted.scanned / whole, 1):.0%})" if whole else ""
        self._command.stderr.write(f"  {doing}: {counted.scanned}{part}, {counted.deleted} {went}", ending="\r")

    def summary(self, alias: str, summary: Summary) -> None:
        if self._as_json:
            self._results[alias] = summary.as_dict() | ({"objects": self._objects} if self._dry_run else {})
            return
        went = "would go" if self._dry_run else "deleted"
        self._command.stdout.write(
            f"{alias}: {summary.names} names, {summary.scanned} keys; "
            f"{summary.deleted} {went} ({filesizeformat(summary.bytes_freed)}), {summary.kept} stay"
        )
        if summary.archived:
            moved = "would move" if self._dry_run else "moved"
            self._command.stdout.write(f"  {summary.archived:8}  {moved} to another storage class")
        if summary.uploads_aborted:
            self._command.stdout.write(f"  {summary.uploads_aborted:8}  unfinished uploads aborted")
        for reason, count in sorted(summary.reasons.items()):
            self._command.stdout.write(f"  {count:8}  {reason}")
        for error in summary.errors:
            self._command.stderr.write(f"  kept {error['key']}: {error['code']} {error['message']}")

    def failure(self, alias: str, error: Exception) -> None:
        if self._as_json:
            self._results[alias] = {"failure": str(error)}
        else:
            self._command.stderr.write(self._command.style.ERROR(f"{alias}: {error}"))

    def end(self) -> None:
        if self._as_json:
            self._command.stdout.write(encoder.dumps(self._results, indent=2))


def _values(fate: Fate) -> dict[str, Any]:
    values = {"name": fate.name, "number": fate.number, "key": fate.key, "size": fate.size, "reason": str(fate.reason)}
    if fate.storage_class:
        values["moves_to"] = fate.storage_class
    return values if fate.is_work else {**values, "stays": True}
