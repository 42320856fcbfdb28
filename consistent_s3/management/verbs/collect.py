"""`manage.py consistent_s3 collect`: delete what the retention policy lets go, or only say what would go."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat

from consistent_s3.collection import FAILURES, collect_garbage, storage_aliases
from consistent_s3.core.fates import Fate, Summary

HELP = "Delete the versions that the retention policies let go."
PROGRESS = 1000
"""Objects after which a terminal is told how far it is."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--storage", action="append", metavar="ALIAS", help="A storage, by alias; default: all.")
    parser.add_argument("--dry-run", action="store_true", help="Delete nothing; list what would go, and why.")
    parser.add_argument("--json", action="store_true", help="Print JSON, for scripts.")


def handle(
    command: BaseCommand, *, storage: list[str] | None, dry_run: bool, json: bool, verbosity: int, **_: Any
) -> None:
    """Collect each storage. Raises `CommandError` if one failed, or kept keys that should have gone."""
    printer = _Printer(command, dry_run=dry_run, as_json=json, verbosity=verbosity)
    failed = False
    for alias in storage or storage_aliases():
        printer.begin(alias)
        try:
            summary = collect_garbage(alias, dry_run=dry_run, tell=printer.fate)
        except FAILURES as error:
            printer.failure(alias, error)
            failed = True
        else:
            printer.summary(alias, summary)
            failed = failed or bool(summary.error_count)
    printer.end()
    if failed:
        raise CommandError("Not everything could be collected; see above. Running it again is safe.")


class _Printer:
    """Says what happens, as text or as JSON."""

    def __init__(self, command: BaseCommand, *, dry_run: bool, as_json: bool, verbosity: int) -> None:
        self._command = command
        self._dry_run = dry_run
        self._as_json = as_json
        self._verbosity = verbosity
        self._results: dict[str, dict[str, Any]] = {}
        self._objects: list[dict[str, Any]] = []
        self._seen = 0

    def begin(self, alias: str) -> None:
        self._objects, self._seen = [], 0
        if not self._as_json and self._dry_run:
            self._command.stdout.write(f"{alias}: nothing is deleted, this is a dry run")

    def fate(self, fate: Fate) -> None:
        self._seen += 1
        if self._as_json:
            if self._dry_run and fate.goes:
                self._objects.append(
                    {
                        "name": fate.name,
                        "number": fate.number,
                        "key": fate.key,
                        "size": fate.size,
                        "reason": str(fate.reason),
                    }
                )
            return
        if (self._dry_run and fate.goes) or self._verbosity > 1:
            what = f"version {fate.number}" if fate.number else "body or hint"
            would = "would go" if self._dry_run else "goes"
            verb = would if fate.goes else "stays"
            size = filesizeformat(fate.size)
            self._command.stdout.write(f"  {verb:8}  {fate.name}  {what}  {size}  ({fate.reason})")
        elif self._seen % PROGRESS == 0 and self._command.stderr.isatty():
            self._command.stderr.write(f"  {self._seen} objects decided", ending="\r")

    def summary(self, alias: str, summary: Summary) -> None:
        if self._as_json:
            self._results[alias] = summary.as_dict() | ({"objects": self._objects} if self._dry_run else {})
            return
        went = "would go" if self._dry_run else "deleted"
        self._command.stdout.write(
            f"{alias}: {summary.names} names, {summary.scanned} keys; "
            f"{summary.deleted} {went} ({filesizeformat(summary.bytes_freed)}), {summary.kept} stay"
        )
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
            self._command.stdout.write(json.dumps(self._results, indent=2))
